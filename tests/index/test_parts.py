"""An index with parts, held against a plain loop over all items and their parts."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import (
    CodeSpec,
    OrdinalCodes,
    PartCodes,
    part_margin,
    part_margins,
    sums_of_losses,
    symbol_losses,
    top_k,
)
from ordhash.codes.distances import asymmetric_distances, ordinal_distances
from ordhash.errors import DataError, InputError, OtherModelError
from ordhash.index import OrdinalIndex

SPEC = CodeSpec(16, 4)
MARGIN = part_margin(SPEC)


def codes_of(rng, n):
    """Random codes near to each other, so that distances are often equal."""
    symbols = np.where(rng.random((n, 8)) < 0.5, 0, rng.integers(0, 4, (n, 8)))
    return OrdinalCodes(symbols.astype(np.uint8), SPEC, "m1")


def parts_of(rng, n, most=8):
    counts = rng.integers(0, most + 1, n)
    owners = np.repeat(np.arange(n), counts)
    left, top = rng.integers(0, 200, (2, len(owners)))
    boxes = np.stack([left, top, left + 1 + rng.integers(0, 55, len(owners)), top + 20], axis=1)
    return PartCodes(codes_of(rng, len(owners)), owners, boxes)


def nearest(whole, of_parts, parts, margin=MARGIN):
    """Of every item the distance and the box of what is nearest to one query: its own code first among equals."""
    found = []
    for row, distance in enumerate(whole.tolist()):
        best, box = distance, [0, 0, 255, 255]
        for number in np.flatnonzero(parts.owners == row).tolist():
            if of_parts[number] + margin < best:
                best, box = of_parts[number] + margin, parts.boxes[number].tolist()
        found.append((best, row, box))
    return found


def check(result, every, queries):
    """A result against the plain loop."""
    for number in range(queries):
        wanted = sorted(every[number], key=lambda one: one[:2])[: result.rows.shape[1]]
        assert result.rows[number].tolist() == [row for _, row, _ in wanted]
        np.testing.assert_array_equal(result.distances[number], [distance for distance, _, _ in wanted])
        np.testing.assert_array_equal(
            result.boxes[number], np.array([box for _, _, box in wanted]).reshape(-1, 4) / 255
        )


@settings(deadline=None, derandomize=True)  # the first compiled search loads the scans
@given(st.integers(0, 12), st.integers(0, 15), st.integers(0, 1000), st.booleans())
def test_searches_find_the_nearest_of_whole_and_parts(n, k, seed, compiled):
    rng = np.random.default_rng(seed)
    codes, parts, queries = codes_of(rng, n), parts_of(rng, n), codes_of(rng, 3)
    index = OrdinalIndex(codes, [f"image {row}" for row in range(n)], parts=parts)
    if compiled:
        index._warming.use_compiled()
        index._parts._warming.use_compiled()
    k = min(k, n)

    ordinal = ordinal_distances(queries, codes), ordinal_distances(queries, parts.codes)
    found = index.search(queries, top_k=k, parts=True)
    check(found, [nearest(*row, parts) for row in zip(*ordinal, strict=True)], 3)
    assert found.distances.dtype == np.uint16
    assert found.keys.tolist() == [[f"image {row}" for row in rows] for rows in found.rows.tolist()]

    scores = rng.normal(size=(3, 8, 4)).astype(np.float32)
    asymmetric = asymmetric_distances(scores, codes), asymmetric_distances(scores, parts.codes)
    result = index.search_asymmetric(scores, top_k=k, parts=True)
    assert result.distances.dtype == np.float32
    margins = np.array(symbol_losses(scores, SPEC).mean(axis=2).sum(axis=1) / 6, np.float32)
    for number, row in enumerate(zip(*asymmetric, strict=True)):
        wanted = sorted(nearest(*row, parts, margins[number]))[:k]
        np.testing.assert_allclose(result.distances[number], [distance for distance, _, _ in wanted], rtol=1e-6)
        np.testing.assert_array_equal(
            index.distances(scores, result.rows[number], parts=True)[number], result.distances[number]
        )


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(1, 12), st.booleans())
def test_parts_that_tie_by_rounding_are_in_the_order_of_their_items(seed, k, compiled):
    rng = np.random.default_rng(seed)
    spec, n = CodeSpec(6, 2), 12
    losses = np.append(1 + rng.integers(0, 4, 5) * np.finfo(np.float32).eps, 100)  # the last one makes a large margin
    scores = np.stack([np.zeros((2, 6)), [-losses, -losses[[2, 1, 0, 3, 4, 5]]]], axis=2)
    codes = OrdinalCodes(np.ones((n, 6), np.uint8), spec)
    owners = np.sort(rng.integers(0, n, 20))
    parts = PartCodes(
        OrdinalCodes(np.eye(6, dtype=np.uint8)[rng.integers(0, 5, 20)], spec), owners, [[0, 0, 9, 9]] * 20
    )
    index = OrdinalIndex(codes, parts=parts)
    if compiled:
        index._parts._warming.use_compiled()
    result = index.search_asymmetric(scores, top_k=k, of="log-probabilities", parts=True)
    by_symbol = symbol_losses(scores, spec, of="log-probabilities")
    whole, of_parts = sums_of_losses(by_symbol, codes), sums_of_losses(by_symbol, parts.codes)
    distances = parts.nearest(whole, of_parts, part_margins(by_symbol))
    wanted = top_k(distances, k)
    np.testing.assert_array_equal(result.rows, wanted)
    np.testing.assert_array_equal(result.distances, np.take_along_axis(distances, wanted, axis=1))


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(0, 9))
def test_a_radius_holds_what_is_near_as_a_whole_or_in_part(seed, radius):
    rng = np.random.default_rng(seed)
    codes, parts, queries = codes_of(rng, 12), parts_of(rng, 12), codes_of(rng, 2)
    index = OrdinalIndex(codes, parts=parts)
    ordinal = ordinal_distances(queries, codes), ordinal_distances(queries, parts.codes)
    for row, result in enumerate(index.search_radius(queries, radius=radius, parts=True)):
        near = [one for one in nearest(ordinal[0][row], ordinal[1][row], parts) if one[0] <= radius]
        wanted = sorted(near, key=lambda one: one[:2])
        assert result.rows.tolist() == [one[1] for one in wanted]
        np.testing.assert_array_equal(result.boxes, np.array([one[2] for one in wanted]).reshape(-1, 4) / 255)


def test_parts_are_left_out_unless_asked_for():
    rng = np.random.default_rng(0)
    codes, queries = codes_of(rng, 30), codes_of(rng, 4)
    plain, index = OrdinalIndex(codes), OrdinalIndex(codes, parts=parts_of(rng, 30))
    result = index.search(queries)
    np.testing.assert_array_equal(result.rows, plain.search(queries).rows)
    assert result.boxes is None
    assert (plain.stats.parts, index.stats.parts) == (None, len(index.parts))
    assert index.stats.nbytes > plain.stats.nbytes


def grown(rng):
    """An index after additions and deletions, and what it holds: codes, parts and keys of its items."""
    codes, parts = codes_of(rng, 40), parts_of(rng, 40)
    keys = [f"image {row}" for row in range(40)]
    metadata = {"even": [row % 2 == 0 for row in range(40)]}
    index = OrdinalIndex(codes[:25], keys[:25], {"even": metadata["even"][:25]}, parts=parts.taken(np.arange(25)))
    for start, stop in ((25, 26), (26, 40)):
        rows = np.arange(start, stop)
        index.add(codes[start:stop], keys[start:stop], {"even": metadata["even"][start:stop]}, parts=parts.taken(rows))
    gone = [3, 24, 25, 39]
    index.delete([keys[row] for row in gone])
    return index, codes, parts, keys, [row for row in range(40) if row not in gone]


@pytest.mark.parametrize("saved", [False, True])
def test_additions_and_deletions_keep_parts_with_their_items(tmp_path, saved):
    rng = np.random.default_rng(1)
    index, codes, parts, keys, left = grown(rng)
    if saved:
        index.save(tmp_path / "photos.index")
        index = OrdinalIndex.load(tmp_path / "photos.index")
    queries = codes_of(rng, 5)
    fresh = OrdinalIndex(codes[left], [keys[row] for row in left], parts=parts.taken(left))
    for k in (3, 36):
        found, wanted = (one.search(queries, top_k=k, parts=True) for one in (index, fresh))
        np.testing.assert_array_equal(found.keys, wanted.keys)
        np.testing.assert_array_equal(found.distances, wanted.distances)
        np.testing.assert_array_equal(found.boxes, wanted.boxes)


def test_conditions_hold_for_items_found_by_their_parts():
    index, *_ = grown(np.random.default_rng(2))
    queries = codes_of(np.random.default_rng(3), 5)
    found = index.search(queries, top_k=40, parts=True, where=pa.compute.field("even"))
    everything = index.search(queries, top_k=40, parts=True)
    for row in range(5):
        even = [key for key in everything.keys[row] if int(key.split()[1]) % 2 == 0]
        assert found.keys[row].tolist() == even


def test_many_equal_codes_keep_distinct_codes_of_parts(tmp_path):
    rng = np.random.default_rng(4)
    symbols = np.zeros((40_000, 24), np.uint8)
    symbols[:, :4] = rng.integers(0, 2, (40_000, 4))
    codes = OrdinalCodes(symbols, CodeSpec(48, 4), "m1")
    parts = PartCodes(codes, np.arange(40_000), np.tile(np.array([0, 0, 9, 9]), (40_000, 1)))
    index = OrdinalIndex(codes, parts=parts)
    index.save(tmp_path / "photos.index")
    again = OrdinalIndex.load(tmp_path / "photos.index")
    assert again._parts._warming.store.method == "distinct"
    queries = codes[:3]
    found, wanted = (one.search(queries, top_k=50, parts=True) for one in (again, index))
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_array_equal(again.parts.owners, parts.owners)


def test_what_has_no_parts_says_so():
    rng = np.random.default_rng(0)
    index = OrdinalIndex(codes_of(rng, 3))
    with pytest.raises(InputError, match="keeps no parts"):
        index.search(codes_of(rng, 1), parts=True)
    with pytest.raises(InputError, match="keeps no parts"):
        index.add(codes_of(rng, 1), parts=parts_of(rng, 1))
    assert len(index) == 3


def test_parts_keep_their_model(tmp_path):
    rng = np.random.default_rng(0)
    codes, parts = codes_of(rng, 3), parts_of(rng, 3)
    index = OrdinalIndex(codes, parts=parts)
    other, unknown = (OrdinalCodes(codes.symbols, SPEC, model) for model in ("m2", None))
    assert index.parts.codes.model_id == "m1"
    for added in (other, unknown):
        with pytest.raises(OtherModelError):
            OrdinalIndex(other, parts=parts_of(rng, 3)).add(added, parts=index.parts)
    for made in (OrdinalIndex(unknown, parts=parts), OrdinalIndex(unknown, parts=PartCodes.none(SPEC))):
        made.add(unknown, parts=parts)
        assert (made.model_id, made.parts.codes.model_id) == ("m1", "m1")
        made.save(tmp_path / "photos.index")
        assert OrdinalIndex.load(tmp_path / "photos.index").parts.codes.model_id == "m1"


def test_items_added_without_parts_have_none():
    rng = np.random.default_rng(0)
    index = OrdinalIndex(codes_of(rng, 3), parts=parts_of(rng, 3))
    before = len(index.parts)
    index.add(codes_of(rng, 2))
    assert (len(index.parts), len(index)) == (before, 5)


@pytest.mark.parametrize("column", ["part_owners", "part_boxes", "part_planes"])
def test_a_damaged_file_is_refused(tmp_path, column):
    rng = np.random.default_rng(0)
    path = tmp_path / "photos.index"
    OrdinalIndex(codes_of(rng, 9), parts=parts_of(rng, 9)).save(path)
    with pa.ipc.open_file(path) as file:
        table = file.read_all()
    damaged = {
        "part_owners": lambda old: pa.array([[9] + [0] * (len(old[0]) - 1)], old.type),
        "part_boxes": lambda old: pa.array([bytes(len(old[0].as_py()))], old.type),
        "part_planes": lambda old: pa.array([old[0].as_py()[:-1]], old.type),
    }[column](table[column])
    place = table.column_names.index(column)
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table.set_column(place, table.schema.field(column), damaged))
    with pytest.raises(DataError, match="build the index again"):
        OrdinalIndex.load(path)
