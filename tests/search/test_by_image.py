import dataclasses
import shutil

import pytest
from PIL import Image

from ordhash import Encoder, OrdinalIndex
from ordhash.collection import Collection
from ordhash.collection.catalogue import Catalogue
from ordhash.errors import InputError
from ordhash.search.by_image import search_by_images
from ordhash.search.target import Target


@pytest.mark.parametrize("asymmetric", [False, True])
def test_answers_are_those_of_the_index_with_what_the_model_knows_of_them(asymmetric, photos, encoder, index):
    answers, failures = search_by_images(photos.subset([4, 0]), Target(encoder, index), top_k=18, asymmetric=asymmetric)
    scores = encoder.scores(photos.subset([4, 0]))
    if asymmetric:
        result, calibration = index.search_asymmetric(scores, top_k=18), encoder.info.asymmetric_calibration
    else:
        result, calibration = index.search(encoder.encode(photos.subset([4, 0])), top_k=18), encoder.info.calibration
    assert failures == []
    assert [one.query for one in answers] == [photos.name(4), photos.name(0)]
    for one, keys, distances, rows in zip(answers, result.keys, result.distances, result.rows, strict=True):
        assert [answer.key for answer in one.found] == keys.tolist()
        assert [answer.distance for answer in one.found] == distances.tolist()
        assert [answer.likelihood for answer in one.found] == calibration.likelihood(distances).tolist()
        assert [answer.metadata["number"] for answer in one.found] == rows.tolist()
        assert {answer.near_duplicate for answer in one.found} == {None}


@pytest.mark.parametrize("asymmetric", [False, True])
def test_what_is_likely(asymmetric, photos, encoder, index):
    query, limit = photos.subset([0]), 0.02 if asymmetric else 1
    everything = search_by_images(query, Target(encoder, index), top_k=18, asymmetric=asymmetric)[0][0].found
    likely = search_by_images(query, Target(encoder, index), top_k=18, asymmetric=asymmetric, likely=True)[0][0].found
    assert likely == tuple(answer for answer in everything if answer.distance <= limit)
    assert 0 < len(likely) < 18


def test_a_model_that_is_not_calibrated_knows_no_likelihood(photos, tiny_model):
    encoder = Encoder(tiny_model)
    index = OrdinalIndex(encoder.encode(photos), photos.keys)
    answers, _ = search_by_images(photos.subset([0]), Target(encoder, index))
    assert {answer.likelihood for answer in answers[0].found} == {None}
    with pytest.raises(InputError, match="train it again with labels"):
        search_by_images(photos.subset([0]), Target(encoder, index), likely=True)


def test_a_collection_tells_the_same_picture_from_one_that_looks_alike(photo_folder, encoder, tmp_path):
    collection = Collection(tmp_path / "photos.collection")
    collection.sync(photo_folder, encoder)
    query = tmp_path / "small.png"
    Image.open(photo_folder / "apple/apple_3.jpg").resize((44, 36)).save(query)
    answers, _ = search_by_images([query], Target(encoder, collection.index(), collection), top_k=18)
    assert [answer.key for answer in answers[0].found if answer.near_duplicate] == ["apple/apple_3.jpg"]
    assert {answer.near_duplicate for answer in answers[0].found} == {True, False}


def test_the_others_go_on_past_a_broken_image(photos, encoder, index, bad_files):
    answers, failures = search_by_images([bad_files["text"], photos.images[1]], Target(encoder, index), top_k=1)
    assert [one.query for one in answers] == [str(photos.images[1])]
    assert [failure.source for failure in failures] == [str(bad_files["text"])]
    assert answers[0].found[0].distance == 0


@pytest.mark.parametrize("asymmetric", [False, True])
def test_what_is_unlike_anything_learned_has_no_likelihood(asymmetric, judging, photo_folder, dark_photo):
    apple = photo_folder / "apple/apple_0.jpg"
    (dark, light), _ = search_by_images([dark_photo, apple], judging, top_k=19, asymmetric=asymmetric)
    assert (dark.unlike, light.unlike) == (True, False)
    assert {answer.likelihood for answer in dark.found} == {None}
    assert [answer.key for answer in dark.found if answer.near_duplicate] == ["apple/dark.png"]
    for answer in light.found:
        assert answer.unlike == (answer.key == "apple/dark.png") == (answer.likelihood is None)
    (dark, light), _ = search_by_images([dark_photo, apple], judging, top_k=19, asymmetric=asymmetric, likely=True)
    assert [answer.key for answer in dark.found] == ["apple/dark.png"]  # the same picture is
    assert "apple/dark.png" not in [answer.key for answer in light.found]


def test_what_is_unlike_does_not_push_others_out(photo_folder, judging_model, dark_photo):
    apple = photo_folder / "apple/apple_0.jpg"
    for number in range(20):
        shutil.copy(dark_photo, photo_folder / "apple" / f"{number:02}.png")
    collection, encoder = Collection(photo_folder.with_suffix(".collection")), Encoder(judging_model)
    collection.sync(photo_folder, encoder)
    with Catalogue(collection.path / "catalogue.sqlite") as catalogue:
        rows = catalogue.entries()
        (code,) = [row.code for row in rows if row.key == "apple/apple_0.jpg"]
        catalogue.update([dataclasses.replace(row, code=code) for row in rows], [])  # all equally near
    judging = Target(encoder, collection.index(), collection)
    for top_k, expected in ((3, 3), (18, 18), (30, 18)):
        (found,), _ = search_by_images([apple], judging, top_k=top_k, likely=True)
        assert len(found.found) == expected
        assert not any(answer.unlike for answer in found.found)


def test_an_index_knows_of_the_query_alone_whether_it_is_unlike(judging, photo_folder, dark_photo):
    (dark, light), _ = search_by_images(
        [dark_photo, photo_folder / "apple/apple_0.jpg"], Target(judging.encoder, judging.index), top_k=19
    )
    assert (dark.unlike, light.unlike) == (True, False)
    assert {answer.likelihood for answer in dark.found} == {None}
    assert {answer.unlike for answer in light.found} == {None}
    assert None not in {answer.likelihood for answer in light.found}
