"""Options of ``ordhash train`` that are fields of `DOHConfig` and `TrainConfig`: their names, types and defaults."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ordhash.cli.options import was_given
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainConfig

__all__ = ["OPTIONS", "fields_of", "option_of", "with_settings"]


def _weights(value: str) -> str | Path | None:
    return {"pretrained": "pretrained", "none": None}.get(value, Path(value))


def _devices(value: str) -> str | int:
    if value != "auto" and not value.isdecimal():
        raise InputError(f"--devices must be a number or 'auto', not {value!r}")
    return value if value == "auto" else int(value)


@dataclass(frozen=True)
class Option:
    """Help of a field on the command line, and how its values differ from the field's."""

    help: str
    kind: Any = None  # type on the command line; None: that of the field
    metavar: str | None = None
    flags: str | None = None
    parse: Callable[[Any], Any] = lambda value: value


# In the order of the help. Other fields keep their defaults.
OPTIONS: dict[str, Option] = {
    "code_bits": Option("Code length in bits."),
    "arity": Option("Scores that compete in a segment, a power of two."),
    "objective": Option("Training objective; `ordhash methods` lists them."),
    "backbone": Option(
        "timm's name of a network, alexnet, vgg16, resnet50_v1, or an ONNX file.", metavar="NAME|FILE.onnx"
    ),
    "weights": Option("Initial weights of the backbone.", str, "pretrained|none|FILE", parse=_weights),
    "normalisation": Option("How pixels become the backbone's input; own is what timm states, for its networks."),
    "tensor": Option("Tensor of the ONNX file that holds the feature map.  [default: its only output]"),
    "image_size": Option(
        "Shorter side of what the backbone sees, in pixels.  [default: 224; with --backgrounds 320]", metavar="PIXELS"
    ),
    "fit": Option("Squash the picture into a square, crop its middle square, or keep it whole, in its own aspect."),
    "stages": Option("Feature maps of the backbone to join: 1 is the last one alone."),
    "mirror": Option("Average features over a picture and its mirror image; takes twice the time."),
    "hidden": Option("Width of the global stream."),
    "local_hidden": Option("Channels of the local stream."),
    "dropout": Option("Share of features dropped in training."),
    "hidden_dropout": Option("Share of the global stream's hidden values dropped in training."),
    "use_global": Option("Train without the global stream.", flags="--no-global"),
    "use_local": Option("Train without the local stream.", flags="--no-local"),
    "attention": Option(
        "How the local stream chooses locations: by class activation maps as in the paper (cam), trained for it "
        "(learned), or not. auto: learned with --backgrounds, cam without."
    ),
    "mode": Option("Train only the head, on features computed once (frozen), or everything; auto: finetune on a GPU."),
    "epochs": Option("Passes over the training images."),
    "batch_size": Option("Images per step, over all processes together."),
    "learning_rate": Option("Peak learning rate of the head."),
    "backbone_learning_rate": Option("Peak learning rate of the backbone when fine-tuning."),
    "use_labels": Option("Ignore labels; learn from the images' nearest neighbours.", kind=bool, flags="--no-labels"),
    "correct_labels": Option(
        "Replace labels that are probably wrong before training, or never.  [default: replace if there are three or "
        "more classes, exactly one label per image, a hundred images per class on average, and a tenth or more of the "
        "labels look wrong]",
        flags="--correct-labels/--keep-labels",
    ),
    "augment": Option("Train without mirrored and cropped images.", flags="--no-augment"),
    "crop": Option("Smallest share of a picture that a random crop keeps when fine-tuning."),
    "strong_augment": Option("Augment more when fine-tuning; for few images and many epochs."),
    "scenes": Option(
        "With --backgrounds: sets of as many scenes as training images, or 0; when fine-tuning, new ones in every "
        "epoch."
    ),
    "validation_fraction": Option("Share of each class held out to choose the epoch."),
    "seed": Option("Random seed."),
    "precision": Option("Numerical precision."),
    "accelerator": Option("Where to train.", metavar="auto|cpu|cuda"),
    "devices": Option("Processes on this machine.", str, "N|auto", parse=_devices),
    "workers": Option("Processes that decode images when fine-tuning."),
}


def fields_of(kind: type[Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that belong to a configuration."""
    return {field.name: settings[field.name] for field in dataclasses.fields(kind) if field.name in settings}


def option_of(field: str) -> str:
    """Name of a field's parameter.

    >>> option_of("code_bits"), option_of("use_global"), option_of("correct_labels")
    ('code_bits', 'no_global', 'correct_labels')
    """
    flags = OPTIONS[field].flags
    return flags.partition("/")[0].removeprefix("--").replace("-", "_") if flags else field


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter ``settings`` of a command by these options.

    The command gets a dictionary of the given options, by field name.
    """
    options = _parameters()

    @functools.wraps(command)
    def run(**values: Any) -> None:
        settings = {}
        for field, parameter in options.items():
            value = values.pop(parameter.name)
            if was_given(values["ctx"], parameter.name):
                settings[field] = not value if parameter.name.startswith("no_") else OPTIONS[field].parse(value)
        command(**values, settings=settings)

    own = inspect.signature(command, eval_str=True).parameters
    parameters = [
        one for name, parameter in own.items() for one in (options.values() if name == "settings" else [parameter])
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameters() -> dict[str, inspect.Parameter]:
    """For each field, the parameter that Typer turns into an option."""
    fields = {field.name: field for kind in (DOHConfig, TrainConfig) for field in dataclasses.fields(kind)}
    types: dict[str, Any] = {}
    for config in (DOHConfig, TrainConfig):
        types |= typing.get_type_hints(config, localns={"Objective": str})  # the command line names objectives
    parameters = {}
    for field, option in OPTIONS.items():
        default = fields[field].default
        if default is True:  # the option switches it off
            default = False
        elif option.kind is str:
            default = str(default)
        flags = option.flags or f"--{field.replace('_', '-')}"
        shown = typer.Option(flags, help=option.help, metavar=option.metavar, show_default=default is not None)
        kind: Any = Annotated[(option.kind or types[field], shown)]
        parameters[field] = inspect.Parameter(
            option_of(field), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
        )
    return parameters
