"""``ordhash info``: what a file contains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ordhash.cli.options import Json
from ordhash.cli.output import print_facts, print_json
from ordhash.cli.sources import check_is_collection, codes_of, holds_codes
from ordhash.codes import CodeSpec, CodeTable, OrdinalCodes, existing_file, read_codes
from ordhash.collection import Collection
from ordhash.errors import DataError, InputError, ModelFileError
from ordhash.index import OrdinalIndex
from ordhash.model import GENERAL, SYMBOL_SHARES, load_model

__all__ = ["info"]

_PARQUET, _ARROW = b"PAR1", b"ARROW1"  # first bytes of files of codes and of an index
_SHOWN = 10  # unusable images; there may be thousands


def info(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A model.onnx, codes, an index, or a collection.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Show what a model, a file of codes, an index or a collection contains."""
    facts = _facts(file)
    if as_json:
        print_json(facts)
    else:
        print_facts(_flat(facts))


def _facts(file: Path) -> dict[str, Any]:
    if Collection.is_one(file):
        return {"file": str(file), "kind": "collection", **_collection_facts(Collection(file))}
    if file.is_dir() and holds_codes(str(file)):
        return {"file": str(file), "kind": "codes", **_codes_facts(codes_of(str(file)))}
    if not file.is_file():
        check_is_collection(file)  # which it is not: the message says what it is
    with existing_file(file).open("rb") as opened:
        start = opened.read(8)
    if start.startswith(_PARQUET):
        return {"file": str(file), "kind": "codes", **_codes_facts(read_codes(file))}
    if start.startswith(_ARROW):
        index = OrdinalIndex.load(file)
        return {"file": str(file), "kind": "index", **_codes_facts(index), **_index_facts(index)}
    try:
        model = load_model(file)
    except ModelFileError as error:
        if file.suffix.lower() == ".onnx":
            raise
        raise DataError(f"{file} is not a model, a file of codes, an index or a collection; check the path") from error
    values = model.info.to_json()
    del values["spec"]
    values["training"].pop(SYMBOL_SHARES, None)  # a table for programs
    return {"file": str(file), "kind": "model", "model_id": model.id, **_code(model.info.spec), **values}


def _collection_facts(collection: Collection) -> dict[str, Any]:
    info = collection.info()
    facts = {
        "folder": str(info.folder),
        "count": info.count,
        "unusable": info.unusable,
        "failures": [[failure.source, failure.reason] for failure in collection.failures()],
        "hidden": info.hidden,
        **_code(info.spec),
        "model_id": info.model_id,
        "model_path": info.model_path,
    }
    try:
        model = load_model(collection.model())
    except (InputError, DataError, ModelFileError):
        return facts  # reported where the model is used
    why = collection.staleness(model)
    if why:
        return {**facts, "stale": f"{why}; `ordhash sync {info.folder} --relearn` learns a new one"}
    return {**facts, "stale": "no"} if {SYMBOL_SHARES, GENERAL} & model.info.training.keys() else facts


def _index_facts(index: OrdinalIndex) -> dict[str, Any]:
    stats = index.stats
    return {"search": stats.method} | ({} if stats.distinct is None else {"distinct_codes": stats.distinct})


def _codes_facts(table: CodeTable | OrdinalIndex) -> dict[str, Any]:
    codes: OrdinalCodes | OrdinalIndex
    if isinstance(table, OrdinalIndex):
        codes, n_parts = table, table.stats.parts  # without unpacking them
    else:
        codes, n_parts = table.codes, None if table.parts is None else len(table.parts)
    return {
        "count": len(table),
        **_code(codes.spec),
        "model_id": codes.model_id,
        "model_path": table.model_path,
        "keys": "integers" if table.keys.dtype.kind == "i" else "strings",
        "metadata": [] if table.metadata is None else table.metadata.column_names,
        **({} if n_parts is None else {"parts": n_parts}),
    }


def _code(spec: CodeSpec) -> dict[str, int]:
    return {"code_bits": spec.code_bits, "segments": spec.n_segments, "arity": spec.arity}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested values as one level of dotted names; a list of plain values is one value.

    Lists in a list (unusable images with their reasons) are numbered, and only the first are shown.
    """
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(entry, dict) for entry in value):
            for number, entry in enumerate(value, start=1):
                flat[f"{prefix}{name}.{number}"] = ", ".join(f"{part} {entry[part]}" for part in entry)
        elif isinstance(value, list | tuple) and any(isinstance(entry, list | tuple) for entry in value):
            for number, entry in enumerate(value[:_SHOWN], start=1):
                flat[f"{prefix}{name}.{number}"] = ": ".join(str(part) for part in entry)
            if len(value) > _SHOWN:
                flat[f"{prefix}{name}.{_SHOWN + 1}"] = f"... and {len(value) - _SHOWN} more; --json prints all"
        elif isinstance(value, list | tuple):
            flat[prefix + name] = ", ".join(str(entry) for entry in value) or "-"
        else:
            flat[prefix + name] = value if isinstance(value, bool | None) else str(value)
    return flat
