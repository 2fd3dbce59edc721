"""Searches while another process changes the collection: each answer is that of a state that was committed.

ORDHASH_TEST_SEARCHES=85000 searches more often.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading

import changing
import numpy as np
import onnx
import pytest

from ordhash import Encoder
from ordhash.codes import OrdinalCodes
from ordhash.collection import Collection
from ordhash.data import content_id
from ordhash.errors import OtherModelError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

SEARCHES = int(os.environ.get("ORDHASH_TEST_SEARCHES", "600"))
READERS, FOUND = 3, 7


@pytest.fixture
def other_model(tiny_model, tmp_path):
    """A model whose codes have nothing to do with those of `tiny_model`."""
    graph = onnx.load(tiny_model)
    for weights in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.ndim == 2:
            weights.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values[:, ::-1]), weights.name))
    onnx.helper.set_model_props(graph, {"ordhash": graph.metadata_props[0].value})
    onnx.save(graph, tmp_path / "other.onnx")
    return tmp_path / "other.onnx"


class States:
    """The states of a collection, as the process that changes it writes them down before committing them."""

    def __init__(self, path):
        self._path, self._read = path, 0
        self._seen = {}  # number of the last state with this content
        self._count, self._lock = 0, threading.Lock()

    def last(self):
        """How many states are written down; all but the last are committed."""
        with self._lock, self._path.open() as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith("\n"):
                    break
                self._read += len(line.encode())
                state = json.loads(line)
                codes = bytes.fromhex("".join(state["images"].values()))
                self._count += 1
                self._seen[state["model"], tuple(state["images"]), codes] = self._count
            return self._count

    def number(self, index):
        """Number of the last state with the content of an index; None if there is none."""
        content = index.model_id, tuple(index.keys.tolist()), index.codes.packed().tobytes()
        with self._lock:
            return self._seen.get(content)


class Reader(threading.Thread):
    """Searches without a pause, until there were enough searches or one was wrong.

    Args:
        collection: The collection.
        states: Its states.
        codes: Of every model, by the digest of a picture.
        seed: Of the choice of queries.
        until: Called before each search; ends the thread if it returns True.
    """

    def __init__(self, collection, states, codes, seed, until):
        super().__init__()
        self.collection, self.states, self.codes = collection, states, codes
        self.rng, self.until = np.random.default_rng(seed), until
        self.searched, self.numbers, self.models, self.wrong = 0, set(), set(), None

    def run(self):
        try:
            while not self.until():
                self.search()
                self.searched += 1
        except BaseException as error:
            self.wrong = error

    def search(self):
        least = self.states.last() - 1
        index = self.collection.index()
        codes = self.codes[index.model_id]
        packed = np.frombuffer(codes[self.rng.choice(list(codes))], np.uint8)
        query = OrdinalCodes.from_packed(packed[None], index.spec, model_id=index.model_id)
        found = index.search(query, top_k=FOUND)
        self.states.last()
        number = self.states.number(index)
        assert number is not None, f"{len(index)} images of no state"
        assert number >= least, f"the state {number}, and {least} was there before"
        self.numbers.add(number)
        self.models.add(index.model_id)
        distances = (index.codes.symbols != query.symbols).sum(axis=1)
        rows = np.argsort(distances, kind="stable")[:FOUND]
        assert found.keys[0].tolist() == index.keys[rows].tolist()
        assert found.distances[0].tolist() == distances[rows].tolist()
        with contextlib.suppress(OtherModelError):  # encoded again since
            for entry in self.collection.entries(found.keys[0].tolist(), model_id=index.model_id):
                assert entry is None or codes[entry.content] == entry.code


def test_every_search_answers_as_a_committed_state(photo_folder, tiny_model, other_model, tmp_path):
    pool, folder, states = tmp_path / "pool", tmp_path / "folder", tmp_path / "states"
    pool.mkdir()
    for path in photo_folder.rglob("*.jpg"):  # four contents of each picture, with one code
        for number in range(4):
            (pool / f"{path.stem}-{number}.jpg").write_bytes(path.read_bytes() + bytes(number))
    shutil.copytree(photo_folder, folder)
    pictures = sorted(pool.iterdir())
    codes = {}
    for model in (tiny_model, other_model):
        encoder = Encoder(model)
        packed = encoder.encode(pictures).packed()
        codes[encoder.model_id] = {
            content_id(path): code.tobytes() for path, code in zip(pictures, packed, strict=True)
        }
    one, other = (list(some.values()) for some in codes.values())
    assert not set(one) & set(other)
    command = [sys.executable, changing.__file__, tmp_path / "c", folder, pool, states, "1", tiny_model, other_model]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            with Collection(tmp_path / "c") as collection:
                readers = []

                def until():
                    if any(reader.wrong for reader in readers) or process.poll() is not None:
                        return True
                    # A change of the model is one of seven: few searches may see one model alone.
                    searched, models = (
                        sum(reader.searched for reader in readers),
                        set().union(*(reader.models for reader in readers)),
                    )
                    return searched >= (SEARCHES if models == set(codes) else 20 * SEARCHES)

                known = States(states)
                readers += [Reader(collection, known, codes, seed, until) for seed in range(READERS)]
                for reader in readers:
                    reader.start()
                for reader in readers:
                    reader.join()
        finally:
            process.stdin.close()
            said = process.stdout.read()
    assert process.returncode == 0
    for reader in readers:
        if reader.wrong is not None:
            raise reader.wrong
    searched, numbers = sum(reader.searched for reader in readers), set.union(*(reader.numbers for reader in readers))
    print(f"{searched} searches in {len(numbers)} of {known.last()} states; {said.strip()}", file=sys.stderr)
    assert searched >= SEARCHES
    assert len(numbers) > 10
    assert set.union(*(reader.models for reader in readers)) == set(codes)
    assert Collection(tmp_path / "c").verify() == []
