"""An exact index of ordinal codes, in memory or mapped from its file."""

from ordhash.index.conditions import Comparison, Condition, rows_that_meet, typed_value
from ordhash.index.index import OrdinalIndex
from ordhash.index.items import Where
from ordhash.index.results import IndexStats, RadiusResult, SearchResult

__all__ = [
    "Comparison",
    "Condition",
    "IndexStats",
    "OrdinalIndex",
    "RadiusResult",
    "SearchResult",
    "Where",
    "rows_that_meet",
    "typed_value",
]
