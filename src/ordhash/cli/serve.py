"""``ordhash serve``: a collection as a web page and an HTTP API."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from ordhash.cli.errors import needs_extra
from ordhash.cli.options import Model
from ordhash.cli.output import visible
from ordhash.cli.sources import check_is_collection

__all__ = ["serve"]


def serve(
    collection: Annotated[
        Path, typer.Argument(metavar="COLLECTION", help="A collection made by `ordhash sync`.", show_default=False)
    ],
    model: Model = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but a loopback address requires a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="ORDHASH_TOKEN",
            help="Token that clients must send, 16 characters or more; generated if required and not given.",
            show_default=False,
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Disable adding and deleting photographs and starting a sync.")
    ] = False,
    originals: Annotated[
        bool, typer.Option("--originals", help="Let clients fetch original files, with their metadata (place, camera).")
    ] = False,
    upload_mb: Annotated[int, typer.Option(help="Largest request, in megabytes.")] = 32,
    megapixels: Annotated[int, typer.Option(help="Largest query image, in millions of pixels.")] = 100,
    waiting: Annotated[int, typer.Option(help="Longest queue of requests; more are refused.")] = 64,
    seconds: Annotated[float, typer.Option(help="Time limit of a request.")] = 30.0,
) -> None:
    """Serve a collection to browsers and programs; Ctrl-C stops it.

    The page is at /, the API at /v1/openapi.json. The page loads nothing from other servers.
    """
    with needs_extra("serve", "serving"):
        from ordhash.service import Library, ServiceSettings, end_process, is_loopback, run
    check_is_collection(collection)
    drawn = None if is_loopback(host) or token else secrets.token_urlsafe(24)
    settings = ServiceSettings(
        host=host,
        port=port,
        token=token or drawn,
        changes=not read_only,
        originals=originals,
        upload_bytes=upload_mb * 1_000_000,
        pixels=megapixels * 1_000_000,
        waiting=waiting,
        seconds=seconds,
    )
    library = Library(collection, model, pixels=settings.pixels)

    def tell(address: str) -> None:
        # A token given by the user is not printed, since output ends up in logs.
        question = f"?token={drawn}" if drawn else ("?token=TOKEN" if token else "")
        place = visible(str(collection))
        print(f"{len(library):,} photographs of {place} at {address}/{question} (Ctrl-C stops)", flush=True)

    try:
        run(library, settings, tell)
    except KeyboardInterrupt:  # the usual way to stop it
        print("stopped", file=sys.stderr)
        end_process(0)
