import os

import numpy as np
import pyarrow as pa
import pytest

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.distances import asymmetric_distances, ordinal_distances
from ordhash.errors import InputError
from ordhash.index import OrdinalIndex

SPEC = CodeSpec(12, 4)


def random_codes(n, seed=0, model_id="m1", spec=SPEC):
    symbols = np.random.default_rng(seed).integers(0, spec.arity, (n, spec.n_segments))
    return OrdinalCodes(symbols.astype(np.uint8), spec, model_id)


@pytest.fixture
def index():
    return OrdinalIndex(
        random_codes(40), [f"img{i}" for i in range(40)], {"label": np.arange(40) % 3}, model_path="m.onnx"
    )


def check_nearest(result, distances, keys, k):
    """A result against a full sort of all distances."""
    n = distances.shape[1]
    wanted = np.array([np.lexsort((np.arange(n), d))[:k] for d in distances]).reshape(len(distances), min(k, n))
    np.testing.assert_array_equal(result.rows, wanted)
    np.testing.assert_array_equal(result.distances, np.take_along_axis(distances, result.rows, axis=1))
    np.testing.assert_array_equal(result.keys, keys[result.rows])
    assert (result.rows.dtype, result.distances.dtype) == (np.int64, distances.dtype)


@pytest.mark.parametrize("k", [0, 1, 7, 40, 99])
def test_search_gives_the_nearest_by_distance_then_row(index, k):
    queries = random_codes(9, seed=1)
    check_nearest(index.search(queries, top_k=k), ordinal_distances(queries, index.codes), index.keys, k)


@pytest.mark.parametrize("of", ["probabilities", "log-probabilities"])
def test_asymmetric_search_gives_the_nearest_by_distance_then_row(index, of):
    scores = np.random.default_rng(1).normal(size=(9, 6, 4))
    result = index.search_asymmetric(scores, top_k=7, of=of, model_id="m1")
    check_nearest(result, asymmetric_distances(scores, index.codes, of=of), index.keys, 7)


