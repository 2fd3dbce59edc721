"""Serving codes from Milvus; the only room that names it. Needs the extra ``ordhash[cluster]``."""

from ordhash.milvus.index import Consistency, MilvusIndex, collection_name
from ordhash.milvus.simplex import codes_of_simplex, ordinal_distances_of, simplex_bits, simplex_of

__all__ = [
    "Consistency",
    "MilvusIndex",
    "codes_of_simplex",
    "collection_name",
    "ordinal_distances_of",
    "simplex_bits",
    "simplex_of",
]
