import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from torchvision import models

from ordhash.errors import InputError
from ordhash.learn.backbones import build_backbone
from ordhash.learn.export import export_backbone, weights_digest
from ordhash.learn.trunks import make_trunk
from ordhash.model.inference import Preprocessing

DEPTHS = {"alexnet": (256, 192, 64), "vgg16": (512, 512, 256, 128, 64)}  # behind each pooling, the last one first


def random_pictures(n, size):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


def features_of(backbone, pictures):
    with torch.no_grad():
        return backbone(pictures)


@pytest.mark.parametrize(("name", "size", "side"), [("alexnet", 224, 6), ("alexnet", 160, 4), ("vgg16", 64, 2)])
def test_features_are_torchvisions_with_weights_from_its_file(tmp_path, name, size, side):
    with torch.device("meta"):
        features = getattr(models, name)(weights=None).features
    features = features.to_empty(device="cpu")
    features.load_state_dict(make_trunk(name).features.state_dict())
    state = {f"features.{key}": value for key, value in features.state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.zeros(2)}, tmp_path / "weights.pth")
    backbone = build_backbone(name, weights=tmp_path / "weights.pth", image_size=size)
    pictures = random_pictures(2, size)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = features((pictures.permute(0, 3, 1, 2) / 255 - mean) / std)
    found = features_of(backbone, pictures)
    assert found.shape == (2, backbone.last_channels, side, side)
    assert found.std() > 0.1  # random weights keep the scale from layer to layer
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert backbone.last_channels == DEPTHS[name][0]


def test_random_weights_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    one, again, other = (
        build_backbone("alexnet", weights=None, image_size=64, seed=seed).state_dict() for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["network.features.0.weight"], other["network.features.0.weight"])


@pytest.mark.parametrize(("name", "size"), [("alexnet", 224), ("vgg16", 64)])
def test_stages_end_with_poolings(name, size):
    depths = DEPTHS[name]
    plain, joined = (build_backbone(name, weights=None, image_size=size, stages=n) for n in (1, len(depths)))
    pictures = random_pictures(1, size)
    with torch.no_grad():
        normalised = (pictures.permute(0, 3, 1, 2) - plain.mean) / plain.std
        last, maps = plain.network.forward_intermediates(normalised)
        _, picked = plain.network.forward_intermediates(normalised, indices=[0, 1])
    assert [m.shape[1] for m in reversed(maps)] == list(depths)
    assert all(torch.equal(*pair) for pair in zip(picked, maps, strict=False))
    found = features_of(joined, pictures)
    assert found.shape == (1, sum(depths), *last.shape[2:])
    torch.testing.assert_close(found[:, : depths[0]], features_of(plain, pictures))
    torch.testing.assert_close(last, maps[-1])
    with pytest.raises(InputError, match=rf"stages is 7; {name} has {len(depths)} feature maps to join"):
        build_backbone(name, weights=None, image_size=size, stages=7)


def test_squares_overlap_where_they_cannot_stand_side_by_side():
    plain, joined = (build_backbone("alexnet", weights=None, image_size=224, stages=n) for n in (1, 2))
    pictures = random_pictures(1, 224)
    with torch.no_grad():
        _, maps = plain.network.forward_intermediates((pictures.permute(0, 3, 1, 2) - plain.mean) / plain.std)
    earlier, found = maps[1], features_of(joined, pictures)[:, 256:]
    assert (earlier.shape[2], found.shape) == (13, (1, 192, 6, 6))
    for row, column in itertools.product(range(6), repeat=2):
        window = earlier[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        torch.testing.assert_close(found[:, :, row, column], window.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)


def test_resnet_halves_its_map_in_the_first_convolution_of_a_stage():
    trunk, expected = make_trunk("resnet50_v1").eval(), models.resnet50(weights=None).eval()
    expected.load_state_dict(trunk.state_dict(), strict=False)
    pictures = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for part in expected.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.eps = 1e-3
        first = expected.layer1(expected.maxpool(expected.relu(expected.bn1(expected.conv1(pictures)))))
        last, maps = trunk.forward_intermediates(pictures)
        _, picked = trunk.forward_intermediates(pictures, indices=[1, 2])
        # Every other location of what its first layer would give without the stride.
        block, reference = trunk.layer2[0], expected.layer2[0]
        reference.conv2.stride = (1, 1)
        wide = reference.bn1(reference.conv1(first)).relu()[:, :, ::2, ::2]
        wide = reference.bn3(reference.conv3(reference.bn2(reference.conv2(wide)).relu()))
        torch.testing.assert_close(block(first), (wide + reference.downsample(first)).relu())
    torch.testing.assert_close(maps[0], first)
    assert [tuple(part.shape[1:]) for part in maps] == [(256, 16, 24), (512, 8, 12), (1024, 4, 6), (2048, 2, 3)]
    assert torch.equal(last, maps[3])
    assert all(torch.equal(*pair) for pair in zip(picked, maps[1:3], strict=True))


@pytest.mark.parametrize("stages", [1, 2])
def test_pictures_that_are_too_small_are_refused(stages):
    with pytest.raises(InputError, match=r"alexnet cannot take pictures of 48 pixels \(.*change image_size"):
        build_backbone("alexnet", weights=None, image_size=48, stages=stages)


@pytest.mark.slow  # exports a backbone
def test_the_graph_gives_the_same_features():
    backbone = build_backbone("alexnet", weights=None, image_size=96, stages=2, mirror=True)
    frozen = export_backbone(backbone, Preprocessing(96), "alexnet")
    pictures = random_pictures(3, 96)
    session = onnxruntime.InferenceSession(frozen.graph, providers=["CPUExecutionProvider"])
    (found,) = session.run(["features"], {"images": pictures.numpy()})
    np.testing.assert_allclose(found, features_of(backbone, pictures).numpy(), rtol=1e-3, atol=1e-4)
    assert frozen.weights_id == weights_digest(backbone)


@pytest.mark.parametrize(("name", "suggested"), [("alexnt", "alexnet"), ("AlexNet", "alexnet"), ("vgg-16", "vgg16")])
def test_names_that_were_meant(name, suggested):
    with pytest.raises(InputError, match=rf"timm has no backbone '{name}'; for example: {suggested}\b"):
        build_backbone(name, image_size=64)
