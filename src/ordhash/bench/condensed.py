"""Results of a benchmark as a repository keeps them: small, and enough for another machine to go on from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import ordhash
from ordhash.bench.results import Entry, Results
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import OBJECTIVES

__all__ = ["condense", "identity", "known_entries", "read_results"]

Values = dict[str, Any]


def condense(results: Results) -> Results:
    """Results without curves, and with what the runs of a row have in common but length and seed said once.

    Args:
        results: What [run_recipe][ordhash.bench.run_recipe] gives.

    Returns:
        The same but ``config`` and ``training`` of runs, which are in ``settings``: protocol, row, part. What is
        condensed already comes back as it is.

    Raises:
        InputError: Runs of a row differ in more than length and seed.
    """
    if results.settings is not None:
        return results
    settings: dict[str, dict[str, Values]] = {}
    runs = []
    for run in results.runs:
        common = {
            "config": {name: value for name, value in run.config.items() if name != "code_bits"},
            "training": {name: value for name, value in run.training.items() if name != "seed"},
        }
        rows = settings.setdefault(run.protocol, {})
        if rows.setdefault(run.row, common) != common:
            raise InputError(f"runs of {run.row} on {run.protocol} differ in more than length and seed")
        outcome = run.outcome.without_curves()
        runs.append(dataclasses.replace(run, outcome=outcome, config={}, training={}, adopted=False))
    trials = [dataclasses.replace(trial, adopted=False) for trial in results.trials]
    return dataclasses.replace(results, trials=trials, runs=runs, settings=settings)


def known_entries(results: Results, protocol: str, protocol_hash: str) -> list[Entry]:
    """Trials and runs of a protocol, each with all the settings it had; of this version, and of these very images.

    Settings that are younger than an entry have their default in it, which is what it was made with; but for entries
    older than the correction of labels, which their objective does by default now: these are left out.

    Args:
        results: Of [condense][ordhash.bench.condense], or of [run_recipe][ordhash.bench.run_recipe].
        protocol: Name of the protocol.
        protocol_hash: Its hash.
    """
    facts = results.protocols.get(protocol)
    if facts is None or facts.hash != protocol_hash:
        return []
    entries = []
    rows = (results.settings or {}).get(protocol, {})
    for entry in (*results.trials, *results.runs):
        if (entry.protocol, entry.version) != (protocol, ordhash.__version__):
            continue
        common = rows.get(entry.row, {})
        config = {**DOHConfig().to_json(), **common.get("config", {}), **entry.config}
        own_training = {**common.get("training", {}), **entry.training}
        objective = OBJECTIVES.get(config["objective"]["name"])
        if "correct_labels" not in own_training and objective is not None and objective.corrects_labels:
            continue
        training = {**TrainConfig().to_json(), **own_training}
        # Raw features have no length, and their configuration keeps the default.
        bits = config["code_bits"] if entry.code_bits is None else entry.code_bits
        config, training = {**config, "code_bits": bits}, {**training, "seed": entry.seed}
        entries.append(dataclasses.replace(entry, config=config, training=training))
    return entries


def identity(job: Values) -> str:
    """What decides a result, of a job or of an entry as JSON values, as text that two of them can be compared by."""
    config = {**job["config"], "code_bits": job["code_bits"]}  # raw features have the same at every length
    deciding = {name: job[name] for name in ("row", "method", "arity", "seed", "trial", "training")}
    return json.dumps({**deciding, "config": config}, sort_keys=True)


def read_results(path: Path) -> Results:
    """Results from a file.

    Args:
        path: ``results.json`` of a benchmark, or what [condense][ordhash.bench.condense] made of it.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"results {path} cannot be read: {error}") from error
    try:
        return Results.from_json(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is not the results of a benchmark, which `ordhash bench` writes as results.json"
        ) from error
