"""Pictures that several tests need, made on the spot."""

from __future__ import annotations

import fcntl
import functools
import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import settings
from PIL import Image

import ordhash  # noqa: F401  # before any test imports onnxruntime

pytest_plugins = ["engines"]  # tests/engines.py

# The same examples in every run: whether a change can land must not depend on a draw.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    """Keep each of several workers of pytest-xdist on one core: there, every library starts one thread.

    On all cores, the threads of PyTorch, ONNX Runtime and Numba of one worker would wait for those of the others.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None and worker["workercount"] > 1:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker["workerid"].removeprefix("gw")) % len(cores)]})


CLASS_COLOURS = {"apple": (200, 40, 40), "banana": (220, 200, 50), "carrot": (40, 90, 200)}


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A new folder that `make` fills, for all workers: the first that needs it makes it, the others wait."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has a folder inside the one of the run
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process seems to have two cores, so that what shares work among its cores does so in every test run."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})


@pytest.fixture
def terminal(monkeypatch):
    """What is printed goes to a terminal, as far as Rich can tell, and without colours between the characters."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def photos_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `photo_folder` is a copy of; nothing may be changed in it."""
    return made_once(tmp_path_factory, "photos", _photos)


@pytest.fixture
def photo_folder(photos_once: Path, tmp_path: Path) -> Path:
    """Folder `photos` of three classes, one sub-folder each, with six JPEGs of 48x40 pixels that differ by colour."""
    return Path(shutil.copytree(photos_once, tmp_path / "photos"))


@pytest.fixture(scope="session")
def quick_export() -> Iterator[None]:
    """The exporter's table of operators is built once; PyTorch builds it for every export, which doubles the time."""
    registration = pytest.importorskip("torch.onnx._internal.exporter._registration", reason="needs ordhash[learn]")
    registry, built = registration.ONNXRegistry, vars(registration.ONNXRegistry)["from_torchlib"]
    registry.from_torchlib = staticmethod(functools.cache(registry.from_torchlib))
    yield
    registry.from_torchlib = built


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, quick_export: None) -> Path:
    """Feature maps and exported backbones of all trainings of a test run, so that a backbone is exported once."""
    return made_once(tmp_path_factory, "cache", lambda folder: None)


@pytest.fixture(scope="session")
def tiny_model(cache: Path, photos_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `model.onnx` (48 bits, arity 4, 64 px) that learned for two epochs from photographs like `photo_folder`'s."""
    from ordhash import learn
    from ordhash.data import read_folder

    def make(folder: Path) -> None:
        config = learn.DOHConfig(weights=None, image_size=64, hidden=16, local_hidden=16)
        settings = learn.TrainConfig(epochs=2, batch_size=8, accelerator="cpu")
        learn.train(read_folder(photos_once), config, settings, out=folder / "run", cache=cache)

    return made_once(tmp_path_factory, "tiny_model", make) / "run" / "model.onnx"


@pytest.fixture(scope="session")
def calibrated_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_model` with made-up calibrations: cut-offs between the distances of its photographs."""

    def make(folder: Path) -> None:
        graph = onnx.load(tiny_model)
        values = json.loads(graph.metadata_props[0].value)
        values["calibration"] = {"distances": [0, 1, 2, 24], "likelihoods": [0.9, 0.6, 0.4, 0.1], "pairs": 90}
        values["asymmetric_calibration"] = {"distances": [0.0, 0.02, 9.0], "likelihoods": [0.9, 0.5, 0.1], "pairs": 90}
        onnx.helper.set_model_props(graph, {"ordhash": json.dumps(values)})
        onnx.save(graph, folder / "model.onnx")

    return made_once(tmp_path_factory, "calibrated_model", make) / "model.onnx"


@pytest.fixture(scope="session")
def judging_model(calibrated_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`calibrated_model` to which dark pictures are unlike anything that it learned from."""

    def make(folder: Path) -> None:
        graph = onnx.load(calibrated_model)
        values = json.loads(graph.metadata_props[0].value) | {"familiarity": {"least": 25.0, "images": 300}}
        axes = onnx.numpy_helper.from_array(np.array([1, 2, 3], dtype=np.int64), "brightness/axes")
        graph.graph.initializer.append(axes)
        graph.graph.node.append(
            onnx.helper.make_node("Cast", ["images"], ["brightness/pixels"], to=onnx.TensorProto.FLOAT)
        )
        inputs = ["brightness/pixels", "brightness/axes"]
        graph.graph.node.append(onnx.helper.make_node("ReduceMean", inputs, ["familiarity"], keepdims=0))
        graph.graph.output.append(onnx.helper.make_tensor_value_info("familiarity", onnx.TensorProto.FLOAT, ["n"]))
        onnx.helper.set_model_props(graph, {"ordhash": json.dumps(values)})
        onnx.save(graph, folder / "model.onnx")

    return made_once(tmp_path_factory, "judging_model", make) / "model.onnx"


@pytest.fixture
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that differ in one segment are kept: tiny networks see hardly more in these pictures."""
    monkeypatch.setattr("ordhash.model.parts._DIFFERING", 0.01)


@pytest.fixture
def dark_photo(tmp_path: Path) -> Path:
    """A photograph that is unlike anything that `judging_model` learned from."""
    path = tmp_path / "dark.png"
    pixels = np.random.default_rng(9).integers(0, 20, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def _photos(root: Path) -> None:
    rng = np.random.default_rng(7)
    for label, colour in CLASS_COLOURS.items():
        (root / label).mkdir(parents=True)
        for number in range(6):
            pixels = np.clip(np.array(colour) + rng.normal(0, 18, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{label}_{number}.jpg", quality=90)


@pytest.fixture
def bad_files(tmp_path: Path) -> dict[str, Path]:
    """One bad file per kind: `empty`, `text`, `truncated` and `bomb` (all but the last named .jpg)."""
    folder = tmp_path / "bad"
    folder.mkdir()
    whole = io.BytesIO()
    noise = np.random.default_rng(8).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    contents = {
        "empty.jpg": b"",
        "text.jpg": b"This is a shopping list: apples, bananas, carrots.\n" * 20,
        "truncated.jpg": whole.getvalue()[: len(whole.getvalue()) // 2],
        "bomb.png": _png(60_000, 60_000, zlib.compress(bytes(1000))),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name.split(".")[0]: folder / name for name in contents}


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def collection_once(photos_once: Path, calibrated_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `photo_collection` is a copy of; nothing may be changed in it."""
    from ordhash.collection import Collection
    from ordhash.model.encoder import Encoder

    def make(folder: Path) -> None:
        Collection(folder / "photos.collection").sync(photos_once, Encoder(calibrated_model))

    return made_once(tmp_path_factory, "collection", make) / "photos.collection"


@pytest.fixture
def photo_collection(photo_folder: Path, collection_once: Path, tmp_path: Path) -> Path:
    """A collection of `photo_folder`, encoded by `calibrated_model`."""
    from ordhash.collection.catalogue import Catalogue

    path = Path(shutil.copytree(collection_once, tmp_path / "photos.collection"))
    with Catalogue(path / "catalogue.sqlite") as catalogue:
        catalogue.move_to(photo_folder)
    return path
