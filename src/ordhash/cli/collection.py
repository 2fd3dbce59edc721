"""``ordhash sync``, ``duplicates``, ``export`` and ``verify``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from ordhash.cli.errors import needs_extra
from ordhash.cli.options import Exclude, Force, Json, refuse_idle
from ordhash.cli.output import failures_as_json, print_json, report_failures, report_unread, say, tell, visible
from ordhash.cli.sources import check_codes_output, check_is_collection
from ordhash.collection import NEAR_DUPLICATE, Collection, SyncReport, collection_of_moved
from ordhash.errors import InputError, OrdhashError
from ordhash.model import GENERAL, Encoder, load_model

__all__ = ["duplicates", "export", "sync", "verify"]

Existing: TypeAlias = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="A collection made by `ordhash sync`.", show_default=False)
]


# Most of its lines are its options.
def sync(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of images.", show_default=False)],
    model: Annotated[
        Path | None,
        typer.Option(
            help="A model.onnx to encode the images with.  [default: the collection's; for a new collection, one "
            "learned from the images without labels, or the general model if there are fewer than 500]",
            show_default=False,
        ),
    ] = None,
    collection: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the collection, created if missing.  [default: FOLDER.ordhash]", show_default=False
        ),
    ] = None,
    reencode: Annotated[
        bool, typer.Option("--reencode", help="Encode everything again if --model differs from the collection's model.")
    ] = False,
    relearn: Annotated[
        bool,
        typer.Option("--relearn", help="Learn a new model from the current images, and encode everything again."),
    ] = False,
    exclude: Exclude = None,
    undelete: Annotated[
        bool,
        typer.Option(
            "--undelete", help="Restore images that were deleted from the collection but are still in the folder."
        ),
    ] = False,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Also forget missing images where a disk may be missing: in a folder that is empty or was mounted.",
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until no other process is changing the collection.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a folder of images searchable, and keep its collection up to date.

    New and changed images are encoded, missing ones are removed. Run the same command again to continue an interrupted
    sync. Images that cannot be used are reported and skipped; the exit status is then 1. Later syncs only count them,
    until they change.
    """
    if Collection.is_one(folder):
        images = Collection(folder).info().folder
        raise InputError(f"{folder} is a collection; give its folder of images, as in `ordhash sync {images}`")
    if collection is None:
        collection = _usual_collection(folder)
    if model and relearn:
        raise InputError("--relearn trains a new model and --model gives one; use only one of them")
    refuse_idle(ctx, "reencode", unless=model is not None, why="without --model")
    options: dict[str, Any] = {
        "exclude": exclude,
        "undelete": undelete,
        "forget": forget,
        "wait": wait,
        "progress": True,
    }
    made = Collection(collection)
    if model is None and (relearn or not Collection.is_one(collection)):
        report = _learn_and_sync(made, folder, relearn=relearn, **options)
    else:
        report = made.sync(folder, Encoder(model or made.model()), reencode=reencode, **options)
    if report.moved_from is not None:
        say(
            f"{collection}: the images have moved from {visible(report.moved_from)} to {visible(str(folder.resolve()))}"
        )
    _say_if_stale(made)
    report_failures(report.failures)
    report_unread(report.unread)
    if report.remembered and not as_json:
        still = "1 image" if report.remembered == 1 else f"{report.remembered:,} images"
        say(f"not used: {still} of earlier syncs; `ordhash info {collection} --json` lists all unusable ones")
    if as_json:
        values = dataclasses.asdict(dataclasses.replace(report, failures=[]))
        print_json({"collection": str(collection), **values, "failures": failures_as_json(report.failures)})
    else:
        tell(
            f"{collection}: {report.encoded} encoded, {report.reused} moved or copied, {report.forgotten} removed, "
            f"{report.unchanged} unchanged, {len(report.failures) + report.remembered} unusable"
            + (f", {report.hidden} deleted earlier" if report.hidden else "")
            + (f", {report.kept} missing but not forgotten" if report.kept else "")
        )
    if report.failures:
        raise typer.Exit(1)


def _usual_collection(folder: Path) -> Path:
    """The collection of a folder for which none is given.

    Raises:
        InputError: It would be a new one, and one that was made before the folder was renamed fits.
    """
    usual = Path(f"{folder.resolve()}.ordhash")
    before = None if Collection.is_one(usual) or not folder.is_dir() else collection_of_moved(folder)
    if before is not None:
        raise InputError(
            f"{before} is the collection of these images, from before {folder} was renamed; give --collection {before} "
            f"to go on with it, or --collection {usual} for a new one"
        )
    return usual


def _learn_and_sync(collection: Collection, folder: Path, **options: Any) -> SyncReport:
    with needs_extra("learn", "learning a model (no --model was given)"):
        from ordhash.ownmodel import sync_without_model
    report, trained = sync_without_model(
        collection, folder, tell=lambda sentence: say(f"{collection.path}: {sentence}"), **options
    )
    if trained is not None and trained.general:
        say(f"{collection.path}: too few photographs to learn from, so the general model is used")
    elif trained is not None:
        say(f"{collection.path}: learned a model from the photographs in {trained.seconds:.0f} s")
    return report


def _say_if_stale(collection: Collection) -> None:
    """Tell the user if there are now enough photographs to replace the general model by a learned one."""
    try:
        model = load_model(collection.model())
    except OrdhashError:
        return  # reported where the model is used
    why = collection.staleness(model) if GENERAL in model.info.training else None
    if why:
        say(f"{collection.path}: {why}; use --relearn to learn a new one")


def duplicates(
    collection: Existing,
    near: Annotated[
        bool,
        typer.Option(
            "--near", help="Include near-duplicates: the same picture, rescaled, recompressed, turned or mirrored."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List images with identical files, or that show the same picture.

    Links to a file of the folder are not listed as its copies.
    """
    check_is_collection(collection)
    found = Collection(collection).duplicates(distance=NEAR_DUPLICATE if near else None, progress=True)
    for number, keys in enumerate(found.groups, start=1):
        if as_json:
            print_json({"group": number, "keys": keys})
        else:
            print("\n".join(visible(key) for key in keys), end="\n\n")
    if not found.groups and not as_json:
        print("no duplicates")
    if found.outdated:
        images = "1 image is" if found.outdated == 1 else f"{found.outdated:,} images are"
        say(f"not compared: {images} missing, or changed after the last sync; sync again")


def export(
    collection: Existing,
    out: Annotated[Path, typer.Argument(metavar="CODES.parquet", help="File for the codes.", show_default=False)],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write codes, keys and metadata of a collection to a Parquet file, like `ordhash encode`."""
    check_is_collection(collection)
    check_codes_output(out, force=force, read=())
    written = Collection(collection).export(out)
    if as_json:
        print_json({"out": str(out), "written": written})
    else:
        tell(f"{out}: written {written} codes")


def verify(
    collection: Existing,
    photographs: Annotated[
        bool,
        typer.Option("--photographs", help="Also read every photograph and check its content."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check every row of a collection's catalogue, and its index; the exit status is 1 if anything is damaged."""
    check_is_collection(collection)
    damages = Collection(collection).verify(photographs=photographs, progress=True)
    if as_json:
        print_json({"collection": str(collection), "damages": damages})
    else:
        print("\n".join(map(visible, damages)) or f"{collection}: no damage found")
    if damages:
        raise typer.Exit(1)
