"""Search: an index of ordinal codes, exact, in memory or mapped from its file."""

from ordhash.index.index import OrdinalIndex
from ordhash.index.items import Where
from ordhash.index.results import IndexStats, RadiusResult, SearchResult

__all__ = ["IndexStats", "OrdinalIndex", "RadiusResult", "SearchResult", "Where"]
