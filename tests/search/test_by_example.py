import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ordhash import Encoder, OrdinalIndex
from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.distances import asymmetric_distances
from ordhash.collection import Collection
from ordhash.collection.fingerprints import NEAR_DUPLICATE, fingerprint_distance
from ordhash.data import open_rgb, prepare
from ordhash.errors import ImageError, InputError
from ordhash.index import Condition
from ordhash.search.by_example import Example, combined_scores, search_by_examples, seen_part
from ordhash.search.target import Target


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 3))
def test_combined_scores_are_rocchios_formula_on_probabilities(seed, n_wanted, n_unwanted):
    rng = np.random.default_rng(seed)
    wanted, unwanted = (rng.normal(0, 3, (n, 5, 4)) for n in (n_wanted, n_unwanted))
    combined = combined_scores(wanted, unwanted)
    for segment in range(5):
        for symbol in range(4):
            value = np.mean([softmax(one)[segment, symbol] for one in wanted])
            if n_unwanted:
                value -= 0.5 * np.mean([softmax(one)[segment, symbol] for one in unwanted])
            np.testing.assert_allclose(np.exp(combined[segment, symbol]), max(value, 1e-6), rtol=1e-4)


def test_one_wanted_image_has_the_distances_of_its_own_scores():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (1, 6, 4))
    codes = OrdinalCodes.from_symbols(rng.integers(0, 4, (50, 6)), arity=4)
    combined = combined_scores(scores, scores[:0])[None]
    np.testing.assert_allclose(
        asymmetric_distances(combined, codes), asymmetric_distances(scores, codes), rtol=1e-4, atol=1e-5
    )


def test_an_example_alone_finds_what_the_index_finds(photos, encoder, index):
    found = search_by_examples([Example(photos.images[3])], Target(encoder, index), top_k=18)
    scores = encoder.scores(photos.subset([3]))
    result = index.search_asymmetric(scores, top_k=18)
    assert [answer.key for answer in found.found] == result.keys[0].tolist()
    np.testing.assert_allclose([answer.distance for answer in found.found], result.distances[0], rtol=1e-4, atol=1e-5)
    expected = encoder.info.asymmetric_calibration.likelihood(result.distances[0])
    np.testing.assert_allclose([answer.likelihood for answer in found.found], expected, rtol=1e-4)
    assert [answer.metadata["number"] for answer in found.found] == result.rows[0].tolist()
    np.testing.assert_array_equal([values for values, _ in found.attention], encoder.attention(photos.subset([3])))
    assert found.encode_seconds > 0


def test_several_examples_and_what_is_not_wanted(photos, encoder, index):
    keys = photos.keys.tolist()
    apple, carrot = keys.index("apple/apple_0.jpg"), keys.index("carrot/carrot_0.jpg")
    scores = encoder.scores(photos.subset([apple, carrot]))
    both = search_by_examples(
        [Example(photos.images[apple]), Example(photos.images[carrot])], Target(encoder, index), top_k=18
    )
    # The likelihood is the mean of what is known of each example.
    calibration = encoder.info.asymmetric_calibration
    codes = encoder.encode(photos)
    each = calibration.likelihood(asymmetric_distances(scores, codes))
    for answer in both.found:
        assert answer.likelihood == pytest.approx(each[:, keys.index(answer.key)].mean(), rel=1e-4)
    unlike = search_by_examples(
        [Example(photos.images[apple]), Example(photos.images[carrot], wanted=False)], Target(encoder, index), top_k=18
    )
    expected = asymmetric_distances(combined_scores(scores[:1], scores[1:])[None], codes)[0]
    for answer in unlike.found:
        assert answer.distance == pytest.approx(float(expected[keys.index(answer.key)]), rel=1e-4, abs=1e-5)
    by_key = {answer.key: place for place, answer in enumerate(unlike.found)}
    assert by_key["apple/apple_0.jpg"] < by_key["carrot/carrot_0.jpg"]


def test_a_box_is_the_part_that_counts(photos, encoder, index, tmp_path, photo_collection):
    picture = open_rgb(photos.images[0])
    picture.crop((12, 0, 48, 20)).save(tmp_path / "part.png")
    target = Target(encoder, index, Collection(photo_collection))
    found = search_by_examples([Example(photos.images[0], (0.25, 0.0, 1.0, 0.5))], target)
    whole = search_by_examples([Example(tmp_path / "part.png")], target)
    assert [answer.key for answer in found.found] == [answer.key for answer in whole.found]
    assert [answer.distance for answer in found.found] == [answer.distance for answer in whole.found]
    assert not any(answer.near_duplicate for answer in found.found)


