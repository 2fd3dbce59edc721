import numpy as np
import pytest
import torch

from ordhash.learn.export import export_head
from ordhash.learn.familiarity import FamiliarityGauge, GaugedHead, least_familiar, sampled_examples
from ordhash.learn.shallow import LinearHead
from ordhash.model.inference import open_session


def features(rng, n, depth=8, spread=0.4):
    """Features around a common direction."""
    return (1 + rng.normal(scale=spread, size=(n, depth))).astype(np.float32)


def test_familiarity_is_the_similarity_to_the_fifth_nearest_example():
    rng = np.random.default_rng(0)
    examples, maps = features(rng, 20), rng.random((6, 8, 2, 3)).astype(np.float32)
    pooled = maps.mean(axis=(2, 3))
    cosines = pooled @ examples.T / np.linalg.norm(pooled, axis=1)[:, None] / np.linalg.norm(examples, axis=1)
    found = FamiliarityGauge(examples)(torch.from_numpy(maps))
    np.testing.assert_allclose(found, np.sort(cosines, axis=1)[:, -5], rtol=1e-5)
    found = FamiliarityGauge(examples[:2])(torch.from_numpy(maps))
    np.testing.assert_allclose(found, cosines[:, :2].min(axis=1), rtol=1e-5)


def test_a_graph_computes_the_same():
    rng = np.random.default_rng(1)
    gauge, head = FamiliarityGauge(features(rng, 20)), LinearHead(rng.normal(size=(4, 8)), np.zeros(4))
    session = open_session(export_head(GaugedHead(head, gauge), 8), threads=1)
    for n in (1, 3):
        maps = rng.random((n, 8, 2, 2)).astype(np.float32)
        (found,) = session.run(["familiarity"], {"features": maps})
        np.testing.assert_allclose(found, gauge(torch.from_numpy(maps)), atol=1e-5)


@pytest.mark.parametrize(("n", "called"), [(99, 1), (198, 1), (199, 2), (1000, 10)])
def test_one_in_a_hundred_of_the_learned_kinds_is_called_unlike_at_most(n, called):
    rng, shares = np.random.default_rng(n), []
    for _ in range(40):
        examples, others, new = features(rng, 30), features(rng, n), features(rng, 500)
        gauge, familiarity = least_familiar(examples, others)
        assert familiarity.images == n
        found = gauge(torch.from_numpy(others)[:, :, None, None]).numpy()
        assert (found <= familiarity.least).sum() == called
        shares.append(familiarity.unlike(gauge(torch.from_numpy(new)[:, :, None, None]).numpy()).mean())
    assert np.mean(shares) == pytest.approx(called / (n + 1), abs=0.004)
    foreign = -features(rng, 5)
    assert familiarity.unlike(gauge(torch.from_numpy(foreign)[:, :, None, None]).numpy()).all()


@pytest.mark.parametrize(("examples", "others"), [(30, 98), (0, 300)])
def test_nothing_is_known_from_too_few_images(examples, others):
    rng = np.random.default_rng(2)
    assert least_familiar(features(rng, examples), features(rng, others)) is None


@pytest.mark.parametrize(("n", "depth", "size"), [(50, 1280, 25), (1000, 1280, 204), (9000, 1 << 20, 5), (1, 64, 0)])
def test_examples_are_at_most_half_the_images_and_a_megabyte(n, depth, size):
    examples, others = sampled_examples(n, depth, seed=3)
    assert len(examples) == size
    assert len(others) == min(n - size, 2000)
    assert len({*examples.tolist(), *others.tolist()}) == len(examples) + len(others)
    assert {*examples.tolist(), *others.tolist()} <= set(range(n))
