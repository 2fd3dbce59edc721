"""Groups of images that show the same picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from ordhash.codes import OrdinalCodes
from ordhash.collection.fingerprints import FINGERPRINT
from ordhash.collection.rows import Entry
from ordhash.index import OrdinalIndex
from ordhash.support import progress_bar

__all__ = ["duplicate_groups"]

_AT_ONCE = 256


def duplicate_groups(entries: Sequence[Entry], distance: int | None, *, progress: bool = False) -> list[list[str]]:
    """Keys of images that show the same picture, two or more in a group, in the order of the entries.

    Args:
        entries: Images.
        distance: Bits in which fingerprints may differ; None asks for files that are equal byte for byte.
        progress: Whether to show a bar.
    """
    if not entries:
        return []
    first: dict[bytes, int] = {}
    pairs = [(first.setdefault(entry.content, row), row) for row, entry in enumerate(entries)]
    if distance is not None:
        pairs += _near(entries, distance, progress=progress)
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = scipy.sparse.coo_array((np.ones(len(one), dtype=bool), (one, other)), (len(entries), len(entries)))
    groups: dict[int, list[str]] = {}
    for entry, group in zip(entries, connected_components(graph, directed=False)[1].tolist(), strict=True):
        groups.setdefault(group, []).append(entry.key)
    return [keys for keys in groups.values() if len(keys) > 1]


def _near(entries: Sequence[Entry], distance: int, *, progress: bool) -> list[tuple[int, int]]:
    """Pairs of entries whose fingerprints differ in at most some bits, the smaller row first."""
    rows = np.array([row for row, entry in enumerate(entries) if entry.fingerprint is not None], dtype=np.int64)
    packed = np.frombuffer(b"".join(entry.fingerprint or b"" for entry in entries), dtype=np.uint8)
    codes = OrdinalCodes.from_packed(packed.reshape(len(rows), FINGERPRINT.packed_bytes), FINGERPRINT)
    index, pairs = OrdinalIndex(codes), []
    with progress_bar("Comparing", len(rows), show=progress) as advance:
        for start in range(0, len(rows), _AT_ONCE):
            some = codes[start : start + _AT_ONCE]
            for row, found in enumerate(index.search_radius(some, radius=distance), start=start):
                later = found.rows[found.rows > row]
                pairs += [(int(rows[row]), int(other)) for other in rows[later]]
            advance(len(some))
    return pairs
