import threading
import time

import numpy as np
import onnx.parser
import pytest
from PIL import Image

from ordhash.data import open_rgb, prepare
from ordhash.data.imageset import ImageSet
from ordhash.errors import ImageError, InputError, ModelFileError
from ordhash.model.inference import Preprocessing, open_session, run_images, run_in_groups

# The mean colour of a picture, and the picture itself.
GRAPH = onnx.parser.parse_model(
    """
    <ir_version: 9, opset_import: ["" : 18]>
    colours (uint8[n, h, w, 3] images) => (float[n, 3] mean, float[n, h, w, 3] same) {
        same = Cast <to = 1> (images)
        axes = Constant <value_ints = [1, 2]> ()
        mean = ReduceMean <keepdims = 0> (same, axes)
    }
    """
).SerializeToString()
FORM = Preprocessing(8)


@pytest.fixture(scope="module")
def session():
    return open_session(GRAPH, threads=1)


def pictures(n):
    """Picture i is grey i."""
    return ImageSet(np.repeat(np.arange(n, dtype=np.uint8), 8 * 8 * 3).reshape(n, 8, 8, 3))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 20, 100])
def test_order_is_kept_in_batches_of_any_size(session, batch_size, workers):
    batches = list(run_images(session, ["mean"], pictures(20), FORM, batch_size=batch_size, workers=workers))
    assert [batch.size for batch in batches] == [batch_size] * (20 // batch_size) + [20 % batch_size] * (
        20 % batch_size > 0
    )
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in batches]), np.arange(20))
    np.testing.assert_array_equal(
        np.concatenate([batch.outputs[0] for batch in batches]), np.repeat(np.arange(20.0)[:, None], 3, axis=1)
    )
    assert not any(batch.failures for batch in batches)


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_batches_and_threads_are_at_least_one(session, value):
    for name in ("batch_size", "workers"):
        with pytest.raises(InputError, match=name):
            list(run_images(session, ["mean"], pictures(3), FORM, **{name: value}))
    with pytest.raises(InputError, match="threads"):
        open_session(GRAPH, threads=value)


def test_no_images_no_batches(session):
    assert list(run_images(session, ["mean"], ImageSet([]), FORM)) == []


def test_outputs_come_in_the_order_asked_for(session):
    (batch,) = run_images(session, ["same", "mean"], pictures(2), FORM)
    assert [[value.shape for value in values] for values in batch.outputs] == [[(8, 8, 3)] * 2, [(3,)] * 2]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_images_that_cannot_be_used_are_reported_in_their_batch(session, bad_files, photo_folder, batch_size):
    good = sorted(photo_folder.rglob("*.jpg"))[:4]
    bad = list(bad_files.values())
    sources = [bad[0], good[0], bad[1], bad[2], good[1], good[2], bad[3], good[3]]
    batches = list(run_images(session, ["same"], ImageSet(sources), FORM, batch_size=batch_size))
    assert np.concatenate([batch.rows for batch in batches]).tolist() == [1, 4, 5, 7]
    assert sum(batch.size for batch in batches) == 8
    failures = [failure for batch in batches for failure in batch.failures]
    assert all(isinstance(failure, ImageError) for failure in failures)
    assert [failure.source for failure in failures] == [str(path) for path in bad]
    expected = [prepare(open_rgb(path, least_side=16), 8, "squash") for path in good]
    np.testing.assert_array_equal(np.concatenate([b.outputs[0] for b in batches if len(b.rows)]), expected)


def test_a_batch_of_bad_images_alone_has_no_outputs(session):
    (batch,) = run_images(session, ["mean"], ImageSet([b"", b"x"]), FORM)
    assert (len(batch.rows), batch.outputs, len(batch.failures), batch.size) == (0, [[]], 2, 2)


