"""Jobs of a benchmark: those that a recipe defines, and which of them are done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ordhash
from ordhash.bench.compressed import COMPRESSED
from ordhash.bench.condensed import identity
from ordhash.bench.recipe import RAW_FEATURES, Method, Recipe
from ordhash.bench.results import FinishedRun
from ordhash.bench.tuning import trial_methods, tuned_length, tuned_lengths
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.shallow import ShallowMethod
from ordhash.support import grouped, write_json

__all__ = ["Job", "adopt", "alike", "files_digest", "inputs_digest", "lengths_of", "runs_of", "trials_of"]

Values = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One training, or the ranking of raw features.

    Attributes:
        row: Its row in the tables.
        method: The method.
        config: The network and its objective.
        training: Training settings.
        path: Path of its files, without suffix.
        trial: Number of the tuning trial; None for a run.
        shallow: A shallow method with its settings.
        parts: Whether images of the database are searched by their parts too.
    """

    row: str
    method: str
    config: DOHConfig
    training: TrainConfig
    path: Path
    trial: int | None = None
    shallow: ShallowMethod | None = None
    parts: bool = False

    def to_json(self) -> Values:
        """Everything that affects the result."""
        config = self.config.to_json()
        if self.shallow is not None:
            config["shallow"] = dataclasses.asdict(self.shallow)  # type: ignore[call-overload]
        return {
            "row": self.row,
            "method": self.method,
            "code_bits": None if self.method == RAW_FEATURES else self.config.code_bits,
            "arity": self.config.arity,
            "seed": self.training.seed,
            "trial": self.trial,
            "config": config,
            "training": self.training.to_json(),
            **({"parts": True} if self.parts else {}),
        }

    @property
    def learns(self) -> bool:
        """Whether something is trained or fitted, and codes are kept."""
        return self.method != RAW_FEATURES and self.method not in COMPRESSED

    @property
    def kept(self) -> Path:
        """File of codes and scores, written by ``ordhash.bench.measuring``."""
        return self.path.with_suffix(".npz")

    @property
    def entry(self) -> FinishedRun | None:
        """The recorded result; None until the job is done."""
        try:
            text = self.path.with_suffix(".json").read_text()
        except FileNotFoundError:
            return None
        return FinishedRun.from_json(json.loads(text))

    def finish(self, entry: FinishedRun) -> None:
        """Record the result, which marks the job as done."""
        write_json(self.path.with_suffix(".json"), entry.to_json())

    def forget(self) -> None:
        """Discard the recorded result."""
        self.path.with_suffix(".json").unlink(missing_ok=True)


def lengths_of(method: Method, recipe: Recipe) -> tuple[int, ...]:
    """Lengths of a method's runs.

    Args:
        method: The method.
        recipe: Gives them, unless the method does.
    """
    return method.code_bits or recipe.code_bits


def trials_of(method: Method, recipe: Recipe, folder: Path) -> Iterator[Job]:
    """The tuning trials of a method.

    Args:
        method: The method.
        recipe: Gives the lengths, unless the method does.
        folder: Folder of their files.
    """
    tried = trial_methods(method)
    if len(tried) == 1:
        return
    for bits in tuned_lengths(recipe.code_bits, lengths_of(method, recipe)):
        for trial, one in enumerate(tried):
            training = dataclasses.replace(one.training, validation_fraction=recipe.tuning.validation_fraction)
            yield _job(dataclasses.replace(one, training=training), bits, folder, trial)


def alike(trials: Sequence[Job]) -> list[tuple[Job, ...]]:
    """Group trials that differ by the name of their row alone, such as those of a row that searches parts too.

    Args:
        trials: The trials.
    """
    groups = grouped([identity(job.to_json() | {"row": ""}) for job in trials])
    return [tuple(trials[row] for row in group) for group in groups]


def runs_of(method: Method, trials: list[FinishedRun], recipe: Recipe, folder: Path) -> Iterator[Job]:
    """The runs of a method, for every length and seed, with the best settings.

    Args:
        method: The method.
        trials: Its finished trials; none if it is not tuned.
        recipe: Gives lengths and seeds, unless the method does.
        folder: Folder of their files.
    """
    raw = method.method == RAW_FEATURES
    by_chance = not raw and method.method not in COMPRESSED
    for seed in range((method.seeds or recipe.seeds) if by_chance else 1):
        for bits in recipe.code_bits[:1] if raw else lengths_of(method, recipe):
            best = _best_trial(method, trials, bits)
            yield _job(dataclasses.replace(best, training=dataclasses.replace(best.training, seed=seed)), bits, folder)


def _best_trial(method: Method, trials: list[FinishedRun], code_bits: int) -> Method:
    """Settings of the best trial for a length; without validation, those of the first, which are the method's own."""
    if not trials:
        return method
    length = tuned_length(code_bits, [trial.config["code_bits"] for trial in trials])
    best = max(
        (trial.outcome.validation_map or 0.0, -(trial.trial or 0))
        for trial in trials
        if trial.config["code_bits"] == length
    )
    return trial_methods(method)[-best[1]]


def _job(method: Method, code_bits: int, folder: Path, trial: int | None = None) -> Job:
    config = dataclasses.replace(method.config, code_bits=code_bits)
    parts = method.parts and trial is None  # settings are chosen for whole images
    job = Job(method.name, method.method, config, method.training, folder, trial, method.shallow, parts)
    what = json.dumps([job.to_json(), ordhash.__version__], sort_keys=True).encode()
    digest = hashlib.blake2b(what, digest_size=6).hexdigest()
    readable = re.sub(r"[^a-z0-9]+", "-", method.name.lower()).strip("-")[:80]  # file names have at most 255 bytes
    return dataclasses.replace(job, path=folder / f"{readable}-{config.code_bits}-{method.training.seed}-{digest}")


def inputs_digest(protocol_hash: str, config: DOHConfig) -> str:
    """Hash of what results depend on beside settings: the images, and the content of the backbone's files.

    Args:
        protocol_hash: Hash of the protocol.
        config: Names the files.
    """
    digest = hashlib.blake2b(protocol_hash.encode(), digest_size=4)
    for file in config.files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def files_digest(config: DOHConfig) -> str:
    """Hash of the content of the backbone's files; empty without any."""
    return inputs_digest("", config) if config.files else ""


def adopt(jobs: list[Job], entries: list[FinishedRun]) -> int:
    """Adopt results of another machine for these jobs; discard adopted results that are no longer known.

    Args:
        jobs: The jobs.
        entries: Known results, from [known_entries][ordhash.bench.condensed.known_entries].

    Returns:
        Number of adopted results.
    """
    known = {identity(entry.to_json()): entry for entry in entries}
    adopted = 0
    for job in jobs:
        done, entry = job.entry, known.get(identity(job.to_json()))
        own = done is not None and not done.adopted
        if entry is not None and not own:  # overwritten, never deleted first: other processes may read it
            job.finish(dataclasses.replace(entry, adopted=True))
            adopted += 1
        elif done is not None and done.adopted:
            job.forget()
    return adopted
