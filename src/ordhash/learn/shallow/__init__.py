"""Shallow methods, one file each: heads fitted to pooled features. They export the same model file as DOH.

A bit is a segment of arity 2 with the scores (-u/2, +u/2), so they share encoding, search and evaluation with DOH.
"""

from ordhash.learn.shallow.base import LinearHead, PooledHead, ShallowMethod
from ordhash.learn.shallow.fit import SHALLOW_METHODS, find_shallow_method, fit_shallow
from ordhash.learn.shallow.itq import ITQ
from ordhash.learn.shallow.itq_cca import ITQCCA
from ordhash.learn.shallow.lsh import LSH
from ordhash.learn.shallow.sdh import SDH, KernelHead
from ordhash.learn.shallow.spectral import SineHead, SpectralHashing

__all__ = [
    "ITQ",
    "ITQCCA",
    "LSH",
    "SDH",
    "SHALLOW_METHODS",
    "KernelHead",
    "LinearHead",
    "PooledHead",
    "ShallowMethod",
    "SineHead",
    "SpectralHashing",
    "find_shallow_method",
    "fit_shallow",
]
