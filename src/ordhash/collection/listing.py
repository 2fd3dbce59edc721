"""The photographs of a collection's folder as they are on disk: which, how large, of when; and their contents."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ordhash.collection.excluding import kept_patterns
from ordhash.data import MAX_FILE_BYTES, PassedOver, open_file, walk_images
from ordhash.errors import DataError, ImageError, NoMemoryError

__all__ = ["Listing", "PhotoFile", "file_time", "list_files", "read_listed", "state_of"]

_LONGEST = 1 << 63  # SQLite's and Arrow's integers have 64 bits


@dataclass(frozen=True)
class PhotoFile:
    """A file of the folder.

    Attributes:
        key: Its path below the folder, with forward slashes.
        path: Its path.
        size: Its bytes.
        modified: As [file_time][ordhash.collection.listing.file_time] gives it.
        problem: Why it is not worth opening; None for most files.
    """

    key: str
    path: Path
    size: int
    modified: int
    problem: str | None = None


@dataclass
class Listing:
    """The files of a folder.

    Attributes:
        files: In the order of their keys.
        failures: Folders and files that cannot be read, or not be named.
        unsure: Keys of files of which nothing is known now, and prefixes of the keys of such folders, ending in ``/``
            (empty for the folder itself).
        dangling: Those of links to nothing.
        unread: Number of images in formats that cannot be read, and of videos, by suffix.
    """

    files: list[PhotoFile] = field(default_factory=list)
    failures: list[ImageError] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    unread: Mapping[str, int] = field(default_factory=dict)


def file_time(status: os.stat_result) -> int:
    """When a file was last written, in nanoseconds since 1970, as near as 64 bits hold it: 1677 to 2262."""
    return max(-_LONGEST, min(status.st_mtime_ns, _LONGEST - 1))


def state_of(status: os.stat_result) -> tuple[int, int]:
    """Size and time of a file, by which a catalogue knows it."""
    return status.st_size, file_time(status)


def list_files(folder: Path, own: Path, patterns: Sequence[str] | None = None) -> Listing:
    """The photographs of a folder, without what the collection leaves out.

    Args:
        folder: The folder.
        own: Folder of the collection, which is passed over.
        patterns: Of what is left out; None means those that are kept.

    Raises:
        DataError: The folder is missing, or the patterns of the collection cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}, the folder of the collection, is missing; mount its disk")
    passed = PassedOver()
    listing = Listing(failures=passed.failures, unsure=passed.closed, unread=passed.unread)
    # Texts, since comparing paths takes several times as long as asking the disk.
    before = (folder / "x").as_posix()[:-1]
    skipped = (own / "x").as_posix()[:-1] if own.is_relative_to(folder) else None
    for path in walk_images(folder, passed, kept_patterns(own) if patterns is None else patterns):
        name = path.as_posix()
        if skipped is not None and name.startswith(skipped):
            continue
        key = name.removeprefix(before)
        try:
            status = path.stat()
        except FileNotFoundError:  # a link to nothing, or gone since the folder was listed, perhaps with its disk
            listing.unsure.append(key)
            if path.is_symlink():
                listing.dangling.append(key)
            continue
        except OSError as error:  # a disk that fails, a folder that may be listed but not entered
            reason = f"the file cannot be read ({error.strerror}); check disk and permissions"
            listing.failures.append(ImageError(str(path), reason))
            listing.unsure.append(key)
            continue
        listing.files.append(PhotoFile(key, path, *state_of(status), _problem(status)))
    listing.files.sort(key=lambda file: file.key)
    return listing


def read_listed(file: PhotoFile) -> bytes:
    """Content of a file, as large as it was when the folder was listed.

    Raises:
        ImageError: It cannot be read, or has changed meanwhile.
    """
    name = str(file.path)
    with open_file(file.path, name) as opened:
        try:
            content = opened.read(file.size + 1)  # no more than was listed: it may grow without end
            after = os.fstat(opened.fileno())
        except OSError as error:
            raise ImageError(name, f"the file cannot be read ({error.strerror}); check it and sync again") from error
        except MemoryError as error:
            raise NoMemoryError.of(name) from error
    if state_of(after) != (file.size, file.modified) or len(content) != file.size:
        raise ImageError(name, "the file changed while it was read; sync again")
    return content


def _problem(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "this is a device or a pipe, not an image file; remove it"
    if status.st_size > MAX_FILE_BYTES:
        return f"the file has more than {MAX_FILE_BYTES:,} bytes, the most that is allowed; scale it down or remove it"
    return None
