"""Recipes: TOML files that define a comparison of methods."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from ordhash.bench.compressed import COMPRESSED, bytes_of
from ordhash.data.protocols import PROTOCOLS
from ordhash.errors import DataError, InputError, first_line
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import OBJECTIVES, find_objective
from ordhash.learn.shallow import SHALLOW_METHODS, ShallowMethod
from ordhash.support import check_types

__all__ = ["RAW_FEATURES", "Method", "Published", "Recipe", "Tuning", "read_recipe", "rehearsal_of"]

_NO_OBJECTIVE = "doh"  # recorded in results if no network is trained
RAW_FEATURES = "raw"  # cosine of the backbone's features: a bound, without codes


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Attributes:
        name: Name in the tables.
        method: An objective (``doh`` is the paper's), a shallow method, compressed features, or ``raw``.
        config: The network, for an objective; for a shallow method, only the backbone.
        training: Training settings, before tuning.
        code_bits: Its lengths; None takes those of the recipe.
        seeds: Its runs at each length; None takes the number of the recipe.
        shallow: A shallow method with its settings.
        parts: Whether images of the database are searched by their parts too.
    """

    name: str
    method: str
    config: DOHConfig
    training: TrainConfig
    code_bits: tuple[int, ...] | None = None
    seeds: int | None = None
    shallow: ShallowMethod | None = None
    parts: bool = False

    @property
    def learns(self) -> bool:
        """Whether a network is trained."""
        return self.method in OBJECTIVES


@dataclass(frozen=True)
class Tuning:
    """Tuning of settings, the same for every objective (``ordhash.bench.tuning``).

    Attributes:
        search: Whether to try settings for each method and protocol.
        validation_fraction: Share of each class held out to compare trials, if the protocol has no validation set.

    Raises:
        InputError: A value is of another type, or out of range.
    """

    search: bool = False
    validation_fraction: float = 0.2

    def __post_init__(self) -> None:
        check_types(vars(self), get_type_hints(Tuning))
        if self.search and not self.validation_fraction:
            raise InputError("validation_fraction is 0, and search compares trials on held-out images; raise it")
        TrainConfig(validation_fraction=self.validation_fraction)  # which trials learn with


@dataclass(frozen=True)
class Published:
    """Results of a paper, for comparison.

    Attributes:
        protocol: Protocol closest to the paper's.
        name: The method.
        source: Source of the numbers, and the backbone.
        values: Length in bits -> mAP.
    """

    protocol: str
    name: str
    source: str
    values: dict[int, float]


@dataclass(frozen=True)
class Recipe:
    """A benchmark.

    Attributes:
        name: Its name, used in file names.
        title: A title to display.
        protocols: Names of protocols.
        methods: Rows of the tables, in order.
        code_bits: Lengths in bits, in the order of the runs.
        seeds: Runs of each method at each length.
        tuning: Tuning of settings.
        published: Published results.
    """

    name: str
    title: str
    protocols: tuple[str, ...]
    methods: tuple[Method, ...]
    code_bits: tuple[int, ...]
    seeds: int
    tuning: Tuning = Tuning()
    published: tuple[Published, ...] = ()


def rehearsal_of(recipe: Recipe) -> Recipe:
    """Shorten a recipe for a rehearsal: every method once, at its first length, for one epoch, on small pictures.

    Args:
        recipe: The benchmark, which may ask for a GPU.
    """

    def short(method: Method) -> Method:
        return dataclasses.replace(
            method,
            config=dataclasses.replace(method.config, image_size=64),
            training=dataclasses.replace(
                method.training,
                epochs=1,
                batch_size=32,
                validate_every=1,
                accelerator="auto",
                workers=min(method.training.workers, 2),
            ),
            code_bits=None if method.code_bits is None else method.code_bits[:1],
            seeds=None,
        )

    return dataclasses.replace(
        recipe,
        methods=tuple(short(method) for method in recipe.methods),
        code_bits=recipe.code_bits[:1],
        seeds=1,
    )


