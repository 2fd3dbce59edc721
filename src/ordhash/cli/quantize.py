"""``ordhash quantize``: an 8-bit variant of a model, compared with the original."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated

import typer

from ordhash.cli.options import DEFAULT_ROOT, Force, Json, Root, Sources, Split
from ordhash.cli.output import failures_as_json, print_facts, print_json, report_failures, say
from ordhash.cli.sources import check_output, images_of
from ordhash.data import ImageSet
from ordhash.errors import DataError
from ordhash.model import Encoder
from ordhash.support import spread_rows

__all__ = ["quantize"]

_COMPARED, _ROUNDS = 128, 3


def quantize(
    ctx: typer.Context,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model.onnx written by `ordhash train`.", show_default=False)
    ],
    sources: Sources,
    out: Annotated[Path, typer.Option(help="File for the variant, .onnx.", show_default=False)],
    split: Split = None,
    root: Root = DEFAULT_ROOT,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a variant of a model whose backbone computes in 8 bits, and compare both on this machine.

    SOURCE: some hundred typical images, to calibrate value ranges. The variant's codes are not comparable with the
    original's; encode everything with one of the two.
    """
    check_output(out, force=force, read=[*sources, model])
    images = images_of(ctx, sources, split, root)
    from ordhash.model import quantize as quantized  # slow to import, and other commands do not need it

    variant = quantized(model, images, out)
    some = images.subset(spread_rows(len(images), _COMPARED))
    whole = Encoder(model)
    found = whole.run(some)
    failures = found.failures
    if not len(found.rows):
        raise DataError(f"wrote {out}, but could not compare it: none of the images can be used")
    measured = _compared(whole, Encoder(out), some.subset(found.rows))
    facts = {"model": str(out), "id": variant.id, "of": str(model), **measured}
    if measured["times_as_fast"] < 1:
        say(f"the variant is slower on this machine; use {model} here")
    if as_json:
        print_json({**facts, "failures": failures_as_json(failures)})
    else:
        print_facts({name.replace("_", " "): value for name, value in facts.items()})
    report_failures(failures)
    if failures:
        raise typer.Exit(1)


def _compared(original: Encoder, variant: Encoder, some: ImageSet) -> dict[str, float]:
    """Images per second of both, decoding included, in alternating rounds; and the share of equal symbols."""
    rates: dict[Encoder, list[float]] = {original: [], variant: []}
    codes = {}
    for _ in range(_ROUNDS):
        for encoder, found in rates.items():
            started = time.perf_counter()
            codes[encoder] = encoder.run(some).codes
            found.append(len(some) / (time.perf_counter() - started))
    same = codes[original].symbols == codes[variant].symbols
    pairs = zip(rates[variant], rates[original], strict=True)
    return {
        "images_per_second": round(statistics.median(rates[variant]), 1),
        "of_the_original": round(statistics.median(rates[original]), 1),
        "times_as_fast": round(statistics.median(mine / theirs for mine, theirs in pairs), 2),
        "symbols_unchanged": round(float(same.mean()), 4),
    }
