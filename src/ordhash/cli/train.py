"""``ordhash train``: learn codes from images."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ordhash.cli.classes import check_classes, say_classes
from ordhash.cli.errors import needs_extra
from ordhash.cli.options import DEFAULT_ROOT, Cache, Classes, Exclude, Json, Root, folder_options, refuse_idle
from ordhash.cli.output import failures_as_json, print_facts, print_json, report_failures, report_unread, say
from ordhash.cli.settings import OPTIONS, fields_of, option_of, with_settings
from ordhash.cli.sources import check_is_collection, read_source
from ordhash.collection import Collection
from ordhash.data import TABLES, ImageSet, Protocol, read_manifest, read_photographs
from ordhash.errors import InputError, did_you_mean
from ordhash.learn import DEFAULT_CACHE, DOHConfig, TrainConfig

if TYPE_CHECKING:
    from ordhash.learn import TrainResult

__all__ = ["train"]

_NETWORK = "network"
_SHALLOW_OPTIONS = {
    "code_bits",
    "backbone",
    "weights",
    "normalisation",
    "tensor",
    "image_size",
    "fit",
    "mirror",
    "seed",
}


_OUT = typer.Option(file_okay=False, help="Folder for model.onnx.", show_default=False)


@with_settings
def train(
    ctx: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help=f"A folder with one sub-folder per class, a manifest ({TABLES}) with labels, or a protocol.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, _OUT] = None,
    collection: Annotated[
        Path | None,
        typer.Option(
            help="Instead of SOURCE and --out: a collection made by `ordhash sync`. Its model is retrained with "
            "--labels, and its photographs are encoded again.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS.csv",
            help=f"Labels for some photographs of the collection: a table ({TABLES}) with columns path (as in the "
            "collection) and labels (separated by ;). They replace earlier labels.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="network, trained with --objective; or a shallow method, fitted to features of the backbone. "
            "`ordhash methods` lists them."
        ),
    ] = _NETWORK,
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Photographs of anything else: training images are pasted into them, to find what is small in others. "
            "With labels and a frozen backbone, those that look like training images are left out.",
            show_default=False,
        ),
    ] = None,
    *,
    settings: dict[str, Any],
    wait: Annotated[
        bool, typer.Option("--wait", help="With --collection: wait until no other process is changing it.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Train again, and replace the model in --out.")] = False,
    classes: Classes = "auto",
    exclude: Exclude = None,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: Json = False,
) -> None:
    """Learn codes from images and write model.onnx.

    Run the same command again to continue an interrupted training. A finished training in --out is not repeated,
    unless --force is given.
    """
    if collection or labels:
        if not (collection and labels) or source or out or method != _NETWORK:
            raise InputError("use --collection and --labels together, without SOURCE, --out and --method")
        own = [option_of(field.name) for field in dataclasses.fields(TrainConfig) if field.name in OPTIONS]
        without_effect = (*own, "force", "cache", "root", "classes", "exclude", "backgrounds")
        refuse_idle(ctx, *without_effect, unless=False, why="with --collection")
        _learn_labels(collection, labels, settings, wait, as_json)
        return
    if not (source and out):
        raise InputError("give SOURCE and --out, or --collection and --labels")
    refuse_idle(ctx, "wait", unless=False, why="without --collection")
    shallow = method != _NETWORK
    if shallow:
        idle = OPTIONS.keys() - _options_of_shallow(method)
        refuse_idle(ctx, "backgrounds", *map(option_of, idle), unless=False, why=f"with --method {method}")
    else:
        refuse_idle(ctx, "scenes", unless=backgrounds is not None, why="without --backgrounds")
        _refuse_idle_settings(ctx, settings)
    found = _read(ctx, source, root, labelled="use_labels" not in settings)
    places = {"out": out, "protocol": source, "overwrite": force, "progress": True, "cache": cache}
    if shallow:
        _fit_shallow(method, found, settings, places, as_json)
    else:
        _train_network(ctx, found, _read_backgrounds(backgrounds), settings, places, as_json)


def _read(ctx: typer.Context, source: str, root: Path, *, labelled: bool) -> ImageSet | Protocol:
    """The training images of a folder or a manifest, or a protocol."""
    if not labelled and Path(source).is_dir():
        refuse_idle(ctx, "classes", unless=False, why="with --no-labels")
        options = folder_options(ctx, source)
        found: ImageSet | Protocol = read_photographs(source, options.get("exclude", ()))
    else:
        found = read_source(ctx, source, root)
        if isinstance(found, ImageSet) and Path(source).is_dir():
            check_classes(source, found)
    if isinstance(found, ImageSet):
        report_unread(found.passed_over.unread)
    refuse_idle(ctx, "root", unless=isinstance(found, Protocol), why=f"on {source}, which is not a protocol")
    return found


def _read_backgrounds(folder: Path | None) -> ImageSet | None:
    if folder is None:
        return None
    found = read_photographs(folder)
    report_unread(found.passed_over.unread)
    return found


def _refuse_idle_settings(ctx: typer.Context, settings: dict[str, Any]) -> None:
    """Refuse settings of the network without effect beside another one."""
    frozen = settings.get("mode") == "frozen" or "use_labels" in settings
    for idle, unless, why in (
        (("validation_fraction", "correct_labels"), "use_labels" not in settings, "with --no-labels"),
        (("hidden", "hidden_dropout"), "use_global" not in settings, "with --no-global"),
        (("local_hidden", "attention"), "use_local" not in settings, "with --no-local"),
        (("crop",), "augment" not in settings, "with --no-augment"),
        (("backbone_learning_rate", "crop", "strong_augment", "workers"), not frozen, "with a frozen backbone"),
    ):
        refuse_idle(ctx, *idle, unless=unless, why=why)


def _train_network(
    ctx: typer.Context,
    found: ImageSet | Protocol,
    backgrounds: ImageSet | None,
    settings: dict[str, Any],
    places: dict[str, Any],
    as_json: bool,
) -> None:
    with needs_extra("learn", "training"):
        from lightning_fabric.utilities.rank_zero import rank_zero_only

        from ordhash.learn import train as train_network
    images, validation = (found.train, found.validation) if isinstance(found, Protocol) else (found, None)
    if isinstance(found, Protocol) and backgrounds is None:
        backgrounds = found.backgrounds
    refuse_idle(ctx, "validation_fraction", unless=validation is None, why="on a protocol that has validation images")
    config, how = DOHConfig(**fields_of(DOHConfig, settings)), TrainConfig(**fields_of(TrainConfig, settings))
    first = not getattr(rank_zero_only, "rank", 0)  # only one of several processes prints
    if first:
        say_classes(images)
    result = train_network(images, config, how, validation=validation, backgrounds=backgrounds, **places)
    if first:
        for read in (backgrounds, images):
            result = result if read is None else _with_passed_over(result, read)
        _print_result(result, as_json)


def _learn_labels(collection: Path, labels: Path, settings: dict[str, Any], wait: bool, as_json: bool) -> None:
    with needs_extra("learn", "training"):
        from ordhash.ownmodel import learn_labels
    check_is_collection(collection)
    report, trained, unknown = learn_labels(
        Collection(collection),
        read_manifest(labels),
        config=DOHConfig(**settings) if settings else None,
        wait=wait,
        progress=True,
        tell=lambda sentence: say(f"{collection}: {sentence}"),
    )
    if unknown:
        say(f"{labels}: {len(unknown)} labels match no photograph of the collection; the first is {unknown[0]!r}")
    say(f"{collection}: {report.encoded} photographs encoded by the new model")
    _print_result(dataclasses.replace(trained, failures=tuple(report.failures)), as_json)


def _print_result(result: TrainResult, as_json: bool) -> None:
    report_failures(result.failures)
    if as_json:
        values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        print_json({**values, "model": str(result.model), "failures": failures_as_json(result.failures)})
        return
    facts: dict[str, Any] = {"model": result.model}
    if result.kept_epoch:  # shallow methods have no epochs
        quality = result.validation_map
        facts["validation mAP"] = "not measured (no labelled validation images)" if quality is None else quality
        facts["kept epoch"] = result.kept_epoch
    facts["time"] = f"{result.seconds:.1f} s"
    facts["reused"] = "yes, this training was already finished" if result.reused else "no"
    if result.wrong_labels is not None:
        corrected = f"; {result.corrected:,} corrected, see corrected.csv" if result.corrected else ""
        facts["labels that look wrong"] = f"about {100 * result.wrong_labels:.0f} %{corrected}"
    facts["images left out"] = len(result.failures)
    print_facts(facts)


def _options_of_shallow(method: str) -> set[str]:
    """The settings of a shallow method.

    Raises:
        InputError: The method is unknown; raised before images are read.
    """
    with needs_extra("learn", "training"):
        from ordhash.learn.shallow import SHALLOW_METHODS
    if method not in SHALLOW_METHODS:
        known = [_NETWORK, *SHALLOW_METHODS]
        raise InputError(f"--method must be one of {', '.join(known)}, not {method!r}{did_you_mean(method, known)}")
    learns_from_labels = SHALLOW_METHODS[method].supervision == "labels"
    return _SHALLOW_OPTIONS | ({"stages"} if learns_from_labels else set())


def _fit_shallow(
    method: str, found: ImageSet | Protocol, settings: dict[str, Any], places: dict[str, Any], as_json: bool
) -> None:
    with needs_extra("learn", "training"):
        from ordhash.learn.shallow import SHALLOW_METHODS, fit_shallow
    config = DOHConfig(arity=2, **fields_of(DOHConfig, settings))
    seed = {"seed": settings["seed"]} if "seed" in settings else {}
    images = found.train if isinstance(found, Protocol) else found
    if SHALLOW_METHODS[method].supervision == "labels":
        say_classes(images)
    result = fit_shallow(method, images, config, **seed, **places)
    _print_result(_with_passed_over(result, images), as_json)


def _with_passed_over(result: TrainResult, images: ImageSet) -> TrainResult:
    """A result that counts what the reader of a folder could not read among what was left out."""
    return dataclasses.replace(result, failures=(*images.passed_over.failures, *result.failures))
