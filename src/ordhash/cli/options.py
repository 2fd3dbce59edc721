"""Options that several commands share, with one name and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

__all__ = ["DEFAULT_ROOT", "Force", "Json", "Model", "Part", "Root", "Sources"]

DEFAULT_ROOT = Path("data")

Root: TypeAlias = Annotated[Path, typer.Option(help="Folder of data sets, as `ordhash data get` fills it.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of text.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
Model: TypeAlias = Annotated[Path | None, typer.Option(help="A model.onnx that `ordhash train` wrote.")]
Part: TypeAlias = Annotated[
    Literal["train", "query", "database"] | None, typer.Option(help="Part of a protocol; database if not given.")
]
Sources: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="A folder (its sub-folders are classes), a manifest (.csv or .parquet), a protocol, or images.",
        show_default=False,
    ),
]
