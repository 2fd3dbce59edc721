import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from ordhash.data import ImageSet, read_folder
from ordhash.learn.backbones import build_backbone
from ordhash.learn.batches import FeatureBatches, PictureBatches
from ordhash.learn.checkpoint import TrainingState
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.lesson import class_means
from ordhash.learn.loop import TrainingRun, Validation
from ordhash.learn.outputs import features_of
from ordhash.learn.preparation import TrainingData
from ordhash.learn.trainer import fit_network
from ordhash.model.features import FeatureMaps
from ordhash.model.inference import Preprocessing


def averaged(maps):
    return maps.mean(dim=(2, 3))


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
    batches = FeatureBatches(FeatureMaps.of(values), None, labels)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    found = class_means(features_of(nn.Identity(), batches, batch_size, fabric, averaged), batches.labels)
    assert found.dtype == torch.float32
    expected = means_slowly(values.astype(np.float32).mean(axis=(2, 3)), labels)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert not found[3].any()


def test_class_features_of_a_network_that_reads_pictures(photo_folder):
    images = read_folder(photo_folder)
    backbone, preprocessing = build_backbone("test_resnet", weights=None, image_size=64), Preprocessing(64)
    batches = PictureBatches(images, preprocessing, crop=None, workers=0)
    fabric = Fabric(accelerator="cpu", devices=1)
    found = class_means(features_of(backbone.train(), batches, 5, fabric, averaged), batches.labels)
    pictures = torch.from_numpy(np.stack([preprocessing.read(images, row) for row in range(len(images))]))
    with torch.no_grad():
        features = backbone.eval()(pictures).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(found.numpy(), means_slowly(features, images.labels), atol=1e-4)


@pytest.mark.parametrize(("distance", "accuracy", "wrong", "fitted"), [(1.5, 0.95, 0.0, 6), (0.5, 0.5, None, 0)])
def test_what_features_predict_decides_how_many_segments_are_fitted(distance, accuracy, wrong, fitted):
    rng = np.random.default_rng(0)
    classes = np.arange(1000) % 10
    values = rng.normal(size=(1000, 8)) + distance * rng.normal(size=(10, 8))[classes]
    labels = np.eye(10, dtype=bool)[classes]
    images = ImageSet([f"{row}.jpg" for row in range(1000)], labels=labels, class_names=[f"c{c}" for c in range(10)])
    maps = FeatureMaps.of(values.astype(np.float16)[:, :, None, None])
    held = Validation(maps.subset(np.zeros(0, np.intp)), labels[:0])
    data = TrainingData(images, FeatureBatches(maps, None, labels), held, depth=8, last_channels=8)
    settings = TrainConfig(epochs=1, batch_size=256, learning_rate=1e-3, accelerator="cpu")
    run = TrainingRun(settings, Fabric(accelerator="cpu", devices=1), TrainingState("digest"))
    config = DOHConfig(code_bits=24, use_local=False, hidden=8)
    network, lesson = fit_network(data, config, run)
    assert lesson.task.accuracy == pytest.approx(accuracy, abs=0.15)
    assert run.state.wrong_labels == wrong  # None: features too weak to tell
    assert (network.fitted.spec.n_segments if network.fitted else 0) == fitted
    assert (lesson.objective.mixup > 0) == (fitted > 0)
