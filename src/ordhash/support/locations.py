"""Locations of images and codes: paths here, or addresses in any file system that Arrow or fsspec knows."""

from __future__ import annotations

import os
import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ordhash.errors import DataError, InputError, first_line
from ordhash.support.files import replace_file

if TYPE_CHECKING:
    import pyarrow.fs as pafs

__all__ = ["Location", "is_address", "name_of", "without_password"]


class Location:
    """A file or a folder of a file system.

    Args:
        text: A path, or an address as s3://bucket/photos or ftp://host/photos.

    Raises:
        InputError: No installed file system opens such addresses.
        DataError: The file system cannot be reached.

    >>> str(Location("photos").below("a.jpg"))
    'photos/a.jpg'
    """

    def __init__(self, text: str) -> None:
        self._root = self._text = text
        self.filesystem, self.path = _resolved(text)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self._root, self.path, self._text)  # each worker opens its own connections

    def __str__(self) -> str:
        """Its name in messages, without passwords and keys."""
        return without_password(self._text)

    @property
    def is_local(self) -> bool:
        """Whether it is a path on this machine."""
        import pyarrow.fs as pafs

        return isinstance(self.filesystem, pafs.LocalFileSystem)

    @property
    def shares_connections(self) -> bool:
        """Whether several threads may read at once; some file systems have one connection."""
        import pyarrow.fs as pafs

        handler = getattr(self.filesystem, "handler", None)
        return not isinstance(handler, pafs.FSSpecHandler) or bool(handler.fs.async_impl)

    def below(self, name: str) -> Location:
        """A file or folder in this folder."""
        location = Location.__new__(Location)
        address, mark, query = self._text.partition("?") if is_address(self._text) else (self._text, "", "")
        location._root, location._text = self._root, f"{address.rstrip('/')}/{name}{mark}{query}"
        location.filesystem, location.path = self.filesystem, self.inside(name)
        return location

    def inside(self, name: str) -> str:
        """Path of a file in this folder, within the file system."""
        return f"{self.path.rstrip('/')}/{name}"

    def beside(self, name: str) -> str:
        """Path of a file that a table here names, within the file system.

        Args:
            name: Relative to the table's folder, or from the root of the file system. Backslashes are read as slashes:
                tables come from Windows, and hardly any file is called so.
        """
        return posixpath.normpath(posixpath.join(f"{self.path.rpartition('/')[0]}/", name.replace("\\", "/")))

    def names(self, *, recursive: bool = False) -> list[str] | None:
        """Paths of the files in this folder, relative to it; None if the folder does not exist.

        Raises:
            DataError: It cannot be read.
        """
        import pyarrow.fs as pafs

        if self.is_local:
            return _local_names(Path(self.path), recursive=recursive)
        base = self.path.rstrip("/")
        with self.reported():
            handler = getattr(self.filesystem, "handler", None)
            if isinstance(handler, pafs.FSSpecHandler):
                handler.fs.invalidate_cache()  # others write here, too
            if self.filesystem.get_file_info(base).type != pafs.FileType.Directory:
                return None
            found = self.filesystem.get_file_info(pafs.FileSelector(base, recursive=recursive))
            return [info.path[len(base) + 1 :] for info in found if info.type == pafs.FileType.File]

    @property
    def is_listed_at_once(self) -> bool:
        """Whether ``names(recursive=True)`` takes few requests and fails if any folder cannot be read.

        So do object stores. Other file systems of fsspec are walked, and leave out what cannot be read.
        """
        import pyarrow.fs as pafs

        handler = getattr(self.filesystem, "handler", None)
        if not isinstance(handler, pafs.FSSpecHandler):
            return True
        import fsspec.asyn

        kind = type(handler.fs)
        if issubclass(kind, fsspec.asyn.AsyncFileSystem):
            return bool(kind._find is not fsspec.asyn.AsyncFileSystem._find)
        return bool(kind.find is not fsspec.AbstractFileSystem.find)

    def listing(self, place: str = "") -> tuple[list[str], list[str]]:
        """Names of the folders and of the files in a place below this folder, in a file system of fsspec.

        Args:
            place: Path of a folder, relative to this one; empty for this one.

        Raises:
            OSError: It cannot be read.
        """
        base, fs = self.inside(place).rstrip("/"), self.filesystem.handler.fs
        kinds: dict[str, list[str]] = {"directory": [], "file": []}
        with _as_os_error():
            if not place:
                fs.invalidate_cache()  # others write here, too
            infos = fs.ls(base, detail=True)
            # fsspec calls a folder empty that an FTP server does not list; it remembers only those that were listed.
            if not infos and fs.protocol == "ftp" and fs._strip_protocol(base) not in fs.dircache:
                raise OSError("the server does not list it")
            for info in infos:
                if info["name"].strip("/") != base.strip("/") and info["type"] in kinds:
                    kinds[info["type"]].append(info["name"].rstrip("/").rpartition("/")[2])
        return kinds["directory"], kinds["file"]

    def is_folder(self) -> bool:
        """Whether there is a folder.

        Raises:
            DataError: The file system does not answer.
        """
        return self._kind() == "Directory"

    def is_file(self) -> bool:
        """Whether there is a file.

        Raises:
            DataError: The file system does not answer.
        """
        return self._kind() == "File"

    def _kind(self) -> str:
        with self.reported():
            return str(self.filesystem.get_file_info(self.path.rstrip("/") or self.path).type.name)

    def state(self) -> str:
        """Size and time of the file as text, which changes when the file is rewritten.

        Raises:
            DataError: The file system does not answer.
        """
        with self.reported():
            info = self.filesystem.get_file_info(self.path)
            return f"{info.size} {info.mtime_ns}"

    def open(self) -> pafs.NativeFile:
        """The file, open for reading at any position; use it in a ``with`` block.

        Raises:
            OSError: It cannot be opened; reading from it may raise what its file system raises.
        """
        with _as_os_error():
            return self.filesystem.open_input_file(self.path)

    def read(self) -> bytes:
        """Content of the file.

        Raises:
            OSError: It cannot be read.
        """
        return self.read_inside(self.path)

    def read_inside(self, path: str) -> bytes:
        """Content of a file of this file system.

        Raises:
            OSError: It cannot be read.
        """
        with _as_os_error(), self.filesystem.open_input_stream(path) as stream:
            return bytes(stream.read())

    def write(self, content: bytes) -> None:
        """Replace the file by ``content``, atomically: written beside it, then moved over it.

        Raises:
            OSError: It cannot be written.
        """
        if self.is_local:
            replace_file(self.path, lambda file: file.write(content))
            return
        folder, _, name = self.path.rpartition("/")
        beside = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"  # random, since two may write the same file
        with _as_os_error():
            with self.filesystem.open_output_stream(beside) as stream:
                stream.write(content)
            self.filesystem.move(beside, self.path)

    def remove(self) -> None:
        """Delete the file.

        Raises:
            OSError: It cannot be deleted.
        """
        with _as_os_error():
            self.filesystem.delete_file(self.path)

    def make(self) -> None:
        """Create the folder unless it exists.

        Raises:
            OSError: It cannot be made.
        """
        with _as_os_error():
            self.filesystem.create_dir(self.path, recursive=True)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Turn the errors of its file system while it is read, and no others, into DataError."""
        try:
            with _as_os_error():
                yield
        except OSError as error:
            raise DataError(f"{self} cannot be read ({first_line(error)}); check address and permissions") from error


def name_of(location: Location) -> str:
    """One name for a location, however it was written."""
    return location.path.rstrip("/") if location.is_local else str(location).rstrip("/")


def without_password(text: str) -> str:
    """An address without user, password and query, which may hold keys; a path as it is.

    >>> without_password("ftp://me:p@ss@host/photos@home?key=1"), without_password("a?b")
    ('ftp://host/photos@home', 'a?b')
    """
    if not is_address(text):
        return text
    scheme, _, rest = text.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def is_address(text: str) -> bool:
    """Whether a text is an address, not a path.

    >>> is_address("s3://bucket/photos"), is_address("photos/a")
    (True, False)
    """
    return "://" in text


def _rebuilt(root: str, path: str, text: str) -> Location:
    location = Location.__new__(Location)
    location.filesystem, _ = _resolved(root)
    location._root, location.path, location._text = root, path, text
    return location


def _local_names(folder: Path, *, recursive: bool) -> list[str] | None:
    # Not Arrow's listing, which ends at the first name that is not valid Unicode.
    if not folder.is_dir():
        return None

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); check its permissions") from error

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        found += [Path(parent, name).relative_to(folder).as_posix() for name in names]
        if not recursive:
            folders.clear()
    return found


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turn the errors of any file system into OSError; those of FTP, for one, are not."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(first_line(error)) from error


def _resolved(text: str) -> tuple[pafs.FileSystem, str]:
    import pyarrow.fs as pafs

    if not is_address(text):
        return pafs.LocalFileSystem(), str(Path(text).absolute())
    shown = without_password(text)
    try:
        with _as_os_error():
            found: tuple[pafs.FileSystem, str] = pafs.FileSystem.from_uri(text)
            return found
    except OSError as error:
        if urlsplit(text).scheme in ("file", "s3", "gs", "hdfs"):
            raise InputError(f"{shown!r} cannot be used ({first_line(error)}); correct the address") from None
    try:
        import fsspec
    except ImportError:
        raise InputError(f"Arrow has no file system for {shown!r}; install fsspec, which has more") from None
    try:
        filesystem, path = fsspec.core.url_to_fs(text)
    except (ValueError, ImportError) as error:  # unknown protocol, or a missing package
        raise InputError(f"no installed file system opens {shown!r} ({first_line(error)})") from None
    except Exception as error:  # each file system has its own errors
        raise DataError(f"{shown} cannot be reached ({first_line(error)}); check the address") from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path
