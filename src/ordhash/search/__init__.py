"""Searching with images: by one, or by several examples together."""

from ordhash.search.by_example import Box, Example, look_up_examples, seen_part
from ordhash.search.by_image import Answer, Answers, Hits, look_up, metadata_at, values_of

__all__ = [
    "Answer",
    "Answers",
    "Box",
    "Example",
    "Hits",
    "look_up",
    "look_up_examples",
    "metadata_at",
    "seen_part",
    "values_of",
]
