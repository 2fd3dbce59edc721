"""Condensed results of a benchmark: small enough for a repository, and enough to resume on another machine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import ordhash
from ordhash.bench.results import FinishedRun, Results
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import OBJECTIVES

__all__ = ["condense", "identity", "known_entries", "read_results"]

Values = dict[str, Any]


def condense(results: Results) -> Results:
    """Drop curves, and store the settings of a row's runs and trials only once, as far as they are the same.

    Args:
        results: From [run_recipe][ordhash.bench.run_recipe].

    Returns:
        Results with ``settings``, by protocol and row: ``config`` and ``training`` of the first run, or trial if there
        is no run; the entries keep what is different in theirs. Condensed results are returned unchanged.
    """
    if results.settings is not None:
        return results
    settings: dict[str, dict[str, Values]] = {}
    runs, trials = ([_condensed(one, settings) for one in entries] for entries in (results.runs, results.trials))
    return dataclasses.replace(results, trials=trials, runs=runs, settings=settings)


def _condensed(entry: FinishedRun, settings: dict[str, dict[str, Values]]) -> FinishedRun:
    """An entry without curves and without the settings of its row, which it sets if it is the first."""
    own = {
        "config": {name: value for name, value in entry.config.items() if name != "code_bits"},
        "training": {name: value for name, value in entry.training.items() if name != "seed"},
    }
    common = settings.setdefault(entry.protocol, {}).setdefault(entry.row, own)
    config, training = (
        {name: value for name, value in own[kind].items() if common[kind].get(name) != value}
        for kind in ("config", "training")
    )
    outcome = entry.outcome.without("precision", "average_precisions")
    return dataclasses.replace(entry, outcome=outcome, config=config, training=training, adopted=False)


def known_entries(
    results: Results, protocol: str, protocol_hash: str, *, files: str = "", scenes: bool
) -> list[FinishedRun]:
    """Trials and runs of a protocol with all their settings, if version, images and files are the same.

    Settings that were added after an entry was made get their default, which is what it was made with. Entries from
    before label correction are left out if their objective now corrects labels by default.

    Args:
        results: From [condense][ordhash.bench.condense] or [run_recipe][ordhash.bench.run_recipe].
        protocol: Name of the protocol.
        protocol_hash: Its hash.
        files: Hash of the files of the backbone.
        scenes: Whether it has backgrounds; without any, settings of scenes have no effect.
    """
    facts = results.protocols.get(protocol)
    if facts is None or (facts.hash, facts.files) != (protocol_hash, files):
        return []
    entries = []
    rows = (results.settings or {}).get(protocol, {})
    for entry in (*results.trials, *results.runs):
        if (entry.protocol, entry.version) != (protocol, ordhash.__version__):
            continue
        common = rows.get(entry.row, {})
        config = {**DOHConfig().decided(scenes=False).to_json(), **common.get("config", {}), **entry.config}
        own_training = {**common.get("training", {}), **entry.training}
        objective = OBJECTIVES.get(config["objective"]["name"])
        if "correct_labels" not in own_training and objective is not None and objective.corrects_labels:
            continue
        training = {**TrainConfig().to_json(), **own_training, **({} if scenes else {"scenes": 0})}
        # Raw features have no length; their configuration keeps the default.
        bits = config["code_bits"] if entry.code_bits is None else entry.code_bits
        config, training = {**config, "code_bits": bits}, {**training, "seed": entry.seed}
        entries.append(dataclasses.replace(entry, config=config, training=training))
    return entries


def identity(job: Values) -> str:
    """Everything that affects the result of a job or entry (as JSON values), as text to compare."""
    config = {**job["config"], "code_bits": job["code_bits"]}  # the same for raw features at every length
    deciding = {name: job[name] for name in ("row", "method", "arity", "seed", "trial", "training")}
    return json.dumps({**deciding, "parts": job.get("parts", False), "config": config}, sort_keys=True)


def read_results(path: Path) -> Results:
    """Read results from a file.

    Args:
        path: ``results.json`` of a benchmark, or its [condensed][ordhash.bench.condense] form.

    Raises:
        InputError: The file cannot be read, or does not contain results.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"results {path} cannot be read: {error}") from error
    try:
        results = Results.from_json(values)
        for name, facts in results.protocols.items():  # settings, too, must be such that runs can be taken over
            known_entries(results, name, facts.hash, files=facts.files, scenes=True)
        return results
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is not the results of a benchmark, which `ordhash bench` writes as results.json"
        ) from error
