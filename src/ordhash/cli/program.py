"""The program: its commands."""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

import ordhash
from ordhash.cli.bench import bench
from ordhash.cli.cluster import pull, push
from ordhash.cli.codes import encode, index
from ordhash.cli.collection import duplicates, export, sync, verify
from ordhash.cli.data import data_get, data_list
from ordhash.cli.errors import Commands
from ordhash.cli.evaluate import evaluate
from ordhash.cli.info import info
from ordhash.cli.methods import methods
from ordhash.cli.quantize import quantize
from ordhash.cli.search import search
from ordhash.cli.serve import serve
from ordhash.cli.train import train

__all__ = ["app", "run"]

_HELP_NAMES = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=Commands,
    help="Image retrieval with learned ordinal hash codes.",
    epilog="Exit status: 0 success, 1 failure or unusable images, 2 wrong use, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help and errors; Rich truncates and wraps option tables at 80 columns
    pretty_exceptions_enable=False,
    context_settings=_HELP_NAMES,
)
# In the order of the help: a collection first, then models, files of codes, other engines, data sets.
app.command(short_help="Make a folder of images searchable, or update it.")(sync)
app.command()(search)
app.command(short_help="Serve a collection as a web page and an HTTP API.")(serve)
app.command(short_help="List images with identical files, or near-duplicates.")(duplicates)
app.command(short_help="Check a collection for damage.")(verify)
app.command(short_help="Write the codes of a collection to a file.")(export)
app.command(short_help="Show what a file or a collection contains.")(info)
app.command()(train)
app.command(short_help="List objectives and shallow methods with their papers.")(methods)
app.command(short_help="Measure a model on a protocol or on your own images.")(evaluate)
app.command(short_help="Run the comparison that a recipe describes.")(bench)
app.command(short_help="Write an 8-bit variant of a model.")(quantize)
app.command(short_help="Encode images into a file of codes.")(encode)
app.command(short_help="Build an index from images or from a file of codes.")(index)
app.command(short_help="Copy a collection to a Milvus server.")(push)
app.command(short_help="Write codes from a Milvus server to a file.")(pull)
_data = typer.Typer(help="Public data sets and the protocols on them.", no_args_is_help=True, rich_markup_mode=None)
_data.command("list")(data_list)
_data.command("get")(data_get)
app.add_typer(_data, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ordhash {ordhash.__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command that was typed."""
    # Pillow's warnings on odd EXIF blocks do not help users; unusable images are reported anyway.
    warnings.filterwarnings("ignore", module="PIL")
    if sys.stdout is None or sys.stderr is None:  # closed by the shell
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115, until the process ends
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):  # names of files may have letters that the terminal has not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
