import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame

from ordhash.learn.backbones import build_backbone
from ordhash.learn.padding import with_fixed_padding


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_mobilenetv3_small_minimal_100"])
def test_fixed_padding_gives_the_same_features_at_every_size(name):
    backbone = build_backbone(name, weights=None, image_size=64)
    fixed = with_fixed_padding(backbone)
    assert any(isinstance(layer, Conv2dSame) for layer in backbone.modules())
    rng = torch.Generator().manual_seed(0)
    for h, w in ((32, 32), (64, 96), (160, 64), (32, 256)):
        pictures = torch.randint(0, 256, (2, h, w, 3), generator=rng, dtype=torch.uint8)
        with torch.inference_mode():
            torch.testing.assert_close(fixed(pictures), backbone(pictures))


def test_a_backbone_that_pads_by_numbers_stays_as_it_is():
    backbone = build_backbone("test_resnet", weights=None, image_size=64)
    assert str(with_fixed_padding(backbone)) == str(backbone)
