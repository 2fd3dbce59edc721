"""``ordhash data``: public data sets and the protocols on them."""

from __future__ import annotations

from typing import Annotated

import typer

from ordhash.cli.options import DEFAULT_ROOT, Json, Root
from ordhash.cli.output import print_json, print_table, tell
from ordhash.data import DATASETS, PROTOCOLS
from ordhash.data.datasets import Parts
from ordhash.errors import DataError, InputError, did_you_mean

__all__ = ["data_get", "data_list"]


def data_list(root: Root = DEFAULT_ROOT, as_json: Json = False) -> None:
    """List the data sets and the protocols."""
    there = {name: (root / name).is_dir() and any((root / name).iterdir()) for name in DATASETS}
    ready = {name: all(there[dataset] for dataset in protocol.datasets) for name, protocol in PROTOCOLS.items()}
    if as_json:
        for name, entry in DATASETS.items():
            facts = {"title": entry.title, "licence": entry.licence, "source": entry.source, "present": there[name]}
            print_json({"kind": "dataset", "name": name, **facts})
        for name, protocol in PROTOCOLS.items():
            facts = {"datasets": protocol.datasets, "title": protocol.summary, "present": ready[name]}
            print_json({"kind": "protocol", "name": name, **facts})
        return
    print_table(
        ("name", "what", "licence", "source", "present"),
        [(name, entry.title, entry.licence, entry.source, there[name]) for name, entry in DATASETS.items()],
        title=f"Data sets (present: in {root})",
    )
    print_table(
        ("name", "data sets", "what", "present"),
        [(name, ", ".join(entry.datasets), entry.summary, ready[name]) for name, entry in PROTOCOLS.items()],
        title="Protocols",
    )


def data_get(
    name: Annotated[str, typer.Argument(help="A data set from `ordhash data list`.", show_default=False)],
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Fetch a data set into its folder in --root, unless it is already there."""
    if name not in DATASETS:
        hint = did_you_mean(name, DATASETS)
        if name in PROTOCOLS:
            hint = f"; {name} is a protocol on {' and '.join(PROTOCOLS[name].datasets)}"
        raise InputError(f"unknown data set {name!r}; the data sets are {', '.join(DATASETS)}{hint}")
    dataset, folder = DATASETS[name], root / name
    fetched = False
    try:
        parts = dataset.read(folder)
    except DataError:
        dataset.get(folder)
        parts, fetched = dataset.read(folder), True
    sizes = {part: len(images) for part, images in parts.items()}
    if as_json:
        print_json({"name": name, "folder": str(folder), "fetched": fetched, "images": sizes})
        return
    tell(f"{name}: {'fetched into' if fetched else 'already complete in'} {folder} ({_in_words(parts)})")


def _in_words(parts: Parts) -> str:
    return ", ".join(f"{part} {len(images):,} images" for part, images in parts.items())
