"""Processes that change a collection are killed at random moments, and nothing is lost.

ORDHASH_TEST_KILLS=300 kills them more often.
"""

import os
import shutil
import sys

import numpy as np
import pytest
from killing import Killing

from ordhash import Encoder
from ordhash.collection import Collection
from ordhash.collection.catalogue import Catalogue
from ordhash.data import content_id

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

EVENTS = {"sync": 900, "add": 300, "index": 120, "delete": 40}  # about as many as each has
KILLS = int(os.environ.get("ORDHASH_TEST_KILLS", "12"))


def rows(collection):
    """What the catalogue holds: content and code by key."""
    with Catalogue(collection.path / "catalogue.sqlite") as catalogue:
        return {entry.key: (entry.content, entry.code) for entry in catalogue.entries()}


def deleted(collection):
    """Contents that the catalogue hides."""
    with Catalogue(collection.path / "catalogue.sqlite") as catalogue:
        return {file.content for file in catalogue.deleted()}


def many(folder):
    """Files of a folder, and three others of each picture."""
    pool = sorted(folder.rglob("*.jpg"))
    for path in list(pool):
        for number in range(3):
            other = path.with_name(f"{path.stem}-{number}.jpg")
            other.write_bytes(path.read_bytes() + bytes(number + 1))
            pool.append(other)
    return pool


class Story:
    """A folder and its collection, and what the catalogue has to hold when nothing is in progress."""

    def __init__(self, folder, pool, collection, models, killing, rng):
        self.folder, self.pool, self.collection = folder, pool, collection
        self.models, self.killing, self.rng = models, killing, rng
        self.codes = {}
        for model in models:
            encoder = Encoder(model)
            codes = encoder.encode(pool).packed()
            self.codes[encoder.model_id] = {
                content_id(path): code.tobytes() for path, code in zip(pool, codes, strict=True)
            }
        self.deleted, self.number, self.killed, self.model = set(), 0, {}, models[0]
        for path in pool[:20]:
            shutil.copy2(path, folder / path.name)
        killing.run("sync", collection.path, folder, self.model)
        self.check()

    def there(self):
        files = {path.relative_to(self.folder).as_posix(): content_id(path) for path in self.folder.rglob("*.jpg")}
        return {key: content for key, content in files.items() if content not in self.deleted}

    def check(self):
        """After an undisturbed sync."""
        codes = self.codes[self.collection.model_id]
        assert rows(self.collection) == {key: (content, codes[content]) for key, content in self.there().items()}
        assert self.collection.verify() == []
        index = self.collection.index()
        assert index.keys.tolist() == sorted(self.there())
        assert not [path.name for path in self.collection.path.rglob("*") if path.name.endswith(".tmp")]
        assert [path.name for path in self.collection.path.glob("*.onnx")] == [f"model-{self.collection.model_id}.onnx"]

    def change_folder(self):
        """New, changed, moved, touched and removed files; returns the keys of what was there and is not as it was."""
        keys = sorted(self.there())
        gone = set(self.rng.permutation(keys)[:4].tolist())
        for kind, key in zip(("remove", "move", "change", "touch"), sorted(gone), strict=False):
            path = self.folder / key
            self.number += 1
            if kind == "remove":
                path.unlink()
            elif kind == "move":
                path.rename(self.folder / f"moved {self.number}.jpg")
            elif kind == "change":
                shutil.copyfile(self.rng.choice(self.pool), path)
            os.utime(path) if path.exists() else None
        for path in self.rng.choice(self.pool, 5):
            self.number += 1
            shutil.copyfile(path, self.folder / f"new {self.number}.jpg")
        return gone

    def task(self):
        """Something to do: name, arguments, and the keys that it may change."""
        do = self.rng.choice(["sync", "sync", "reencode", "add", "delete", "index"])
        place = self.collection.path
        if do == "sync":
            changed = self.change_folder()
            return "sync", (place, self.folder, self.model), changed
        if do == "reencode":
            changed = self.change_folder()
            self.model = self.models[1 - self.models.index(self.model)]
            return "sync", (place, self.folder, self.model), changed
        if do == "add":
            self.number += 1
            return "add", (place, self.rng.choice(self.pool), f"added {self.number}.jpg"), set()
        if do == "delete":
            keys = self.rng.permutation(sorted(self.there()))[:2].tolist()
            return "delete", (place, *keys), set(keys)
        return "index", (place,), set()

    def round(self):
        before, model_before = rows(self.collection), self.collection.model_id
        do, arguments, changed = self.task()
        how = {"events": int(self.rng.integers(1, EVENTS[do]))}
        if self.rng.random() < 0.3:
            how = {"seconds": float(self.rng.uniform(0, 0.6))}
        killed = self.killing.run(do, *arguments, **how)
        if killed:
            self.killed[do] = self.killed.get(do, 0) + 1
        after, model_after = rows(self.collection), self.collection.model_id
        codes = self.codes[model_after]
        assert self.collection.verify() == []
        assert self.collection.model().is_file()
        for key in set(before) - changed:  # nothing that was committed is lost, or has another code
            assert after[key] == (before[key][0], codes[before[key][0]]), (do, key)
        for content, code in after.values():
            assert codes[content] == code
        if do == "delete":
            left = [key for key in changed if key in after]
            assert left in ([], [key for key in changed if key in before])
            if not left:
                self.deleted |= {before[key][0] for key in changed}
                # Copies that were not deleted stay; here they go, so that what is there is easily said.
                for path in self.folder.rglob("*.jpg"):
                    if content_id(path) in self.deleted:
                        path.unlink()
        # A deleted photograph that is added again is restored, at the end or at a moment before it was killed.
        if do == "add":
            restored = content_id(arguments[1]) not in deleted(self.collection)
            assert restored or killed
            if restored:
                self.deleted.discard(content_id(arguments[1]))
        if model_after != model_before:
            assert do == "sync"
        for path in sorted(self.folder.rglob("*.jpg"))[60:]:  # or the folder would grow without end
            path.unlink()
        self.killing.run("sync", self.collection.path, self.folder, self.model)
        self.check()
        return killed


