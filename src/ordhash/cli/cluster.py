"""``ordhash push`` and ``pull``, and ``ordhash encode --engine ray``."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ordhash.cli.errors import needs_extra
from ordhash.cli.options import Force, Json, Server, Token, folder_options, refuse_idle
from ordhash.cli.output import failures_as_json, print_json, report_failures, report_unread, say, tell
from ordhash.cli.sources import check_codes_output, check_exist, codes_of, images_of
from ordhash.codes import write_codes
from ordhash.data import is_table_name
from ordhash.support import Location, is_address, name_of, without_password

if TYPE_CHECKING:
    from ordhash.milvus import MilvusIndex

__all__ = ["encode_with_ray", "milvus_index", "pull", "push"]


def push(
    source: Annotated[
        str,
        typer.Argument(
            metavar="COLLECTION",
            help="A collection, an index, or codes; also at an address.",
            show_default=False,
        ),
    ],
    milvus: Server,
    name: Annotated[
        str | None,
        typer.Option(help="Name on the server.  [default: name of the file or folder]", show_default=False),
    ] = None,
    token: Token = "",
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Replace what is there if it has another model, folder or columns.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy a collection to a Milvus server: send new codes, replace changed ones, delete the others.

    Run the same command again to continue an interrupted push.
    """
    table, location = codes_of(source), Location(source)
    index = milvus_index(milvus, name or Path(location.path).name, token=token)
    report = index.push(table, source=name_of(location), replace=replace, progress=True)
    server = without_password(milvus)
    if as_json:
        print_json({"name": index.name, "milvus": server, **dataclasses.asdict(report)})
    else:
        done = f"{report.upserted} written, {report.deleted} deleted, {report.unchanged} unchanged"
        done += "" if report.parts is None else f"; {report.parts} parts"
        tell(f"{index.name} at {server}: {done}")


def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name given to `ordhash push`.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="CODES.parquet", help="File for the codes.", show_default=False)],
    milvus: Server,
    token: Token = "",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write codes, keys and metadata from a Milvus server to a Parquet file, like `ordhash encode`."""
    check_codes_output(out, force=force, read=())
    table = milvus_index(milvus, name, token=token).pull(progress=True)
    write_codes(out, table.codes, table.keys, table.metadata, model_path=table.model_path, parts=table.parts)
    if as_json:
        print_json({"out": str(out), "written": len(table)})
    else:
        tell(f"{out}: wrote {len(table)} codes")


def encode_with_ray(
    ctx: typer.Context,
    sources: list[str],
    split: str | None,
    root: Path,
    model: Path,
    out: str,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Run `ordhash encode --engine ray`."""
    with needs_extra("cluster", "--engine ray"):
        from ordhash.ray import encode_on_ray
    check_exist(sources)
    alone = len(sources) == 1 and split is None
    named = alone and (is_address(sources[0]) or Path(sources[0]).is_dir() or is_table_name(sources[0]))
    if named:
        refuse_idle(ctx, "root", unless=False, why=f"on {sources[0]}, which is not a protocol")
        options |= folder_options(ctx, sources[0])
    images = sources[0] if named else images_of(ctx, sources, split, root)
    try:
        # Ray prints about its nodes to stdout, which is for results.
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            report = encode_on_ray(images, model, out, **options)
    except KeyboardInterrupt:
        say(f"finished shards stay in {without_password(out)}; run the same command again to continue")
        raise
    out = without_password(out)
    report_failures(report.failures)
    report_unread(report.unread)
    if report.of_then is not None:
        say(f"{out}: holds the {report.of_then} images listed when it was started; for a new list, give another folder")
    if as_json:
        facts = {"out": out, "written": report.written, "shards": report.shards, "encoded": report.encoded}
        print_json({**facts, "failures": failures_as_json(report.failures)})
    else:
        unusable = len(report.failures)
        bad = f"; {unusable} {'image' if unusable == 1 else 'images'} could not be used" if unusable else ""
        there = report.shards - report.encoded
        before = f" ({there} already there)" if there else ""
        tell(f"{out}: wrote {report.written} codes in {report.shards} shards{before}{bad}")
    if report.failures:
        raise typer.Exit(1)


def milvus_index(uri: str, name: str, **options: Any) -> MilvusIndex:
    """A collection on a Milvus server, by its name or that of the pushed file or folder.

    Raises:
        MissingPartError: The client is not installed.
        InputError: The address is not a valid URI.
        ServerError: The server cannot be reached.
    """
    with needs_extra("cluster", "a Milvus server"):
        from ordhash.milvus import MilvusIndex, collection_name
    return MilvusIndex(uri, collection_name(name), **options)
