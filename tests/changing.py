"""A process that changes a collection until its standard input ends, and writes down every state before committing it.

    python changing.py COLLECTION FOLDER POOL STATES SEED MODEL...

Each line of STATES is `{"model": ID, "images": {KEY: CODE}}`. At the end it prints how often it did what.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ordhash import Encoder
from ordhash.collection import Collection, sync
from ordhash.collection.database import Database
from ordhash.data import CATALOGUE

MOST = 40  # images


def write_down_states(states: Path) -> None:
    """Write every state of a catalogue into a file before it is committed."""
    commit = Database.transaction

    @contextmanager
    def transaction(self: Database) -> Iterator[None]:
        part = self.changing
        with commit(self):
            yield
            if self.path.name == CATALOGUE and not part:
                images = {key: code.hex() for key, code in self.execute("SELECT key, code FROM images ORDER BY key")}
                ((model,),) = self.execute("SELECT value FROM facts WHERE name = 'model_id'").fetchall()
                with states.open("a") as file:
                    file.write(json.dumps({"model": model, "images": images}) + "\n")

    Database.transaction = transaction  # type: ignore[method-assign]


class Changes:
    """What is done to a collection."""

    def __init__(self, place: Path, folder: Path, pool: Path, seed: int, models: list[Path]) -> None:
        self.collection, self.folder, self.pool = Collection(place), folder, sorted(pool.rglob("*.jpg"))
        self.rng, self.number = np.random.default_rng(seed), 0
        self.encoders = [Encoder(model) for model in models]
        self.done: Counter[str] = Counter()

    def one(self) -> None:
        """One change."""
        do = str(self.rng.choice(["sync", "sync", "sync", "add", "delete", "undelete", "reencode"]))
        self.done[do] += 1
        if do == "add":
            self.number += 1
            self.collection.add(self.picture(), self.encoders[0], name=f"added {self.number}.jpg")
        elif do == "delete":
            keys = self.rng.permutation(self.collection.index().keys)[:3].tolist()
            self.collection.delete(keys)
        else:
            self.change_folder()
            if do == "reencode":
                self.encoders.reverse()
            self.collection.sync(self.folder, self.encoders[0], reencode=True, forget=True, undelete=do == "undelete")

    def change_folder(self) -> None:
        """Remove, move, replace and add files."""
        files = self.rng.permutation(sorted(self.folder.rglob("*.jpg")))
        for file in files[MOST:]:
            file.unlink()
        for kind, file in zip(("remove", "move", "replace"), files[:3], strict=False):
            self.number += 1
            if kind == "remove":
                file.unlink()
            elif kind == "move":
                file.rename(self.folder / f"moved {self.number}.jpg")
            else:
                file.write_bytes(self.picture())
        for _ in range(6):
            self.number += 1
            (self.folder / f"new {self.number}.jpg").write_bytes(self.picture())

    def picture(self) -> bytes:
        """A file of the pool."""
        return self.pool[self.rng.integers(len(self.pool))].read_bytes()


def main() -> None:
    place, folder, pool, states, seed, *models = sys.argv[1:]
    sync._CHUNK_FILES = 3  # many transactions
    write_down_states(Path(states))
    changes = Changes(Path(place), Path(folder), Path(pool), int(seed), [Path(model) for model in models])
    changes.collection.sync(folder, changes.encoders[0])
    print("ready", flush=True)
    told = threading.Thread(target=sys.stdin.read, daemon=True)
    told.start()
    while told.is_alive():
        changes.one()
    print(json.dumps(changes.done))


if __name__ == "__main__":
    main()
