import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import (
    MOST_PARTS,
    CodeSpec,
    CodeTable,
    OrdinalCodes,
    PartCodes,
    asymmetric_distances,
    part_margin,
    part_margins,
    read_codes,
    symbol_losses,
    write_codes,
)
from ordhash.errors import DataError, InputError, OtherModelError
from ordhash.index import OrdinalIndex

SPEC = CodeSpec(12, 4)


def random_parts(counts, seed=0):
    """Parts of images that have so many each."""
    rng = np.random.default_rng(seed)
    m = int(sum(counts))
    codes = OrdinalCodes(rng.integers(0, 4, (m, 6)).astype(np.uint8), SPEC, "m1")
    corners = np.sort(rng.choice(256, (m, 2, 2), replace=True), axis=1)
    boxes = np.concatenate([corners[:, 0], np.maximum(corners[:, 1], corners[:, 0] + 1)], axis=1)
    return PartCodes(codes, np.repeat(np.arange(len(counts)), counts), np.minimum(boxes, [254, 254, 255, 255]))


def listed(parts, n):
    """The parts of every image, as Python values."""
    found = [[] for _ in range(n)]
    for owner, symbols, box in zip(parts.owners.tolist(), parts.codes.symbols, parts.boxes, strict=True):
        found[owner].append((symbols.tolist(), box.tolist()))
    return found


COUNTS = st.lists(st.integers(0, MOST_PARTS), max_size=9)


@settings(deadline=None, derandomize=True)
@given(COUNTS, st.randoms(use_true_random=False))
def test_the_parts_of_some_images_are_theirs(counts, random):
    parts, rows = random_parts(counts), list(range(len(counts)))
    random.shuffle(rows)
    rows = rows[: len(rows) // 2 + 1]
    before = listed(parts, len(counts))
    assert listed(parts.taken(rows), len(rows)) == [before[row] for row in rows]


@settings(deadline=None, derandomize=True)
@given(COUNTS)
def test_packed_parts_come_back(counts):
    parts = random_parts(counts)
    packed = parts.packed(len(counts))
    assert [len(one) for one in packed] == [count * (SPEC.packed_bytes + 4) for count in counts]
    again = PartCodes.from_packed(packed, SPEC, model_id="m1")
    assert listed(again, len(counts)) == listed(parts, len(counts))
    assert again.codes.model_id == "m1"


def test_groups_of_images_are_joined():
    groups = [[2, 0], [], [0, 8, 1]]
    several = [random_parts(counts, seed) for seed, counts in enumerate(groups)]
    joined = PartCodes.joined(several, [len(counts) for counts in groups])
    assert listed(joined, 5) == [
        one for parts, counts in zip(several, groups, strict=True) for one in listed(parts, len(counts))
    ]


def test_groups_of_two_models_are_not_joined():
    parts = random_parts([1])
    other = PartCodes(OrdinalCodes(parts.codes.symbols, SPEC, "m2"), parts.owners, parts.boxes)
    with pytest.raises(OtherModelError):
        PartCodes.joined([parts, other], [1, 1])


LAYOUTS = [np.asfortranarray, lambda array: np.repeat(array, 2, axis=0)[::2], lambda array: array[::-1].copy()[::-1]]


@pytest.mark.parametrize("laid_out", LAYOUTS, ids=["by column", "with gaps", "backwards"])
@pytest.mark.parametrize("bits", [2, 12])
def test_the_layout_of_arrays_does_not_matter(tmp_path, laid_out, bits):
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 2, (3, bits)).astype(np.uint8)
    boxes = np.array([[0, 10, 30, 40], [5, 2, 60, 70], [1, 3, 80, 90]])
    codes = OrdinalCodes.from_symbols(laid_out(symbols), arity=2)
    for kind in (np.uint8, np.int64):
        parts = PartCodes(codes, laid_out(np.arange(3)), laid_out(boxes.astype(kind)))
        write_codes(tmp_path / "codes.parquet", codes, parts=parts)
        OrdinalIndex(codes, parts=parts).save(tmp_path / "photos.index")
        for again in (read_codes(tmp_path / "codes.parquet"), OrdinalIndex.load(tmp_path / "photos.index")):
            assert again.parts.boxes.tolist() == boxes.tolist()
            assert again.parts.codes.symbols.tolist() == again.codes.symbols.tolist() == symbols.tolist()


