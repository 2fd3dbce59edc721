"""Compiled scans (Numba): the nearest codes and those within a radius, for one query or many at once.

Compiled functions take only arrays and numbers, so some have more than eight parameters.
"""

from ordhash.index.kernels.asymmetric import nearest_asymmetric
from ordhash.index.kernels.ordinal import nearest, within
from ordhash.index.kernels.postings import expand, has_allowed
from ordhash.index.kernels.tables import Tables, walk
from ordhash.index.kernels.warmup import warm_up

__all__ = ["Tables", "expand", "has_allowed", "nearest", "nearest_asymmetric", "walk", "warm_up", "within"]