@pytest.mark.parametrize("n", [0, 1, 40])
def test_compiled_scans_do_not_change_a_result(n):
    index, queries = OrdinalIndex(random_codes(n), [f"img{i}" for i in range(n)]), random_codes(9, seed=1)
    scores = np.random.default_rng(1).normal(size=(9, 6, 4))
    before = index.search(queries), index.search_asymmetric(scores), *index.search_radius(queries, radius=4)
    index.warm_up()
    after = index.search(queries), index.search_asymmetric(scores), *index.search_radius(queries, radius=4)
    for one, other in zip(before, after, strict=True):
        for name in ("keys", "distances", "rows"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == getattr(other, name).dtype
    test_queries_of_another_model_or_spec_are_refused(index)
    test_bad_options_are_refused(index)


def test_radius_search_gives_everything_within(index):
    queries = random_codes(9, seed=1)
    for radius in (0, 3, 6):
        results = index.search_radius(queries, radius=radius)
        for result, d in zip(results, ordinal_distances(queries, index.codes), strict=True):
            order = np.lexsort((np.arange(40), d))
            wanted = order[d[order] <= radius]
            np.testing.assert_array_equal(result.rows, wanted)
            np.testing.assert_array_equal(result.distances, d[wanted])
            assert result.keys.tolist() == [f"img{row}" for row in wanted]
            assert len(result) == len(wanted)
    assert len(results[0]) == 40


def distances_slowly(scores, codes, rows):
    out = np.zeros((len(scores), len(rows)))
    for i, query in enumerate(scores):
        for j, row in enumerate(rows):
            for z, symbol in zip(query, codes.symbols[row], strict=True):
                p = np.exp(z) / np.exp(z).sum()
                out[i, j] += p.max() - p[symbol]
    return out


def test_distances_to_given_rows(index):
    index.add(random_codes(3, seed=5), ["x", "y", "z"], {"label": [0, 0, 0]})
    index.delete(["img7"])
    scores, rows = np.random.default_rng(1).normal(size=(5, 6, 4)), np.array([42, 0, 7, 3, 3, 40])
    found = index.distances(scores, rows, model_id="m1")
    assert (found.dtype, found.shape) == (np.float32, (5, 6))
    np.testing.assert_allclose(found, distances_slowly(scores, index.codes, rows), rtol=1e-5, atol=1e-6)
    for of in ("probabilities", "log-probabilities"):
        result = index.search_asymmetric(scores, top_k=42, of=of)
        for query, of_query, distances in zip(scores, result.rows, result.distances, strict=True):
            np.testing.assert_array_equal(index.distances(query[None], of_query, of=of)[0], distances)
    assert index.distances(scores, rows[:0]).shape == (5, 0)
    assert index.distances(scores[:0], rows).shape == (0, 6)


def test_distances_that_make_no_sense_are_refused(index):
    scores = np.zeros((1, 6, 4))
    for rows in ([40], [-1, 2]):
        with pytest.raises(InputError, match=r"rows .* 0 to 39"):
            index.distances(scores, np.array(rows))
    for rows in (np.zeros((1, 2), dtype=int), np.array([0.5])):
        with pytest.raises(InputError, match=r"integers of shape \(r,\)"):
            index.distances(scores, rows)
    with pytest.raises(InputError, match=r"'m2'.*'m1'"):
        index.distances(scores, np.array([0]), model_id="m2")
    with pytest.raises(InputError, match=r"\(q, 6, 4\)"):
        index.distances(scores[:, :5], np.array([0]))


def test_an_empty_index_one_item_and_no_queries(index):
    empty, one, queries = OrdinalIndex(random_codes(0)), OrdinalIndex(random_codes(1)), random_codes(2, seed=1)
    scores = np.zeros((2, 6, 4))
    assert empty.search(queries).keys.shape == empty.search_asymmetric(scores).rows.shape == (2, 0)
    assert [len(result) for result in empty.search_radius(queries, radius=6)] == [0, 0]
    assert one.search(queries).keys.tolist() == [[0], [0]]
    assert index.search(queries[:0]).distances.shape == (0, 10)
    assert index.search_asymmetric(scores[:0], top_k=3).keys.shape == (0, 3)
    assert index.search_radius(queries[:0], radius=1) == []


def test_what_an_index_tells_about_itself(index):
    assert (len(index), index.model_id, index.model_path) == (40, "m1", "m.onnx")
    assert index.metadata.column_names == ["label"]
    assert repr(index) == "OrdinalIndex(40 codes of 12 bits: 6 segments of arity 4, metadata: label)"
    assert "metadata: none" in repr(OrdinalIndex(random_codes(1)))


def test_queries_of_another_model_or_spec_are_refused(index):
    for search in (index.search, lambda queries: index.search_radius(queries, radius=1)):
        with pytest.raises(InputError, match=r"'m2'.*'m1'"):
            search(random_codes(1, model_id="m2"))
        with pytest.raises(InputError, match="equal specs"):
            search(random_codes(1, spec=CodeSpec(12, 2)))
        with pytest.raises(InputError, match="equal specs"):
            search(random_codes(0, spec=CodeSpec(12, 2)))
        search(random_codes(1, model_id=None))
    with pytest.raises(InputError, match=r"'m2'.*'m1'"):
        index.search_asymmetric(np.zeros((1, 6, 4)), model_id="m2")
    index.search_asymmetric(np.zeros((1, 6, 4)))


def test_bad_options_are_refused(index):
    queries = random_codes(1)
    for k in (-1, 2.0):
        with pytest.raises(InputError, match="allowed are integers of at least 0"):
            index.search(queries, top_k=k)
        with pytest.raises(InputError, match=f"radius is {k}; allowed are integers of at least 0"):
            index.search_radius(queries, radius=k)
    for scores in (np.zeros((1, 4, 6)), np.zeros((6, 4)), np.array(1.0)):
        with pytest.raises(InputError, match=r"needs \(q, 6, 4\)"):
            index.search_asymmetric(scores)
    with pytest.raises(InputError, match="there are 2 keys for 1 codes"):
        OrdinalIndex(queries, ["a", "b"])


def test_a_saved_index_comes_back_whole(index, tmp_path):
    path = tmp_path / "photos.index"
    index.save(path)
    assert list(tmp_path.iterdir()) == [path]
    loaded = OrdinalIndex.load(path)
    np.testing.assert_array_equal(loaded.codes.symbols, index.codes.symbols)
    assert (loaded.codes.spec, loaded.model_id, loaded.model_path) == (index.codes.spec, "m1", "m.onnx")
    assert loaded.keys.tolist() == index.keys.tolist()
    assert loaded.metadata.equals(index.metadata)
    queries = random_codes(3, seed=1)
    np.testing.assert_array_equal(loaded.search(queries).rows, index.search(queries).rows)


def test_saving_over_a_loaded_index_leaves_it_readable(index, tmp_path):
    path = tmp_path / "photos.index"
    index.save(path)
    loaded = OrdinalIndex.load(path)
    OrdinalIndex(random_codes(2)).save(path)
    assert loaded.metadata["label"].to_pylist() == [i % 3 for i in range(40)]
    loaded.save(path)
    assert len(OrdinalIndex.load(path)) == 40


def test_empty_index_and_metadata_in_pieces_with_their_own_dictionaries(tmp_path):
    path = tmp_path / "photos.index"
    OrdinalIndex(random_codes(0, model_id=None)).save(path)
    loaded = OrdinalIndex.load(path)
    assert (len(loaded), loaded.model_id, loaded.model_path, loaded.metadata) == (0, None, None, None)
    pieces = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()]
    OrdinalIndex(random_codes(4), metadata=pa.table({"label": pa.chunked_array(pieces)})).save(path)
    assert OrdinalIndex.load(path).metadata["label"].to_pylist() == ["a", "b", "c", "a"]


def test_a_failed_save_leaves_the_old_index(index, tmp_path, monkeypatch):
    path = tmp_path / "photos.index"
    index.save(path)

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        OrdinalIndex(random_codes(2)).save(path)
    assert list(tmp_path.iterdir()) == [path]
    assert len(OrdinalIndex.load(path)) == 40
