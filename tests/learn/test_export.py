import dataclasses
import logging
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import ordhash
from ordhash.codes.codes import CodeSpec
from ordhash.data import read_folder
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainConfig, train
from ordhash.learn import export as module
from ordhash.learn.backbones import Backbone, build_backbone, configured_backbone
from ordhash.learn.export import export_backbone, export_head, export_model, weights_digest
from ordhash.learn.network import HashingHead, HashingNetwork
from ordhash.learn.normalisation import NORMALISATIONS
from ordhash.model import Encoder
from ordhash.model.file import load_model
from ordhash.model.inference import Preprocessing, open_session
from ordhash.model.info import ModelInfo

SPEC = CodeSpec(12, 8)
NAME, DEPTH, SIZE = "test_resnet", 96, 64


@pytest.fixture(scope="module")
def backbone():
    return build_backbone(NAME, weights=None, image_size=SIZE)


@pytest.fixture(scope="module")
def frozen(backbone):
    return export_backbone(backbone, Preprocessing(SIZE), NAME)


def make_head(**switches):
    torch.manual_seed(0)
    head = HashingHead(DEPTH, 3, SPEC, hidden=16, local_hidden=16, **{"attention": "learned", **switches}).eval()
    if head.local_stream is not None:
        with torch.no_grad():
            head.local_stream.classes.weight.mul_(10)  # attention far from uniform
            if head.local_stream.place is not None:
                head.local_stream.place.weight.mul_(10)
    return head


def random_pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"multilabel": True},
        {"use_global": False},
        {"use_local": False},
        {"attention": "cam"},
        {"attention": "cam", "multilabel": True},
        {"attention": "none"},
    ],
    ids=lambda switches: " ".join(switches) or "both streams",
)
def test_a_head_computes_the_same_outside_pytorch(switches):
    head = make_head(**switches)
    session = open_session(export_head(head, DEPTH), threads=1)
    for n in (1, 3):
        features = np.random.default_rng(n).normal(size=(n, DEPTH, 2, 3)).astype(np.float32)
        with torch.no_grad():
            expected = head(torch.from_numpy(features))
        scores, attention = session.run(["scores", "attention"], {"features": features})
        assert scores.shape == (n, SPEC.n_segments, SPEC.arity)
        assert attention.shape == (n, 2, 3)
        np.testing.assert_allclose(scores, expected.scores.numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(attention, expected.attention.numpy(), rtol=0, atol=1e-4)


@pytest.mark.slow  # exports a backbone that nothing else needs
def test_a_whole_model_computes_the_same_outside_pytorch(backbone, frozen, tmp_path):
    head = make_head()
    with torch.no_grad():  # random weights of a backbone give tiny features; make the test see differences
        head.local_stream.place.weight.mul_(20)
    info = ModelInfo(
        SPEC,
        Preprocessing(SIZE),
        backbone.normalisation.to_json(),
        ("a", "b", "c"),
        True,
        NAME,
        weights_digest(backbone),
        {"name": "doh"},
        "fruit",
        {"seed": 3, "failures": [["a.jpg", "it is empty"]]},
    )
    model = load_model(export_model(tmp_path / "model.onnx", frozen, head, DEPTH, info))
    versions = {"ordhash": ordhash.__version__, "torch": torch.__version__}
    assert model.info == dataclasses.replace(info, training={**info.training, "versions": versions})
    session = open_session(model.graph, threads=1)
    halves = open_session(model.backbone().graph, threads=1), open_session(model.head(), threads=1)
    network = HashingNetwork(backbone, head).eval()
    spread = []
    for n in (1, 3):
        pictures = random_pictures(n, n)
        with torch.no_grad():
            expected = network(torch.from_numpy(pictures))
        scores, attention = session.run(["scores", "attention"], {"images": pictures})
        np.testing.assert_allclose(scores, expected.scores.numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(attention, expected.attention.numpy(), rtol=0, atol=1e-4)
        spread.append(attention.std())
        (features,) = halves[0].run(["features"], {"images": pictures})
        again = halves[1].run(["scores", "attention"], {"features": features})
        np.testing.assert_allclose(again[0], scores, rtol=0, atol=1e-6)
        np.testing.assert_allclose(again[1], attention, rtol=0, atol=1e-6)
    assert max(spread) > 1e-3


def test_a_backbone_computes_the_same_outside_pytorch(backbone, frozen):
    session = open_session(frozen.graph, threads=1)
    for n in (1, 3):
        pictures = random_pictures(n, n)
        with torch.no_grad():
            expected = backbone(torch.from_numpy(pictures)).numpy()
        (features,) = session.run(["features"], {"images": pictures})
        np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))
    assert frozen.preprocessing == Preprocessing(SIZE)
    assert frozen.name == NAME
    assert frozen.weights_id == weights_digest(backbone)


