import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from ordhash.codes.codes import CodeSpec
from ordhash.data import read_folder
from ordhash.learn.backbones import build_backbone
from ordhash.learn.batches import FeatureBatches, PictureBatches
from ordhash.learn.loop import class_means, features_of
from ordhash.learn.network import HashingHead, HashingNetwork
from ordhash.model.features import FeatureMaps
from ordhash.model.inference import ImageInput


def head(in_dim, n_classes):
    return HashingHead(in_dim, n_classes, CodeSpec(8, 4), multilabel=True, hidden=4, use_local=False)


def means_slowly(features, labels):
    """Of every class, the mean over its images less the mean over all of them, one class at a time."""
    rows = [features[labels[:, c]] for c in range(labels.shape[1])]
    return np.stack(
        [own.mean(axis=0) - features.mean(axis=0) if len(own) else np.zeros(features.shape[1]) for own in rows]
    )


@pytest.mark.parametrize(("batch_size", "precision"), [(4, "32-true"), (32, "bf16-mixed")])
def test_class_features_are_means_less_the_mean_of_all(batch_size, precision):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(21, 3, 2, 2)).astype(np.float16)  # 21: no image is left out, not even one that is alone
    labels = rng.random((21, 5)) < 0.4
    labels[:, 3] = False  # a class without images
    labels[:, 4] = np.arange(21) == 20
    batches = FeatureBatches(FeatureMaps(values, np.arange(21), np.arange(21), [], 0), None, labels)
    network = head(3, 5)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    found = class_means(features_of(network, batches, batch_size, fabric), batches.labels)
    assert found.dtype == torch.float32
    expected = means_slowly(values.astype(np.float32).mean(axis=(2, 3)), labels)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert not found[3].any()


def test_class_features_of_a_network_that_reads_pictures(photo_folder):
    images = read_folder(photo_folder)
    backbone, form = build_backbone("test_resnet", weights=None, image_size=64), ImageInput(64)
    batches = PictureBatches(images, form, crop=None, workers=0)
    network = HashingNetwork(backbone, head(backbone.last_channels, 3)).train()
    found = class_means(features_of(network, batches, 5, Fabric(accelerator="cpu", devices=1)), batches.labels)
    pictures = torch.from_numpy(np.stack([form.read(images, row) for row in range(len(images))]))
    with torch.no_grad():
        features = backbone.eval()(pictures).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(found.numpy(), means_slowly(features, images.labels), atol=1e-4)
