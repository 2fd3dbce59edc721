"""``ordhash methods``: the objectives and shallow methods, with their papers."""

from __future__ import annotations

import dataclasses
from typing import Any

from ordhash.cli.errors import needs_extra
from ordhash.cli.options import Json
from ordhash.cli.output import print_json, print_table

__all__ = ["methods"]


def methods(as_json: Json = False) -> None:
    """List the objectives and the shallow methods with their papers."""
    with needs_extra("learn", "listing methods"):
        from ordhash.learn.objectives import OBJECTIVES
        from ordhash.learn.shallow import SHALLOW_METHODS
    objectives = [
        {
            "kind": "objective",
            "name": name,
            "supervision": objective.supervision,
            "arity": 2 if objective.binary else "any",
            "settings": dataclasses.asdict(objective()),  # type: ignore[call-overload]
            "paper": objective.citation,
        }
        for name, objective in OBJECTIVES.items()
    ]
    shallow = [
        {
            "kind": "shallow",
            "name": name,
            "supervision": method.supervision,
            "arity": 2,
            "settings": dataclasses.asdict(method()),  # type: ignore[call-overload]
            "paper": method.citation,
        }
        for name, method in SHALLOW_METHODS.items()
    ]
    if as_json:
        for entry in (*objectives, *shallow):
            print_json(entry)
        return
    _print(objectives, "Objectives of the network: ordhash train --objective NAME (add --arity 2 where the arity is 2)")
    _print(shallow, "Shallow methods: ordhash train --method NAME")


def _print(entries: list[dict[str, Any]], title: str) -> None:
    columns = ("name", "supervision", "arity", "settings", "paper")
    rows = [{**entry, "arity": str(entry["arity"]), "settings": _in_words(entry["settings"])} for entry in entries]
    print_table(columns, [[row[column] for column in columns] for row in rows], title=title)


def _in_words(settings: dict[str, Any]) -> str:
    words = (f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items())
    return ", ".join(words) or "-"
