"""Adding, deleting and filtering, against a plain list of items."""

import threading

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ordhash.codes import CodeSpec, CodeTable, OrdinalCodes
from ordhash.errors import InputError
from ordhash.index import OrdinalIndex
from ordhash.index.items import Items, key_column
from ordhash.search import metadata_at

SPEC = CodeSpec(12, 4)


def random_codes(n, seed=0, model_id="m1"):
    symbols = np.random.default_rng(seed).integers(0, 2, (n, SPEC.n_segments))
    return OrdinalCodes(symbols.astype(np.uint8), SPEC, model_id)


@pytest.fixture
def index():
    return OrdinalIndex(random_codes(40), [f"img{i}" for i in range(40)], {"label": np.arange(40) % 3})


class IndexAgainstList(RuleBasedStateMachine):
    """Whatever is done to an index, a search finds what a sort of a list of (key, label, code) finds."""

    names = True
    compiled = False

    def __init__(self):
        super().__init__()
        self.next, self.seed = 12, 0
        codes = random_codes(12)
        self.use(OrdinalIndex(codes, self.keys(range(12)), {"label": np.arange(12) % 3}))
        self.items = list(zip(self.keys(range(12)), (np.arange(12) % 3).tolist(), codes.symbols, strict=True))

    def use(self, index):
        self.index = index
        if self.compiled:
            index.warm_up()

    def keys(self, numbers):
        return [f"k{number}" if self.names else 7 * number for number in numbers]

    @rule(n=st.integers(0, 20))
    def add(self, n):
        self.seed += 1
        codes, keys = random_codes(n, self.seed), self.keys(range(self.next, self.next + n))
        labels = (np.arange(n) % 3).tolist()
        self.index.add(codes, keys, {"label": np.array(labels, dtype=int)})
        self.items += zip(keys, labels, codes.symbols, strict=True)
        self.next += n

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def delete(self, data):
        keys = data.draw(st.lists(st.sampled_from([item[0] for item in self.items]), max_size=5))
        self.index.delete(keys)
        self.items = [item for item in self.items if item[0] not in keys]

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def replace(self, data):
        key = data.draw(st.sampled_from([item[0] for item in self.items]))
        self.seed += 1
        codes = random_codes(1, self.seed)
        self.index.delete([key])
        self.index.add(codes, [key], {"label": [1]})
        self.items = [item for item in self.items if item[0] != key] + [(key, 1, codes.symbols[0])]

    @rule()
    def build_tables(self):
        self.index.build_tables()

    @rule()
    def save_and_load(self):
        path = self.folder / "photos.index"
        self.index.save(path)
        self.use(OrdinalIndex.load(path))
        assert (self.index.n_rows, self.index.stats.deleted) == (len(self.items), 0)
        assert self.index.keys.tolist() == [item[0] for item in self.items]

    @invariant()
    def searches_agree(self):
        query = random_codes(1, 99)
        for where, among in (
            (None, self.items),
            (pc.field("label") == 1, [item for item in self.items if item[1] == 1]),
            ([item[0] for item in self.items[::2]], self.items[::2]),
        ):
            distances = [int((item[2] != query.symbols[0]).sum()) for item in among]
            order = sorted(range(len(among)), key=distances.__getitem__)
            result = self.index.search(query, top_k=5, where=where)
            assert result.keys[0].tolist() == [among[i][0] for i in order[:5]]
            assert result.distances[0].tolist() == [distances[i] for i in order[:5]]
            assert self.index.keys[result.rows[0]].tolist() == result.keys[0].tolist()
            near = self.index.search_radius(query, radius=2, where=where)[0]
            assert near.keys.tolist() == [among[i][0] for i in order if distances[i] <= 2]
        assert len(self.index) == len(self.items)


@pytest.mark.parametrize(
    ("names", "compiled"),
    [(True, True), (False, False), *(pytest.param(one, not one, marks=pytest.mark.slow) for one in (True, False))],
)
def test_an_index_against_a_list(names, compiled, tmp_path):
    kind = type("Machine", (IndexAgainstList,), {"names": names, "compiled": compiled, "folder": tmp_path})
    case = kind.TestCase
    case.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
    case("runTest").runTest()


