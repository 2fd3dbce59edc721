"""``ordhash evaluate``: measure a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import typer

from ordhash import evaluation
from ordhash.cli.options import DEFAULT_ROOT, Classes, Exclude, Force, Json, Root, refuse_idle
from ordhash.cli.output import print_facts, print_json, print_table, report_failures, report_unread, say
from ordhash.cli.sources import check_output, read_source
from ordhash.data import TABLES, ImageSet, Protocol
from ordhash.data.protocols import split_by_class
from ordhash.errors import DataError, InputError
from ordhash.evaluation import Convention, Ties
from ordhash.model import Encoder, FeatureStore
from ordhash.support import replace_file

__all__ = ["evaluate"]

_QUERY_SHARE = 0.2
_TIES: dict[Ties, str] = {
    "expected": "mean over tie orders",
    "row": "ties in row order",
    "best": "best tie order (--ties best)",
    "worst": "worst tie order (--ties worst)",
}
_CONVENTIONS: dict[Convention, str] = {
    "normal": "divided by the relevant images, or by the cutoff if smaller",
    "all-relevant": "divided by all relevant images",
    "hits-in-top-k": "divided by the relevant images found within the cutoff",
}


def evaluate(
    ctx: typer.Context,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model.onnx written by `ordhash train`.", show_default=False)
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help=f"A protocol, a folder with one sub-folder per class, or a manifest ({TABLES}) with labels.",
            show_default=False,
        ),
    ],
    root: Root = DEFAULT_ROOT,
    classes: Classes = "auto",
    exclude: Exclude = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for feature maps, to skip the backbone next time.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the full report, .json.")] = None,
    ap: Annotated[
        Convention,
        typer.Option(
            help="Divisor of average precision: the relevant images, or the cutoff if smaller (normal); all "
            "relevant images; or those within the cutoff."
        ),
    ] = "normal",
    ties: Annotated[
        Ties,
        typer.Option(
            help="Order of equal distances in mAP: the mean over all orders (expected), row order as in a stable sort, "
            "or relevant images first (best) or last (worst)."
        ),
    ] = "expected",
    parts: Annotated[
        bool,
        typer.Option("--parts", help="Search parts of the database's images too, as `ordhash search --parts` does."),
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Measure a model: search a protocol's database with each of its queries.

    In a folder or a manifest, a fifth of each class are queries and the rest is the database. Images that cannot be
    used are reported and skipped; the exit status is then 1. --ap and --ties are for comparison with other toolkits;
    report the numbers of their defaults.
    """
    refuse_idle(ctx, "force", unless=out is not None, why="without --out")
    if out is not None:
        check_output(out, force=force, read=[source, model])
    features = None if cache is None else FeatureStore(cache / "features")
    encoder = Encoder(model, features=features, progress=True)
    found = read_source(ctx, source, root)
    refuse_idle(ctx, "root", unless=isinstance(found, Protocol), why=f"on {source}, which is not a protocol")
    protocol, how = (found, "") if isinstance(found, Protocol) else _divided(found, source)
    report = evaluation.evaluate(encoder, protocol, parts=parts, ties=ties, convention=ap, progress=True)
    values = {**report.to_json(), "split": how or "as published"}
    if out is not None:
        _write(out, values)
    unusable = [] if isinstance(found, Protocol) else found.passed_over.failures
    if isinstance(found, ImageSet):
        report_unread(found.passed_over.unread)
    report_failures(unusable)
    for failure in report.left_out:
        say(f"not used: {failure}")
    if as_json:
        print_json(values)
    else:
        _print(report, how)
    if report.left_out or unusable:
        raise typer.Exit(1)


def _write(out: Path, values: dict[str, Any]) -> None:
    def write(file: BinaryIO) -> None:
        file.write(json.dumps(values, indent=2).encode() + b"\n")

    replace_file(out, write)


def _divided(images: ImageSet, source: str) -> tuple[Protocol, str]:
    """A protocol on the user's images, and one sentence on the split."""
    if images.labels is None:
        raise InputError(
            f"{source} has no labels, which evaluation needs; give one sub-folder per class, or a manifest with a "
            "column 'labels'"
        )
    labelled = images.subset(images.labels.any(axis=1))
    parts = split_by_class(labelled, {"query": _QUERY_SHARE}, salt="ordhash evaluate")
    query, database = parts["query"], parts["rest"]
    if len(query) == 0:
        raise DataError(f"no class of {source} has 3 images, the minimum for a query; add images")
    # Which images trained the model is unknown, so the protocol has none.
    nothing = labelled.subset(np.zeros(0, dtype=np.intp))
    how = (
        f"{_QUERY_SHARE:.0%} of each class are queries ({len(query)}), the rest is the database ({len(database)}); "
        "if the model learned from some of these images, the numbers are too good"
    )
    if len(labelled) < len(images):
        how += f"; {len(images) - len(labelled)} images without labels are left out"
    return Protocol(source, nothing, query, database, citation=how), how


def _print(report: evaluation.Report, how: str) -> None:
    print_facts(
        {
            "protocol": f"{report.protocol} ({report.protocol_hash})",
            **({"split": how} if how else {}),
            **({"note": report.note} if report.note else {}),
            "queries": f"{report.n_queries:,}",
            "database": f"{report.n_database:,} images, {report.distinct_codes:,} distinct codes"
            + ("" if report.parts is None else f", {report.parts:.2f} parts an image"),
            "method": report.method.get("name", "-"),
            "code": f"{report.code_bits} bits, arity {report.arity}",
            "mAP over": "the whole ranking" if report.cutoff is None else f"the first {report.cutoff:,}",
            **({} if report.convention == "normal" else {"average precision": _CONVENTIONS[report.convention]}),
        }
    )
    sides = (report.ordinal, report.asymmetric)
    rows: list[tuple[object, ...]] = [
        (f"mAP, {_TIES[report.ties]}", *(side.map for side in sides)),
        ("mAP, best tie order", *(side.map_best for side in sides)),
        ("mAP, worst tie order", *(side.map_worst for side in sides)),
        *([("NDCG, mean over tie orders", *(side.ndcg for side in sides))] if report.ordinal.ndcg is not None else []),
        *((f"precision@{k}", *(side.precision_at[k] for side in sides)) for k in report.ordinal.precision_at),
        *(
            (f"a relevant image among the first {k}", *(side.found_at[k] for side in sides))
            for k in report.ordinal.found_at
        ),
        *((f"mAP, {name}", *(side.by_group[name] for side in sides)) for name in report.ordinal.by_group),
        *((f"precision within {r}", value, None) for r, value in report.ordinal.precision_within.items()),
    ]
    print_table(("", "ordinal", "asymmetric"), rows)
