from pathlib import Path

import pytest
import timm
import torch

from ordhash.errors import InputError
from ordhash.learn.backbones import build_backbone


def test_weights_from_a_file(tmp_path):
    network = timm.create_model("test_resnet", pretrained=False)  # with its classifier, as people keep them
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    backbone = build_backbone("test_resnet", weights=tmp_path / "weights.pth", image_size=64)
    for key, value in backbone.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[key])


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(timm.create_model("test_efficientnet", pretrained=False).state_dict(), path)
    with pytest.raises(InputError, match="the weights do not fit test_resnet"):
        build_backbone("test_resnet", weights=path, image_size=64)
    torch.save({"conv1.0.weight": torch.zeros(16, 3, 3, 3)}, path)
    with pytest.raises(
        InputError, match=r"the weights do not fit test_resnet: \d+ parts are missing, the first conv1\."
    ):
        build_backbone("test_resnet", weights=path, image_size=64)
    state = timm.create_model("test_resnet", pretrained=False).state_dict()
    state["conv1.0.weight"] = state["conv1.0.weight"][:5]
    torch.save(state, path)
    with pytest.raises(InputError, match=r"the weights do not fit test_resnet \(size mismatch for conv1\.0\.weight"):
        build_backbone("test_resnet", weights=path, image_size=64)
    torch.save({"state_dict": state}, path)
    with pytest.raises(InputError, match="the weights do not fit test_resnet"):
        build_backbone("test_resnet", weights=path, image_size=64)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04 something", b"\x80\x04\x95"], ids=["empty", "text", "zip", "pickle"]
)
def test_what_is_no_weights_file_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pth is not a file of PyTorch weights"):
        build_backbone("test_resnet", weights=path, image_size=64)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    target = tmp_path / "touched"
    torch.save({"conv1.weight": RunsCode(target)}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="is not a file of PyTorch weights"):
        build_backbone("test_resnet", weights=tmp_path / "weights.pth", image_size=64)
    assert not target.exists()


class RunsCode:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_other_things_than_weights_are_refused(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(InputError, match="is not a file of PyTorch weights"):
        build_backbone("test_resnet", weights=tmp_path / "tensor.pth", image_size=64)
    with pytest.raises(InputError, match="is not a file of PyTorch weights"):
        build_backbone("test_resnet", weights=tmp_path, image_size=64)
    with pytest.raises(InputError, match=r"missing\.pth does not exist; give a file of weights"):
        build_backbone("test_resnet", weights=tmp_path / "missing.pth", image_size=64)
