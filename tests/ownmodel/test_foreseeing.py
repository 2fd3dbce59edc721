import numpy as np
import pytest

pytest.importorskip("torch", reason="needs ordhash[learn]")

from ordhash.data import ImageSet
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.model import FeatureStore
from ordhash.ownmodel import foreseeing as module
from ordhash.ownmodel.foreseeing import foreseen, seconds_of_learning

TINY = DOHConfig(backbone="test_resnet", weights=None, image_size=64, fit="squash")


def test_more_photographs_and_epochs_take_longer():
    settings = TrainConfig(epochs=10)
    base = seconds_of_learning(1000, 1000, settings, 0.01)
    assert seconds_of_learning(9000, 1000, settings, 0.01) == pytest.approx(base + 80)
    assert seconds_of_learning(1000, 1000, TrainConfig(epochs=20), 0.01) > base
    assert seconds_of_learning(1000, 1000, settings, 0.005) == base / 2
    assert seconds_of_learning(1000, 1000, settings, 0.1) < 10 * base  # large photographs: only decoding is slower


@pytest.mark.slow  # exports a backbone
def test_what_is_tried_is_kept_and_not_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TRIED", 1)
    monkeypatch.setattr(module, "available_cores", lambda: 4)
    images = ImageSet(np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8))
    first = foreseen(images, 20, TINY, TrainConfig(epochs=1), tmp_path)
    assert "from 20 of 20 photographs" in first
    assert first.endswith(("this takes less than a minute", "minutes"))
    frozen = module.exported_backbone(TINY, tmp_path)[1]
    assert FeatureStore(tmp_path / "features").maps(images, frozen).computed == 16
    assert "where it was interrupted" in foreseen(images, 20, TINY, TrainConfig(epochs=1), tmp_path)
