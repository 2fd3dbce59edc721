import faiss
import numpy as np
import pytest

from ordhash.bench import read_recipe, report, run_recipe
from ordhash.bench.compressed import COMPRESSED, compressed_distances
from ordhash.errors import InputError
from ordhash.learn import DOHConfig


def features(n, seed=0):
    """Around 20 centres in 100 dimensions, and the centre of each."""
    rng = np.random.default_rng(seed)
    centres, of = np.random.default_rng(7).normal(size=(20, 100)), rng.integers(0, 20, n)
    return (centres[of] + rng.normal(scale=0.7, size=(n, 100))).astype(np.float32), of


def squared(queries, database):
    queries, database = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, database))
    return ((queries[:, None] - database) ** 2).sum(axis=2)


@pytest.mark.parametrize(
    ("name", "size"), [(name, 16) for name in COMPRESSED] + [("pq", 24), ("sq4", 6), ("rabitq", 20)]
)
def test_codes_have_their_size_and_find_what_is_near(name, size, capfd):
    factory = COMPRESSED[name](size)
    assert faiss.index_factory(size * 8, factory).sa_code_size() == size
    (train, _), (queries, wanted), (database, of) = features(400), features(20, 1), features(300, 2)
    distances = compressed_distances(name, DOHConfig(code_bits=8 * size, arity=2), train, queries, database)
    found = distances(slice(None))
    np.testing.assert_array_equal(distances(slice(7, 9)), found[7:9])
    assert found.shape == (20, 300)
    assert capfd.readouterr() == ("", "")  # no warning that images are few
    nearest = of[np.argsort(found, axis=1)[:, :5]]
    assert (nearest == wanted[:, None]).mean() > 0.95
    # Not exact, or nothing would be compressed, but near to what the floats say.
    ranks = [np.argsort(np.argsort(each, axis=1), axis=1).ravel() for each in (found, squared(queries, database))]
    assert 0.5 < np.corrcoef(*ranks)[0, 1] < 0.99999


def test_a_byte_for_each_dimension_is_nearly_the_floats():
    train, queries = features(500)[0][:, :16], features(10, 1)[0][:, :16]
    found = compressed_distances("sq8", DOHConfig(code_bits=128, arity=2), train, queries, train[:50])(slice(None))
    np.testing.assert_allclose(found, squared(queries, train[:50]), atol=0.02)


@pytest.mark.parametrize(
    ("name", "code_bits", "says"),
    [("opq", 12, "multiples of 8 from 8"), ("rabitq", 64, "from 72"), ("sq8", 1024, "shorter"), ("pq", 64, "shorter")],
)
def test_lengths_that_cannot_be(name, code_bits, says):
    train = features(200)[0]  # fewer than the 256 centroids of a byte
    with pytest.raises(InputError, match=says):
        compressed_distances(name, DOHConfig(code_bits=code_bits, arity=2), train, train[:2], train)


def test_compressed_features_stand_in_the_table_of_asymmetric_distances(recipe_file, tiny_protocol, tmp_path, cache):
    text = recipe_file.read_text().replace('"raw", "lsh", "sdh", "dpsh", "doh-mixup"', '"raw", "lsh", "sq8"')
    recipe_file.write_text(text.partition("[[variants]]")[0])
    results = run_recipe(read_recipe(recipe_file), tmp_path / "out", cache=cache, processes=1)
    done = [(run.code_bits, run.seed, run.outcome.ordinal) for run in results.runs if run.row == "sq8"]
    assert done == [(8, 0, None), (16, 0, None)]  # nothing is left to chance
    assert results.complete
    ordinal, asymmetric = report.markdown(results).split("asymmetric distance")
    assert "| sq8 |" in asymmetric
    assert "| sq8 |" not in ordinal
    drawn = {path.name for path in report.draw_figures(results, tmp_path)}
    assert "tiny-cifar10-bytes.png" in drawn
