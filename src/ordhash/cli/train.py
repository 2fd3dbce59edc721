"""``ordhash train``: learn codes from images. The only command that needs PyTorch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from ordhash.cli.errors import needs_extra
from ordhash.cli.options import DEFAULT_ROOT, Json, Root
from ordhash.cli.output import failures_as_json, print_facts, print_json, report_failures, say
from ordhash.cli.sources import read_source
from ordhash.collection import Collection
from ordhash.data import ImageSet, Protocol, read_manifest, read_photographs
from ordhash.errors import InputError

if TYPE_CHECKING:
    from ordhash.learn import TrainResult

__all__ = ["TrainCommand", "train"]

_SWITCHES = {
    "no_global": "use_global",
    "no_local": "use_local",
    "no_attention": "use_attention",
    "no_augment": "augment",
    "no_labels": "use_labels",
}
_METHOD_HELP = "doh learns a network; a shallow method is fitted to features of the backbone"
_SHALLOW_OPTIONS = {"code_bits", "backbone", "weights", "image_size", "fit", "mirror", "seed"}


class TrainCommand(TyperCommand):
    """Fills in the help what only the learning half knows: the defaults, and the names of methods and objectives."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        try:
            from ordhash.learn import DEFAULT_CACHE, DOHConfig, TrainConfig
            from ordhash.learn.objectives import OBJECTIVES
            from ordhash.learn.shallow import SHALLOW_METHODS
        except ImportError:
            pass  # the help is of use without them
        else:
            fields = (*dataclasses.fields(DOHConfig), *dataclasses.fields(TrainConfig))
            defaults = {field.name: field.default for field in fields if not isinstance(field.default, bool)}
            defaults["cache"] = DEFAULT_CACHE
            for option in self.params:
                if option.name in defaults:
                    option.default = defaults[option.name]
                if option.name == "objective":
                    option.help = f"Objective: {', '.join(OBJECTIVES)}."  # type: ignore[attr-defined]
                if option.name == "method":
                    option.help = f"{_METHOD_HELP}: {', '.join(SHALLOW_METHODS)}."  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def train(
    ctx: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with one sub-folder a class, a manifest (.csv or .parquet) with labels, or a protocol.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for model.onnx.", show_default=False)] = None,
    collection: Annotated[
        Path | None,
        typer.Option(
            help="Instead of SOURCE and --out: a collection that `ordhash sync` made, whose model is learned anew with "
            "--labels, and everything encoded by it.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS.csv",
            help="Labels of some photographs of the collection: the columns path, as the collection names them, and "
            "labels, separated by ;. They take the place of those given before.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[str, typer.Option(help=f"{_METHOD_HELP}.")] = "doh",
    # Options that are fields of DOHConfig and TrainConfig carry their names; None leaves the default of the field.
    code_bits: Annotated[int | None, typer.Option(help="Length of a code in bits.")] = None,
    arity: Annotated[int | None, typer.Option(help="Scores that compete in a segment, a power of two.")] = None,
    objective: Annotated[str | None, typer.Option(help="Name of an objective.")] = None,
    backbone: Annotated[str | None, typer.Option(help="timm's name of a convolutional network, or alexnet.")] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="pretrained|none|FILE", help="Weights that the backbone starts from.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the square that the backbone sees, in pixels.")
    ] = None,
    fit: Annotated[
        Literal["squash", "crop"] | None, typer.Option(help="Show the whole picture, or its middle square.")
    ] = None,
    stages: Annotated[
        int | None, typer.Option(help="Feature maps of the backbone that are joined, the last one counted.")
    ] = None,
    mirror: Annotated[
        bool | None,
        typer.Option("--mirror", help="Average features over a picture and its mirror image, for twice the time."),
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of the global stream.")] = None,
    local_hidden: Annotated[int | None, typer.Option(help="Channels of the local stream.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of features dropped in training.")] = None,
    hidden_dropout: Annotated[
        float | None, typer.Option(help="Share of the global stream's hidden values dropped in training.")
    ] = None,
    no_global: Annotated[bool, typer.Option("--no-global", help="Without the global stream.")] = False,
    no_local: Annotated[bool, typer.Option("--no-local", help="Without the local stream.")] = False,
    no_attention: Annotated[bool, typer.Option("--no-attention", help="Without spatial attention.")] = False,
    mode: Annotated[
        Literal["auto", "frozen", "finetune"] | None,
        typer.Option(help="Train the head on features computed once, or everything; auto: everything on a GPU."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step, over all processes together.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate of the head.")] = None,
    backbone_learning_rate: Annotated[
        float | None, typer.Option(help="Highest learning rate of the backbone when fine-tuning.")
    ] = None,
    no_labels: Annotated[
        bool, typer.Option("--no-labels", help="Learn from the images' own neighbourhoods, whatever their labels.")
    ] = False,
    correct_labels: Annotated[
        bool | None,
        typer.Option(
            "--correct-labels/--keep-labels",
            help="Learn other labels where given ones are probably wrong, or never.  [default: of three classes "
            "or more, one for every image, with a hundred images on average, where a tenth or more looks wrong]",
            show_default=False,
        ),
    ] = None,
    no_augment: Annotated[bool, typer.Option("--no-augment", help="Without mirrored and cropped images.")] = False,
    crop: Annotated[
        float | None, typer.Option(help="When fine-tuning, least share of a picture that a random crop keeps.")
    ] = None,
    strong_augment: Annotated[
        bool | None,
        typer.Option("--strong-augment", help="When fine-tuning, change pictures more: for few images, many epochs."),
    ] = None,
    validation_fraction: Annotated[
        float | None, typer.Option(help="Share of each class held out to choose the epoch.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of whatever is drawn at random.")] = None,
    precision: Annotated[
        Literal["32-true", "bf16-mixed", "16-mixed"] | None, typer.Option(help="Precision of the numbers.")
    ] = None,
    accelerator: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda", help="Where to train.")] = None,
    devices: Annotated[str | None, typer.Option(metavar="N|auto", help="Processes on this machine.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that decode images when fine-tuning.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="With --collection, wait for another sync of it or learning for it to end.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Train anew, and replace the model in the folder.")] = False,
    root: Root = DEFAULT_ROOT,
    cache: Annotated[Path | None, typer.Option(help="Folder of feature maps and exported backbones.")] = None,
    as_json: Json = False,
) -> None:
    """Learn codes from images and write model.onnx.

    An interrupted training goes on where it was when the same command is run again; a finished one in --out is not done
    again, unless --force asks for it.
    """
    chosen = _chosen(ctx.params)
    if collection or labels:
        if not (collection and labels) or source or out or method != "doh":
            raise InputError("--collection and --labels go together, without SOURCE, --out and --method")
        others = {"force": force, "cache": cache is not None, "root": root != DEFAULT_ROOT}
        given = [name for name, changed in others.items() if changed]
        _learn_labels(collection, labels, chosen, given, wait, as_json)
        return
    if not (source and out):
        raise InputError("give SOURCE and --out, or --collection and --labels")
    if method != "doh":
        without_effect = _option_names(set(chosen) - _options_of_shallow(method))
        if without_effect:
            raise InputError(f"--method {method} has no use for {', '.join(sorted(without_effect))}; leave it out")
    if no_labels and Path(source).is_dir():
        found: ImageSet | Protocol = read_photographs(source)  # those beside folders too, which name classes elsewhere
    else:
        found = read_source(source, root)
    places = {
        "out": out,
        "protocol": source,
        "overwrite": force,
        "progress": True,
        **({} if cache is None else {"cache": cache}),
    }
    if method == "doh":
        _train_network(found, chosen, places, as_json)
    else:
        _fit_shallow(method, found, chosen, places, as_json)


def _train_network(found: ImageSet | Protocol, chosen: dict[str, Any], places: dict[str, Any], as_json: bool) -> None:
    with needs_extra("learn", "training"):
        from lightning_fabric.utilities.rank_zero import rank_zero_only

        from ordhash import learn
    config, settings = (
        learn.DOHConfig(**_for(learn.DOHConfig, chosen)),
        learn.TrainConfig(**_for(learn.TrainConfig, chosen)),
    )
    if settings.from_neighbourhoods and "validation_fraction" in chosen:
        raise InputError("--no-labels has no use for --validation-fraction, as nothing validates; leave it out")
    images, validation = (found.train, found.validation) if isinstance(found, Protocol) else (found, None)
    result = learn.train(images, config, settings, validation=validation, **places)
    if not getattr(rank_zero_only, "rank", 0):  # of several processes one prints
        _print_result(result, as_json)


def _option_names(fields: Iterable[str]) -> list[str]:
    names = {field: switch for switch, field in _SWITCHES.items()}
    return ["--" + names.get(name, name).replace("_", "-") for name in fields]


def _learn_labels(
    collection: Path, labels: Path, chosen: dict[str, Any], given: list[str], wait: bool, as_json: bool
) -> None:
    with needs_extra("learn", "training"):
        from ordhash import learn, ownmodel
    config = _for(learn.DOHConfig, chosen)
    useless = [*_option_names(name for name in chosen if name not in config), *_option_names(given)]
    if useless:
        raise InputError(f"--collection decides itself how to train; leave out {', '.join(sorted(useless))}")
    report, trained, unknown = ownmodel.learn_labels(
        Collection(collection),
        read_manifest(labels),
        config=learn.DOHConfig(**config) if config else None,
        wait=wait,
        progress=True,
    )
    if unknown:
        say(f"{labels}: {len(unknown)} labels are of no photograph in the folder, the first of {unknown[0]!r}")
    say(f"{collection}: {report.encoded} photographs encoded by the new model")
    _print_result(dataclasses.replace(trained, failures=tuple(report.failures)), as_json)


def _print_result(result: TrainResult, as_json: bool) -> None:
    report_failures(result.failures)
    if as_json:
        values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        print_json({**values, "model": str(result.model), "failures": failures_as_json(result.failures)})
        return
    facts: dict[str, Any] = {"model": result.model}
    if result.best_epoch:  # shallow methods have no epochs, and nothing to choose among
        quality = result.validation_map
        facts["validation mAP"] = "not measured, no labelled images for it" if quality is None else quality
        facts["best epoch"] = result.best_epoch
    facts["time"] = f"{result.seconds:.1f} s"
    facts["reused"] = "yes, this training was finished already" if result.reused else "no"
    if result.wrong_labels is not None:
        corrected = f"; {result.corrected:,} corrected, see corrected.csv" if result.corrected else ""
        facts["labels that look wrong"] = f"about {100 * result.wrong_labels:.0f} %{corrected}"
    facts["images left out"] = len(result.failures)
    print_facts(facts)


def _options_of_shallow(method: str) -> set[str]:
    """The options that a shallow method has a use for.

    Raises:
        InputError: There is no such method; said here, before images are looked for.
    """
    with needs_extra("learn", "training"):
        from ordhash.learn.shallow import SHALLOW_METHODS
    if method not in SHALLOW_METHODS:
        raise InputError(
            f"--method is {method!r}; allowed are doh and the shallow methods {', '.join(SHALLOW_METHODS)}"
        )
    learns_from_labels = SHALLOW_METHODS[method].supervision == "labels"
    return _SHALLOW_OPTIONS | ({"stages"} if learns_from_labels else set())


def _fit_shallow(
    method: str, found: ImageSet | Protocol, chosen: dict[str, Any], places: dict[str, Any], as_json: bool
) -> None:
    with needs_extra("learn", "training"):
        from ordhash.learn import DOHConfig
        from ordhash.learn.shallow import fit_shallow
    config = DOHConfig(arity=2, **_for(DOHConfig, chosen))
    seed = {"seed": chosen["seed"]} if "seed" in chosen else {}
    images = found.train if isinstance(found, Protocol) else found
    _print_result(fit_shallow(method, images, config, **seed, **places), as_json)


def _chosen(parameters: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, by the names of the fields of the configurations."""
    others = {
        "source",
        "out",
        "collection",
        "labels",
        "method",
        "force",
        "wait",
        "root",
        "cache",
        "as_json",
        *_SWITCHES,
    }
    chosen = {name: value for name, value in parameters.items() if value is not None and name not in others}
    chosen |= {field: False for switch, field in _SWITCHES.items() if parameters[switch]}
    if chosen.get("weights", "pretrained") != "pretrained":
        chosen["weights"] = None if chosen["weights"] == "none" else Path(chosen["weights"])
    if chosen.get("devices", "auto") != "auto":
        try:
            chosen["devices"] = int(chosen["devices"])
        except ValueError:
            raise InputError(f"--devices is {chosen['devices']!r}; allowed are a number and 'auto'") from None
    return chosen


def _for(kind: type[Any], chosen: dict[str, Any]) -> dict[str, Any]:
    return {field.name: chosen[field.name] for field in dataclasses.fields(kind) if field.name in chosen}
