import dataclasses

import pytest

from ordhash.bench.recipe import Method
from ordhash.bench.tuning import trial_settings, tuned_length
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import OBJECTIVES


def method_of(objective):
    return Method("row", "method", DOHConfig(objective=objective, arity=2), TrainConfig(learning_rate=1e-3))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_setting_of_the_authors_meets_every_learning_rate(name):
    method = method_of(name)
    trials = trial_settings(method)
    assert trials[0] == (method.config, method.training)
    own = OBJECTIVES[name]()
    objectives = [own, *(dataclasses.replace(own, **settings) for settings in own.authors_also_use)]
    tried = [(config.objective, training.learning_rate) for config, training in trials]
    assert sorted(tried, key=str) == sorted(
        ((one, rate) for one in objectives for rate in (3.33e-4, 1e-3, 3e-3)), key=str
    )
    for config, training in trials:
        assert dataclasses.replace(config, objective=method.config.objective) == method.config
        assert dataclasses.replace(training, learning_rate=1e-3) == method.training


def test_settings_of_a_recipe_stay():
    given = dataclasses.replace(OBJECTIVES["csq"](), quantisation_weight=0.5)
    assert {config.objective for config, _ in trial_settings(method_of(given))} == {given}


@pytest.mark.parametrize(
    ("code_bits", "tuned", "expected"),
    [
        (12, (12, 64), 12),
        (24, (12, 64), 12),
        (32, (12, 64), 64),
        (48, (12, 64), 64),
        (24, (12, 48), 48),
        (48, (48,), 48),
    ],
)
def test_lengths_between_take_the_settings_of_the_nearer_one(code_bits, tuned, expected):
    assert tuned_length(code_bits, tuned) == expected
