"""Options that several commands share, with one name and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

__all__ = ["DEFAULT_ROOT", "Force", "Json", "Milvus", "Model", "Part", "Root", "Server", "Sources", "Token"]

DEFAULT_ROOT = Path("data")

Root: TypeAlias = Annotated[Path, typer.Option(help="Folder of data sets, as `ordhash data get` fills it.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of text.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
Model: TypeAlias = Annotated[Path | None, typer.Option(help="A model.onnx that `ordhash train` wrote.")]
Part: TypeAlias = Annotated[
    Literal["train", "query", "database"] | None, typer.Option(help="Part of a protocol; database if not given.")
]
_MILVUS = typer.Option(metavar="URI", help="A Milvus server, as http://localhost:19530.", show_default=False)
Milvus: TypeAlias = Annotated[str | None, _MILVUS]
Server: TypeAlias = Annotated[str, _MILVUS]
Token: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="ORDHASH_MILVUS_TOKEN",
        help="For a Milvus server that asks who calls: user:password, or a key. Other users of the machine see "
        "arguments, so the variable is safer.",
        show_default=False,
    ),
]
Sources: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="A folder (its sub-folders are classes), a manifest (.csv or .parquet), a protocol, or images.",
        show_default=False,
    ),
]
