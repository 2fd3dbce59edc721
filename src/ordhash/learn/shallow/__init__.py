"""Shallow methods, one file each: heads fitted to pooled features. They export the same model file as DOH.

A bit is a segment of arity 2 with the scores (-u/2, +u/2), so encoding, searching and evaluating exist once.
"""

from ordhash.learn.shallow.base import LinearHead, PooledHead, ShallowMethod
from ordhash.learn.shallow.fit import SHALLOW_METHODS, find_shallow_method, fit_shallow
from ordhash.learn.shallow.itq import ITQ
from ordhash.learn.shallow.lsh import LSH

__all__ = [
    "ITQ",
    "LSH",
    "SHALLOW_METHODS",
    "LinearHead",
    "PooledHead",
    "ShallowMethod",
    "find_shallow_method",
    "fit_shallow",
]