@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_a_mirrored_picture_is_mirrored_after_it_is_fitted(session, photo_folder, fit):
    images = ImageSet(sorted(photo_folder.rglob("*.jpg"))[:2])
    (plain,) = run_images(session, ["same"], images, Preprocessing(8, fit))
    (mirrored,) = run_images(session, ["same"], images, Preprocessing(8, fit, mirror=True))
    for one, other in zip(mirrored.outputs[0], plain.outputs[0], strict=True):
        np.testing.assert_array_equal(one, other[:, ::-1])
        assert not np.array_equal(one, other)


def test_one_picture_of_an_input_form(photo_folder):
    path = next(photo_folder.rglob("*.jpg"))
    found = Preprocessing(16, "crop").read(ImageSet([path]), 0)
    np.testing.assert_array_equal(found, prepare(Image.open(path), 16, "crop"))
    with pytest.raises(ImageError, match="image 0: the file is empty"):
        FORM.read(ImageSet([b""]), 0)


def test_a_source_of_another_type_is_the_callers_mistake(session):
    with pytest.raises(InputError, match="an image is given as int"):
        list(run_images(session, ["mean"], ImageSet([pictures(1).images[0], 3]), FORM))


def workers_alive():
    return sum(thread.name.startswith("encode") for thread in threading.enumerate())


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_an_early_stop_ends_the_threads(session, taken):
    before = workers_alive()
    stream = run_images(session, ["mean"], pictures(200), FORM, batch_size=2, workers=2)
    for position in range(taken):
        assert next(stream).rows.tolist() == [2 * position, 2 * position + 1]
        assert workers_alive() > before
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 5
    assert workers_alive() == before


def test_pictures_are_read_only_a_few_batches_ahead(session):
    class Counting(list):
        reads = 0

        def __getitem__(self, row):
            Counting.reads += 1
            return super().__getitem__(row)

    images = ImageSet(Counting(pictures(100).images))
    stream = run_images(session, ["mean"], images, FORM, batch_size=2)
    next(stream)
    time.sleep(0.3)  # time enough to read all of them
    stream.close()
    # A picture and its name are one read each; the first batch and two more.
    assert 2 * 2 <= Counting.reads <= 3 * 2 * 2


@pytest.mark.parametrize("content", [b"", b"hello", GRAPH[: len(GRAPH) // 2]])
def test_what_is_no_model_is_refused(content, tmp_path):
    with pytest.raises(ModelFileError, match=r"ONNX Runtime"):
        open_session(content)
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"m\.onnx cannot be run by ONNX Runtime"):
        open_session(tmp_path / "m.onnx")


def test_a_session_of_a_file(tmp_path):
    (tmp_path / "m.onnx").write_bytes(GRAPH)
    (batch,) = run_images(open_session(tmp_path / "m.onnx"), ["mean"], pictures(2), FORM)
    assert [mean[0] for mean in batch.outputs[0]] == [0.0, 1.0]


def test_inputs_of_any_shapes_keep_their_order(session):
    rng = np.random.default_rng(0)
    inputs = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(3, 4), (5, 2), (3, 4), (1, 1), (5, 2)]]
    means, same = run_in_groups(session, ["mean", "same"], "images", inputs)
    for one, mean, back in zip(inputs, means, same, strict=True):
        np.testing.assert_array_equal(back, one)
        np.testing.assert_allclose(mean, one.mean(axis=(0, 1)), rtol=1e-6)
    assert run_in_groups(session, ["mean", "same"], "images", []) == [[], []]


def test_whole_pictures_come_in_their_own_shapes(session):
    images = ImageSet([Image.new("RGB", size, "red") for size in [(40, 30), (30, 40), (41, 30)]])
    (batch,) = run_images(session, ["same"], images, Preprocessing(96, "whole"))
    assert [picture.shape for picture in batch.pixels] == [(96, 128, 3), (128, 96, 3), (96, 128, 3)]
    assert [value.shape for value in batch.outputs[0]] == [(96, 128, 3), (128, 96, 3), (96, 128, 3)]