def test_numbered_items_with_metadata_stay_numbered_in_the_file(tmp_path):
    OrdinalIndex(random_codes(3), metadata={"label": [0, 1, 2]}).save(tmp_path / "numbered.index")
    index = OrdinalIndex.load(tmp_path / "numbered.index")
    index.add(random_codes(1), metadata={"label": [3]})
    assert index.keys.tolist() == [0, 1, 2, 3]
    assert index.metadata["label"].to_pylist() == [0, 1, 2, 3]


def test_the_first_codes_of_a_known_model_decide_it():
    index = OrdinalIndex(random_codes(3, model_id=None))
    index.add(random_codes(1, model_id="m1"))
    with pytest.raises(InputError, match=r"'m2'.*'m1'"):
        index.add(random_codes(1, model_id="m2"))


def test_many_small_additions_make_few_chunks():
    items = Items(1, key_column(np.array(["old"], dtype=object)), None)
    for i in range(100):
        items.add(CodeTable(random_codes(1), [f"new{i}"]), numbered=False)
    assert items.column.num_chunks < 10
    assert items.keys.tolist() == ["old", *(f"new{i}" for i in range(100))]


def test_items_added_one_by_one_are_found(index):
    for i in range(100):
        index.add(random_codes(1, i), [f"new{i}"], {"label": [7]})
    result = index.search(random_codes(1), top_k=140)
    assert sorted(result.keys[0].tolist()) == sorted([f"img{i}" for i in range(40)] + [f"new{i}" for i in range(100)])
    assert index.keys[result.rows[0]].tolist() == result.keys[0].tolist()


@pytest.mark.parametrize("compiled", [True, False])
def test_searches_beside_changes(compiled):
    """Every search sees the index before or after a change, and nothing between."""
    index = OrdinalIndex(random_codes(500), metadata={"label": np.arange(500)})
    if compiled:
        index.warm_up()
    index.delete([0])
    stop, wrong = threading.Event(), []

    def look():
        while not stop.is_set():
            result = index.search(random_codes(2, 1), top_k=1000)
            mask_size = len(result.keys[0])
            if not all(len(set(row)) == mask_size and max(row) < index.n_rows for row in result.keys.tolist()):
                wrong.append(result)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    for i in range(1, 60):
        index.delete([i])
        index.add(random_codes(3, i), metadata={"label": [1, 2, 3]})
    stop.set()
    for looker in lookers:
        looker.join(30)
    assert not wrong
    assert len(index) == 500 - 60 + 59 * 3


def test_numbered_items_go_on_being_numbered(tmp_path):
    index = OrdinalIndex(random_codes(3))
    index.add(random_codes(2, seed=1))
    assert index.keys.tolist() == [0, 1, 2, 3, 4]
    index.delete([1, 3])
    assert sorted(index.search(random_codes(1), top_k=9).keys[0].tolist()) == [0, 2, 4]
    with pytest.raises(InputError, match="key 3"):
        index.delete([0, 3])
    assert len(index) == 3
    index.save(tmp_path / "numbered.index")
    loaded = OrdinalIndex.load(tmp_path / "numbered.index")
    assert loaded.keys.tolist() == [0, 2, 4]
    loaded.add(random_codes(1), [17])
    assert loaded.search(random_codes(1), where=[17]).keys.tolist() == [[17]]


def test_masks_of_rows(index):
    mask = np.zeros(40, dtype=bool)
    mask[[3, 30]] = True
    assert sorted(index.search(random_codes(1), where=mask).keys[0].tolist()) == ["img3", "img30"]
    scores = np.random.default_rng(0).normal(size=(2, 6, 4))
    assert sorted(index.search_asymmetric(scores, where=mask).rows[1].tolist()) == [3, 30]
    assert index.search(random_codes(2), where=np.zeros(40, dtype=bool)).keys.shape == (2, 0)
    index.delete(["img3"])
    assert index.search(random_codes(1), where=mask).keys.tolist() == [["img30"]]


