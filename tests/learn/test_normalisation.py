import numpy as np
import pytest
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ordhash.learn.normalisation import NORMALISATIONS


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("imagenet", IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
        ("clip", OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),
        ("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("unit", (0, 0, 0), (1, 1, 1)),
    ],
)
def test_statistics_are_those_that_timm_states_for_pixels_from_0_to_1(name, mean, std):
    found = NORMALISATIONS[name]
    pixels = np.array([0.0, 100.0, 255.0])
    np.testing.assert_allclose((pixels - found.mean) / found.std, (pixels / 255 - mean) / std)
    assert not found.blue_first


def test_what_the_model_file_records():
    assert NORMALISATIONS["caffe"].to_json() == {"mean": [123.68, 116.779, 103.939], "std": [1.0, 1.0, 1.0]}
