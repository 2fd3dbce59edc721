"""Jobs of a benchmark: what a recipe asks for, and what of it is done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ordhash
from ordhash.bench.condensed import identity
from ordhash.bench.recipe import RAW_FEATURES, Method, Recipe
from ordhash.bench.results import Entry
from ordhash.bench.tuning import trial_settings
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.support import write_json

__all__ = ["Job", "adopt", "runs_of", "trials_of"]

Values = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One training, or the ranking of raw features.

    Attributes:
        row: Its row in the tables.
        method: What learns.
        config: The network and its objective.
        training: How it learns.
        path: Where its files are, without their ending.
        trial: Its number in the search for settings; None for a run.
    """

    row: str
    method: str
    config: DOHConfig
    training: TrainConfig
    path: Path
    trial: int | None = None

    def to_json(self) -> Values:
        """What decides the result."""
        return {
            "row": self.row,
            "method": self.method,
            "code_bits": None if self.method == RAW_FEATURES else self.config.code_bits,
            "arity": self.config.arity,
            "seed": self.training.seed,
            "trial": self.trial,
            "config": self.config.to_json(),
            "training": self.training.to_json(),
        }

    @property
    def kept(self) -> Path:
        """File of the codes and scores, as ``ordhash.bench.measuring`` writes it."""
        return self.path.with_suffix(".npz")

    @property
    def entry(self) -> Entry | None:
        """The recorded result; None until it is done."""
        try:
            text = self.path.with_suffix(".json").read_text()
        except FileNotFoundError:
            return None
        return Entry.from_json(json.loads(text))

    def finish(self, entry: Entry) -> None:
        """Record the result; the job is then done."""
        write_json(self.path.with_suffix(".json"), entry.to_json())

    def forget(self) -> None:
        """Discard the recorded result."""
        self.path.with_suffix(".json").unlink(missing_ok=True)


def trials_of(method: Method, recipe: Recipe, folder: Path) -> Iterator[Job]:
    """The search for a method's settings.

    Args:
        method: The method.
        recipe: Says how many trials there are.
        folder: Where their files are.
    """
    for trial, (config, training) in enumerate(trial_settings(method, recipe.tuning.trials)):
        config = dataclasses.replace(config, code_bits=recipe.tuning.code_bits)
        training = dataclasses.replace(training, validation_fraction=recipe.tuning.validation_fraction)
        yield _job(method, config, training, folder, trial)


def runs_of(method: Method, config: DOHConfig, training: TrainConfig, recipe: Recipe, folder: Path) -> Iterator[Job]:
    """A method at every length, with every seed.

    Args:
        method: The method.
        config: Its network, as the search left it.
        training: How it learns, likewise.
        recipe: Names lengths and seeds, where the method does not.
        folder: Where their files are.
    """
    raw = method.method == RAW_FEATURES
    for seed in range(1 if raw else method.seeds or recipe.seeds):
        for bits in recipe.code_bits[:1] if raw else method.code_bits or recipe.code_bits:
            length = dataclasses.replace(config, code_bits=bits)
            yield _job(method, length, dataclasses.replace(training, seed=seed), folder)


def _job(method: Method, config: DOHConfig, training: TrainConfig, folder: Path, trial: int | None = None) -> Job:
    job = Job(method.name, method.method, config, training, folder, trial)
    what = json.dumps([job.to_json(), ordhash.__version__], sort_keys=True).encode()
    digest = hashlib.blake2b(what, digest_size=6).hexdigest()
    readable = re.sub(r"[^a-z0-9]+", "-", method.name.lower()).strip("-")
    return dataclasses.replace(job, path=folder / f"{readable}-{config.code_bits}-{training.seed}-{digest}")


def adopt(jobs: list[Job], entries: list[Entry]) -> int:
    """Take over what another machine has done of these jobs; discard what was taken over and is no longer known.

    Args:
        jobs: What is to be done.
        entries: What is known, as [known_entries][ordhash.bench.condensed.known_entries] gives it.

    Returns:
        How many are kept.
    """
    known = {identity(entry.to_json()): entry for entry in entries}
    adopted = 0
    for job in jobs:
        done, entry = job.entry, known.get(identity(job.to_json()))
        own = done is not None and not done.adopted
        if entry is not None and not own:  # written over, and never gone: other processes may look
            job.finish(dataclasses.replace(entry, adopted=True))
            adopted += 1
        elif not own:
            job.forget()
    return adopted
