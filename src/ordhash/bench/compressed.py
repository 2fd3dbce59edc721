"""Features compressed by the quantisers of FAISS: what practitioners do instead of learning codes.

The database is compressed, the query keeps its floats, so rankings stand beside those by asymmetric distance. A code of
so many bytes holds:

- ``pq``: product quantisation, a byte for each part of a feature (Jegou et al., TPAMI 2011);
- ``opq``: the same after a learned rotation to four dimensions a byte (Ge et al., CVPR 2013), as FAISS advises;
- ``sq8``, ``sq4``: the first principal components, in a byte or half a byte each;
- ``rabitq``: signs of the first principal components after a random rotation, and 8 bytes that correct distances (Gao
  and Long, SIGMOD 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError
from ordhash.learn import DOHConfig
from ordhash.support import unit_rows

__all__ = ["COMPRESSED", "bytes_of", "compressed_distances"]

_RABITQ_BYTES = 8  # for distances, beside the signs

COMPRESSED: dict[str, Callable[[int], str]] = {
    "pq": lambda size: f"PQ{size}x8np",
    "opq": lambda size: f"OPQ{size}_{4 * size},PQ{size}x8np",
    "sq8": lambda size: f"PCAR{size},SQ8",
    "sq4": lambda size: f"PCAR{2 * size},SQ4",
    "rabitq": lambda size: f"PCAR{8 * (size - _RABITQ_BYTES)},RaBitQ",
}
"""Names, and what FAISS's factory makes codes of so many bytes from."""

Floats = npt.NDArray[np.float32]


def bytes_of(name: str, code_bits: int) -> int:
    """Length of a code in bytes.

    Args:
        name: One of ``COMPRESSED``.
        code_bits: Its length in bits.

    Raises:
        InputError: The length is not one of whole bytes, or too short.

    >>> bytes_of("pq", 48)
    6
    """
    least = 8 * (_RABITQ_BYTES + 1) if name == "rabitq" else 8
    if code_bits % 8 or code_bits < least:
        raise InputError(f"{name} at {code_bits} bits; allowed are multiples of 8 from {least}")
    return code_bits // 8


def compressed_distances(
    name: str, config: DOHConfig, train: Floats, queries: Floats, database: Floats
) -> Callable[[slice], npt.NDArray[np.float32]]:
    """Squared distances of queries to compressed features, all of length 1 before.

    Of all queries at once they need not fit in memory.

    Args:
        name: One of ``COMPRESSED``.
        config: Gives the length of the codes, in bits.
        train: Features to learn from, float32 (m, D).
        queries: float32 (q, D).
        database: float32 (n, D).

    Returns:
        A function of a slice of the queries, which gives the float32 (b, n) of these.

    Raises:
        InputError: The length is not one of whole bytes, or too short or too long for the features.
    """
    import faiss

    size = bytes_of(name, config.code_bits)
    padding = -train.shape[1] % size if name == "pq" else 0  # all parts of a feature are equally long
    parts = [np.pad(unit_rows(part), ((0, 0), (0, padding))) for part in (train, queries, database)]
    factory = COMPRESSED[name](size)
    index: Any = faiss.index_factory(parts[0].shape[1], factory)
    for_rotation = _accept_few_images(index)
    try:
        index.train(parts[0])
    except RuntimeError as error:
        raise InputError(
            f"{name} at {config.code_bits} bits ({factory}) cannot learn from {len(train)} features of "
            f"{train.shape[1]} floats; give a shorter length, or at least 256 images to learn from"
        ) from error
    del for_rotation  # FAISS holds a bare pointer to it while it trains
    index.add(parts[2])

    def distances(rows: slice) -> npt.NDArray[np.float32]:
        found, order = index.search(parts[1][rows], len(database))
        unsorted = np.empty(found.shape, np.float32)
        np.put_along_axis(unsorted, order, found, axis=1)
        return unsorted

    return distances


def _accept_few_images(index: Any) -> Any:
    """Keep FAISS from warning that there are fewer than 39 images for each of its 256 centroids.

    Returns:
        An object that has to live until the index is trained.
    """
    import faiss

    whole = isinstance(index, faiss.IndexPreTransform)
    quantiser = faiss.downcast_index(index.index) if whole else index
    if hasattr(quantiser, "pq"):
        quantiser.pq.cp.min_points_per_centroid = 1
    rotation = faiss.downcast_VectorTransform(index.chain.at(0)) if whole else None
    if not isinstance(rotation, faiss.OPQMatrix):
        return None
    own = faiss.ProductQuantizer(rotation.d_out, rotation.M, 8)  # what it would make itself
    own.cp.min_points_per_centroid = 1
    rotation.pq = own
    return own
