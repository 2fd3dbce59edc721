import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import CodeTable, read_codes, write_codes
from ordhash.data import as_image_set
from ordhash.errors import InputError
from ordhash.model.encoder import Encoder
from ordhash.model.features import FeatureStore
from ordhash.model.file import load_model
from ordhash.model.inference import open_session
from ordhash.model.parts import boxes_of, differing_parts, part_codes, window_side, windows_of


def plain_windows(features, attention):
    """Windows by the definition, with loops."""
    height, width = attention.shape
    side = window_side(height, width)
    counts = attention * np.linalg.norm(features, axis=0)
    counts = counts / counts.sum()
    free, found = [(top, left) for top in range(height - side + 1) for left in range(width - side + 1)], []
    while free and len(found) < 8:
        held = [counts[top : top + side, left : left + side].sum() for top, left in free]
        best = int(np.argmax(held))
        if held[best] < 0.02:
            break
        found.append(free[best])
        free = [one for one in free if max(abs(one[0] - found[-1][0]), abs(one[1] - found[-1][1])) >= side]
    return found


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 10_000))
def test_windows_hold_what_counts_and_do_not_overlap(height, width, seed):
    rng = np.random.default_rng(seed)
    features, attention = (
        rng.random((5, height, width)),
        rng.dirichlet(np.full(height * width, 0.3)).reshape(height, width),
    )
    assert windows_of(features, attention) == plain_windows(features, attention)


def test_a_black_picture_has_no_parts():
    assert windows_of(np.zeros((3, 5, 5)), np.full((5, 5), 1 / 25)) == []


def test_uniform_attention_leaves_it_to_the_features():
    features = np.full((2, 10, 13), 0.01)
    features[:, 6:10, 9:13] = 1.0
    assert windows_of(features, np.full((10, 13), 1 / 130))[0] == (6, 9)


def test_a_part_differs_from_the_whole_and_from_earlier_parts():
    whole = np.zeros(24, np.uint8)
    parts = np.zeros((4, 24), np.uint8)
    parts[0, :7] = 1  # too near to the whole
    parts[1, :8] = 1
    parts[2, :15] = 1  # too near to the one before
    parts[3, 8:16] = 1
    assert differing_parts(whole, parts, 4) == [1, 3]  # 8 of 24 segments, where two codes differ in 18
    assert differing_parts(whole, parts, 2) == [0, 2, 3]  # 6 of 24, where they differ in 12
    assert differing_parts(whole, parts[:0], 4) == []


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_boxes_lie_where_the_windows_are(height, width, data):
    side = window_side(height, width)
    top, left = data.draw(st.integers(0, height - side)), data.draw(st.integers(0, width - side))
    box = boxes_of([(top, left)], height, width)[0] / 255
    wanted = np.array([left / width, top / height, (left + side) / width, (top + side) / height])
    assert np.abs(box - wanted).max() <= 0.5 / 255 + 1e-9
    assert box[0] < box[2]
    assert box[1] < box[3]


@pytest.mark.usefixtures("many_parts")
def test_part_codes_are_what_the_head_makes_of_windows(encoder, tiny_model, photos):
    found = encoder.run(photos, parts=True)
    model = load_model(tiny_model)
    pixels = np.stack([model.info.preprocessing.read(as_image_set([path]), 0) for path in photos])
    maps = open_session(model.backbone().graph).run(["features"], {"images": pixels})[0]
    head = open_session(model.head())
    scores, attention = head.run(["scores", "attention"], {"features": maps})
    expected = []
    for number in range(len(photos)):
        side = window_side(*maps.shape[2:])
        kept = [scores[number].argmax(axis=1)]
        for top, left in windows_of(maps[number], attention[number]):
            cut = maps[number : number + 1, :, top : top + side, left : left + side]
            symbols = head.run(["scores"], {"features": cut})[0][0].argmax(axis=1)
            if min((symbols != other).sum() for other in kept) >= 1:
                kept.append(symbols)
                expected.append((number, symbols.tolist()))
    owners = found.parts.owners.tolist()
    assert len(expected) >= 3
    assert list(zip(owners, found.parts.codes.symbols.tolist(), strict=True)) == expected
    assert found.parts.codes.model_id == encoder.model_id


def test_parts_change_nothing_else(encoder, tiny_model, photos):
    found, plain = encoder.run(photos, parts=True), encoder.run(photos)
    np.testing.assert_allclose(found.scores, plain.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.rows, plain.rows)
    assert plain.parts is None


@pytest.mark.parametrize("batch_size", [1, 5, 50])
def test_parts_do_not_depend_on_batches_or_on_images_that_fail(encoder, tiny_model, photos, bad_files, batch_size):
    mixed = [bad_files["empty"], *photos[:4], bad_files["text"], *photos[4:]]
    expected = encoder.run(photos, parts=True).parts
    found = Encoder(tiny_model, batch_size=batch_size, threads=1).run(mixed, parts=True)
    assert found.rows.tolist() == [1, 2, 3, 4, *range(6, 20)]
    np.testing.assert_array_equal(found.parts.owners, expected.owners)
    np.testing.assert_array_equal(found.parts.codes.symbols, expected.codes.symbols)
    np.testing.assert_array_equal(found.parts.boxes, expected.boxes)


def test_kept_feature_maps_have_the_same_parts(encoder, tiny_model, photos, tmp_path):
    kept = Encoder(tiny_model, features=FeatureStore(tmp_path), threads=2)
    found, expected = kept.run(photos, parts=True).parts, encoder.run(photos, parts=True).parts
    # Maps are kept as float16, so a few symbols may differ, and with them which parts there are.
    assert abs(len(found) - len(expected)) <= 2
    again = kept.run(photos, parts=True).parts
    np.testing.assert_array_equal(again.codes.symbols, found.codes.symbols)


def test_no_image_has_no_parts(encoder, bad_files):
    assert len(encoder.run([], parts=True).parts) == 0
    assert len(encoder.run([bad_files["empty"]], parts=True).parts) == 0


@pytest.mark.usefixtures("many_parts")
def test_tables_carry_parts(encoder, photos, tmp_path):
    table, _ = encoder.tabulate(as_image_set(photos), parts=True)
    assert isinstance(table, CodeTable)
    write_codes(tmp_path / "codes.parquet", table.codes, table.keys, parts=table.parts)
    read = read_codes(tmp_path / "codes.parquet").parts
    np.testing.assert_array_equal(read.codes.symbols, table.parts.codes.symbols)


def test_a_model_of_the_middle_has_no_parts(tiny_model, photos, tmp_path):
    import onnx

    from ordhash.model.file import write_graph

    model = load_model(tiny_model)
    info = dataclasses.replace(model.info, preprocessing=dataclasses.replace(model.info.preprocessing, fit="crop"))
    write_graph(tmp_path / "model.onnx", onnx.load_from_string(model.graph), info)
    encoder = Encoder(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="middle square"):
        encoder.run(photos, parts=True)
    assert len(encoder.run(photos).codes) == 18


def test_part_codes_of_no_picture():
    parts = part_codes(np.zeros((0, 6, 4), np.float32), [], [], lambda maps: np.zeros((0, 6, 4), np.float32), "m1")
    assert (len(parts), parts.codes.spec.code_bits) == (0, 12)