def test_a_where_that_does_not_fit_is_refused(index):
    query = random_codes(1)
    for where, sentence in (
        (np.ones(39, dtype=bool), r"the mask has shape \(39,\); the index needs \(40,\)"),
        (["img1", "dog"], "key 'dog'"),
        ([1.5], "allowed are all strings or all integers"),
        (pc.field("labels") == 1, "the columns are label"),
        (pc.field("label") == "cat", "the columns are label"),
    ):
        with pytest.raises(InputError, match=sentence):
            index.search(query, where=where)
    with pytest.raises(InputError, match="the index has no metadata"):
        OrdinalIndex(query).search(query, where=pc.field("label") == 1)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b"], pa.string_view()),
        pa.array([b"a", None], pa.binary_view()),
        pa.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"]),
        pa.array([["a"], None], pa.list_view(pa.string_view())),
        pa.array([{"x": "a"}, None], pa.struct([("x", pa.string_view())])),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_of_any_type_go_through_changes_and_files(column, tmp_path):
    index = OrdinalIndex(random_codes(2), ["a", "b"], pa.table({"x": column}))
    index.add(random_codes(2), ["c", "d"], pa.table({"x": column}))
    index.delete(["a"])
    index.save(tmp_path / "photos.index")
    for found in (index, OrdinalIndex.load(tmp_path / "photos.index")):
        kept = metadata_at(found, np.arange(found.n_rows))[-3:]
        assert [values["x"] for values in kept] == [*column.to_pylist()[1:], *column.to_pylist()]


def test_a_column_that_cannot_be_kept_is_refused():
    runs = pa.ListArray.from_arrays([0, 1, 2], pa.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"]))
    with pytest.raises(InputError, match="'x'"):
        OrdinalIndex(random_codes(2), metadata=pa.table({"x": runs}))


@pytest.mark.parametrize("keys", [["a", "b"], [5, 7], None])
@pytest.mark.parametrize("saved", [False, True])
def test_an_index_without_items_takes_any_keys_and_values(keys, saved, tmp_path):
    index = OrdinalIndex(random_codes(0), metadata={"label": []})
    if saved:
        index.save(tmp_path / "empty.index")
        index = OrdinalIndex.load(tmp_path / "empty.index")
    index.add(random_codes(2), keys, {"label": ["cat", None]})
    assert index.keys.tolist() == (keys or [0, 1])
    assert index.metadata["label"].to_pylist() == ["cat", None]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([None, None], ["cat", "dog"]),
        ([None, None], [1.5, None]),
        ([None, None], [["cat"], []]),
        ([[], None], [["cat"], []]),
        ([{"a": None}, None], [{"a": 1}, None]),
        (["cat", "dog"], [None, None]),
        ([["cat"], []], [[], None]),
    ],
)
def test_a_column_without_values_gets_its_type_from_the_first(tmp_path, before, after):
    index = OrdinalIndex(random_codes(2), metadata={"label": before})
    index.add(random_codes(2), metadata={"label": after})
    assert index.metadata["label"].to_pylist() == [*before, *after]
    index.save(tmp_path / "labels.index")
    assert OrdinalIndex.load(tmp_path / "labels.index").metadata.equals(index.metadata)


def test_what_cannot_be_added_is_refused_and_nothing_is_lost(index):
    one = random_codes(1)
    for arguments, sentence in (
        ((one, ["img7"], {"label": [1]}), "key 'img7' is in the index already"),
        ((one, [7], {"label": [1]}), "the keys are integers and those of the index strings"),
        ((one, None, {"label": [1]}), "give a key for each code"),
        ((one, ["new"]), "the metadata have the columns none and those of the index label"),
        ((one, ["new"], {"label": ["cat"]}), "the metadata do not fit those of the index"),
        ((one, ["new", "newer"], {"label": [1]}), "there are 2 keys for 1 codes"),
        ((random_codes(1, model_id="m2"), ["new"], {"label": [1]}), "'m2'"),
        ((OrdinalCodes.from_symbols([[0]], arity=4), ["new"], {"label": [1]}), "the codes have .* and the index"),
    ):
        with pytest.raises(InputError, match=sentence):
            index.add(*arguments)
    assert (len(index), index.n_rows, index.metadata.num_rows) == (40, 40, 40)
    index.add(one, ["new"], {"label": [1]})
    with pytest.raises(InputError, match="strings and those of the index integers"):
        OrdinalIndex(one).add(one, ["new"])
    numbered = OrdinalIndex(one)
    numbered.add(one, [5])
    assert numbered.keys.tolist() == [0, 5]
    with pytest.raises(InputError, match="give a key for each code"):
        numbered.add(one)
