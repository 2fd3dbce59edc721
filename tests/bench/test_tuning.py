import dataclasses

import pytest

from ordhash.bench.recipe import Method
from ordhash.bench.tuning import trial_methods, tuned_length
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import OBJECTIVES
from ordhash.learn.shallow import SHALLOW_METHODS


def method_of(objective):
    return Method(
        "row",
        objective if isinstance(objective, str) else objective.name,
        DOHConfig(objective=objective, arity=2),
        TrainConfig(learning_rate=1e-3),
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_setting_of_the_authors_meets_every_learning_rate(name):
    method = method_of(name)
    trials = trial_methods(method)
    assert trials[0] == method
    own = OBJECTIVES[name]()
    objectives = [own, *(dataclasses.replace(own, **settings) for settings in own.authors_also_use)]
    tried = [(trial.config.objective, trial.training.learning_rate) for trial in trials]
    assert sorted(tried, key=str) == sorted(
        ((one, rate) for one in objectives for rate in (3.33e-4, 1e-3, 3e-3)), key=str
    )
    for trial in trials:
        assert dataclasses.replace(trial.config, objective=method.config.objective) == method.config
        assert dataclasses.replace(trial.training, learning_rate=1e-3) == method.training


def test_settings_of_a_recipe_stay():
    given = dataclasses.replace(OBJECTIVES["csq"](), quantisation_weight=0.5)
    assert {trial.config.objective for trial in trial_methods(method_of(given))} == {given}


@pytest.mark.parametrize(("name", "setting"), [("itq-cca", "ridge"), ("sdh", "width")])
def test_settings_of_shallow_methods_that_depend_on_the_data_are_tried(name, setting):
    shallow = SHALLOW_METHODS[name]()
    method = dataclasses.replace(method_of("doh"), method=name, shallow=shallow)
    trials = trial_methods(method)
    assert trials[0] == method
    tried = [getattr(trial.shallow, setting) for trial in trials]
    assert len(set(tried)) == len(tried) > 2
    for trial in trials:
        assert dataclasses.replace(trial, shallow=shallow) == method
        assert dataclasses.replace(trial.shallow, **{setting: getattr(shallow, setting)}) == shallow


@pytest.mark.parametrize("name", ["itq", "raw", "pq"])
def test_what_has_no_settings_to_choose_is_not_tried(name):
    shallow = SHALLOW_METHODS[name]() if name in SHALLOW_METHODS else None
    method = dataclasses.replace(method_of("doh"), method=name, shallow=shallow)
    assert trial_methods(method) == [method]


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
