"""The few exceptions a caller can catch.

Every error that ``ordhash`` raises on purpose is an [OrdhashError][ordhash.errors.OrdhashError]. Its message is one
sentence: what was given, what is allowed, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DataError",
    "DivergedError",
    "ImageError",
    "InputError",
    "MissingPartError",
    "ModelFileError",
    "NoMemoryError",
    "OrdhashError",
    "OtherModelError",
    "ServerError",
    "SyncRunningError",
    "did_you_mean",
    "first_line",
    "shown",
]

_SHOWN = 200  # characters of a value, in a message


class OrdhashError(Exception):
    """Base of every error that the package raises on purpose."""


class InputError(OrdhashError, ValueError):
    """An argument or an option is wrong: the call cannot work with any data."""


class TooFewImagesError(InputError):
    """There are too few images."""


class DataError(OrdhashError):
    """A data set, manifest, index or protocol is missing, incomplete or inconsistent."""


class DivergedError(DataError):
    """A training diverged: its loss became NaN or infinite."""


class ImageError(OrdhashError):
    """One image cannot be used.

    Args:
        source: The image's path, or another name such as ``image 17``.
        reason: What is wrong and what to do, without the name.

    >>> str(ImageError("cat.jpg", "the file is empty; replace or remove it"))
    'cat.jpg: the file is empty; replace or remove it'
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class NoMemoryError(ImageError):
    """There was not enough memory for an image, which is no fault of it: another time it can be used, perhaps."""

    @classmethod
    def of(cls, source: str) -> NoMemoryError:
        """The error of an image.

        Args:
            source: Its name.
        """
        return cls(source, "there is not enough memory for it now; try again, or scale it down")


class ModelFileError(OrdhashError):
    """A file is not a model of this package, or was written by a newer version of it."""


class OtherModelError(InputError):
    """Codes, queries or a collection are of another model than what they are compared with."""


class SyncRunningError(InputError):
    """A collection is being changed by another process."""


class ServerError(OrdhashError):
    """A server or a cluster cannot be reached, disconnected, or refused a request."""


class MissingPartError(OrdhashError, ImportError):
    """An optional part (an extra, a weights package, an external command) is not installed."""


def first_line(error: BaseException) -> str:
    r"""First line of another library's error, or its class if it has no message; for use in a one-sentence message.

    >>> first_line(ValueError("no such column\nand a page about it")), first_line(KeyError())
    ('no such column', 'KeyError')
    """
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that is spelled most like a wrong one, to end an error message with; or nothing.

    >>> did_you_mean("cifar", ["cifar10", "corel5k"]), did_you_mean("xyz", ["cifar10"])
    ('; did you mean cifar10?', '')
    """
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= _SHOWN else []
    return f"; did you mean {close[0]}?" if close else ""


def shown(value: str) -> str:
    """A text that somebody gave, for a message: in quotes, and cut if it is long.

    >>> shown("cat"), len(shown("x" * 10**6))
    ("'cat'", 228)
    """
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}... ({len(value):,} characters)"
