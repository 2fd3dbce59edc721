"""Photographs whose files are missing: gone for good, or on a disk that is not there now.

A photograph is forgotten when its file is gone. It is kept where more than that seems to have happened: its sub-folder
is there but holds no photographs any more, or was a mounted disk at the last sync and is none, or another one, now. A
photograph whose content is there under another name, as when it moved, is forgotten under the old one in any case.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection as Some
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ordhash.collection.listing import Listing
from ordhash.collection.rows import Entry
from ordhash.errors import ImageError
from ordhash.support import replace_file

__all__ = ["Absences"]

_MOUNTS = "mounts.json"


class Absences:
    """Which photographs of a collection a sync forgets.

    Args:
        folder: The folder of the photographs.
        collection: Folder of the collection.
        listing: What is in the folder.
        held: The photographs of the collection, by key.
        forget: Whether to forget all that are missing.
    """

    def __init__(
        self, folder: Path, collection: Path, listing: Listing, held: Mapping[str, Entry], *, forget: bool = False
    ) -> None:
        self._folder, self._kept_in = folder, collection / _MOUNTS
        self._there = {file.key for file in listing.files}
        self._unsure = frozenset(listing.unsure)
        self._closed = tuple(place for place in listing.unsure if not place or place.endswith("/"))
        self._held = held
        self._moved: Some[bytes] = ()
        self._inhabited = {place for key in self._there for place in _parents(key)}
        self._known = {place for key in self._there & held.keys() for place in _parents(key)}
        self._before = _read(self._kept_in, folder)
        self._reasons: dict[str, str] = {}  # of the places whose photographs are kept
        if not forget:
            self._doubt({key for key in held if self.is_missing(key)})

    def is_missing(self, key: str) -> bool:
        """Whether the file of a key is not there now, perhaps with its disk."""
        return not (key in self._there or key in self._unsure or key.startswith(self._closed))

    def is_gone(self, key: str) -> bool:
        """Whether the file of a key is missing and its photograph is to be forgotten."""
        return self.is_missing(key) and self._place(key) is None

    def kept(self) -> list[str]:
        """Keys of photographs whose files are missing, although the photographs are not to be forgotten."""
        return [key for key in self._held if self.is_missing(key) and self._place(key) is not None]

    def note_moves(self, contents: Some[bytes]) -> None:
        """Note the contents that are there now: a missing file with one of them has moved, or was a copy."""
        self._moved = contents

    def failures(self) -> list[ImageError]:
        """A sentence on every place whose photographs are kept."""
        kept: dict[str, int] = {}
        for key in self.kept():
            place = self._place(key)
            if place is not None:
                kept[place] = kept.get(place, 0) + 1
        return [
            ImageError(
                str(self._folder / place),
                f"{self._reasons[place]}, and {n:,} {'photograph is' if n == 1 else 'photographs are'} missing but not "
                "forgotten; mount the disk, or give --forget if they are gone for good",
            )
            for place, n in kept.items()
        ]

    def remember(self) -> None:
        """Write down which sub-folders are mounted disks, for the next sync."""
        before, doubtful = self._before or {}, set(map(self._place, self.kept()))
        mounts = {place: number for place, number in before.items() if place in doubtful}
        for place in self._inhabited - doubtful:
            number = _mounted(self._folder / place)
            if number is not None:
                mounts[place] = number
        if mounts != self._before:
            content = json.dumps({"folder": str(self._folder), "mounts": mounts}, sort_keys=True).encode()
            with suppress(OSError):  # a full disk: other writes report that
                replace_file(self._kept_in, lambda file: file.write(content))

    def _place(self, key: str) -> str | None:
        """The place of a missing file that keeps its photograph; None where nothing does."""
        place = next((place for place in _parents(key) if place in self._reasons), None)
        if place is None:
            return None
        entry = self._held.get(key)
        if entry is not None and entry.content in self._moved:
            return None
        return None if self._is_left_out(key) else place

    def _is_left_out(self, key: str) -> bool:
        """Whether a file that was not listed is there: it is left out on purpose, by a pattern perhaps."""
        if _kind(self._folder / key) is None:
            return False
        return not any(_kind(self._folder / place) == stat.S_IFLNK for place in _parents(key) if place)

    def _doubt(self, missing: Iterable[str]) -> None:
        trusted: set[str] = set()
        for key in missing:
            for place in _parents(key):
                if place in self._reasons:
                    break
                if place not in trusted:
                    reason = self._reason(place)
                    if reason is not None:
                        self._reasons[place] = reason
                        break
                    trusted.add(place)

    def _reason(self, place: str) -> str | None:
        """Why photographs that are missing in a place may not be gone."""
        path = self._folder / place
        if self._before is not None:
            was, now = self._before.get(place), _mounted(path)
            if was is not None and now is None:
                return "it was a mounted disk at the last sync and is none now"
            # Some file systems have no number, which is 0.
            if now is not None and now != was and (was is None or (was and now)) and place not in self._known:
                return "another disk is mounted there than at the last sync"
        # A link counts as a folder: photographs may have been moved to where it leads, and it is not followed.
        if place and place not in self._inhabited and _kind(path) in (stat.S_IFDIR, stat.S_IFLNK):
            return "it holds no photographs any more"
        return None


def _parents(key: str) -> Iterator[str]:
    """The places that a file is in, from the folder itself, which is empty, to the deepest."""
    yield ""
    for position, character in enumerate(key):
        if character == "/":
            yield key[: position + 1]


def _kind(path: Path) -> int | None:
    """Type of a file, a link not followed; None if there is none, or its disk does not say."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except OSError:
        return None


def _mounted(path: Path) -> int | None:
    """Number of the file system that is mounted on a folder; None if none is."""
    try:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_dev == (path / "..").lstat().st_dev:
            return None
        return os.statvfs(path).f_fsid
    except OSError:
        return None


def _read(path: Path, folder: Path) -> dict[str, int] | None:
    """The mounted disks of the last sync of this folder; None if they are not known."""
    try:
        kept = json.loads(path.read_bytes())
        if kept["folder"] != str(folder):
            return None
        return {str(place): int(number) for place, number in kept["mounts"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
