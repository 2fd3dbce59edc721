"""Search: an index of ordinal codes, exact, in memory or mapped from its file."""

from ordhash.index.index import IndexStats, OrdinalIndex, RadiusResult, SearchResult, Where

__all__ = ["IndexStats", "OrdinalIndex", "RadiusResult", "SearchResult", "Where"]
