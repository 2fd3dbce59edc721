"""Places of images and codes: paths here, or addresses in any file system that Arrow or fsspec knows."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from ordhash.errors import DataError, InputError, first_line
from ordhash.files import replace_file

__all__ = ["Place", "is_address"]


class Place:
    """A file or a folder of a file system.

    Args:
        text: A path, or an address as s3://bucket/photos or ftp://host/photos.

    Raises:
        InputError: No file system is known for such addresses, or what it needs is not installed.
        DataError: The file system cannot be reached.

    >>> str(Place("photos").below("a.jpg"))
    'photos/a.jpg'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.filesystem, self.path = _resolved(text)

    def __reduce__(self) -> tuple[type[Place], tuple[str]]:
        return Place, (self.text,)  # a worker makes connections of its own

    def __str__(self) -> str:
        """The text, without a password in it."""
        return re.sub(r"(?<=://)[^/@]*@", "", self.text)

    @property
    def is_local(self) -> bool:
        """Whether it is a path of the machine."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    @property
    def shares_connections(self) -> bool:
        """Whether several threads may read at once; some file systems have one connection."""
        handler = getattr(self.filesystem, "handler", None)
        return not isinstance(handler, pafs.FSSpecHandler) or bool(handler.fs.async_impl)

    def below(self, name: str) -> Place:
        """A file or folder in this folder."""
        place = Place.__new__(Place)
        place.text, place.filesystem, place.path = f"{self.text.rstrip('/')}/{name}", self.filesystem, self.inside(name)
        return place

    def inside(self, name: str) -> str:
        """Path of a file in this folder, within the file system."""
        return f"{self.path.rstrip('/')}/{name}"

    def names(self, *, recursive: bool = False) -> list[str] | None:
        """Paths of the files in this folder, below it; None where there is no folder."""
        base = self.path.rstrip("/")
        found = self._asked(base, recursive)
        if found is None:
            return None
        return [info.path[len(base) + 1 :] for info in found if info.type == pafs.FileType.File]

    def _asked(self, base: str, recursive: bool) -> list[pafs.FileInfo] | None:
        try:
            handler = getattr(self.filesystem, "handler", None)
            if isinstance(handler, pafs.FSSpecHandler):
                handler.fs.invalidate_cache()  # others write here, too
            if self.filesystem.get_file_info(base).type != pafs.FileType.Directory:
                return None
            infos: list[pafs.FileInfo] = self.filesystem.get_file_info(pafs.FileSelector(base, recursive=recursive))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self} cannot be read ({first_line(error)}); check address and permissions") from error
        return infos

    def is_file(self) -> bool:
        """Whether there is a file."""
        try:
            return bool(self.filesystem.get_file_info(self.path).type == pafs.FileType.File)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self} cannot be read ({first_line(error)}); check address and permissions") from error

    def read(self) -> bytes:
        """Content of the file.

        Raises:
            OSError: It cannot be read.
        """
        with self.filesystem.open_input_stream(self.path) as stream:
            return bytes(stream.read())

    def write(self, content: bytes) -> None:
        """Make the file hold ``content``, whole or not at all: beside its place first, then moved there.

        Raises:
            OSError: It cannot be written.
        """
        if self.is_local:
            replace_file(self.path, lambda file: file.write(content))
            return
        folder, _, name = self.path.rpartition("/")
        beside = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"  # its own, since two may write the same file
        with self.filesystem.open_output_stream(beside) as stream:
            stream.write(content)
        self.filesystem.move(beside, self.path)

    def remove(self) -> None:
        """Delete the file.

        Raises:
            OSError: It cannot be deleted.
        """
        self.filesystem.delete_file(self.path)

    def make(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            OSError: It cannot be made.
        """
        self.filesystem.create_dir(self.path, recursive=True)


def is_address(text: str) -> bool:
    """Whether a text is an address, not a path.

    >>> is_address("s3://bucket/photos"), is_address("photos/a")
    (True, False)
    """
    return "://" in text


def _resolved(text: str) -> tuple[pafs.FileSystem, str]:
    if not is_address(text):
        return pafs.LocalFileSystem(), str(Path(text).absolute())
    try:
        found: tuple[pafs.FileSystem, str] = pafs.FileSystem.from_uri(text)
        return found
    except pa.ArrowInvalid as error:
        if urlsplit(text).scheme in ("file", "s3", "gs", "hdfs"):
            raise InputError(f"{text!r} is no address ({first_line(error)}); correct it") from None
    except OSError as error:
        raise DataError(f"{text} cannot be reached ({first_line(error)}); check the address") from error
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{text!r} is of no file system that Arrow knows; install fsspec for more of them") from None
    try:
        filesystem, path = fsspec.core.url_to_fs(text)
    except (ValueError, ImportError) as error:  # no such protocol, or a package that it needs
        raise InputError(f"{text!r} is of no file system that is installed ({first_line(error)})") from None
    except OSError as error:
        raise DataError(f"{text} cannot be reached ({first_line(error)}); check the address") from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path
