"""Pictures that several tests need, made on the spot."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

pytest_plugins = ["engines"]  # tests/engines.py

CLASS_COLOURS = {"apple": (200, 40, 40), "banana": (220, 200, 50), "carrot": (40, 90, 200)}


@pytest.fixture
def terminal(monkeypatch):
    """What is printed goes to a terminal, as far as Rich can tell, and without colours between the characters."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Feature maps and exported backbones of all trainings, so that a backbone is exported once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Folder `photos` of three classes, one sub-folder each, with six JPEGs of 48x40 pixels that differ by colour."""
    return _photos(tmp_path / "photos")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `model.onnx` (48 bits, arity 4, 64 px) that learned for two epochs from photographs like `photo_folder`'s."""
    pytest.importorskip("torch", reason="needs ordhash[learn]")
    from ordhash import learn
    from ordhash.data import read_folder

    folder = tmp_path_factory.mktemp("tiny_model")
    config = learn.DOHConfig(weights=None, image_size=64, hidden=16, local_hidden=16)
    settings = learn.TrainConfig(epochs=2, batch_size=8, accelerator="cpu")
    images = read_folder(_photos(folder / "photos"))
    model: Path = learn.train(images, config, settings, out=folder / "run", cache=folder / "cache").model
    return model


@pytest.fixture(scope="session")
def calibrated_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_model` with made-up calibrations: cut-offs between the distances of its photographs."""
    graph = onnx.load(tiny_model)
    values = json.loads(graph.metadata_props[0].value)
    values["calibration"] = {"distances": [0, 1, 2, 24], "likelihoods": [0.9, 0.6, 0.4, 0.1], "pairs": 90}
    values["asymmetric_calibration"] = {"distances": [0.0, 0.02, 9.0], "likelihoods": [0.9, 0.5, 0.1], "pairs": 90}
    onnx.helper.set_model_props(graph, {"ordhash": json.dumps(values)})
    path = tmp_path_factory.mktemp("calibrated_model") / "model.onnx"
    onnx.save(graph, path)
    return path


def _photos(root: Path) -> Path:
    rng = np.random.default_rng(7)
    for label, colour in CLASS_COLOURS.items():
        (root / label).mkdir(parents=True)
        for number in range(6):
            pixels = np.clip(np.array(colour) + rng.normal(0, 18, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{label}_{number}.jpg", quality=90)
    return root


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


@pytest.fixture
def photo_collection(photo_folder: Path, calibrated_model: Path, tmp_path: Path) -> Path:
    """A collection of `photo_folder`, encoded by `calibrated_model`."""
    from ordhash.collection import Collection
    from ordhash.model.encoder import Encoder

    path = tmp_path / "photos.collection"
    Collection(path).sync(photo_folder, Encoder(calibrated_model))
    return path
