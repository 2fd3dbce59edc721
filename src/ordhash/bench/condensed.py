"""Results of a benchmark as a repository keeps them: small, and enough for another machine to go on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ordhash
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import OBJECTIVES

__all__ = ["condense", "identity", "known_entries", "read_results"]

Values = dict[str, Any]
_DISTANCES = ("ordinal", "asymmetric")


def condense(results: Values) -> Values:
    """Results without curves, and with what the runs of a row have in common but length and seed said once.

    Args:
        results: What [run_recipe][ordhash.bench.run_recipe] gives.

    Returns:
        The same values but ``config`` and ``training`` of runs, which are in ``settings``: protocol, row, part.

    Raises:
        InputError: Runs of a row differ in more than length and seed.
    """
    settings: Values = {}
    runs = []
    for run in results["runs"]:
        kept = {name: value for name, value in run.items() if name not in ("config", "training", "adopted")}
        for distance in _DISTANCES:
            if distance in run:
                kept[distance] = {name: value for name, value in run[distance].items() if name != "precision"}
        common = {
            "config": {name: value for name, value in run["config"].items() if name != "code_bits"},
            "training": {name: value for name, value in run["training"].items() if name != "seed"},
        }
        rows = settings.setdefault(run["protocol"], {})
        if rows.setdefault(run["row"], common) != common:
            raise InputError(f"runs of {run['row']} on {run['protocol']} differ in more than length and seed")
        runs.append(kept)
    trials = [{name: value for name, value in trial.items() if name != "adopted"} for trial in results["trials"]]
    return {**results, "trials": trials, "runs": runs, "settings": settings}


def known_entries(results: Values, protocol: str, protocol_hash: str) -> list[Values]:
    """Trials and runs of a protocol, each with all the settings it had; of this version, and of these very images.

    Settings that are younger than an entry have their default in it, which is what it was made with; but for entries
    older than the correction of labels, which their objective does by default now: these are left out.

    Args:
        results: Of [condense][ordhash.bench.condense], or of [run_recipe][ordhash.bench.run_recipe].
        protocol: Name of the protocol.
        protocol_hash: Its hash.
    """
    facts = results["protocols"].get(protocol)
    if facts is None or facts["hash"] != protocol_hash:
        return []
    entries = []
    for entry in (*results["trials"], *results["runs"]):
        if (entry["protocol"], entry["version"]) != (protocol, ordhash.__version__):
            continue
        common = results.get("settings", {}).get(protocol, {}).get(entry["row"], {})
        config = {**DOHConfig().to_json(), **common.get("config", {}), **entry.get("config", {})}
        own_training = {**common.get("training", {}), **entry.get("training", {})}
        objective = OBJECTIVES.get(config["objective"]["name"])
        if "correct_labels" not in own_training and objective is not None and objective.corrects_labels:
            continue
        training = {**TrainConfig().to_json(), **own_training}
        # Raw features have no length, and their configuration keeps the default.
        bits = config["code_bits"] if entry["code_bits"] is None else entry["code_bits"]
        config, training = {**config, "code_bits": bits}, {**training, "seed": entry["seed"]}
        entries.append({**entry, "config": config, "training": training})
    return entries


def identity(job: Values) -> str:
    """What decides a result, of a job or of an entry, as text that two of them can be compared by."""
    config = {**job["config"], "code_bits": job["code_bits"]}  # raw features have the same at every length
    deciding = {name: job[name] for name in ("row", "method", "arity", "seed", "trial", "training")}
    return json.dumps({**deciding, "config": config}, sort_keys=True)


def read_results(path: Path) -> Values:
    """Results from a file.

    Args:
        path: ``results.json`` of a benchmark, or what [condense][ordhash.bench.condense] made of it.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    try:
        values: Values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"results {path} cannot be read: {error}") from error
    if not _is_results(values):
        raise InputError(f"{path} is not the results of a benchmark, which `ordhash bench` writes as results.json")
    return values


def _is_results(values: Any) -> bool:
    if not isinstance(values, dict) or not isinstance(values.get("protocols"), dict):
        return False
    entries = [values.get(name) for name in ("trials", "runs")]
    needed = {"protocol", "version", "row", "method", "code_bits", "arity", "seed", "trial"}
    return all(isinstance(facts, dict) and "hash" in facts for facts in values["protocols"].values()) and all(
        isinstance(part, list) and all(isinstance(entry, dict) and needed <= set(entry) for entry in part)
        for part in entries
    )
