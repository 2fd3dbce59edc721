import dataclasses

import onnx
import pytest
from parting import BOX, part_like_the_first

from ordhash import Encoder, OrdinalIndex
from ordhash.codes import OrdinalCodes, part_margin
from ordhash.errors import InputError
from ordhash.model import Calibration, load_model
from ordhash.model.file import write_graph
from ordhash.search import Example, Target, search_by_examples, search_by_images
from ordhash.search.by_photograph import search_by_photograph


@pytest.fixture
def parted(judging):
    """The collection, where the last photograph has a part like the first; and their entries."""
    judging.collection.close()
    keys = part_like_the_first(judging.collection.path)
    entries = judging.collection.entries([keys[0], keys[-1]])
    return Target(judging.encoder, judging.collection.index(), judging.collection), entries


def test_a_part_is_found_and_its_place_is_said(parted):
    target, entries = parted
    plain = search_by_photograph(entries[0], target, top_k=19)
    found = search_by_photograph(entries[0], target, top_k=19, parts=True)
    assert all(answer.box is None for answer in plain.found)
    last = next(answer for answer in found.found if answer.key == entries[-1].key)
    assert last.distance == part_margin(target.encoder.spec)
    assert last.box == pytest.approx(BOX)
    assert {answer.likelihood for answer in found.found} == {None}  # this model is calibrated for whole photographs
    assert last.agreeing is not None
    assert all(last.agreeing)  # the symbols of the part, not those of the whole
    own = next(answer for answer in found.found if answer.key == entries[0].key)
    assert (own.distance, own.box) == (0, None)


def test_likelihoods_are_those_of_searches_with_parts(parted, tmp_path):
    target, entries = parted
    model = load_model(target.encoder.path)
    steps = [float(number) for number in range(25)]
    of_parts = Calibration(tuple(steps), tuple(0.8 - 0.6 * step / 24 for step in steps), 100)
    info = dataclasses.replace(model.info, calibration_with_parts=of_parts, asymmetric_calibration_with_parts=of_parts)
    write_graph(tmp_path / "model.onnx", onnx.load_from_string(model.graph), info)
    encoder = Encoder(tmp_path / "model.onnx")
    codes, keys = OrdinalCodes(target.index.codes.symbols, encoder.spec), target.index.keys
    parts = target.index.parts
    parts = dataclasses.replace(parts, codes=OrdinalCodes(parts.codes.symbols, encoder.spec))
    index = OrdinalIndex(codes, keys, target.index.metadata, parts=parts)
    query = target.collection.path.parent / "photos" / entries[0].key
    for asymmetric in (False, True):
        (answers,), _ = search_by_images(
            [query], Target(encoder, index), top_k=19, parts=True, likely=True, asymmetric=asymmetric
        )
        assert any(answer.box for answer in answers.found)
        for answer in answers.found:
            assert answer.likelihood == pytest.approx(0.8 - 0.6 * answer.distance / 24)
    found = search_by_examples([Example(query)], Target(encoder, index), top_k=19, parts=True).found
    for answer in found:
        assert answer.likelihood == pytest.approx(0.8 - 0.6 * answer.distance / 24, abs=1e-6)


def test_a_target_without_parts_says_so(judging):
    entry = judging.collection.entries(["apple/apple_0.jpg"])[0]
    codes = judging.index.codes
    without = dataclasses.replace(judging, index=type(judging.index)(codes, judging.index.keys, judging.index.metadata))
    with pytest.raises(InputError, match="keeps no parts"):
        search_by_photograph(entry, without, parts=True)


def test_a_photograph_that_is_unlike_anything_learned_gives_no_likelihood(judging):
    dark, apple = judging.collection.entries(["apple/dark.png", "apple/apple_0.jpg"])
    found = search_by_photograph(dark, judging, top_k=19)
    assert found.unlike
    assert {answer.likelihood for answer in found.found} == {None}
    found = search_by_photograph(apple, judging, top_k=19)
    assert found.unlike is False
    assert [answer.key for answer in found.found if answer.likelihood is None] == ["apple/dark.png"]
