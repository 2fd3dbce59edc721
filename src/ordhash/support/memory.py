"""Memory of processes that run for a long time."""

from __future__ import annotations

import ctypes

__all__ = ["give_memory_back"]

_LARGE = 1 << 20
_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


def give_memory_back() -> None:
    """Give the memory of large blocks, such as pictures, back to the system as soon as they are freed.

    glibc learns from every large block that is freed to take the next one from its own heap, which then stays as large
    as it ever was. Other C libraries do without that, and this does nothing there.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
