"""``ordhash encode`` and ``index``: images to codes, and codes to an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ordhash.cli.cluster import encode_with_ray
from ordhash.cli.options import (
    DEFAULT_ROOT,
    Classes,
    Exclude,
    Force,
    Json,
    Model,
    Parts,
    Root,
    Sources,
    Split,
    refuse_idle,
)
from ordhash.cli.output import failures_as_json, print_json, report_failures, report_unread, tell
from ordhash.cli.sources import check_codes_output, check_exist, check_output, codes_of, holds_codes, images_of
from ordhash.codes import CodeTable, write_codes
from ordhash.data import ImageSet
from ordhash.errors import DataError, ImageError, InputError
from ordhash.index import OrdinalIndex
from ordhash.model import Encoder

__all__ = ["encode", "index"]


def encode(
    ctx: typer.Context,
    sources: Sources,
    model: Annotated[Path, typer.Option(help="A model.onnx written by `ordhash train`.", show_default=False)],
    out: Annotated[
        str,
        typer.Option(help="File for the codes, .parquet; with --engine ray, a folder for shards.", show_default=False),
    ],
    parts: Parts = False,
    split: Split = None,
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
    classes: Classes = "auto",
    exclude: Exclude = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Encode images into a file of codes, or on a cluster into a folder of such files.

    Images that cannot be used are reported and skipped; the exit status is then 1.
    """
    if engine == "ray":
        cluster = {"address": address, "workers": workers, "shard_size": shard_size, "parts": parts, "force": force}
        encode_with_ray(ctx, sources, split, root, model, out, as_json=as_json, progress=True, **cluster)
        return
    refuse_idle(ctx, "address", "workers", "shard_size", unless=False, why="without --engine ray")
    path = Path(out)
    check_exist(sources)
    check_codes_output(path, force=force, read=[*sources, model])
    table, failures = _encode(images_of(ctx, sources, split, root), model, parts=parts)
    write_codes(path, table.codes, table.keys, table.metadata, model_path=table.model_path, parts=table.parts)
    _finish(path, len(table), failures, as_json)


def index(
    ctx: typer.Context,
    sources: Sources,
    out: Annotated[Path, typer.Option(help="File for the index.", show_default=False)],
    model: Model = None,
    parts: Parts = False,
    split: Split = None,
    root: Root = DEFAULT_ROOT,
    classes: Classes = "auto",
    exclude: Exclude = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Build an index from images, or from codes written by `ordhash encode` (then --model is optional).

    Images that cannot be used are reported and skipped; the exit status is then 1.
    """
    check_exist(sources)
    check_output(out, force=force, read=[*sources, model])
    failures: list[ImageError] = []
    coded = next((source for source in sources if holds_codes(source)), None)
    if coded is not None and len(sources) > 1:
        raise InputError(f"{coded} holds codes; give one file or folder of codes alone")
    if coded is not None:
        idle = ("parts", "split", "root", "classes", "exclude")
        refuse_idle(ctx, *idle, unless=False, why=f"on {coded}, which holds codes")
        table = codes_of(coded)
        model_path = table.model_path
        if model is not None:
            encoder = Encoder(model)
            if table.codes.model_id not in (None, encoder.model_id):
                raise InputError(f"{coded} was encoded by another model than {model}; leave --model out")
            model_path = str(encoder.path.absolute())
        table = CodeTable(table.codes, table.keys, table.metadata, model_path, table.parts)
    else:
        if model is None:
            raise InputError(f"{sources[0]} holds no codes; give --model, the model.onnx to encode its images with")
        table, failures = _encode(images_of(ctx, sources, split, root), model, parts=parts)
    OrdinalIndex(table.codes, table.keys, table.metadata, model_path=table.model_path, parts=table.parts).save(out)
    _finish(out, len(table), failures, as_json)


def _encode(images: ImageSet, model: Path, *, parts: bool) -> tuple[CodeTable, list[ImageError]]:
    report_unread(images.passed_over.unread)
    table, failures = Encoder(model, progress=True).tabulate(images, parts=parts)
    failures = [*images.passed_over.failures, *failures]
    if not len(table):
        report_failures(failures)
        raise DataError(f"none of the {len(images)} images can be used; nothing was written")
    return table, failures


def _finish(out: Path, written: int, failures: list[ImageError], as_json: bool) -> None:
    report_failures(failures)
    if as_json:
        print_json({"out": str(out), "written": written, "failures": failures_as_json(failures)})
    else:
        bad = "1 image or folder" if len(failures) == 1 else f"{len(failures)} images or folders"
        tell(f"{out}: wrote {written} codes" + (f"; {bad} could not be used" if failures else ""))
    if failures:
        raise typer.Exit(1)
