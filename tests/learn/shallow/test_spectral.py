import numpy as np
import pytest
import torch

from ordhash.learn.shallow import SineHead, SpectralHashing
from ordhash.learn.shallow.spectral import slowest_waves


def box(n=400, sides=(3.0, 2.0, 0.7), depth=10, seed=0):
    """Points of a turned rectangle around a centre, float32 (n, depth), and its axes."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(depth, depth)))[0][: len(sides)]
    points = rng.uniform(-0.5, 0.5, size=(n, len(sides))) * np.array(sides)
    return (points @ axes + rng.normal(size=depth)).astype(np.float32), axes


def eigenvalue(mode, length, epsilon):
    return 1 - np.exp(-(epsilon**2) / 2 * (mode * np.pi / length) ** 2)


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
@pytest.mark.parametrize("code_bits", [1, 5, 24])
def test_waves_are_those_of_the_smallest_eigenvalues(epsilon, code_bits):
    ranges = np.array([3.1, 1.7, 0.9, 0.0])
    found = []
    for component, length in enumerate(ranges[:3]):
        for mode in range(1, code_bits + 1):
            found.append((eigenvalue(mode, length, epsilon), component, mode))
    found = sorted(found)[:code_bits]
    components, modes = slowest_waves(ranges, code_bits)
    assert list(zip(components.tolist(), modes.tolist(), strict=True)) == [wave[1:] for wave in found]


def test_equal_eigenvalues_take_the_earlier_component():
    components, modes = slowest_waves(np.array([2.0, 2.0, 1.0]), 5)
    assert components.tolist() == [0, 1, 0, 1, 2]
    assert modes.tolist() == [1, 1, 2, 2, 1]


def test_bits_are_eigenfunctions_of_the_principal_components():
    features, _ = box()
    code_bits = 12
    head = SpectralHashing().fit(features, None, code_bits, 0)
    u = head.values(torch.from_numpy(features)).numpy()

    centred = (features - features.mean(axis=0)).astype(np.float64)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    waves = []
    for axis in axes[:3]:  # the others have no extent
        x = features @ axis
        a, b = x.min(), x.max()
        for mode in range(1, code_bits + 1):
            value = np.array([np.sin(np.pi / 2 + mode * np.pi * (one - a) / (b - a)) for one in x])
            waves.append((eigenvalue(mode, b - a, 0.1), mode, value))
    waves.sort(key=lambda wave: wave[0])
    for bit, (_, mode, value) in enumerate(waves[:code_bits]):
        # An axis may point either way, which turns the waves of odd modes round.
        either = value if mode % 2 == 0 or value @ u[:, bit] > 0 else -value
        np.testing.assert_allclose(u[:, bit], either, atol=2e-4)


def test_the_first_bit_halves_the_longest_side_and_the_second_mode_has_its_middle_inside():
    features, axes = box(sides=(4.0, 0.5))
    u = SpectralHashing().fit(features, None, 2, 0).values(torch.from_numpy(features)).numpy()
    along = features @ axes[0]
    along = (along - along.min()) / np.ptp(along)
    clear = np.abs(along - 0.5) > 0.02
    assert len(set((u[clear, 0] > 0) ^ (along[clear] > 0.5))) == 1
    clear = np.minimum(np.abs(along - 0.25), np.abs(along - 0.75)) > 0.02
    np.testing.assert_array_equal(u[clear, 1] > 0, (along[clear] < 0.25) | (along[clear] > 0.75))


def test_more_bits_than_features():
    features, _ = box(depth=3)
    assert SpectralHashing().fit(features, None, 30, 0).weight.shape == (30, 3)


def test_the_head_is_a_sine():
    head = SineHead(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([0.5, -1.0]))
    with torch.no_grad():
        scores = head(torch.tensor([[0.6, 0.8]])[:, :, None, None]).scores
    expected = [np.sin(2 * 0.6 + 0.5), np.sin(0.6 + 0.8 - 1.0)]
    np.testing.assert_allclose((scores[0, :, 1] - scores[0, :, 0]).numpy(), expected, rtol=1e-5)