@pytest.mark.slow  # exports two backbones
def test_the_same_weights_give_the_same_graph():
    head = make_head()
    graph = export_head(head, DEPTH)
    assert export_head(make_head(), DEPTH) == graph
    with torch.no_grad():
        head.global_stream.fc6.bias[0] += 1
    assert export_head(head, DEPTH) != graph


def test_an_exported_backbone_is_kept_and_used_again(backbone, frozen, tmp_path, monkeypatch):
    exported = []

    def count(*given):
        exported.append(given)
        return frozen.graph

    monkeypatch.setattr(module, "to_onnx", count)
    first = export_backbone(backbone, Preprocessing(SIZE), NAME, tmp_path / "backbones")
    (kept,) = (tmp_path / "backbones").iterdir()  # no partial file beside it
    written = kept.stat().st_mtime_ns
    second = export_backbone(backbone, Preprocessing(SIZE), NAME, tmp_path / "backbones")
    assert len(exported) == 1
    assert kept.stat().st_mtime_ns == written
    assert first == second == frozen
    assert second.graph == kept.read_bytes() == frozen.graph
    export_backbone(build_backbone(NAME, weights=None, image_size=SIZE, seed=1), Preprocessing(SIZE), NAME, kept.parent)
    export_backbone(backbone, Preprocessing(96), NAME, kept.parent)
    assert len(exported) == 3  # other weights, another size
    export_backbone(backbone, Preprocessing(SIZE, "crop"), NAME, kept.parent)
    assert len(exported) == 3  # the preprocessing is not in the graph


