"""Codes in a folder of shards, written by many machines at once and read as one table.

A folder holds a plan (``_encoding.json``: of which images, by which model, in how many shards), the model, and a file
of codes for each shard (``ordhash.codes.file``), with the images that could not be used in the metadata of its schema.
Shards are files that Parquet readers can read as one table; they pass over names that begin with an underscore.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass

from ordhash.codes.file import CODES_FORMAT, CodeFacts, codes_to_table, table_to_codes
from ordhash.codes.parquet import parquet_bytes, read_parquet
from ordhash.codes.spec import CodeSpec
from ordhash.codes.table import CodeTable
from ordhash.errors import DataError, ImageError, first_line
from ordhash.support import Location, integer_at_least

__all__ = ["LIST", "MODEL", "Plan", "is_leftover", "read_failures", "read_shards", "shard_name", "write_shard"]

LIST = "_images.parquet"
"""File with the list of the images, if each is a separate file."""

MODEL = "_model.onnx"
"""The model, which every machine reads from there."""

_PLAN = "_encoding.json"
_FORMAT = "encoding/1"
_MOST_SHARDS = 10**8  # of names with eight digits
_FAILURES, _WORKER = b"ordhash.failures", b"ordhash.worker"


@dataclass(frozen=True)
class Plan:
    """What a folder of shards holds when it is complete.

    Attributes:
        source: Where the images are.
        images: Digest of the list of the images.
        n_images: How many.
        shard_size: Images of a shard; the last one may have fewer.
        code_bits: Length of a code.
        arity: Scores of a segment.
        model_id: The model.
        model_path: Where its file was.
        parts: Whether parts of the images are encoded too.
    """

    source: str
    images: str
    n_images: int
    shard_size: int
    code_bits: int
    arity: int
    model_id: str
    model_path: str
    parts: bool = False

    def check(self) -> None:
        """Raise ValueError for values that no encoding has."""
        for name in ("source", "images", "model_id", "model_path"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r} and must be a text")
        if not isinstance(self.parts, bool):
            raise ValueError(f"parts is {self.parts!r} and must be true or false")
        for name, least in (("n_images", 0), ("shard_size", 1)):
            integer_at_least(getattr(self, name), least, name)
        CodeSpec(self.code_bits, self.arity)
        if self.n_shards > _MOST_SHARDS:
            raise ValueError(f"{self.n_shards} shards are more than {_MOST_SHARDS}")

    @property
    def n_shards(self) -> int:
        """How many shards the images make."""
        return -(-self.n_images // self.shard_size)

    def write(self, folder: Location) -> None:
        """Write it into the folder."""
        values = {"format": _FORMAT, **dataclasses.asdict(self)}
        folder.below(_PLAN).write(json.dumps(values, indent=1).encode() + b"\n")

    @classmethod
    def of(cls, folder: Location) -> Plan | None:
        """The plan of a folder; None if it has none.

        Raises:
            DataError: It cannot be read, is damaged or of a newer version.
        """
        location = folder.below(_PLAN)
        if not location.is_file():
            return None
        with location.reported():
            content = location.read()
        try:
            values = json.loads(content)
            if values.pop("format") != _FORMAT:
                raise DataError(f"{location} is of a newer version; upgrade ordhash")
            plan = cls(**values)
            plan.check()
            return plan
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{location} is damaged ({first_line(error)}); encode into another folder") from error

    def missing(self, folder: Location) -> list[int]:
        """Numbers of the shards that are missing."""
        there = set(folder.names() or ())
        return [number for number in range(self.n_shards) if shard_name(number) not in there]


def shard_name(number: int) -> str:
    """Name of a shard's file.

    >>> shard_name(7)
    'part-00000007.parquet'
    """
    return f"part-{number:08d}.parquet"


def is_leftover(name: str) -> bool:
    """Whether a file is left over from an interrupted start or an unfinished shard, and can be overwritten.

    >>> is_leftover("_images.parquet"), is_leftover("part-00000007.parquet")
    (True, False)
    """
    return name in (LIST, MODEL) or re.fullmatch(r"\.(part-|_).*\.tmp", name) is not None


def write_shard(
    folder: Location, number: int, table: CodeTable, failures: list[ImageError], *, worker: str | None = None
) -> None:
    """Write a shard, whole or not at all.

    Args:
        folder: The folder.
        number: Of the shard.
        table: Its codes.
        failures: The images of it that could not be used.
        worker: Name of the process that encoded it, for debugging.

    Raises:
        InputError: Parquet cannot hold the metadata.
        OSError: It cannot be written.
    """
    arrow = codes_to_table(table.codes, table.keys, table.metadata, model_path=table.model_path, parts=table.parts)
    said = json.dumps([[failure.source, failure.reason] for failure in failures]).encode()
    more = {_FAILURES: said} if worker is None else {_FAILURES: said, _WORKER: worker.encode()}
    content = parquet_bytes(arrow.replace_schema_metadata({**arrow.schema.metadata, **more}))
    folder.below(shard_name(number)).write(content)


def read_failures(folder: Location, number: int, plan: Plan) -> list[ImageError]:
    """The images of a shard that could not be used.

    Raises:
        DataError: The shard cannot be read, or does not fit the plan.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    location = folder.below(shard_name(number))
    end = _end_of(location)
    try:
        parquet = pq.ParquetFile(pa.BufferReader(end))
        said, rows = parquet.schema_arrow.metadata or {}, parquet.metadata.num_rows
        failures = [ImageError(source, reason) for source, reason in json.loads(said[_FAILURES])]
        facts, _ = CodeFacts.of_schema(parquet.schema_arrow, CODES_FORMAT)
    except DataError as error:
        raise DataError(f"{location}: {error}") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{location} is damaged ({first_line(error)}); delete it and encode again") from error
    images = min(plan.shard_size, plan.n_images - number * plan.shard_size)
    same = (facts.model_id, facts.spec) == (plan.model_id, CodeSpec(plan.code_bits, plan.arity))
    if not same or rows + len(failures) != images:
        raise DataError(f"{location} belongs to another encoding than its folder; delete it and encode again")
    return failures


def _end_of(location: Location) -> bytes:
    """The end of a Parquet file, which says what the file holds."""
    with location.reported(), location.open() as file:
        size = file.size()
        length = 8 + int.from_bytes(file.read_at(min(8, size), max(0, size - 8))[:4], "little")
        return bytes(file.read_at(min(length, size), max(0, size - length)))


def read_shards(folder: Location) -> CodeTable:
    """All codes of a folder of shards, in the order of the images.

    Raises:
        DataError: The folder is not complete, or a shard is damaged or cannot be read.
    """
    import pyarrow as pa

    plan = Plan.of(folder)
    if plan is None:
        raise DataError(f"{folder} was not written by `ordhash encode --engine ray`; check the path")
    missing = plan.missing(folder)
    if missing:
        raise DataError(
            f"{folder} has {plan.n_shards - len(missing)} of {plan.n_shards} shards; run the same `ordhash encode` "
            "again to write the rest"
        )
    tables = []
    for number in range(plan.n_shards):
        read_failures(folder, number, plan)
        location = folder.below(shard_name(number))
        with location.reported():
            content = location.read()
        try:
            tables.append(read_parquet(content))
        except DataError as error:
            raise DataError(f"{location} is damaged ({first_line(error)}); delete it and encode again") from error
    try:
        # A column without any value in a shard has no type there.
        return table_to_codes(pa.concat_tables(tables, promote_options="permissive"))
    except (DataError, pa.ArrowException) as error:
        raise DataError(f"{folder}: {first_line(error)}") from None
