"""Searching with images: with one, with several examples together, with a photograph of the collection."""

from ordhash.search.answer import Answer, Answers, Box, answers_of, metadata_at, values_of
from ordhash.search.by_example import Example, search_by_examples, seen_part
from ordhash.search.by_image import search_by_images
from ordhash.search.by_photograph import search_by_photograph
from ordhash.search.target import Engine, Target

__all__ = [
    "Answer",
    "Answers",
    "Box",
    "Engine",
    "Example",
    "Target",
    "answers_of",
    "metadata_at",
    "search_by_examples",
    "search_by_images",
    "search_by_photograph",
    "seen_part",
    "values_of",
]
