import huggingface_hub.constants
import pytest

from ordhash.errors import MissingPartError
from ordhash.learn.backbones import build_backbone


def test_pretrained_weights_that_cannot_be_fetched_are_a_missing_part(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # read from the environment at import
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingPartError) as caught:
        build_backbone("resnet18", image_size=64)
    message = str(caught.value)
    assert message.startswith("no pretrained weights of resnet18 are at hand and fetching them failed (")
    assert "give a file of weights, or choose one of tf_efficientnet_lite0" in message
