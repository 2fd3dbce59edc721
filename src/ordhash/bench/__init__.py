"""Benchmarks of retrieval quality: a recipe names protocols and methods, all of which are measured on equal terms."""

from ordhash.bench.comparing import BOUNDS
from ordhash.bench.condensed import condense, read_results
from ordhash.bench.recipe import Recipe, read_recipe, rehearsal_of
from ordhash.bench.report import draw_figures, markdown, markdown_table, mean_interval, values_of, with_interval
from ordhash.bench.results import Results
from ordhash.bench.runner import run_recipe

__all__ = [
    "BOUNDS",
    "Recipe",
    "Results",
    "condense",
    "draw_figures",
    "markdown",
    "markdown_table",
    "mean_interval",
    "read_recipe",
    "read_results",
    "rehearsal_of",
    "run_recipe",
    "values_of",
    "with_interval",
]
