import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from ordhash.errors import InputError
from ordhash.learn.backbones import build_backbone, configured_backbone
from ordhash.learn.config import DOHConfig
from ordhash.learn.normalisation import NORMALISATIONS
from ordhash.learn.pretrained import PACKAGED_WEIGHTS
from ordhash.model.inference import Preprocessing

LITE = list(PACKAGED_WEIGHTS)


def random_pictures(n, size, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


def features_of(backbone, pictures):
    with torch.no_grad():
        return backbone(pictures)


def test_lite_networks_are_normalised_as_they_were_trained():
    backbone = build_backbone(LITE[0], weights=None, image_size=64)
    assert backbone.normalisation.to_json() == {"mean": [127.0] * 3, "std": [128.0] * 3}


@pytest.mark.parametrize(("name", "depth"), [("resnet18", 512), ("mobilenetv3_small_050", 288), ("test_convnext", 64)])
def test_other_timm_networks(name, depth):
    backbone = build_backbone(name, weights=None, image_size=96)
    pictures = random_pictures(2, 96)
    config = timm.get_pretrained_cfg(name)
    network = timm.create_model(name, pretrained=False, num_classes=0).eval()
    network.load_state_dict(backbone.network.state_dict())
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (config.mean, config.std))
    with torch.no_grad():
        expected = network.forward_features((pictures.permute(0, 3, 1, 2) / 255 - mean) / std)
    found = features_of(backbone, pictures)
    assert found.shape == (2, depth, 3, 3)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert backbone.normalisation.mean == pytest.approx([255 * value for value in config.mean])
    assert backbone.normalisation.std == pytest.approx([255 * value for value in config.std])