def test_an_interrupted_export_leaves_nothing_that_is_used(backbone, frozen, tmp_path, monkeypatch):
    def stopped(path, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "to_onnx", lambda *given: frozen.graph)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            export_backbone(backbone, Preprocessing(SIZE), NAME, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert export_backbone(backbone, Preprocessing(SIZE), NAME, tmp_path).graph == frozen.graph


@pytest.mark.slow  # exports a backbone
def test_exporting_leaves_the_module_and_the_log_level_alone(backbone):
    before = weights_digest(backbone)
    level = logging.getLogger("torch.onnx").level
    head = make_head()
    export_head(head, DEPTH)
    assert weights_digest(backbone) == before
    assert logging.getLogger("torch.onnx").level == level
    assert not any(part.training for part in head.modules())


def test_the_digest_follows_names_and_values():
    def layer(value=0.0, name="weight"):
        module = torch.nn.Module()
        module.register_buffer(name, torch.full((3,), value))
        return weights_digest(module)

    assert layer() == layer()
    assert len({layer(), layer(1e-30), layer(name="bias")}) == 3
    assert len(layer()) == 16
    int(layer(), 16)


def test_a_graph_says_nothing_of_the_machine_that_wrote_it(frozen):
    model = onnx.load_from_string(frozen.graph)
    assert not any(node.metadata_props for node in model.graph.node)
    assert str(Path(torch.__file__).parent).encode() not in frozen.graph
    assert str(Path(__file__).parents[2]).encode() not in frozen.graph


@pytest.mark.parametrize("stages", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_one_graph_serves_pictures_of_any_height_and_width(stages):
    backbone = build_backbone("resnet10t", weights=None, image_size=SIZE, stages=stages, mirror=stages > 1)
    frozen = export_backbone(backbone, Preprocessing(SIZE, "whole"), "resnet10t")
    session = open_session(frozen.graph, threads=1)
    for h, w in ((64, 64), (64, 96), (128, 64), (96, 160)):
        pictures = np.random.default_rng(h + w).integers(0, 256, (2, h, w, 3), dtype=np.uint8)
        with torch.no_grad():
            expected = backbone(torch.from_numpy(pictures)).numpy()
        (features,) = session.run(["features"], {"images": pictures})
        assert features.shape == (2, expected.shape[1], h // 32, w // 32)
        np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


class Wavering(torch.nn.Module):
    """A network whose steps depend on the pictures."""

    def forward_features(self, images):
        return images if images.sum() > 0 else -images


def test_a_network_that_cannot_be_exported_is_named():
    backbone = Backbone(Wavering(), NORMALISATIONS["unit"], last_channels=3).eval()
    with pytest.raises(
        InputError, match=r"^wavering cannot be written as an ONNX graph \(.*; choose another backbone$"
    ):
        export_backbone(backbone, Preprocessing(32), "wavering")


# Name, a size other than its own, how pictures are fitted. One of every kind that timm lays out differently.
NETWORKS = [
    ("test_vit", 64, "whole"),  # a plain transformer, its positions interpolated
    ("deit_tiny_distilled_patch16_224", 96, "squash"),  # two prefix tokens
    ("eva02_tiny_patch14_224", 84, "whole"),  # rotary positions, patches of 14
    ("vit_small_patch14_reg4_dinov2", 84, "squash"),  # registers
    ("vit_tiny_patch16_dinov3_qkvb", 96, "squash"),  # registers and rotary positions
    ("vit_base_patch32_siglip_gap_256", 96, "squash"),  # no prefix token
    ("swin_tiny_patch4_window7_224", 96, "squash"),  # windows, channels last
    ("hiera_tiny_224", 224, "squash"),  # hierarchical, tokens
    ("test_convnext", 96, "whole"),
    ("fastvit_t8", 96, "squash"),
    ("mobilevit_xxs", 96, "squash"),
    ("pvt_v2_b0", 96, "squash"),
    ("test_mambaout", 96, "whole"),  # channels last
    ("resnet50_v1", 96, "whole"),
]


@pytest.mark.slow  # trains and exports many networks
@pytest.mark.parametrize(("name", "size", "fit"), NETWORKS)
def test_networks_of_every_layout_are_trained_and_exported(name, size, fit, photo_folder, tmp_path):
    config = DOHConfig(
        12, 4, backbone=name, weights=None, image_size=size, fit=fit, stages=2, hidden=16, local_hidden=16
    )
    images = read_folder(photo_folder)
    trained = train(images, config, TrainConfig(mode="frozen", epochs=1), out=tmp_path, cache=tmp_path / "cache")
    model = load_model(trained.model)
    backbone, preprocessing = configured_backbone(config)
    assert model.info.preprocessing == preprocessing
    session = open_session(model.backbone().graph, threads=1)
    for width in {size, size + 2 * preprocessing.step if fit == "whole" else size}:
        pictures = np.random.default_rng(width).integers(0, 256, (2, size, width, 3), dtype=np.uint8)
        with torch.no_grad():
            expected = backbone(torch.from_numpy(pictures)).numpy()
        (features,) = session.run(["features"], {"images": pictures})
        assert features.shape == expected.shape
        np.testing.assert_allclose(features, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
    assert len(Encoder(trained.model).encode(images)) == len(images)
