"""Options shared by commands, and the check that none is without effect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from ordhash.data import TABLES, ClassFolders
from ordhash.errors import InputError
from ordhash.support import is_address

__all__ = [
    "DEFAULT_ROOT",
    "Cache",
    "Classes",
    "Exclude",
    "Force",
    "Json",
    "Milvus",
    "Model",
    "Parts",
    "Root",
    "Server",
    "Sources",
    "Split",
    "Token",
    "folder_options",
    "refuse_idle",
    "was_given",
]

DEFAULT_ROOT = Path("data")

Root: TypeAlias = Annotated[Path, typer.Option(help="Folder of data sets, filled by `ordhash data get`.")]
Cache: TypeAlias = Annotated[Path, typer.Option(help="Folder for feature maps and exported backbones.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of text.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
Model: TypeAlias = Annotated[Path | None, typer.Option(help="A model.onnx written by `ordhash train`.")]
Parts: TypeAlias = Annotated[
    bool,
    typer.Option("--parts", help="Also encode up to eight parts of each image that show something of their own."),
]
Split: TypeAlias = Annotated[
    Literal["train", "query", "database"] | None,
    typer.Option(help="Which images of a protocol.  [default: database]"),
]
_MILVUS = typer.Option(metavar="URI", help="A Milvus server, such as http://localhost:19530.", show_default=False)
Milvus: TypeAlias = Annotated[str | None, _MILVUS]
Server: TypeAlias = Annotated[str, _MILVUS]
Token: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="ORDHASH_MILVUS_TOKEN",
        help="Credentials for the Milvus server: user:password, or a key. Other users of this machine can see "
        "arguments, so the environment variable is safer.",
        show_default=False,
    ),
]
Sources: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help=f"A folder (its sub-folders are classes), a manifest ({TABLES}), a protocol, or images.",
        show_default=False,
    ),
]


Classes: TypeAlias = Annotated[
    ClassFolders,
    typer.Option(
        help="Sub-folders that are classes: those of the first level (top), or those that hold the images (leaf); "
        "auto takes the first level unless it only groups other folders."
    ),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out files and folders of a folder, by a pattern as in a .gitignore, such as raw/ or '*.png'; may "
        "be repeated. A file .ordhashignore in the folder does the same.",
        show_default=False,
    ),
]


def folder_options(ctx: typer.Context, source: str) -> dict[str, Any]:
    """The options --classes and --exclude of a command, as the readers of folders take them.

    Raises:
        InputError: One was given and the source is not a folder.
    """
    if not (is_address(source) or Path(source).is_dir()):
        refuse_idle(ctx, "classes", "exclude", unless=False, why=f"on {source}, which is not a folder")
        return {}
    given = {name: ctx.params.get(name) for name in ("classes", "exclude")}
    return {name: value for name, value in given.items() if value}


def was_given(ctx: typer.Context, name: str) -> bool:
    """Whether an option was typed; a value from the environment may be meant for other commands."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse_idle(ctx: typer.Context, *names: str, unless: bool, why: str) -> None:
    """Refuse options without effect.

    Args:
        ctx: Context of the command.
        names: Parameters of the command.
        unless: Whether they have an effect.
        why: End of the sentence, as in "without --milvus".

    Raises:
        InputError: One of the options was given and has no effect.
    """
    if unless:
        return
    idle = sorted(
        (parameter.secondary_opts or parameter.opts if ctx.params[parameter.name] is False else parameter.opts)[0]
        for parameter in ctx.command.params
        if parameter.name in names and was_given(ctx, parameter.name)
    )
    if idle:
        verb, them = ("has", "it") if len(idle) == 1 else ("have", "them")
        raise InputError(f"{', '.join(idle)} {verb} no effect {why}; leave {them} out")
