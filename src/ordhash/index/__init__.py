"""An exact index of ordinal codes, in memory or mapped from its file."""

from ordhash.index.conditions import (
    Comparison,
    Condition,
    asks_for_labels,
    rows_that_meet,
    unfit_value,
    unknown_column,
)
from ordhash.index.index import OrdinalIndex
from ordhash.index.items import Where
from ordhash.index.results import IndexStats, RadiusResult, SearchResult
from ordhash.index.values import typed_value

__all__ = [
    "Comparison",
    "Condition",
    "IndexStats",
    "OrdinalIndex",
    "RadiusResult",
    "SearchResult",
    "Where",
    "asks_for_labels",
    "rows_that_meet",
    "typed_value",
    "unfit_value",
    "unknown_column",
]
