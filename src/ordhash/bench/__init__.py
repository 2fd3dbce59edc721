"""Benchmarks of retrieval quality: a recipe names protocols and methods, all of which are measured on equal terms."""

from ordhash.bench.recipe import Recipe, read_recipe, rehearsal_of
from ordhash.bench.runner import run_recipe

__all__ = ["Recipe", "read_recipe", "rehearsal_of", "run_recipe"]
