"""The value of a condition, which users write as text, in the type of its column."""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING

from ordhash.codes import composed
from ordhash.support import is_text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["typed_value"]

_EPOCH = datetime.datetime(1970, 1, 1)
_SECOND = datetime.timedelta(seconds=1)


def typed_value(text: str, kind: pa.DataType) -> pa.Scalar:
    """The value of a condition, converted to the type of its column.

    Texts get composed accents. Times without an offset from UTC, in conditions and in columns, are those of the local
    time zone.

    Raises:
        pyarrow.ArrowException: The text is not a value of this type.
        ValueError: As above.

    >>> import pyarrow as pa
    >>> typed_value("2024-01-01", pa.timestamp("s")).as_py().year
    2024
    >>> typed_value("2024-06-01T00:00:00+02:00", pa.timestamp("s", "UTC")).as_py().hour
    22
    """
    import pyarrow as pa

    if is_text(kind):
        return pa.scalar(composed(text), kind)
    if pa.types.is_timestamp(kind):
        return _moment(text, kind)
    value = pa.scalar(text).cast(kind)
    if pa.types.is_floating(kind) and math.isnan(value.as_py()):
        raise ValueError(f"{text} is not a number")
    return value


def _moment(text: str, kind: pa.TimestampType) -> pa.Scalar:
    """A time in the unit and the zone of a column."""
    import pyarrow as pa

    try:
        written, zoned = pa.scalar(text).cast(pa.timestamp(kind.unit)), False
    except pa.ArrowInvalid:  # Arrow refuses an offset here, and wants one there
        written, zoned = pa.scalar(text).cast(pa.timestamp(kind.unit, "UTC")), True
    count = written.cast(pa.int64()).as_py()
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    if kind.tz is not None and not zoned:
        count -= _local_offset(count // per_second, of_local=True) * per_second
    elif kind.tz is None and zoned:
        count += _local_offset(count // per_second, of_local=False) * per_second
    return pa.scalar(count, pa.int64()).cast(kind)


def _local_offset(seconds: int, *, of_local: bool) -> int:
    """Seconds by which local time is ahead of UTC, at a time in seconds since 1970, in local time or in UTC."""
    try:
        moment = _EPOCH + seconds * _SECOND
        if not of_local:
            moment = moment.replace(tzinfo=datetime.UTC)
        offset = moment.astimezone().utcoffset()
    except (OverflowError, ValueError, OSError):  # years that the clock of the system does not know
        return 0
    return 0 if offset is None else offset // _SECOND