class _File(TypedDict, total=False):
    """What a recipe may say."""

    title: str
    protocols: list[str]
    methods: list[str]
    code_bits: list[int]
    seeds: int
    network: dict[str, Any]
    training: dict[str, Any]
    tuning: dict[str, Any]
    variants: list[dict[str, Any]]
    published: list[dict[str, Any]]


class _Variant(TypedDict, total=False):
    """What ``[[variants]]`` may say, and what a method is in the form of a variant."""

    name: str
    method: str
    code_bits: list[int]
    seeds: int
    parts: bool
    network: dict[str, Any]
    training: dict[str, Any]
    objective: dict[str, Any]


class _Paper(TypedDict, total=False):
    """What ``[[published]]`` may say."""

    protocol: str
    name: str
    source: str
    values: dict[str, Any]


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe; docs/benchmark.md describes the file.

    Raises:
        DataError: The file is missing or not valid TOML.
        InputError: A key or value is unknown, missing or not allowed.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give a recipe, a .toml file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid TOML ({first_line(error)}); correct it") from error
    try:
        return _recipe(path.stem, values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _recipe(name: str, values: dict[str, Any]) -> Recipe:
    _check_keys("the recipe", values, _File)
    for key in ("protocols", "code_bits"):
        if not values.get(key):
            raise InputError(f"{key} is missing or empty; name at least one")
        _check_distinct(key, values[key])
    for protocol in values["protocols"]:
        _check_protocol(protocol)
    methods = _methods(values)
    names = [method.name for method in methods]
    if not names or len(set(names)) != len(names):
        raise InputError(f"its methods are {names}; name at least one, and each once")
    _check_names("[tuning]", values.get("tuning", {}), _fields(Tuning))
    tuning = Tuning(**values.get("tuning", {}))
    _check_labels(methods, tuning)
    return Recipe(
        name,
        values.get("title", name),
        tuple(values["protocols"]),
        tuple(methods),
        tuple(values["code_bits"]),
        _seeds(values.get("seeds", 3)),
        tuning,
        tuple(_published(entry) for entry in values.get("published", [])),
    )


def _methods(values: dict[str, Any]) -> list[Method]:
    """The rows of the tables, each with lengths that it can have."""
    entries = [{"name": method, "method": method} for method in values.get("methods", [])]
    network, training = values.get("network", {}), values.get("training", {})
    scenes = all(PROTOCOLS[protocol].backgrounds for protocol in values["protocols"])
    methods = [_method(entry, network, training, scenes=scenes) for entry in (*entries, *values.get("variants", []))]
    for method in methods:
        if method.method != RAW_FEATURES:
            for bits in method.code_bits or values["code_bits"]:
                dataclasses.replace(method.config, code_bits=bits)
                if method.method in COMPRESSED:
                    bytes_of(method.method, bits)
    return methods


def _check_labels(methods: list[Method], tuning: Tuning) -> None:
    """Check that nothing uses labels that ``use_labels = false`` hides."""
    if any(method.training.use_labels == "spread" for method in methods):
        raise InputError("use_labels is 'spread'; in a recipe, allowed are true and false")
    hidden = [method for method in methods if not method.training.use_labels]
    shallow = [method for method in hidden if method.method in SHALLOW_METHODS]
    if seeing := [method.name for method in shallow if SHALLOW_METHODS[method.method].supervision == "labels"]:
        raise InputError(f"{', '.join(seeing)} learns from labels, which use_labels = false hides; leave it out")
    if hidden and tuning.search:
        raise InputError("[tuning] compares trials by labels, which use_labels = false hides; leave it out")


def _seeds(given: int) -> int:
    if given < 1:
        raise InputError(f"seeds is {given!r}; allowed are whole numbers from 1")
    return given


def _method(entry: dict[str, Any], network: dict[str, Any], training: dict[str, Any], *, scenes: bool) -> Method:
    _check_keys("a variant", entry, _Variant)
    method = entry.get("method", "")
    if method not in (RAW_FEATURES, *COMPRESSED, *SHALLOW_METHODS, *OBJECTIVES):
        allowed = ", ".join((RAW_FEATURES, *COMPRESSED, *SHALLOW_METHODS, *OBJECTIVES))
        raise InputError(f"method {method!r} is unknown; allowed are {allowed}")
    network, training = {**network, **entry.get("network", {})}, {**training, **entry.get("training", {})}
    _check_names("[network]", network, _fields(DOHConfig) - {"code_bits", "objective"})
    _check_names("[training]", training, _fields(TrainConfig) - {"seed"})
    objective = find_objective(method if method in OBJECTIVES else _NO_OBJECTIVE)
    settings = entry.get("objective", {})
    _check_names(f"the objective of {entry.get('name', method)}", settings, _fields(type(objective)))
    check_types(settings, get_type_hints(type(objective)))
    if method not in OBJECTIVES or objective.binary:
        network["arity"] = 2
    if isinstance(network.get("weights"), str) and network["weights"] != "pretrained":  # TOML has no null
        network["weights"] = None if network["weights"] == "none" else Path(network["weights"])
    chosen = dataclasses.replace(objective, **settings) if settings else objective  # type: ignore[type-var]
    config = DOHConfig(**{**network, "objective": chosen if method in OBJECTIVES else _NO_OBJECTIVE})
    config = config.decided(scenes=scenes and TrainConfig(**training).scenes > 0)
    parts = _parts(entry.get("parts", False), method, config, training)
    if settings and method not in OBJECTIVES:
        raise InputError(f"{method} has no objective; leave out that of {entry.get('name', method)}")
    return Method(
        entry.get("name", method),
        method,
        config,
        TrainConfig(**training),
        _lengths(entry["code_bits"]) if "code_bits" in entry else None,
        _seeds(entry["seeds"]) if "seeds" in entry else None,
        SHALLOW_METHODS[method]() if method in SHALLOW_METHODS else None,
        parts,
    )


def _lengths(given: list[int]) -> tuple[int, ...]:
    if not given:
        raise InputError("code_bits is empty; name at least one, or leave it out")
    _check_distinct("code_bits", given)
    return tuple(given)


def _parts(given: bool, method: str, config: DOHConfig, training: dict[str, Any]) -> bool:
    if given and (method == RAW_FEATURES or method in COMPRESSED):
        raise InputError(f"parts have codes, and {method} makes none; leave parts out")
    if given and (training.get("mode") == "finetune" or config.fit == "crop"):
        raise InputError("parts need a frozen backbone that sees whole pictures; leave parts out")
    return given


def _published(entry: dict[str, Any]) -> Published:
    _check_keys("[[published]]", entry, _Paper)
    if missing := sorted({"protocol", "name", "values"} - set(entry)):
        raise InputError(f"[[published]] {entry} lacks {' and '.join(missing)}; give protocol, name and values")
    _check_protocol(entry["protocol"])
    try:
        values = {int(bits): float(value) for bits, value in entry["values"].items()}
        if not all(0 <= value <= 1 for value in values.values()):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"[[published]] has values {entry['values']}; give the mAP, 0 to 1, for lengths in bits"
        ) from error
    return Published(entry["protocol"], entry["name"], entry.get("source", ""), values)


def _check_protocol(name: str) -> None:
    if name not in PROTOCOLS:
        raise InputError(f"protocol {name!r} is unknown; allowed are {', '.join(PROTOCOLS)}")


def _check_distinct(key: str, values: list[Any]) -> None:
    """Check that nothing is run twice, which would count as two seeds."""
    if len(set(values)) < len(values):
        raise InputError(f"{key} is {values}; name each once")


def _check_keys(where: str, values: dict[str, Any], kind: Any) -> None:
    """Check names and types of what a table of a recipe says."""
    hints = get_type_hints(kind)
    _check_names(where, values, set(hints))
    check_types(values, hints)


def _fields(kind: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind) if field.init}


def _check_names(where: str, values: dict[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise InputError(f"{where} has {', '.join(unknown)}; allowed are {', '.join(sorted(allowed))}")
