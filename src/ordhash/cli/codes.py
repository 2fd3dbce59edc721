"""``ordhash encode``, ``index`` and ``search``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ordhash.cli.cluster import encode_with_ray, milvus_index
from ordhash.cli.options import DEFAULT_ROOT, Force, Json, Milvus, Model, Part, Root, Sources, Token, refuse_idle
from ordhash.cli.output import failures_as_json, print_json, print_table, report_failures, visible
from ordhash.cli.sources import check_codes_output, check_output, codes_of, holds_codes, images_of
from ordhash.codes import CodeFacts, CodeTable, write_codes
from ordhash.collection import Collection
from ordhash.data import ImageSet
from ordhash.errors import DataError, ImageError, InputError
from ordhash.index import Condition, OrdinalIndex
from ordhash.model import Encoder, recorded_model
from ordhash.search import Answer, Answers, Target, search_by_images
from ordhash.support import without_password

if TYPE_CHECKING:
    from ordhash.milvus import MilvusIndex

__all__ = ["encode", "index", "search"]


def encode(
    ctx: typer.Context,
    sources: Sources,
    model: Annotated[Path, typer.Option(help="A model.onnx written by `ordhash train`.", show_default=False)],
    out: Annotated[
        str,
        typer.Option(help="File for the codes, .parquet; with --engine ray, a folder for shards.", show_default=False),
    ],
    part: Part = None,
    root: Root = DEFAULT_ROOT,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="Where to encode: on this machine, or on a Ray cluster. Ray also reads and writes addresses such as "
            "s3://bucket/photos, and continues an interrupted run."
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of the Ray cluster, such as 10.0.0.1:6379, or auto.  [default: start one here]",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of Ray workers.  [default: one per core]", show_default=False),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(
            min=8, help="Images per shard with --engine ray, a multiple of 8.  [default: 1024]", show_default=False
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Encode images into a file of codes, or on a cluster into a folder of such files.

    Images that cannot be used are reported and skipped; the exit status is then 1.
    """
    if engine == "ray":
        cluster = {"address": address, "workers": workers, "shard_size": shard_size, "force": force, "progress": True}
        encode_with_ray(ctx, sources, part, root, model, out, as_json=as_json, **cluster)
        return
    refuse_idle(ctx, "address", "workers", "shard_size", unless=False, why="without --engine ray")
    path = Path(out)
    check_codes_output(path, force=force)
    table, failures = _encode(images_of(ctx, sources, part, root), model)
    write_codes(path, table.codes, table.keys, table.metadata, model_path=table.model_path)
    _finish(path, len(table), failures, as_json)


def index(
    ctx: typer.Context,
    sources: Sources,
    out: Annotated[Path, typer.Option(help="File for the index.", show_default=False)],
    model: Model = None,
    part: Part = None,
    root: Root = DEFAULT_ROOT,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Build an index from images, or from codes written by `ordhash encode` (then --model is optional).

    Images that cannot be used are reported and skipped; the exit status is then 1.
    """
    check_output(out, force=force)
    failures: list[ImageError] = []
    if len(sources) == 1 and holds_codes(sources[0]):
        refuse_idle(ctx, "part", "root", unless=False, why=f"on {sources[0]}, which holds codes")
        table = codes_of(sources[0])
        model_path = table.model_path
        if model is not None:
            encoder = Encoder(model)
            if table.codes.model_id not in (None, encoder.model_id):
                raise InputError(f"{sources[0]} was encoded by another model than {model}; leave --model out")
            model_path = str(encoder.path.absolute())
        table = CodeTable(table.codes, table.keys, table.metadata, model_path)
    else:
        if model is None:
            raise InputError("--model is missing; give the model.onnx to encode the images with")
        table, failures = _encode(images_of(ctx, sources, part, root), model)
    OrdinalIndex(table.codes, table.keys, table.metadata, model_path=table.model_path).save(out)
    _finish(out, len(table), failures, as_json)


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
        typer.Option(
            "--likely", help="Leave out results that are probably unlike the query, by the model's calibration."
        ),
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
    facts: OrdinalIndex | CodeFacts
    place = str(index)
    if milvus is not None:
        name = index.absolute().name
        opened = milvus_index(milvus, name, token=token, consistency=consistency or "strong")
        place, facts = f"{name} at {without_password(milvus)}", opened.facts
    else:
        refuse_idle(ctx, "token", "consistency", unless=False, why="without --milvus")
        collection = Collection(index) if Collection.is_one(index) else None
        if collection is None and index.is_dir():
            raise DataError(f"{index} is a folder, not a collection; {_collection_beside(index)}")
        opened = OrdinalIndex.load(index) if collection is None else collection.index()
        facts = opened
    encoder = Encoder(model or recorded_model(place, facts.model_path, facts.model_id), progress=True)
    answers, failures = search_by_images(
        images,
        Target(encoder, opened, collection),
        top_k=top_k,
        asymmetric=asymmetric,
        likely=likely,
        conditions=[Condition.parse(text) for text in where or []],
        progress=True,
    )
    for one in answers:
        if as_json:
            results = [{"rank": rank, **_values(answer)} for rank, answer in enumerate(one.found, start=1)]
            print_json({"query": one.query, "results": results})
        elif one.found:
            _print_answers(one)
        else:
            print(f"{visible(one.query)}: no likely matches")
    report_failures(failures)
    if failures:
        raise typer.Exit(1)


def _values(answer: Answer) -> dict[str, Any]:
    """An answer for JSON, without the segments that agree."""
    return {
        "key": answer.key,
        "distance": answer.distance,
        "likelihood": answer.likelihood,
        "near_duplicate": answer.near_duplicate,
        "metadata": answer.metadata,
    }


def _collection_beside(folder: Path) -> str:
    """What to do instead of searching a folder of images."""
    usual = Path(f"{folder.resolve()}.ordhash")
    return f"search {usual}" if Collection.is_one(usual) else f"run `ordhash sync {folder}`, then search {usual}"


def _print_answers(answers: Answers) -> None:
    """A table, without columns that are empty."""
    rows = [
        {
            "rank": rank,
            "distance": answer.distance,
            "likely": None if answer.likelihood is None else f"{100 * answer.likelihood:.0f} %",
            "same picture": "yes" if answer.near_duplicate else None,
            "key": answer.key,
            "labels": answer.metadata.get("labels"),
        }
        for rank, answer in enumerate(answers.found, start=1)
    ]
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    print_table(columns, [[row[name] for name in columns] for row in rows], title=answers.query)


def _encode(images: ImageSet, model: Path) -> tuple[CodeTable, list[ImageError]]:
    table, failures = Encoder(model, progress=True).tabulate(images)
    if not len(table):
        report_failures(failures)
        raise DataError(f"none of the {len(images)} images can be used; nothing was written")
    return table, failures


def _finish(out: Path, written: int, failures: list[ImageError], as_json: bool) -> None:
    report_failures(failures)
    if as_json:
        print_json({"out": str(out), "written": written, "failures": failures_as_json(failures)})
    else:
        images = "1 image" if len(failures) == 1 else f"{len(failures)} images"
        print(f"{out}: wrote {written} codes" + (f"; {images} could not be used" if failures else ""))
    if failures:
        raise typer.Exit(1)
