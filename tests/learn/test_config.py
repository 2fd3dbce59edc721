import dataclasses
import json
from pathlib import Path

import pytest

from ordhash.errors import InputError
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.objectives import DOH, OBJECTIVES, DOHMixup


def test_a_config_gives_the_spec_and_the_objective():
    config = DOHConfig(code_bits=24, arity=16, objective="doh")
    assert (config.spec.code_bits, config.spec.arity, config.spec.n_segments) == (24, 16, 6)
    assert config.objective == DOH()
    own = DOHMixup(pair_weight=0.5)
    assert DOHConfig(objective=own).objective is own
    assert DOHConfig().objective == next(iter(OBJECTIVES.values()))()  # the first one is the default


def test_configs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DOHConfig().code_bits = 12
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 12


def test_replacing_a_part_recomputes_the_spec():
    config = dataclasses.replace(DOHConfig(code_bits=48, arity=4), arity=16)
    assert config.spec.n_segments == 12


def test_attention_goes_with_its_stream():
    assert DOHConfig(use_local=False).attention == "none"
    assert DOHConfig(use_local=False).attention_for(scenes=True) == "none"
    assert DOHConfig(use_global=False).attention == "auto"
    with pytest.raises(InputError, match="both streams are switched off"):
        DOHConfig(use_global=False, use_local=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"code_bits": 47}, "code_bits is 47; with arity 4 it must be a positive multiple of 2"),
        ({"arity": 3}, "arity is 3; allowed are the powers of two"),
        ({"dropout": 0.99}, r"dropout is 0\.99; allowed is 0\.0 to 0\.95"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"image_size": 16}, "image_size is 16; allowed is 32 to 1024"),
        ({"hidden": 0}, "hidden is 0"),
        ({"use_global": "no"}, "use_global is 'no'; allowed are true"),
        ({"code_bits": 48.0}, r"code_bits is 48\.0; allowed are whole numbers"),
        ({"weights": "net.pth"}, "weights is 'net.pth'; allowed are 'pretrained', Path"),
        ({"objective": 5}, "objective is 5"),
        ({"local_hidden": 0}, "local_hidden is 0"),
        ({"fit": "stretch"}, "fit is 'stretch'; allowed are .*'squash', 'crop'"),
        ({"objective": "doh-mixin"}, r"objective is 'doh-mixin'; allowed are .*did you mean doh-mixup\?"),
    ],
)
def test_bad_networks_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        DOHConfig(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "both"}, "mode is 'both'; allowed are 'auto', 'frozen' and 'finetune'"),
        ({"augment": "no"}, "augment is 'no'; allowed are true"),
        ({"epochs": 20.5}, r"epochs is 20\.5; allowed are whole numbers"),
        ({"learning_rate": "1e-3"}, "learning_rate is '1e-3'; allowed are numbers"),
        ({"devices": True}, "devices is True"),
        ({"devices": 0}, "devices is 0"),
        ({"seed": -1}, "seed is -1; allowed is 0 to"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 1}, "batch_size is 1; allowed is 2"),
        ({"warmup": 1.5}, r"warmup is 1\.5"),
        ({"weight_decay": -0.1}, r"weight_decay is -0\.1"),
        ({"validation_fraction": 1.0}, r"validation_fraction is 1\.0"),
        ({"validate_every": 0}, "validate_every is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0; .* above 0"),
        ({"backbone_learning_rate": float("nan")}, "backbone_learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"clip_norm": -1.0}, r"clip_norm is -1\.0"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**wrong)


def test_settings_survive_json():
    config = DOHConfig(code_bits=12, arity=8, objective=DOH(pair_weight=2.5), weights=Path("some/weights.pth"))
    values = json.loads(json.dumps(config.to_json()))
    weights = {"pair_weight": 2.5, "class_weight": 1.0, "similar_weight": 1.0}
    assert values["objective"] == {"name": "doh", **weights, "fitted_share": 0.0}
    assert values["weights"] == "some/weights.pth"
    name = values["objective"].pop("name")
    again = DOHConfig(
        **values | {"objective": OBJECTIVES[name](**values["objective"]), "weights": Path(values["weights"])}
    )
    assert again == config
    assert DOHConfig(weights=None).to_json()["weights"] is None
    settings = TrainConfig(epochs=7, devices=2, mode="frozen")
    assert TrainConfig(**json.loads(json.dumps(settings.to_json()))) == settings


def test_what_training_with_backgrounds_decides():
    plain, scenes = (DOHConfig().decided(scenes=given) for given in (False, True))
    assert (plain.image_size, plain.fit, plain.attention) == (224, "whole", "cam")
    assert (scenes.image_size, scenes.fit, scenes.attention) == (320, "whole", "learned")
    asked = DOHConfig(image_size=64, fit="crop", attention="none")
    assert asked.decided(scenes=True) == asked
    assert scenes.decided(scenes=False) == scenes
    assert DOHConfig.from_json(DOHConfig().to_json()) == DOHConfig()
