"""``ordhash search``: find what looks like an image."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ordhash.cli.cluster import milvus_index
from ordhash.cli.options import Json, Milvus, Token, refuse_idle
from ordhash.cli.output import print_json, print_table, report_failures, say, tell
from ordhash.cli.sources import check_index
from ordhash.codes import CodeFacts
from ordhash.collection import Collection
from ordhash.index import Condition, OrdinalIndex, rows_that_meet
from ordhash.model import Encoder, recorded_model
from ordhash.search import Answer, Answers, Box, Target, search_by_images
from ordhash.support import without_password

if TYPE_CHECKING:
    from ordhash.milvus import MilvusIndex

__all__ = ["at_least", "search"]

_UNLIKE = "is unlike anything the model learned from"


def search(
    ctx: typer.Context,
    index: Annotated[
        Path,
        typer.Argument(
            metavar="INDEX",
            help="An index made by `ordhash index`, or a collection made by `ordhash sync`; with --milvus, the name "
            "given to `ordhash push`.",
            show_default=False,
        ),
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Images to search with.", show_default=False)],
    top_k: Annotated[int, typer.Option(min=1, help="Results per image.")] = 10,
    asymmetric: Annotated[
        bool,
        typer.Option("--asymmetric", help="Rank by asymmetric distance, which is finer: it uses the query's scores."),
    ] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Search only items that meet a condition on a column: = != < <= > >= or ~ (contains), as in "
            "labels=cat, modified>=2024-01-01 or folder~beach. If repeated, all conditions must hold.",
        ),
    ] = None,
    likely: Annotated[
        bool,
        typer.Option("--likely", help="Leave out what is probably unlike the query, by the model's calibration."),
    ] = False,
    parts: Annotated[
        bool,
        typer.Option("--parts", help="Find images by their parts too, in an index that was built with --parts."),
    ] = False,
    model: Annotated[Path | None, typer.Option(help="The model of the index, if it has moved.")] = None,
    milvus: Milvus = None,
    token: Token = "",
    consistency: Annotated[
        Literal["strong", "bounded", "session", "eventually"] | None,
        typer.Option(
            help="Consistency level of a search in Milvus: strong sees all earlier writes, others are faster.  "
            "[default: strong]",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find images that look like a given one.

    Images that cannot be used are reported and skipped; the exit status is then 1.
    """
    collection = None
    opened: OrdinalIndex | MilvusIndex
    if milvus is None:
        refuse_idle(ctx, "token", "consistency", unless=False, why="without --milvus")
        opened, collection = _opened(index, images)
        place, facts = str(index), CodeFacts(opened.spec, opened.model_id, opened.model_path)
    else:
        name = index.absolute().name
        opened = milvus_index(milvus, name, token=token, consistency=consistency or "strong")
        place, facts = f"{name} at {without_password(milvus)}", opened.facts
    wanted = [Condition.parse(text) for text in where or []]
    encoder = Encoder(model or recorded_model(place, facts.model_path, facts.model_id), progress=True)
    answers, failures = search_by_images(
        images,
        Target(encoder, opened, collection),
        top_k=top_k,
        asymmetric=asymmetric,
        likely=likely,
        parts=parts,
        conditions=wanted,
        progress=True,
    )
    for one in answers:
        if as_json:
            print_json(_values(one))
        elif one.found:
            _print_answers(one)
        if not one.found:
            why = _why_nothing(opened, wanted, likely=likely, unlike=bool(one.unlike))
            (say if as_json else tell)(f"{one.query}: {why}")
    report_failures(failures)
    if failures:
        raise typer.Exit(1)


def _opened(index: Path, images: list[Path]) -> tuple[OrdinalIndex, Collection | None]:
    """An index, or a collection and its index."""
    check_index(index, images)
    if not Collection.is_one(index):
        return OrdinalIndex.load(index), None
    collection = Collection(index)
    return collection.index(), collection


def at_least(likelihood: float) -> str:
    """A likelihood, rounded down: a bound is not to promise more, and 100 % is never sure.

    >>> at_least(0.998)
    'at least 99 %'
    """
    return f"at least {math.floor(100 * likelihood + 1e-9)} %"


def _values(answers: Answers) -> dict[str, Any]:
    """Answers for JSON, without ``agreeing``; without ``unlike`` or a box where there is none."""
    results = [
        {
            "rank": rank,
            "key": answer.key,
            "distance": answer.distance,
            "likelihood": answer.likelihood,
            "near_duplicate": answer.near_duplicate,
            **_known(answer),
            **({} if answer.box is None else {"box": [round(side, 4) for side in answer.box]}),
            "metadata": answer.metadata,
        }
        for rank, answer in enumerate(answers.found, start=1)
    ]
    return {"query": answers.query, **_known(answers), "results": results}


def _known(one: Answer | Answers) -> dict[str, bool]:
    return {} if one.unlike is None else {"unlike": one.unlike}


def _why_nothing(index: OrdinalIndex | MilvusIndex, conditions: list[Condition], *, likely: bool, unlike: bool) -> str:
    """Why a search found nothing."""
    met = " and ".join(f"{one.column}{one.comparison}{one.value}" for one in conditions)
    mask = rows_that_meet(index, conditions) if isinstance(index, OrdinalIndex) else None
    if conditions and (not likely or (mask is not None and not mask.any())):
        return f"no image meets the condition {met}" if len(conditions) == 1 else f"no image meets {met}"
    if not likely:
        return "there are no images to search"
    if unlike:
        return f"it {_UNLIKE}, so no match is likely; leave out --likely to see the nearest"
    return f"no likely matches among the images with {met}" if conditions else "no likely matches"


def _likely(answer: Answer) -> str | None:
    if answer.likelihood is not None:
        return at_least(answer.likelihood)
    return "unlike anything learned" if answer.unlike else None


def _place(box: Box) -> str:
    """Where a part is, as people say it.

    >>> _place((0.0, 0.0, 0.3, 0.4)), _place((0.35, 0.3, 0.65, 0.7)), _place((0.7, 0.3, 1.0, 0.7))
    ('top left', 'middle', 'right')
    """
    across, down = ((box[side] + box[side + 2]) / 2 for side in (0, 1))
    words = [
        low if place < 1 / 3 else high if place > 2 / 3 else ""
        for place, low, high in ((down, "top", "bottom"), (across, "left", "right"))
    ]
    return " ".join(filter(None, words)) or "middle"


def _print_answers(answers: Answers) -> None:
    """Print a table without its empty columns, and a line if the query is unlike anything learned."""
    rows = [
        {
            "rank": rank,
            "distance": answer.distance,
            "likely": _likely(answer),
            "part": None if answer.box is None else _place(answer.box),
            "same picture": "yes" if answer.near_duplicate else None,
            "key": answer.key,
            "labels": answer.metadata.get("labels"),
        }
        for rank, answer in enumerate(answers.found, start=1)
    ]
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    print_table(columns, [[row[name] for name in columns] for row in rows], title=answers.query)
    if answers.unlike:
        tell(f"{answers.query} {_UNLIKE}, so its results have no likelihood")
