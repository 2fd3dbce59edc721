import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ordhash.codes.codes import CodeSpec, OrdinalCodes, symbols_from_scores
from ordhash.data import open_rgb, prepare
from ordhash.data.imageset import ImageSet
from ordhash.errors import ImageError, InputError, ModelFileError
from ordhash.model.encoder import Encoder
from ordhash.model.features import FeatureStore
from ordhash.model.file import load_model
from ordhash.model.inference import open_session


@pytest.fixture
def mixed(photos, bad_files, tmp_path):
    """Good and bad files; the good ones are at 1, 2 and 5."""
    return [bad_files["empty"], *photos[:2], bad_files["text"], tmp_path / "missing.jpg", photos[7]]


def assert_same(found, expected):
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.attention, expected.attention, rtol=1e-4, atol=1e-6)
    assert [str(failure) for failure in found.failures] == [str(failure) for failure in expected.failures]
    assert found.model_id == expected.model_id


def test_run_is_the_model_on_prepared_pictures(encoder, tiny_model, photos):
    found = encoder.run(photos)
    preprocessing = load_model(tiny_model).info.preprocessing
    pixels = np.stack([prepare(open_rgb(path), preprocessing.size, preprocessing.fit) for path in photos])
    scores, attention = open_session(tiny_model).run(["scores", "attention"], {"images": pixels})
    assert found.rows.tolist() == list(range(18))
    assert (found.scores.dtype, found.attention[0].dtype) == (np.float32, np.float32)
    assert found.scores.shape == (18, 24, 4)
    assert [one.shape for one in found.attention] == [(2, 2)] * 18
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.attention, attention, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose([one.sum() for one in found.attention], 1, rtol=1e-5)
    assert len(np.unique(found.scores, axis=0)) == 18  # pictures differ, so an order can be seen


@pytest.mark.parametrize("batch_size", [1, 3, 8, 50])
def test_order_and_values_do_not_depend_on_the_batch_size(encoder, tiny_model, photos, mixed, batch_size):
    other = Encoder(tiny_model, batch_size=batch_size, threads=1)
    for sources in (photos[::-1], mixed):
        assert_same(other.run(sources), encoder.run(sources))
    np.testing.assert_allclose(encoder.run(photos[::-1]).scores[::-1], encoder.run(photos).scores, rtol=1e-4, atol=1e-5)


def test_images_in_every_form_give_the_same(encoder, photos):
    expected = encoder.run(photos[:3])
    opened = [open_rgb(path) for path in photos[:3]]
    arrays = np.stack([np.asarray(image) for image in opened])
    for images in (
        [str(path) for path in photos[:3]],
        tuple(path.read_bytes() for path in photos[:3]),
        opened,
        [Image.open(path) for path in photos[:3]],
        arrays,
        list(arrays),
        ImageSet(photos[:3], ["x", "y", "z"]),
        [photos[0], opened[1], arrays[2]],
    ):
        assert_same(encoder.run(images), expected)


def test_codes_are_the_winners_and_name_their_model(encoder, photos):
    codes = encoder.encode(photos)
    assert isinstance(codes, OrdinalCodes)
    np.testing.assert_array_equal(codes.symbols, symbols_from_scores(encoder.scores(photos)))
    np.testing.assert_array_equal(codes.symbols, encoder.run(photos).codes.symbols)
    assert codes.spec == encoder.spec == CodeSpec(48, 4)
    assert codes.model_id == encoder.model_id == encoder.run(photos).model_id