def test_a_part_of_a_picture_is_never_the_same_picture(photos, encoder, index, photo_collection):
    target = Target(encoder, index, Collection(photo_collection))
    same = [
        [
            answer.key
            for answer in search_by_examples([Example(photos.images[0], box)], target).found
            if answer.near_duplicate
        ]
        for box in (None, (0.0, 0.0, 1.0, 0.99))
    ]
    assert same == [[photos.keys[0]], []]


@pytest.mark.parametrize("box", [None, (0.5, 0.1, 0.9, 0.6)])
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_the_part_that_a_network_sees(fit, box):
    # A picture whose pixels say where they are.
    across, down = np.meshgrid(np.arange(200) + 0.5, np.arange(100) + 0.5)
    picture = Image.fromarray(np.stack([across, down, 0 * down], axis=2).astype(np.uint8))
    part = (
        picture
        if box is None
        else picture.crop((int(box[0] * 200), int(box[1] * 100), int(box[2] * 200), int(box[3] * 100)))
    )
    seen = prepare(part, 50, fit).astype(float)
    left, top, right, bottom = seen_part(part.size, fit, box)
    assert seen[:, 0, 0].mean() == pytest.approx(200 * left, abs=3)
    assert seen[:, -1, 0].mean() == pytest.approx(200 * right, abs=3)
    assert seen[0, :, 1].mean() == pytest.approx(100 * top, abs=3)
    assert seen[-1, :, 1].mean() == pytest.approx(100 * bottom, abs=3)


@pytest.mark.slow  # encodes large pictures
def test_near_duplicates_are_those_of_wanted_pictures(photos, encoder, index, photo_collection):
    collection = Collection(photo_collection)
    examples = [Example(photos.images[2]), Example(photos.images[9], wanted=False)]
    found = search_by_examples(examples, Target(encoder, index, collection), top_k=18).found
    wanted = collection.entries([photos.keys[2]])[0].fingerprint
    entries = collection.entries([answer.key for answer in found])
    expected = [fingerprint_distance(wanted, entry.fingerprint) <= NEAR_DUPLICATE for entry in entries]
    assert [answer.near_duplicate for answer in found] == expected
    assert sum(expected) == 1


@pytest.mark.parametrize(
    "box", [(0.5, 0, 0.5, 1), (0, 0, 1.1, 1), (-0.1, 0, 1, 1), (0, 0.6, 1, 0.4), (0, 0, float("nan"), 1)]
)
def test_boxes_that_are_no_part_of_a_picture(box, photos, encoder, index):
    with pytest.raises(InputError, match=r"box .*left, top, right and bottom"):
        search_by_examples([Example(photos.images[0], box)], Target(encoder, index))


def test_bad_examples(photos, encoder, index, bad_files):
    with pytest.raises(InputError, match=r"example.*wanted"):
        search_by_examples([Example(photos.images[0], wanted=False)], Target(encoder, index))
    with pytest.raises(InputError, match=r"example.*wanted"):
        search_by_examples([], Target(encoder, index))
    with pytest.raises(ImageError, match=r"the upload: .*not an image"):
        search_by_examples([Example(bad_files["text"].read_bytes(), name="the upload")], Target(encoder, index))
    large = Image.new("RGB", (200, 200))
    with pytest.raises(ImageError, match=r"200 x 200.*10,000"):
        search_by_examples([Example(large, max_pixels=10_000)], Target(encoder, index))


def test_without_calibration_or_results(photos, tiny_model):
    encoder = Encoder(tiny_model)
    index = OrdinalIndex(encoder.encode(photos), photos.keys)
    found = search_by_examples([Example(photos.images[0])], Target(encoder, index), top_k=3)
    assert {answer.likelihood for answer in found.found} == {None}
    index = OrdinalIndex(encoder.encode(photos), photos.keys, {"number": np.arange(len(photos))})
    nothing = [Condition("number", "<", "0")]
    assert search_by_examples([Example(photos.images[0])], Target(encoder, index), conditions=nothing).found == ()


def test_an_example_that_is_unlike_anything_learned_gives_no_likelihood(judging, photo_folder, dark_photo):
    apple = Example(photo_folder / "apple/apple_0.jpg")
    for examples, unlike in (
        ([apple], False),
        ([Example(dark_photo)], True),
        ([apple, Example(dark_photo)], True),
        ([apple, Example(dark_photo, wanted=False)], False),
    ):
        found = search_by_examples(examples, judging, top_k=19)
        assert found.unlike == unlike
        for answer in found.found:
            assert answer.unlike == (answer.key == "apple/dark.png")
            assert (answer.likelihood is None) == (unlike or answer.unlike)
