"""Results of a benchmark, and their JSON format."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ordhash.bench.recipe import Published
from ordhash.evaluation import Quality

__all__ = ["Comparison", "FinishedRun", "Outcome", "ProtocolFacts", "Ranking", "Results", "Row"]

Values = dict[str, Any]
T = TypeVar("T")


def _from_values(kind: type[T], values: Mapping[str, Any], /, **others: Any) -> T:
    """Build a dataclass from values by field name; other names are ignored."""
    names = {one.name for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{**{name: value for name, value in values.items() if name in names}, **others})


def _to_values(instance: Any) -> Values:
    """Field values by name, not copied."""
    return {one.name: getattr(instance, one.name) for one in dataclasses.fields(instance)}


@dataclass(frozen=True)
class Ranking:
    """Quality of the ranking by one distance; see [Quality][ordhash.evaluation.Quality].

    Attributes:
        map: Mean average precision.
        map_best: The same with relevant items first among ties.
        map_worst: The same with relevant items last among ties.
        ndcg: None for binary relevance.
        precision_at: Number of nearest items -> precision.
        precision_within: Ordinal radius -> precision.
        found_at: Number of nearest items -> share of queries that find something among them.
        by_group: Mean average precision of every group of the protocol, by its name.
        precision: At recall 0, 0.01, ..., 1; empty in condensed results.
        average_precisions: Of every query; only in the file of the run.
    """

    map: float
    map_best: float
    map_worst: float
    ndcg: float | None
    precision_at: dict[int, float]
    precision_within: dict[int, float]
    found_at: dict[int, float] = field(default_factory=dict)
    by_group: dict[str, float] = field(default_factory=dict)
    precision: tuple[float, ...] = ()
    average_precisions: tuple[float, ...] = ()

    @classmethod
    def of(cls, quality: Quality) -> Ranking:
        """The values of an evaluation that a benchmark records."""
        rounded = {
            "precision": tuple(round(value, 4) for value in quality.precision),
            "average_precisions": tuple(round(value, 5) for value in quality.average_precisions),
        }
        return _from_values(cls, _to_values(quality), **rounded)

    @classmethod
    def from_json(cls, values: Values) -> Ranking:
        """The inverse of ``to_json``."""
        by_number = {
            name: {int(at): value for at, value in values.get(name, {}).items()}
            for name in ("precision_at", "precision_within", "found_at")
        }
        curves = {name: tuple(values.get(name, ())) for name in ("precision", "average_precisions")}
        return _from_values(cls, values, **by_number, **curves)

    def to_json(self) -> Values:
        """JSON values, without what is empty."""
        values = _to_values(self)
        for name in ("precision_at", "precision_within", "found_at"):
            values[name] = {str(at): value for at, value in values[name].items()}
        for name in ("found_at", "by_group"):
            if not values[name]:
                del values[name]
        curves = {name: list(values.pop(name)) for name in ("precision", "average_precisions")}
        return {**values, **{name: curve for name, curve in curves.items() if curve}}


@dataclass(frozen=True)
class Outcome:
    """Measurements of a run or trial; None where not applicable.

    Attributes:
        seconds: Total time.
        validation_map: mAP of validation images at the kept epoch, in a trial searched as the protocol searches its
            queries; also None without validation images.
        kept_epoch: The kept epoch, from 1; None if no network was trained.
        train_seconds: Time in the training loop.
        wrong_labels: Estimated share of wrong training labels.
        device: Device that fine-tuned the backbone.
        floats: Dimension of raw features.
        distinct_codes: Number of distinct codes in the database.
        parts_each: Parts of an image of the database in the mean.
        ordinal: Ranking by ordinal distance, or of raw features by cosine.
        asymmetric: Ranking by asymmetric distance.
    """

    seconds: float = 0.0
    validation_map: float | None = None
    kept_epoch: int | None = None
    train_seconds: float | None = None
    wrong_labels: float | None = None
    device: str | None = None
    floats: int | None = None
    distinct_codes: int | None = None
    parts_each: float | None = None
    ordinal: Ranking | None = None
    asymmetric: Ranking | None = None

    @classmethod
    def from_json(cls, values: Values) -> Outcome:
        """The inverse of ``to_json``; other names are ignored."""
        rankings = {
            name: Ranking.from_json(values[name]) for name in ("ordinal", "asymmetric") if values.get(name) is not None
        }
        return _from_values(cls, values, **rankings)

    def to_json(self) -> Values:
        """JSON values, without those that do not apply."""
        values = {name: value for name, value in _to_values(self).items() if value is not None}
        if self.kept_epoch is not None:
            values["validation_map"] = self.validation_map  # null: a network was trained without validation
        for name, ranking in (("ordinal", self.ordinal), ("asymmetric", self.asymmetric)):
            if ranking is not None:
                values[name] = ranking.to_json()
        return values

    def without(self, *curves: str) -> Outcome:
        """The same without some curves of its rankings.

        Args:
            *curves: ``precision`` or ``average_precisions``.
        """
        empty: dict[str, Any] = dict.fromkeys(curves, ())
        ordinal, asymmetric = (
            None if ranking is None else dataclasses.replace(ranking, **empty)
            for ranking in (self.ordinal, self.asymmetric)
        )
        return dataclasses.replace(self, ordinal=ordinal, asymmetric=asymmetric)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run or trial.

    Attributes:
        row: Its row in the tables.
        method: The method.
        code_bits: Length of the codes; None for raw features.
        arity: Number of values of a symbol.
        seed: Seed of the run.
        trial: Number of the tuning trial; None for a run.
        protocol: Name of the protocol.
        version: Version of the package that produced it.
        outcome: Its measurements.
        config: The network, as JSON values; empty in condensed results, which have it in ``settings``.
        training: Training settings, likewise.
        adopted: Whether it comes from another machine.
        parts: Whether images of the database were searched by their parts too.
    """

    row: str
    method: str
    code_bits: int | None
    arity: int
    seed: int
    trial: int | None
    protocol: str
    version: str
    outcome: Outcome
    config: Values = field(default_factory=dict)
    training: Values = field(default_factory=dict)
    adopted: bool = False
    parts: bool = False

    @classmethod
    def from_json(cls, values: Values) -> FinishedRun:
        """The inverse of ``to_json``."""
        return _from_values(cls, values, outcome=Outcome.from_json(values))

    def to_json(self) -> Values:
        """JSON values, merged with those of the outcome; without empty settings."""
        values = _to_values(self)
        outcome = values.pop("outcome").to_json()
        absent = [name for name in ("config", "training", "adopted", "parts") if not values[name]]
        return {**{name: value for name, value in values.items() if name not in absent}, **outcome}

    @property
    def sentence(self) -> str:
        """What was done, and its quality."""
        name, outcome = f"{self.protocol}, {self.row}", self.outcome
        ranking = outcome.ordinal or outcome.asymmetric
        if ranking is None:
            quality = outcome.validation_map
            return f"{name}, trial {self.trial}: " + ("no validation" if quality is None else f"{quality:.4f}")
        where = "" if self.code_bits is None else f", {self.code_bits} bits, seed {self.seed}"
        return f"{name}{where}: mAP {ranking.map:.4f}, {outcome.seconds:.0f} s"


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Attributes:
        name: Its name.
        method: The method or objective.
    """

    name: str
    method: str


@dataclass(frozen=True)
class Comparison:
    """The best method of a column against another one.

    Attributes:
        protocol: Name of the protocol.
        code_bits: Length of the codes.
        distance: ``ordinal`` or ``asymmetric``.
        best: The row with the highest mAP.
        row: Another row.
        mean: How much higher the mAP of the best is.
        half: Half the width of the 95 % interval of that difference, paired by seed and by query.
    """

    protocol: str
    code_bits: int
    distance: str
    best: str
    row: str
    mean: float
    half: float

    @property
    def level(self) -> bool:
        """Whether the difference may be 0."""
        return self.mean <= self.half


@dataclass(frozen=True)
class ProtocolFacts:
    """Facts of a protocol for the tables.

    Attributes:
        hash: Hash of its images and labels.
        citation: Source of the protocol.
        note: A remark for the tables.
        cutoff: Number of ranked items that mAP considers; None for all.
        graded: Whether relevance is graded.
        train: Number of training images.
        query: Number of queries.
        database: Number of images in the database.
        backbone: The backbone, its image size, and whether it was frozen or fine-tuned.
        single: Whether each query has one relevant image, which is found or not.
        files: Hash of the files that the backbone was read from; empty if its weights come from a package.
    """

    hash: str
    citation: str
    note: str
    cutoff: int | None
    graded: bool
    train: int
    query: int
    database: int
    backbone: str
    single: bool = False
    files: str = ""

    def to_json(self) -> Values:
        """JSON values; ``single`` only where it is so, and ``files`` where there are any."""
        return {name: value for name, value in _to_values(self).items() if name not in ("single", "files") or value}


@dataclass
class Results:
    """Contents of ``results.json``. Trials and runs are added as they finish.

    Attributes:
        recipe: Name of the recipe.
        title: Its title.
        version: Version of the package.
        machine: Processor and number of cores.
        torch: Version of PyTorch.
        tuning: How settings were chosen, a sentence.
        code_bits: Lengths in bits, ascending.
        seeds: Runs of each method at each length.
        rows: Rows of the tables, in order.
        published: Published results.
        protocols: Name -> facts.
        trials: Finished trials.
        runs: Finished runs.
        comparisons: The best methods against the others.
        complete: Whether every run is done.
        failures: What failed and why, a sentence each.
        settings: Protocol -> row -> settings that all its runs share; None unless condensed.
    """

    recipe: str
    title: str
    version: str
    machine: Values
    torch: str
    tuning: str
    code_bits: list[int]
    seeds: int
    rows: list[Row]
    published: list[Published]
    protocols: dict[str, ProtocolFacts] = field(default_factory=dict)
    trials: list[FinishedRun] = field(default_factory=list)
    runs: list[FinishedRun] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    complete: bool = False
    failures: list[str] = field(default_factory=list)
    settings: dict[str, dict[str, Values]] | None = None

    @classmethod
    def from_json(cls, values: Values) -> Results:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: The values are not results.
        """
        return _from_values(
            cls,
            values,
            rows=[_from_values(Row, row) for row in values["rows"]],
            published=[
                _from_values(Published, one, values={int(bits): value for bits, value in one["values"].items()})
                for one in values["published"]
            ],
            protocols={name: _from_values(ProtocolFacts, facts) for name, facts in values["protocols"].items()},
            trials=[FinishedRun.from_json(entry) for entry in values["trials"]],
            runs=[FinishedRun.from_json(entry) for entry in values["runs"]],
            comparisons=[_from_values(Comparison, one) for one in values.get("comparisons", [])],
        )

    def to_json(self) -> Values:
        """JSON values; without precisions of single queries, and without ``settings`` unless condensed."""
        values = {
            **_to_values(self),
            "rows": [_to_values(row) for row in self.rows],
            "published": [
                {**_to_values(one), "values": {str(bits): value for bits, value in one.values.items()}}
                for one in self.published
            ],
            "protocols": {name: facts.to_json() for name, facts in self.protocols.items()},
            "trials": [entry.to_json() for entry in self.trials],
            "runs": [
                dataclasses.replace(entry, outcome=entry.outcome.without("average_precisions")).to_json()
                for entry in self.runs
            ],
            "comparisons": [_to_values(one) for one in self.comparisons],
        }
        for name in ("comparisons", "failures"):
            if not values[name]:
                del values[name]
        if self.settings is None:
            del values["settings"]
        return values