def test_scores_and_attention_are_those_of_run(encoder, photos):
    found = encoder.run(photos[:4])
    np.testing.assert_allclose(encoder.scores(photos[:4]), found.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.attention(photos[:4]), found.attention, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cached", [False, True])
def test_no_images_give_nothing_of_the_right_shape(tiny_model, tmp_path, cached):
    encoder = Encoder(tiny_model, features=FeatureStore(tmp_path) if cached else None)
    for images in ([], ImageSet([]), np.zeros((0, 8, 8, 3), np.uint8)):
        found = encoder.run(images)
        assert (found.rows.shape, found.scores.shape, found.attention) == ((0,), (0, 24, 4), [])
        assert (found.failures, len(found.codes), len(encoder.encode(images))) == ([], 0, 0)
        assert encoder.attention(images) == []


# --- images that cannot be used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True])
def test_run_goes_past_bad_files(encoder, tiny_model, mixed, tmp_path, cached):
    found = Encoder(tiny_model, features=FeatureStore(tmp_path / "cache") if cached else None).run(mixed)
    assert found.rows.tolist() == [1, 2, 5]
    assert [failure.source for failure in found.failures] == [str(mixed[row]) for row in (0, 3, 4)]
    expected = encoder.scores([mixed[row] for row in (1, 2, 5)])
    np.testing.assert_allclose(found.scores, expected, atol=2e-2 if cached else 1e-5)
    assert len(found.codes) == 3


@pytest.mark.parametrize("cached", [False, True])
def test_bad_files_alone_are_reported_too(tiny_model, bad_files, tmp_path, cached):
    encoder = Encoder(tiny_model, features=FeatureStore(tmp_path / "cache") if cached else None)
    batches = list(encoder.stream(ImageSet(list(bad_files.values()))))
    assert sum(len(batch.rows) + len(batch.failures) for batch in batches) == len(bad_files)
    found = encoder.run(list(bad_files.values()))
    assert [failure.source for failure in found.failures] == [str(path) for path in bad_files.values()]
    assert (found.scores.shape, found.attention) == ((0, 24, 4), [])


@pytest.mark.parametrize("method", ["encode", "scores", "attention"])
def test_the_strict_calls_name_the_first_bad_file_and_count_the_others(encoder, mixed, bad_files, method):
    call = getattr(encoder, method)
    sentence = rf"^{re.escape(str(mixed[0]))}: the file is empty.*\(and 2 more images cannot be used\)$"
    with pytest.raises(ImageError, match=sentence) as caught:
        call(mixed)
    assert caught.value.source == str(mixed[0])
    with pytest.raises(ImageError, match="not an image") as caught:
        call([mixed[1], bad_files["text"]])
    assert caught.value.source == str(bad_files["text"])
    assert "more image" not in str(caught.value)


def test_one_image_instead_of_a_list_is_refused(encoder, photos):
    for image in (photos[0], str(photos[0]), photos[0].read_bytes()):
        with pytest.raises(InputError, match=r"one image was given .*; give a list of images"):
            encoder.encode(image)


# --- with a cache of feature maps -------------------------------------------------------------------------------------


def test_scores_from_feature_maps_are_those_of_pictures(encoder, tiny_model, photos, tmp_path):
    images = photos[:5] + photos[2:9]  # some twice
    direct, cached = encoder.run(images), Encoder(tiny_model, features=FeatureStore(tmp_path / "cache"))
    for _ in range(2):
        found = cached.run(images)
        assert found.rows.tolist() == direct.rows.tolist()
        np.testing.assert_allclose(found.scores, direct.scores, atol=2e-2)
        np.testing.assert_allclose(found.attention, direct.attention, atol=2e-2)
        np.testing.assert_allclose([one.sum() for one in found.attention], 1, rtol=1e-5)
    store = FeatureStore(tmp_path / "cache")
    assert store.maps(ImageSet(images), load_model(tiny_model).backbone()).computed == 0


def test_stream_gives_the_same_in_batches(encoder, tiny_model, photos, tmp_path):
    cached = Encoder(tiny_model, features=FeatureStore(tmp_path / "cache"))
    for one in (encoder, cached):
        batches = list(one.stream(ImageSet(photos)))
        assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(18))
        scores = np.concatenate([batch.scores for batch in batches])
        np.testing.assert_allclose(scores, one.scores(photos), rtol=1e-4, atol=1e-5)
    assert len(list(encoder.stream(ImageSet(photos)))) == 3


# --- the model file ---------------------------------------------------------------------------------------------------


def test_the_encoder_says_what_it_is(encoder, tiny_model):
    assert encoder.path == tiny_model
    assert encoder.info == load_model(tiny_model).info
    assert encoder.model_id == load_model(tiny_model).id
    assert repr(encoder) == f"Encoder({tiny_model}: 48 bits, tf_efficientnet_lite0 at 64 px)"


@pytest.mark.parametrize("value", [0, -1, 2.5, "4"])
@pytest.mark.parametrize("name", ["batch_size", "threads"])
def test_settings_that_would_encode_nothing_are_refused(tiny_model, name, value):
    with pytest.raises(InputError, match=name):
        Encoder(tiny_model, **{name: value})


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"hello")
    with pytest.raises(ModelFileError, match=r"m\.onnx is not an ONNX file"):
        Encoder(tmp_path / "m.onnx")


def test_bars_are_shown_on_request(tiny_model, photos, tmp_path, capsys, terminal):
    Encoder(tiny_model).run(photos[:2])
    assert capsys.readouterr() == ("", "")
    Encoder(tiny_model, progress=True).run(photos[:2])
    Encoder(tiny_model, features=FeatureStore(tmp_path / "cache"), progress=True).run(photos[:3])
    out, err = capsys.readouterr()
    assert out == ""
    assert all(text in err for text in ("Encoding", "2/2", "Features", "3/3"))


def test_encoding_needs_no_torch(tiny_model, photos):
    program = (
        "import sys; sys.modules['torch'] = None; from ordhash import Encoder;"
        "print(len(Encoder(sys.argv[1]).encode(sys.argv[2:])))"
    )
    command = [sys.executable, "-c", program, str(tiny_model), *map(str, photos[:2])]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "2"


def test_pictures_that_are_unlike_anything_learned(judging_model, calibrated_model, photo_folder, dark_photo):
    images = [dark_photo, photo_folder / "apple/apple_0.jpg", dark_photo]
    assert Encoder(judging_model).run(images).unlike.tolist() == [True, False, True]
    assert Encoder(calibrated_model).run(images).unlike is None
    assert Encoder(judging_model).run([]).unlike.tolist() == []
    np.testing.assert_array_equal(Encoder(judging_model).scores(images), Encoder(calibrated_model).scores(images))
