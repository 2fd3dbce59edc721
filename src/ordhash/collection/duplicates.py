"""Groups of images that show the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ordhash.codes import OrdinalCodes
from ordhash.collection.fingerprints import (
    CANDIDATE,
    FINGERPRINT,
    NEAR_DUPLICATE,
    distances_to,
    hash_of,
    turned_hashes,
)
from ordhash.collection.rows import Entry
from ordhash.errors import InputError
from ordhash.index import OrdinalIndex
from ordhash.support import progress_bar

__all__ = ["duplicate_groups", "without_links"]

_AT_ONCE = 32  # pictures, each searched in eight ways
_COMPARED = 64  # at most, the nearest: thousands of flags or skies have the same hash


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
    """Groups without the links, hard or symbolic, to another file of their group.

    Deleting a link frees nothing, and deleting its file breaks a symbolic one, so they are no copies.

    Args:
        groups: Keys of images.
        folder: The folder of the images.

    >>> without_links([["one.jpg", "other.jpg"]], Path("nowhere"))  # files that are gone are kept
    [['one.jpg', 'other.jpg']]
    """
    found = []
    for keys in groups:
        files: dict[object, str] = {}
        # Files before symbolic links to them.
        for key in sorted(keys, key=lambda key: _is_linked(folder, key)):
            try:
                status = (folder / key).stat()
                files.setdefault((status.st_dev, status.st_ino), key)
            except OSError:
                files[key] = key
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
    index = OrdinalIndex(OrdinalCodes.from_packed(np.stack([hash_of(one) for one in prints]), FINGERPRINT))
    first = np.ones(len(known), dtype=np.bool_)  # whether an image is the first of its group, as far as is known
    pairs = []
    with progress_bar("Comparing", len(known), show=progress) as advance:
        for start in range(0, len(known), _AT_ONCE):
            some = range(start, min(start + _AT_ONCE, len(known)))
            turned = np.concatenate([turned_hashes(prints[row]) for row in some])
            found = index.search_radius(OrdinalCodes.from_packed(turned, FINGERPRINT), radius=CANDIDATE)
            for place, row in enumerate(some):
                eight = found[8 * place : 8 * place + 8]
                rows = np.concatenate([one.rows for one in eight])
                candidates = _nearest(
                    rows, np.concatenate([one.distances for one in eight]), first & (np.arange(len(first)) < row)
                )
                if not len(candidates):
                    continue
                apart = distances_to(prints[row], [prints[other] for other in candidates.tolist()])
                if apart.min() <= distance:
                    first[row] = False
                    pairs.append((known[int(candidates[apart.argmin()])][0], known[row][0]))
            advance(len(some))
    return pairs


def _nearest(
    rows: npt.NDArray[np.int64], distances: npt.NDArray[np.integer], allowed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Those of some rows that are allowed, each once, nearest first, and not too many."""
    order = np.argsort(distances, kind="stable")
    rows = rows[order]
    rows = rows[allowed[rows]]
    _, at = np.unique(rows, return_index=True)
    return rows[np.sort(at)[:_COMPARED]]