@pytest.mark.parametrize(
    ("name", "depths", "size"),
    [("tf_efficientnet_lite0", (1280, 320, 112), 64), ("resnet18", (512, 256, 128), 96), ("resnet18", (512, 256), 100)],
)
def test_stages_join_earlier_maps_averaged_to_the_last_ones_resolution(name, depths, size):
    plain, joined = (build_backbone(name, weights=None, image_size=size, stages=n) for n in (1, len(depths)))
    pictures = random_pictures(2, size)
    with torch.no_grad():
        _, maps = plain.network.forward_intermediates(
            (pictures.permute(0, 3, 1, 2).float() - plain.mean) / plain.std, norm=False
        )
    found, last = features_of(joined, pictures), features_of(plain, pictures)
    assert found.shape == (2, sum(depths), *last.shape[2:])
    assert joined.last_channels == plain.last_channels == depths[0]
    torch.testing.assert_close(found[:, : depths[0]], last)
    start = depths[0]
    for depth in depths[1:]:
        part, start = found[:, start : start + depth], start + depth
        earlier = next(m for m in maps if m.shape[1] == depth)
        step = -(-earlier.shape[2] // last.shape[2])
        for row, column in itertools.product(range(last.shape[2]), repeat=2):
            window = earlier[:, :, row * step : (row + 1) * step, column * step : (column + 1) * step]
            torch.testing.assert_close(part[:, :, row, column], window.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)


def test_mirrored_features_are_those_of_both_ways_of_looking():
    plain, both = (
        build_backbone("test_resnet", weights=None, image_size=64, mirror=mirror) for mirror in (False, True)
    )
    pictures = random_pictures(2, 64)
    other = features_of(plain, pictures.flip(2)).flip(3)
    found = features_of(both, pictures)
    torch.testing.assert_close(found, (features_of(plain, pictures) + other) / 2)
    torch.testing.assert_close(features_of(both, pictures.flip(2)), found.flip(3))
    # While the network learns, flips are augmentation's.
    torch.testing.assert_close(features_of(both.train(), pictures), features_of(plain.train(), pictures))


@pytest.mark.parametrize(("height", "width"), [(224, 288), (288, 224), (224, 448)])
def test_stages_of_whole_photographs_join_at_every_aspect_or_are_refused(height, width):
    backbone = build_backbone("alexnet", weights=None, image_size=224, fit="whole", stages=2)
    with torch.no_grad():
        found = backbone(torch.zeros(1, height, width, 3, dtype=torch.uint8))
    assert found.shape == (1, 256 + 192, height // 32 - 1, width // 32 - 1)
    with pytest.raises(InputError, match="squash"):  # poolings drop a rest, another one in other shapes
        build_backbone("alexnet", weights=None, image_size=224, fit="whole", stages=3)


@pytest.mark.parametrize(("name", "stages"), [("resnet18", 6), ("tf_efficientnet_lite0", 9)])
def test_more_stages_than_there_are_are_refused(name, stages):
    with pytest.raises(InputError, match=rf"stages is {stages}; {name} has \d feature maps to join"):
        build_backbone(name, weights=None, image_size=64, stages=stages)


def test_backbones_come_in_evaluation_mode():
    backbone = build_backbone("test_efficientnet", weights=None, image_size=64)
    assert not any(part.training for part in backbone.modules())


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = build_backbone("test_resnet", weights=None, image_size=64, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = build_backbone("test_resnet", weights=None, image_size=64, seed=3).state_dict()
    other = build_backbone("test_resnet", weights=None, image_size=64, seed=4).state_dict()
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["network.conv1.0.weight"], other["network.conv1.0.weight"])


def test_pretrained_weights_leave_the_random_state_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    build_backbone(LITE[0], image_size=64)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [160, 96])
@pytest.mark.parametrize("name", ["test_vit", "test_vit4"])
def test_tokens_of_locations_are_the_map_and_prefix_tokens_are_left_out(name, size):
    backbone = build_backbone(name, weights=None, image_size=size)
    network = timm.create_model(name, pretrained=False, num_classes=0, dynamic_img_size=True).eval()
    network.load_state_dict(backbone.network.state_dict())
    pictures, side = random_pictures(2, size), size // 16
    normalised = (pictures.permute(0, 3, 1, 2) - backbone.mean) / backbone.std
    with torch.no_grad():
        tokens = network.forward_features(normalised)
    found = features_of(backbone, pictures)
    assert tokens.shape[1] == side * side + network.num_prefix_tokens
    assert network.num_prefix_tokens > 0
    assert found.shape == (2, backbone.last_channels, side, side)
    for row, column in itertools.product(range(side), repeat=2):
        token = tokens[:, network.num_prefix_tokens + row * side + column]
        torch.testing.assert_close(found[:, :, row, column], token, rtol=1e-4, atol=1e-5)


def test_blocks_of_a_transformer_after_quarters_of_its_depth_are_its_stages():
    plain, joined = (build_backbone("test_vit", weights=None, image_size=64, stages=n) for n in (1, 3))
    pictures = random_pictures(2, 64)
    normalised = (pictures.permute(0, 3, 1, 2) - plain.mean) / plain.std
    with torch.no_grad():
        _, maps = plain.network.forward_intermediates(normalised, norm=True)
    assert len(maps) == 6
    expected = torch.cat([maps[5], maps[3], maps[2]], dim=1)
    torch.testing.assert_close(features_of(joined, pictures), expected)
    with pytest.raises(InputError, match="stages is 5; test_vit has 4 feature maps to join"):
        build_backbone("test_vit", weights=None, image_size=64, stages=5)


def test_channels_that_come_last_are_put_first():
    backbone = build_backbone("test_mambaout", weights=None, image_size=64, stages=2)
    pictures = random_pictures(2, 64)
    with torch.no_grad():
        normalised = (pictures.permute(0, 3, 1, 2) - backbone.mean) / backbone.std
        expected = backbone.network.forward_features(normalised)
    found = features_of(backbone, pictures)
    torch.testing.assert_close(found[:, : backbone.last_channels], expected.permute(0, 3, 1, 2))
    assert found.shape[1] > backbone.last_channels == expected.shape[3]


def test_transformers_take_pictures_of_every_aspect_in_steps_of_their_patches():
    backbone = build_backbone("eva02_tiny_patch14_224", weights=None, image_size=56, fit="whole")
    assert backbone.step == 14
    with torch.no_grad():
        assert backbone(torch.zeros(1, 56, 84, 3, dtype=torch.uint8)).shape == (1, 192, 4, 6)
    with pytest.raises(InputError, match="size is 64; with fit 'whole' it must be a multiple of 14: try 70"):
        build_backbone("eva02_tiny_patch14_224", weights=None, image_size=64, fit="whole")
    with pytest.raises(InputError, match=r"cannot take pictures of 64 pixels .*divisible by patch size.*image_size"):
        build_backbone("eva02_tiny_patch14_224", weights=None, image_size=64)


def test_other_sizes_and_aspects_than_a_network_takes_are_refused():
    assert build_backbone("swin_tiny_patch4_window7_224", weights=None, image_size=96).last_channels == 768
    with pytest.raises(InputError, match=r"visformer_tiny cannot take pictures of 96 pixels \(.*change image_size"):
        build_backbone("visformer_tiny", weights=None, image_size=96)
    with pytest.raises(InputError, match=r"takes square pictures alone \(.*set fit to 'squash' or 'crop'"):
        build_backbone("swin_tiny_patch4_window7_224", weights=None, image_size=96, fit="whole")


def test_pixels_are_normalised_as_asked():
    pictures = random_pictures(1, 64)
    for name, blue_first in (("half", False), ("caffe", True)):
        backbone = build_backbone("test_resnet", weights=None, image_size=64, normalisation=name)
        wanted = NORMALISATIONS[name]
        values = (pictures.float() - torch.tensor(wanted.mean)) / torch.tensor(wanted.std)
        values = values.flip(3) if blue_first else values
        with torch.no_grad():
            expected = backbone.network.forward_features(values.permute(0, 3, 1, 2))
        torch.testing.assert_close(features_of(backbone, pictures), expected)
        assert wanted.blue_first == blue_first


def test_a_configuration_says_which_backbone_and_how_its_pictures_are_prepared():
    config = DOHConfig(backbone="test_resnet", weights=None, image_size=96, fit="crop")
    backbone, preprocessing = configured_backbone(config, seed=3)
    assert preprocessing == Preprocessing(96, "crop")
    expected = build_backbone("test_resnet", weights=None, image_size=96, seed=3).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in backbone.state_dict().items())
    with pytest.raises(InputError, match=r"gone\.pth does not exist"):
        configured_backbone(dataclasses.replace(config, weights=Path("gone.pth")))
    with pytest.raises(InputError, match="tensor is 'a', but test_resnet is no ONNX file"):
        configured_backbone(dataclasses.replace(config, tensor="a"))


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("efficientnet_lite", "efficientnet_lite0"),
        ("resnt18", "resnet18"),
        ("ResNet18", "resnet18"),
        ("resnt18.a1_in1k", "resnet18"),
        ("efficientnet-b0", "efficientnet_b0"),
        ("nextv2_at", "convnextv2_atto"),
        ("xyzzy", f"{', '.join(LITE)}$"),
    ],
)
def test_unknown_names_get_a_suggestion(name, suggested):
    with pytest.raises(InputError, match=f"^timm has no backbone '{name}'; for example: {suggested}"):
        build_backbone(name, image_size=64)
