"""Search: an index of ordinal codes, exact, in memory."""

from ordhash.index.index import OrdinalIndex, RadiusResult, SearchResult

__all__ = ["OrdinalIndex", "RadiusResult", "SearchResult"]
