"""How trials search held-out images."""

import dataclasses

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from ordhash.bench.learning import learn_network, learn_shallow, try_network, try_shallow
from ordhash.bench.prepared import Part, Prepared, Scenes, prepare_protocol
from ordhash.codes import OrdinalCodes, ordinal_distances
from ordhash.data import ImageSet, Protocol, companions
from ordhash.errors import InputError
from ordhash.evaluation import mean_average_precision
from ordhash.learn import (
    DOHConfig,
    SceneMaps,
    TrainConfig,
    TrainingRun,
    TrainingState,
    held_out_mask,
    scores_of,
    train_network,
)
from ordhash.learn.shallow import ITQCCA
from ordhash.learn.validation import leave_one_out_map
from ordhash.model import FeatureMaps

CLASSES = 5
SETTINGS = TrainConfig(mode="frozen", epochs=3, batch_size=16, validation_fraction=0.25, scenes=2, accelerator="cpu")


def part(keys, seed):
    """Images of five classes and their features, noisy enough that no code is perfect."""
    rng = np.random.default_rng(seed)
    classes = np.arange(len(keys)) % CLASSES
    features = np.random.default_rng(7).normal(size=(CLASSES, 12))[classes] + rng.normal(size=(len(keys), 12))
    labels = np.eye(CLASSES, dtype=bool)[classes]
    images = ImageSet(np.zeros((len(keys), 2, 2, 3), np.uint8), np.array(keys), labels, tuple("abcde"))
    maps = FeatureMaps.of(features[:, :, None, None].astype(np.float16))
    return Part(maps, maps, labels, images)


def prepared(learned, validation=False):
    """A protocol whose database is that of the training images, or others."""
    train, query = part([f"t{row}" for row in range(80)], 0), part([f"q{row}" for row in range(10)], 1)
    database = train if learned else part([f"d{row}" for row in range(60)], 2)
    held = part([f"v{row}" for row in range(20)], 3) if validation else None
    protocol = Protocol("p", train.images, query.images, database.images, None if held is None else held.images)
    return Prepared(protocol, "", train, held, query, database, 12)


def scenes_of_one_and_of_three():
    """Two sets of scenes of eighty images."""
    found = []
    for each in (1, 3):
        maps = part([f"s{row}" for row in range(80)], each).maps
        scenes = SceneMaps(maps, companions(np.arange(80), each))
        found.append(Scenes(scenes, scenes))
    return tuple(found)


def codes_of(head, images):
    features = torch.from_numpy(images.averages())[:, :, None, None]
    return OrdinalCodes.from_scores(head(features).scores.numpy())


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("validation", [True, False])
def test_a_trial_searches_held_out_images_as_the_protocol_searches_its_queries(learned, validation):
    given, method = prepared(learned, validation), ITQCCA(ridge=0.1)
    assert given.database_is_learned == learned
    mask = held_out_mask(given.train.images, 0.25, 0)
    learning, held = (given.train.subset(~mask), given.train.subset(mask))
    if validation:
        learning, held = given.train, given.validation
    head = method.fit(method.seen(learning.averages(), 12), learning.labels, 12, 0)
    queries, database = codes_of(head, held), codes_of(head, learning)
    expected = leave_one_out_map(queries, held.labels)
    if learned:
        relevance = held.labels.argmax(axis=1)[:, None] == learning.labels.argmax(axis=1)
        expected = mean_average_precision(ordinal_distances(queries, database), relevance)
    assert try_shallow(given, method, 12, SETTINGS).validation_map == pytest.approx(expected)
    assert 0.3 < expected < 1


def test_a_network_is_tried_in_the_same_way():
    config = DOHConfig(code_bits=16, objective="doh", use_local=False, hidden=16)
    among, in_learned = (try_network(prepared(learned), config, SETTINGS) for learned in (False, True))
    assert among.kept_epoch == in_learned.kept_epoch  # the same training
    assert among.validation_map != in_learned.validation_map


def test_without_held_out_images_a_trial_says_nothing():
    none = dataclasses.replace(SETTINGS, validation_fraction=0.0)
    for learned in (True, False):
        assert try_shallow(prepared(learned), ITQCCA(), 12, none).validation_map is None


def test_shallow_methods_learn_from_the_scenes_that_networks_learn_from():
    given, method = prepared(learned=False), ITQCCA(ridge=0.1)
    cluttered = scenes_of_one_and_of_three()
    given = dataclasses.replace(given, train=dataclasses.replace(given.train, cluttered=cluttered))
    for scenes in (0, 1, 2):
        (found,) = learn_shallow([given], method, 12, dataclasses.replace(SETTINGS, scenes=scenes))
        learned = [one.pooled for one in cluttered[:scenes]]
        features = np.concatenate([given.train.averages(), *(one.maps.pooled() for one in learned)])
        labels = np.concatenate([given.train.labels, *(given.train.labels[one.members].any(axis=1) for one in learned)])
        expected = codes_of(method.fit(method.seen(features, 12), labels, 12, 0), given.database)
        np.testing.assert_array_equal(found.database.symbols, expected.symbols)


def test_more_scenes_than_a_benchmark_makes_are_refused():
    given = prepared(learned=False)
    cluttered = scenes_of_one_and_of_three()
    given = dataclasses.replace(given, train=dataclasses.replace(given.train, cluttered=cluttered))
    config = DOHConfig(code_bits=12, objective="doh", hidden=8, use_local=False)
    assert try_network(given, config, SETTINGS).kept_epoch == 3
    with pytest.raises(InputError, match="scenes is 3"):
        try_network(given, config, dataclasses.replace(SETTINGS, scenes=3))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("augment", [False, True])
def test_a_benchmark_trains_as_train_does(mirror, augment, tiny_protocol, cache):
    config = DOHConfig(
        code_bits=16, objective="doh", backbone="test_resnet", weights=None, image_size=64, fit="squash", mirror=mirror,
        hidden=8, local_hidden=8,
    )  # fmt: skip
    settings = TrainConfig(
        mode="frozen", epochs=3, batch_size=4, validation_fraction=0.34, augment=augment, accelerator="cpu"
    )
    given = prepare_protocol(tiny_protocol, config, cache)
    assert (given.mirrored is None) == mirror
    (learned,) = learn_network([given], config, settings)
    run = TrainingRun(settings, Fabric(accelerator="cpu", devices=1), TrainingState(""))
    trained = train_network(tiny_protocol.train, config, run, cache=cache)
    np.testing.assert_array_equal(learned.scores, scores_of(trained.network, given.query.maps, run.fabric))


def test_mirror_images_belong_to_the_images_that_learn():
    given, config = prepared(learned=False), DOHConfig(code_bits=16, objective="doh", use_local=False, hidden=16)
    alike = dataclasses.replace(given, mirrored=given.train)
    other = dataclasses.replace(given, mirrored=part([f"t{row}" for row in range(80)], 9))
    plain, same, changed = (learn_network([one], config, SETTINGS)[0].scores for one in (given, alike, other))
    np.testing.assert_array_equal(plain, same)
    assert not np.array_equal(plain, changed)
