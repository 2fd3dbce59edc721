import dataclasses

import pytest

from ordhash.bench.recipe import Method
from ordhash.bench.tuning import trial_settings
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import OBJECTIVES


def method_of(name):
    return Method(name, name, DOHConfig(objective=name, arity=2), TrainConfig(learning_rate=1e-3))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_first_trial_is_that_of_the_defaults_and_the_others_stay_near(name):
    method = method_of(name)
    trials = list(trial_settings(method, 12))
    assert trials[0] == (method.config, method.training)
    defaults = dataclasses.asdict(method.config.objective)
    rates = set()
    for config, training in trials[1:]:
        rates.add(training.learning_rate)
        assert dataclasses.replace(config, objective=method.config.objective) == method.config
        assert dataclasses.replace(training, learning_rate=1e-3) == method.training
        for setting, value in dataclasses.asdict(config.objective).items():
            if isinstance(value, float) and defaults[setting] > 0:
                assert defaults[setting] / 4.1 <= value <= 4.1 * defaults[setting]
            else:
                assert value == defaults[setting]
    assert rates <= {0.000333, 0.001, 0.003}
    assert len(rates) > 1
    if any(isinstance(value, float) for value in defaults.values()):
        assert len({config.objective for config, _ in trials}) > 6


def test_every_method_meets_the_same_luck():
    rates = [[training.learning_rate for _, training in trial_settings(method_of(name), 8)] for name in OBJECTIVES]
    assert all(rate == rates[0] for rate in rates)
    once, again = (list(trial_settings(method_of("dpsh"), 5)) for _ in range(2))
    assert once == again
