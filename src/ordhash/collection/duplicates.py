"""Groups of images that show the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ordhash.collection.fingerprints import (
    CANDIDATE,
    CANDIDATE_SKETCH,
    NEAR_DUPLICATE,
    distances_to,
    hash_of,
    sketches_of,
    turned_hashes,
)
from ordhash.collection.rows import Entry
from ordhash.collection.sync import is_as_it_was
from ordhash.errors import InputError
from ordhash.support import progress_bar

__all__ = ["Duplicates", "duplicate_groups", "duplicates_in", "without_links"]

_COMPARED = 64  # at most, the nearest: thousands of flags or skies have the same hash


@dataclass(frozen=True)
class Duplicates:
    """Images that show the same picture.

    Attributes:
        groups: Their keys, two or more in a group, in the order of keys.
        outdated: How many images were not compared: their files are missing, or changed after the last sync.
    """

    groups: list[list[str]]
    outdated: int


def duplicates_in(
    folder: Path, entries: Sequence[Entry], distance: int | None, *, progress: bool = False
) -> Duplicates:
    """Images of a folder that show the same picture.

    Files are deleted on this answer, so what is known of a file counts only as long as the file is as it was.

    Args:
        folder: The folder.
        entries: Its images, in the order of keys.
        distance: As ``duplicate_groups`` takes it.
        progress: Whether to show a bar.

    Raises:
        InputError: A distance that is not allowed.
    """
    there = [entry for entry in entries if is_as_it_was(folder / entry.key, entry)]
    groups = without_links(duplicate_groups(there, distance, progress=progress), folder)
    return Duplicates(groups, len(entries) - len(there))


def duplicate_groups(entries: Sequence[Entry], distance: int | None, *, progress: bool = False) -> list[list[str]]:
    """Keys of images that show the same picture, two or more in a group, in the order of the entries.

    Every image of a group is near to its first, so a chain of small steps is no group.

    Args:
        entries: Images.
        distance: How far fingerprints may be apart, 0 to ``NEAR_DUPLICATE``; None asks for files that are equal byte
            for byte.
        progress: Whether to show a bar.

    Raises:
        InputError: A distance that is not allowed.
    """
    if distance is not None and not 0 <= distance <= NEAR_DUPLICATE:
        raise InputError(
            f"the distance is {distance}; allowed are 0 to {NEAR_DUPLICATE}, since farther pictures are not compared"
        )
    groups: dict[bytes, list[str]] = {}
    firsts: list[Entry] = []
    for entry in entries:
        if entry.content not in groups:
            firsts.append(entry)
        groups.setdefault(entry.content, []).append(entry.key)
    if distance is not None:
        places = {entry.key: place for place, entry in enumerate(entries)}
        for one, other in _near(firsts, distance, progress=progress):
            groups[one] = sorted(groups[one] + groups.pop(other), key=places.__getitem__)
    return [keys for keys in groups.values() if len(keys) > 1]


def without_links(groups: Sequence[Sequence[str]], folder: Path) -> list[list[str]]:
    """Groups without the links, hard or symbolic, to another file of their group, and without files that are gone.

    Deleting a link frees nothing, and deleting its file breaks a symbolic one, so they are no copies.

    Args:
        groups: Keys of images.
        folder: The folder of the images.

    >>> without_links([["one.jpg", "other.jpg"]], Path("nowhere"))
    []
    """
    found = []
    for keys in groups:
        files: dict[object, str] = {}
        # Files before symbolic links to them.
        for key in sorted(keys, key=lambda key: _is_linked(folder, key)):
            with suppress(OSError):
                status = (folder / key).stat()
                files.setdefault((status.st_dev, status.st_ino), key)
        left = set(files.values())
        if len(left) > 1:
            found.append([key for key in keys if key in left])
    return found


def _is_linked(folder: Path, key: str) -> bool:
    """Whether a file, or a folder on the way to it, is a symbolic link."""
    path = folder / key
    return any(place.is_symlink() for place in (path, *path.parents) if place != folder and folder in place.parents)


def _near(entries: Sequence[Entry], distance: int, *, progress: bool) -> list[tuple[bytes, bytes]]:
    """Contents of the first image of a group and of each other one of it."""
    known = [(entry.content, entry.fingerprint) for entry in entries if entry.fingerprint is not None]
    if not known:
        return []
    prints = [one for _, one in known]
    hashes = np.stack([hash_of(one) for one in prints])
    sketches = sketches_of(hashes)
    # Rows of the images that are like none before them, and their sketches.
    firsts, among, n = np.zeros(len(known), dtype=np.int64), np.zeros(len(known), dtype=np.uint64), 0
    pairs = []
    with progress_bar("Comparing", len(known), show=progress) as advance:
        for row, one in enumerate(prints):
            turned = turned_hashes(one)
            differing = np.bitwise_count(sketches_of(turned)[:, None] ^ among[:n]).min(axis=0)
            candidates = _nearest(turned, hashes, firsts[:n][differing <= CANDIDATE_SKETCH])
            apart = distances_to(one, [prints[other] for other in candidates.tolist()])
            if len(apart) and apart.min() <= distance:
                pairs.append((known[int(candidates[apart.argmin()])][0], known[row][0]))
            else:
                firsts[n], among[n] = row, sketches[row]
                n += 1
            advance(1)
    return pairs


def _nearest(
    turned: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Those of some rows whose hash is near to one of the eight of a picture, nearest first, and not too many."""
    if not len(rows):
        return rows
    differing = np.min([np.bitwise_count(hashes[rows] ^ way).sum(axis=1, dtype=np.int64) for way in turned], axis=0)
    order = np.argsort(differing, kind="stable")[:_COMPARED]
    return np.asarray(rows[order][differing[order] <= CANDIDATE], dtype=np.int64)
