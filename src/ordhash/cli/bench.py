"""``ordhash bench``: run the comparison that a recipe describes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordhash.cli.errors import needs_extra
from ordhash.cli.options import DEFAULT_ROOT, Cache, Json, Root
from ordhash.cli.output import print_json, say, tell
from ordhash.errors import DataError
from ordhash.learn import DEFAULT_CACHE

if TYPE_CHECKING:
    from ordhash.bench import Results

__all__ = ["bench"]

_REHEARSED_IMAGES = 300  # a quantiser of FAISS learns from 256 or more


def bench(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to compare.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.  [default: runs/bench/RECIPE]", show_default=False)
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Parallel runs.  [default: one per core]", show_default=False)
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Start no new run after this many minutes; 0 starts none.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Do only the runs of this seed, so that several machines can share --out, or several processes a GPU. "
            "Then run the command without --seed to combine all runs.",
            show_default=False,
        ),
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULTS.json",
            help="Results of this recipe from another machine, such as those in benchmarks/results; runs they contain "
            "are not repeated.",
            show_default=False,
        ),
    ] = None,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Try every method once on a few small images; results go to the folder rehearsal in --out.",
        ),
    ] = False,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: Json = False,
) -> None:
    """Compare methods on protocols, on equal terms, and write tables and figures.

    Finished runs are kept: the same command continues after an interruption, and after a change of the recipe it does
    only the new runs.
    """
    with needs_extra("figures", "a benchmark"):
        import matplotlib  # noqa: F401  # fail now, not hours later when figures are drawn
    with needs_extra("learn", "a benchmark"):
        from ordhash.bench import draw_figures, markdown, read_recipe, read_results, rehearsal_of, run_recipe
    plan = read_recipe(recipe)
    folder = out or Path("runs") / "bench" / plan.name
    if rehearse:
        plan, folder = rehearsal_of(plan), folder / "rehearsal"
        shutil.rmtree(folder, ignore_errors=True)
    results = run_recipe(
        plan, folder, root=root, cache=cache, processes=processes, minutes=minutes, seed=seed,
        most_images=_REHEARSED_IMAGES if rehearse else None, known=None if known is None else read_results(known),
        say=say, progress=True,
    )  # fmt: skip
    if seed is not None:
        if as_json:
            print_json(results.to_json())
        else:
            tell(f"{folder}: {len(results.runs)} runs of seed {seed}; run without --seed to combine all runs")
        _stop_unless_complete(results)
        return
    (folder / "tables.md").write_text(markdown(results))
    figures = draw_figures(results, folder)
    if as_json:
        print_json(results.to_json())
    else:
        print(markdown(results))
        tell(f"{folder}: results.json, tables.md and {len(figures)} figures")
    _stop_unless_complete(results)


def _stop_unless_complete(results: Results) -> None:
    if results.failures:
        raise DataError(
            f"{len(results.failures)} trainings failed, the others are kept: {results.failures[0]}; mend the recipe or "
            "its data, and run the same command again"
        )
    if not results.complete:
        say("time is up, and some runs are left; run the same command again to continue")
        raise typer.Exit(1)