@pytest.fixture
def killing():
    with Killing() as server:
        yield server


def test_nothing_is_lost(photo_folder, tiny_model, calibrated_model, tmp_path, killing):
    rng = np.random.default_rng(KILLS)
    (tmp_path / "folder").mkdir()
    pool = many(photo_folder)
    collection = Collection(tmp_path / "folder.ordhash")
    story = Story(tmp_path / "folder", pool, collection, [tiny_model, calibrated_model], killing, rng)
    rounds = 0
    while sum(story.killed.values()) < KILLS:
        story.round()
        rounds += 1
    print(f"{rounds} rounds, killed: {story.killed}", file=sys.stderr)


def test_learning_gives_the_old_model_up_when_the_new_one_is_done(photo_folder, tmp_path, cache, killing):
    pytest.importorskip("torch", reason="needs ordhash[learn]")
    rng = np.random.default_rng(0)
    collection, killed, rounds = Collection(tmp_path / "learned.ordhash"), 0, 0
    n_files = len(many(photo_folder))
    killing.run("learn", collection.path, photo_folder, cache)
    while killed < max(2, KILLS // 8):
        before, model = rows(collection), collection.model_id
        (photo_folder / f"new {rounds}.jpg").write_bytes(
            (photo_folder / "apple/apple_0.jpg").read_bytes() + bytes(rounds + 1)
        )
        killed += killing.run("learn", collection.path, photo_folder, cache, events=int(rng.integers(1, 6000)))
        after = rows(collection)
        assert set(before) <= set(after)
        if collection.model_id == model:
            assert after == before
        codes = Encoder(collection.model()).encode([photo_folder / key for key in after]).packed()
        assert [code.tobytes() for code in codes] == [code for _, code in after.values()]
        assert collection.verify() == []
        rounds += 1
    killing.run("learn", collection.path, photo_folder, cache)
    assert len(rows(collection)) == n_files + rounds
    assert not (collection.path / "learning").exists()
    assert [path.name for path in collection.path.glob("*.onnx")] == [collection.model().name]
    print(f"{rounds} rounds, killed: {killed}", file=sys.stderr)