def test_what_was_given_can_change_afterwards():
    owners, boxes = np.array([0, 1]), np.array([[0, 0, 9, 9]] * 2, np.uint8)
    parts = PartCodes(OrdinalCodes.from_symbols([[0] * 6] * 2, arity=4), owners, boxes)
    owners[:], boxes[:] = 7, 7
    assert (parts.owners.tolist(), parts.boxes.tolist()) == ([0, 1], [[0, 0, 9, 9]] * 2)
    for array in (parts.owners, parts.boxes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("owners", "boxes", "word"),
    [
        ([0, 1], [[0, 0, 9, 9]] * 3, "give an owner"),
        ([0, 0, 1], [[0, 0, 9]] * 3, "four sides"),
        ([0, 2, 1], [[0, 0, 9, 9]] * 3, "never fall"),
        ([-1, 0, 1], [[0, 0, 9, 9]] * 3, "never fall"),
        ([0, 0, 1], [[9, 0, 9, 9]] * 3, "left < right"),
        ([0, 0, 1], [[0, 9, 9, 8]] * 3, "top < bottom"),
        ([0, 0, 1], [[0, 0, 9, 256]] * 3, "255"),
        ([0, 0, 1], [[-1, 0, 9, 9]] * 3, "from 0"),
        ([0, 0, 1], [[0, 0, 9.5, 9]] * 3, "integers"),
        ([0, 0, 0.5], [[0, 0, 9, 9]] * 3, "integers"),
    ],
)
def test_what_cannot_be_parts_is_refused(owners, boxes, word):
    codes = OrdinalCodes.from_symbols(np.zeros((3, 6), int), arity=4)
    with pytest.raises(InputError, match=word):
        PartCodes(codes, owners, boxes)


def test_an_image_has_at_most_eight():
    assert len(random_parts([8, 8])) == 16
    with pytest.raises(InputError, match="more than 8"):
        random_parts([0, 9])


def test_other_bytes_are_refused():
    with pytest.raises(InputError, match="multiple of 6 bytes"):
        PartCodes.from_packed([b"12345"], SPEC)


@pytest.mark.parametrize(("code_bits", "arity"), [(12, 4), (48, 4), (64, 4), (48, 2), (12, 16)])
def test_the_margin_is_a_sixth_of_the_mean_distance(code_bits, arity):
    spec = CodeSpec(code_bits, arity)
    mean = spec.n_segments * (arity - 1) / arity
    assert part_margin(spec) == 1 or abs(part_margin(spec) - mean / 6) <= 0.5
    scores = np.random.default_rng(0).normal(size=(3, spec.n_segments, arity)).astype(np.float32)
    everything = np.stack(np.meshgrid(*[np.arange(arity)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    two = asymmetric_distances(scores[:, :2], OrdinalCodes.from_symbols(everything, arity=arity))
    margins = part_margins(symbol_losses(scores[:, :2], CodeSpec.of_segments(2, arity)))
    np.testing.assert_allclose(margins, two.mean(axis=1) / 6, rtol=1e-5)


def test_parts_of_other_items_or_codes_are_refused():
    codes, parts = OrdinalCodes(np.zeros((2, 6), np.uint8), SPEC, "m1"), random_parts([1, 0, 2])
    with pytest.raises(InputError, match="part of item 2"):
        CodeTable(codes, parts=parts)
    with pytest.raises(InputError, match="codes of two models"):
        CodeTable(OrdinalCodes(np.zeros((3, 6), np.uint8), SPEC, "m2"), parts=parts)
    with pytest.raises(InputError, match="equal specs"):
        CodeTable(OrdinalCodes.from_symbols(np.zeros((3, 5), int), arity=4), parts=parts)


@settings(deadline=None, derandomize=True)
@given(COUNTS)
def test_a_file_of_codes_holds_parts(tmp_path_factory, counts):
    path, n = tmp_path_factory.mktemp("parts") / "codes.parquet", len(counts)
    codes = OrdinalCodes(np.zeros((n, 6), np.uint8), SPEC, "m1")
    write_codes(path, codes, metadata={"label": list(range(n))}, parts=random_parts(counts))
    table = read_codes(path)
    assert listed(table.parts, n) == listed(random_parts(counts), n)
    assert table.parts.codes.model_id == "m1"
    assert table.metadata is None or table.metadata.column_names == ["label"]


def test_a_file_without_parts_says_so(tmp_path):
    write_codes(tmp_path / "codes.parquet", OrdinalCodes(np.zeros((2, 6), np.uint8), SPEC))
    assert read_codes(tmp_path / "codes.parquet").parts is None


@pytest.mark.parametrize("damage", ["type", "box", "many", "empty"])
def test_damaged_parts_in_a_file_are_refused(tmp_path, damage):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "codes.parquet"
    write_codes(path, OrdinalCodes(np.zeros((1, 6), np.uint8), SPEC), parts=random_parts([1]))
    table = pq.read_table(path)
    part = table["part_codes"][0].as_py()[0]
    rows, kind = {
        "type": ([[b"12345"]], pa.list_(pa.binary(5))),
        "box": ([[part[:2] + b"\x09\x09\x09\x09"]], pa.list_(pa.binary(6))),
        "many": ([[part] * 9], pa.list_(pa.binary(6))),
        "empty": ([[part, None]], pa.list_(pa.binary(6))),
    }[damage]
    place = table.column_names.index("part_codes")
    pq.write_table(table.set_column(place, "part_codes", pa.array(rows, kind)), path)
    words = {"type": "fixed_size_binary", "box": "left", "many": "more than 8", "empty": "empty part"}
    with pytest.raises(DataError, match=words[damage]):
        read_codes(path)
