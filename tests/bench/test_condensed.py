"""Results as a repository keeps them."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest

import ordhash
from ordhash.bench import condensed
from ordhash.bench.condensed import read_results
from ordhash.bench.results import Results
from ordhash.errors import InputError
from ordhash.learn.config import DOHConfig, TrainConfig

RANKING = {"map": 0.5, "map_best": 0.5, "map_worst": 0.5, "ndcg": None, "precision_at": {}, "precision_within": {}}
COMMITTED = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("bench-*.json"))


def condense(values):
    return condensed.condense(Results.from_json(values)).to_json()


def known_entries(values, protocol, protocol_hash):
    known = condensed.known_entries(Results.from_json(values), protocol, protocol_hash, scenes=True)
    return [entry.to_json() for entry in known]


def entry(seed=0, code_bits=16, trial=None, **training):
    return {
        "row": "doh", "method": "doh", "code_bits": code_bits, "arity": 4, "seed": seed, "trial": trial,
        "protocol": "cifar10", "version": ordhash.__version__,
        "config": DOHConfig(code_bits=code_bits, hidden=32).to_json(),
        "training": TrainConfig(seed=seed, **training).to_json(),
        "seconds": 1.0,
        "ordinal": {**RANKING, "precision": [1.0, 0.5]},
    }  # fmt: skip


def results(*runs, trials=()):
    facts = {
        "hash": "1234", "citation": "", "note": "", "cutoff": None, "graded": False, "train": 9, "query": 3,
        "database": 6, "backbone": "a net",
    }  # fmt: skip
    return {
        "recipe": "tiny", "title": "", "version": ordhash.__version__, "machine": {}, "torch": "2", "seeds": 2,
        "tuning": "Default settings.", "code_bits": [16, 32],
        "rows": [{"name": "doh", "method": "doh"}], "published": [], "complete": True,
        "protocols": {"cifar10": facts}, "trials": list(trials), "runs": list(runs),
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_results_of_the_repository_come_back_as_they_were(path):
    again = json.dumps(read_results(path).to_json(), sort_keys=True, separators=(",", ":"))
    assert again == path.read_text().replace("\n", "")


def test_the_repository_has_results():
    assert COMMITTED


def test_whole_results_come_back_as_they_were():
    whole = results({**entry(), "adopted": True}, entry(1), trials=[entry(trial=0)])
    assert Results.from_json(whole).to_json() == whole


def test_what_runs_have_in_common_is_said_once():
    full = results(entry(0, 16), entry(1, 32))
    before = copy.deepcopy(full)
    small = condense(full)
    assert full == before
    assert [run["ordinal"] for run in small["runs"]] == [RANKING, RANKING]
    assert not any("config" in run or "training" in run for run in small["runs"])
    assert small["settings"]["cifar10"]["doh"]["config"]["hidden"] == 32
    assert "seed" not in small["settings"]["cifar10"]["doh"]["training"]


@pytest.mark.parametrize("runs", [(), (entry(0, 16, learning_rate=1e-3),)], ids=["alone", "beside a run"])
def test_what_trials_have_in_common_is_said_once_too(runs):
    tried = [entry(0, bits, trial=n, learning_rate=rate) for bits in (16, 32) for n, rate in enumerate((1e-3, 3e-3))]
    small = condense(results(*runs, trials=tried))
    assert not any("config" in trial for trial in small["trials"])
    assert [trial.get("training") for trial in small["trials"]] == [None, {"learning_rate": 3e-3}] * 2
    expected = [condensed.identity(one) for one in (*tried, *runs)]
    assert [condensed.identity(one) for one in known_entries(small, "cifar10", "1234")] == expected


def test_what_differs_between_runs_of_a_row_stays_with_them():
    full = results(entry(0, 16), entry(0, 32, learning_rate=0.003), entry(1, 32, learning_rate=0.003))
    small = condense(full)
    assert [run.get("training") for run in small["runs"]] == [None, {"learning_rate": 0.003}, {"learning_rate": 0.003}]
    expected = [condensed.identity(one) for one in full["runs"]]
    assert [condensed.identity(one) for one in known_entries(small, "cifar10", "1234")] == expected


def test_entries_have_their_settings_again():
    full = results(entry(0, 16), entry(1, 32), trials=[entry(0, 16, trial=0, learning_rate=0.003)])
    expected = [condensed.identity(one) for one in (*full["trials"], *full["runs"])]
    for known in (full, condense(full), json.loads(json.dumps(condense(full)))):
        assert [condensed.identity(one) for one in known_entries(known, "cifar10", "1234")] == expected


def test_entries_of_other_images_protocols_and_versions_are_left_out():
    full = results(entry(0), {**entry(1), "version": "0.0.1"}, {**entry(2), "protocol": "corel5k"})
    assert [one["seed"] for one in known_entries(full, "cifar10", "1234")] == [0]
    assert known_entries(full, "cifar10", "5678") == []
    assert known_entries(full, "grocery", "1234") == []


def test_entries_of_a_backbone_from_other_files_are_left_out():
    full = Results.from_json(results(entry()))
    full.protocols["cifar10"] = dataclasses.replace(full.protocols["cifar10"], files="of these")
    for files, expected in (("of these", 1), ("of others", 0), ("", 0)):
        assert len(condensed.known_entries(full, "cifar10", "1234", files=files, scenes=False)) == expected
    assert Results.from_json(full.to_json()).protocols == full.protocols


def test_a_setting_younger_than_an_entry_has_its_default():
    old = entry()
    del old["training"]["crop"], old["config"]["mirror"]
    (one,) = known_entries(results(old), "cifar10", "1234")
    assert condensed.identity(one) == condensed.identity(entry())


def test_settings_of_scenes_count_where_there_are_backgrounds():
    values = Results.from_json(results(entry(scenes=2), trials=[entry(trial=0, scenes=7)]))
    for scenes, expected in ((True, [7, 2]), (False, [0, 0])):
        known = condensed.known_entries(values, "cifar10", "1234", scenes=scenes)
        assert [one.training["scenes"] for one in known] == expected


def test_an_entry_from_before_labels_were_corrected_is_left_out_where_they_are_now():
    old = entry()
    del old["training"]["correct_labels"]
    assert len(known_entries(results(old), "cifar10", "1234")) == 1  # doh leaves labels as they are
    old["config"]["objective"] = {"name": "doh-mixup"}
    assert known_entries(results(old), "cifar10", "1234") == []


def test_raw_features_are_the_same_at_every_length():
    short, long = entry(code_bits=16), entry(code_bits=32)
    assert condensed.identity(short) != condensed.identity(long)
    for one in (short, long):
        one["code_bits"] = None
    assert condensed.identity(short) == condensed.identity(long)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "not the results of a benchmark"),
        ('{"runs": []}', "not the results"),
        (json.dumps({**results(), "protocols": []}), "not the results"),
        (json.dumps({**results(), "protocols": {"cifar10": {}}}), "not the results"),
        (json.dumps({**results(), "runs": [{}]}), "not the results"),
        (json.dumps({**results(), "trials": None}), "not the results"),
        (json.dumps({**results(entry()), "settings": [1]}), "not the results"),
        (json.dumps({**results(entry()), "settings": {"cifar10": [1]}}), "not the results"),
        (json.dumps(results({**entry(), "config": {**entry()["config"], "objective": "doh"}})), "not the results"),
    ],
    ids=["half", "list", "little", "protocols", "facts", "run", "trials", "settings", "of a protocol", "objective"],
)
def test_a_file_that_is_no_results(tmp_path, text, message):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_results(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path / "missing.json")
