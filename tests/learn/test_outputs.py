from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from ordhash.errors import InputError
from ordhash.learn.batches import FeatureBatches
from ordhash.learn.outputs import features_of, parts_of
from ordhash.model import FeatureMaps
from ordhash.model.parts import boxes_of, window_side, windows_of

SHAPES = [(5, 5)] * 70 + [(5, 7)] * 3 + [(9, 5)] * 4  # more than are computed at once


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    each = [rng.normal(size=(6, *shape)).astype(np.float32) for shape in SHAPES]
    sizes = np.array([one.size for one in each])
    values = np.concatenate([one.ravel() for one in each])
    return FeatureMaps(values, np.cumsum(sizes) - sizes, np.array(SHAPES), 6, np.arange(len(each)), [], 0)


def test_parts_are_what_the_head_makes_of_windows_one_by_one(attending_head, maps):
    found = parts_of(attending_head, maps, Fabric(accelerator="cpu", devices=1))
    attending_head.eval()
    owners, symbols, boxes = [], [], []
    for number in range(len(maps)):
        features = torch.from_numpy(maps.read([number]))
        with torch.inference_mode():
            output = attending_head(features)
            kept = [output.scores[0].argmax(dim=1).numpy()]
            side = window_side(*SHAPES[number])
            for top, left in windows_of(features[0].numpy(), output.attention[0].numpy()):
                window = (
                    attending_head(features[:, :, top : top + side, left : left + side]).scores[0].argmax(dim=1).numpy()
                )
                if min((window != other).sum() for other in kept) >= 4:
                    kept.append(window)
                    owners.append(number)
                    boxes.append(boxes_of([(top, left)], *SHAPES[number])[0].tolist())
        symbols += kept[1:]
    assert len(owners) > 20
    assert found.owners.tolist() == owners
    np.testing.assert_array_equal(found.codes.symbols, symbols)
    assert found.boxes.tolist() == boxes


def test_fewer_images_than_processes_are_refused_by_all_of_them():
    maps = FeatureMaps.of(np.zeros((2, 3, 1, 1), np.float16))
    batches = FeatureBatches(maps, None, np.eye(2, dtype=bool))
    for rank in range(3):
        fabric = SimpleNamespace(global_rank=rank, world_size=3)
        with pytest.raises(InputError, match="2 training images for 3 processes"):
            features_of(torch.nn.Identity(), batches, 8, fabric, lambda found: found)
