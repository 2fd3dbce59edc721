"""Choose the store that suits the codes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ordhash.codes import OrdinalCodes
from ordhash.index.planes import BLOCK, PlaneCodes, planes
from ordhash.index.stores.distinct import Distinct
from ordhash.index.stores.grown import AnyStore, Grown
from ordhash.index.stores.scan import Scan
from ordhash.index.stores.tabled import Tabled

__all__ = ["store_of", "with_tables"]

_SAMPLE = 1 << 16
_MOST_MEMORY = 1.15  # times the packed codes


def store_of(codes: OrdinalCodes) -> Scan | Distinct:
    """Distinct codes if at most a quarter of the codes are distinct and memory allows; else a scan."""
    n, size = len(codes), codes.spec.packed_bytes
    sample = codes[:: max(1, n // _SAMPLE)]
    # s draws from m equally frequent codes have about s * s / (2 * m) equal pairs; with fewer, sorting does not pay.
    counts = np.diff(np.append(_order_and_starts(sample)[1], len(sample)))
    pairs = int((counts * (counts - 1) // 2).sum())
    if n < BLOCK or n * pairs < len(sample) ** 2:
        return Scan(PlaneCodes.of(codes))
    order, starts = _order_and_starts(codes)
    m = len(starts)
    if 4 * m > n or m * (size + 8) + n * 4 > _MOST_MEMORY * n * size or n > np.iinfo(np.uint32).max:
        return Scan(PlaneCodes.of(codes))
    offsets = np.append(starts, n)
    return Distinct(PlaneCodes.of(codes[order[starts]]), offsets, order.astype(np.uint32))


def with_tables(store: AnyStore) -> AnyStore:
    """Add tables of all rows to a store. A store of distinct codes is returned as it is, since these are few.

    Raises:
        InputError: More rows than tables can number.
    """
    base = store.base if isinstance(store, Grown) else store
    if isinstance(base, Distinct):
        return store
    scan = base.base if isinstance(base, Tabled) else base
    if isinstance(store, Grown):
        scan = Scan(scan.planes.extended(OrdinalCodes(store.added.symbols(), store.spec)))
    return Tabled.of(scan)


def _order_and_starts(codes: OrdinalCodes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Rows ordered by (code, row), and where each distinct code starts among them."""
    of_codes = planes(codes)
    words = np.zeros((len(codes), -(-of_codes.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : of_codes.shape[1]] = of_codes
    columns = words.view(np.uint64)
    order = np.argsort(columns[:, 0], kind="stable") if columns.shape[1] == 1 else np.lexsort(columns.T)
    ordered = columns[order]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(codes)])
    return order, starts.astype(np.int64)
