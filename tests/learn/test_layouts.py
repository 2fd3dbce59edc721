import pytest
import torch

from ordhash.learn.layouts import as_map, earlier_stages, layout_of

STAGE = torch.zeros(2, 8, 3, 4)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (torch.zeros(2, 8, 3, 4), "map"),
        (torch.zeros(2, 20, 3, 4), "map"),  # another layer after the last stage
        (torch.zeros(2, 3, 4, 8), "channels last"),
        (torch.zeros(2, 12, 8), "tokens"),
        (torch.zeros(2, 17, 8), "tokens"),
        (torch.zeros(2, 1, 8), "stage"),  # a class token alone
        ([torch.zeros(2, 13, 8)], "stage"),
    ],
)
def test_layouts_are_told_by_shape(last, expected):
    assert layout_of(last, STAGE) == expected


def test_a_square_map_with_as_many_channels_is_a_map():
    assert layout_of(torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4, 4)) == "map"


def test_locations_stay_where_they_are():
    expected = torch.arange(2 * 8 * 3 * 4.0).reshape(2, 8, 3, 4)
    last = expected.permute(0, 2, 3, 1)
    assert torch.equal(as_map(last, STAGE, "channels last"), expected)
    tokens = torch.cat([torch.full((2, 5, 8), -1.0), last.flatten(1, 2)], dim=1)
    assert torch.equal(as_map(tokens, STAGE, "tokens"), expected)
    assert torch.equal(as_map([], expected, "stage"), expected)


@pytest.mark.parametrize(("blocks", "expected"), [(12, (8, 5, 2)), (6, (3, 2, 1)), (3, (1, 0)), (24, (17, 11, 5))])
def test_blocks_that_are_alike_have_stages_after_quarters(blocks, expected):
    assert earlier_stages(STAGE, [STAGE] * blocks) == expected


def test_stages_of_other_shapes_are_joined():
    stages = [torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 4, 4), torch.zeros(1, 16, 2, 2)]
    assert earlier_stages(torch.zeros(1, 16, 2, 2), stages) == (1, 0)
    assert earlier_stages(torch.zeros(1, 32, 2, 2), stages) == (2, 1, 0)
