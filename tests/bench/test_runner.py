"""A whole benchmark on eighteen photographs."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ordhash.bench import condensed, read_recipe, rehearsal_of, report, runner
from ordhash.bench.learning import try_network
from ordhash.bench.measuring import measure
from ordhash.bench.recipe import Tuning
from ordhash.bench.results import Results
from ordhash.bench.tuning import RATES
from ordhash.codes import part_margin
from ordhash.codes.codes import CodeSpec, OrdinalCodes
from ordhash.codes.distances import asymmetric_distances, ordinal_distances
from ordhash.data import ImageSet, Protocol, read_folder
from ordhash.data.protocols import split_by_class
from ordhash.errors import DataError, DivergedError, InputError
from ordhash.evaluation.metrics import mean_average_precision
from ordhash.learn.batches import PictureBatches
from ordhash.learn.objectives import DOHMixup
from ordhash.learn.shallow import SDH


def run_recipe(*args, known=None, **options):
    """Results as JSON values."""
    return runner.run_recipe(*args, known=None if known is None else Results.from_json(known), **options).to_json()


def condense(values):
    return condensed.condense(Results.from_json(values)).to_json()


@pytest.fixture
def results(recipe_file, tiny_protocol, tmp_path, cache):
    return run_recipe(read_recipe(recipe_file), tmp_path / "out", cache=cache, processes=1)


def strip(runs):
    """Without what differs from one machine and moment to another."""
    return [{name: value for name, value in run.items() if "seconds" not in name} for run in runs]


def test_every_method_length_and_seed_is_run_and_measured(results, tiny_protocol, tmp_path):
    assert results["complete"]
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
    assert results["protocols"]["cifar10"] == {
        **{"hash": tiny_protocol.hash(), "citation": "of this test", "note": "", "cutoff": None, "graded": False},
        **{"train": 9, "query": 3, "database": 6, "backbone": "test_resnet at 64 px, frozen"},
    }
    done = {(run["row"], run["code_bits"], run["seed"]) for run in results["runs"]}
    rows = ("lsh", "sdh", "dpsh", "doh-mixup", "both streams, K = 16")
    assert done == {("raw", None, 0)} | {(row, bits, seed) for row in rows for bits in (8, 16) for seed in (0, 1)}
    assert len(results["trials"]) == 2 * (3 * len(RATES) + 1 + len(SDH.also_tried))
    for run in results["runs"]:
        assert 0 < run["ordinal"]["map_worst"] <= run["ordinal"]["map"] <= run["ordinal"]["map_best"] <= 1
        assert len(run["ordinal"]["precision"]) == 101
        assert run["version"]
        assert ("asymmetric" in run) == (run["row"] != "raw")
    by_row = {run["row"]: run for run in results["runs"]}
    assert by_row["both streams, K = 16"]["arity"] == 16
    assert by_row["dpsh"]["config"]["objective"]["name"] == "dpsh"


PARTS = """
[[variants]]
name = "both streams, parts"
method = "doh"
parts = true
network = { use_local = true, local_hidden = 8, arity = 16 }
training = { epochs = 1 }
objective = { pair_weight = 2.0 }

[[variants]]
name = "lsh, parts"
method = "lsh"
parts = true
"""


@pytest.mark.usefixtures("many_parts")
def test_a_row_that_searches_parts(recipe_file, tiny_protocol, tmp_path, cache):
    recipe_file.write_text(recipe_file.read_text() + PARTS)
    recipe = read_recipe(recipe_file)
    methods = tuple(method for method in recipe.methods if "lsh" in method.name or "streams" in method.name)
    recipe = dataclasses.replace(recipe, methods=methods, code_bits=(16,), tuning=Tuning())
    found = run_recipe(recipe, tmp_path / "out", cache=cache, processes=1)
    by_row = {(run["row"], run["seed"]): run for run in found["runs"]}
    for plain, parted in (("both streams, K = 16", "both streams, parts"), ("lsh", "lsh, parts")):
        for seed in (0, 1):
            one, other = by_row[plain, seed], by_row[parted, seed]
            assert "parts_each" not in one
            assert (parted == "lsh, parts") <= (other["parts_each"] > 0)
            assert other["parts"]
            assert "parts" not in one
            name = parted.replace(", ", "-").replace(" ", "-")
            (path,) = (tmp_path / "out" / "runs").glob(f"cifar10-*/{name}-16-{seed}-*.npz")
            with np.load(path) as kept:
                spec = CodeSpec(16, other["arity"])
                database, parts = (OrdinalCodes.from_packed(kept[name], spec) for name in ("database", "parts"))
                queries, owners = OrdinalCodes.from_scores(kept["scores"]), kept["owners"]
            distances = ordinal_distances(queries, database).astype(int)
            of_parts = ordinal_distances(queries, parts) + part_margin(spec)
            for number, owner in enumerate(owners.tolist()):
                distances[:, owner] = np.minimum(distances[:, owner], of_parts[:, number])
            assert other["ordinal"]["map"] == pytest.approx(
                mean_average_precision(distances, tiny_protocol.relevance())
            )
    again = run_recipe(recipe, tmp_path / "elsewhere", cache=cache, processes=1, known=condense(found))
    assert all(run["adopted"] for run in again["runs"])
    assert [(run["row"], run["ordinal"]["map"]) for run in strip(again["runs"])] == [
        (run["row"], run["ordinal"]["map"]) for run in strip(found["runs"])
    ]


@pytest.mark.slow  # a benchmark, twice
def test_calls_that_do_a_seed_each_share_a_folder(results, recipe_file, tiny_protocol, tmp_path, cache):
    recipe, out = read_recipe(recipe_file), tmp_path / "shared"
    shutil.copytree(tmp_path / "out" / "trials", out / "trials")
    for seed in (1, 0):
        done = run_recipe(recipe, out, cache=cache, processes=1, seed=seed)
        assert done["complete"]
        assert {run["seed"] for run in done["runs"]} == {seed}
        assert not (out / "results.json").exists()
    together = run_recipe(recipe, out, cache=cache, processes=1, minutes=0)
    assert together["complete"]
    assert strip(together["runs"]) == strip(results["runs"])
    with pytest.raises(InputError, match="no seed 2; it has 0 to 1"):
        run_recipe(recipe, out, cache=cache, processes=1, seed=2)


def test_protocols_with_the_same_training_images_share_trainings(
    recipe_file, tiny_protocol, tmp_path, cache, monkeypatch
):
    """Each gets what it would get alone, from half the trainings, also where only one of them is missing."""
    turned = dataclasses.replace(
        tiny_protocol, name="cifar10-seen@all", query=tiny_protocol.database, database=tiny_protocol.query
    )
    protocols = {"cifar10": tiny_protocol, turned.name: turned}
    monkeypatch.setattr("ordhash.bench.runner.load_protocol", lambda name, root: protocols[name])
    recipe = dataclasses.replace(read_recipe(recipe_file), seeds=1, code_bits=(8,))
    alone = [
        run_recipe(dataclasses.replace(recipe, protocols=(name,)), tmp_path / name, cache=cache, processes=1)
        for name in protocols
    ]
    taught, learned = [], runner._learned
    monkeypatch.setattr(runner, "_learned", lambda job, rows: (taught.append(rows), learned(job, rows))[1])
    both = dataclasses.replace(recipe, protocols=tuple(protocols))
    together = run_recipe(both, tmp_path / "both", cache=cache, processes=1)
    assert together["complete"]
    assert taught == [[0, 1]] * 5
    key = "row", "code_bits", "protocol"
    expected = sorted(strip(alone[0]["runs"] + alone[1]["runs"]), key=lambda run: [str(run[name]) for name in key])
    assert sorted(strip(together["runs"]), key=lambda run: [str(run[name]) for name in key]) == expected
    (folder,) = (tmp_path / "both" / "runs").glob(f"{turned.name}-*")
    shutil.rmtree(folder)
    again = run_recipe(both, tmp_path / "both", cache=cache, processes=1)
    assert taught[5:] == [[1]] * 5
    assert len(again["runs"]) == len(together["runs"])


def test_what_another_machine_has_done_is_not_done_again(results, recipe_file, tiny_protocol, tmp_path, cache):
    recipe, known = read_recipe(recipe_file), condense(results)
    again = run_recipe(recipe, tmp_path / "again", cache=cache, processes=1, minutes=0, known=known)
    assert again["complete"]
    assert all(entry["adopted"] for entry in (*again["trials"], *again["runs"]))
    assert condense(again) == known
    report.draw_figures(Results.from_json(again), tmp_path)  # no curves, so no figure of them
    assert {path.name for path in tmp_path.glob("*.png")} == {"tiny-cifar10-bits.png", "tiny-cifar10-time.png"}
    # It was somebody's word: who does not give it any more does the runs.
    forgotten = run_recipe(recipe, tmp_path / "again", cache=cache, processes=1, minutes=0)
    assert (forgotten["trials"], forgotten["runs"]) == ([], [])
    other = {**known, "protocols": {"cifar10": {**known["protocols"]["cifar10"], "hash": "of other images"}}}
    assert not run_recipe(recipe, tmp_path / "other", cache=cache, processes=1, minutes=0, known=other)["runs"]
    changed = dataclasses.replace(recipe, tuning=Tuning())
    changed = dataclasses.replace(
        changed,
        methods=tuple(
            dataclasses.replace(method, training=dataclasses.replace(method.training, epochs=3))
            if method.name == "dpsh"
            else method
            for method in recipe.methods
        ),
    )
    rest = run_recipe(changed, tmp_path / "changed", cache=cache, processes=1, minutes=0, known=known)
    assert "dpsh" not in {run["row"] for run in rest["runs"]}
    assert {"raw", "lsh", "sdh"} <= {run["row"] for run in rest["runs"]}


def test_codes_and_scores_are_kept_and_say_what_the_metrics_are(results, tiny_protocol, tmp_path):
    paths = sorted((tmp_path / "out" / "runs").glob("cifar10-*/*.npz"))
    assert len(paths) == 5 * 2 * 2
    for path in paths:
        run = json.loads(path.with_suffix(".json").read_text())
        with np.load(path) as kept:
            spec = CodeSpec(*kept["spec"].tolist())
            database, scores = OrdinalCodes.from_packed(kept["database"], spec), kept["scores"]
        assert (spec.code_bits, spec.arity, len(database), len(scores)) == (run["code_bits"], run["arity"], 6, 3)
        relevance = tiny_protocol.relevance()
        codes = OrdinalCodes.from_scores(scores)
        assert run["ordinal"]["map"] == mean_average_precision(ordinal_distances(codes, database), relevance)
        assert run["asymmetric"]["map"] == mean_average_precision(asymmetric_distances(scores, database), relevance)
        again = json.loads(json.dumps(measure(path, tiny_protocol).to_json()))
        assert again["ordinal"] == run["ordinal"]


def test_the_best_trial_decides_the_settings(results):
    for row in ("dpsh", "doh-mixup", "both streams, K = 16"):
        for bits in (8, 16):
            trials = [trial for trial in results["trials"] if (trial["row"], trial["code_bits"]) == (row, bits)]
            trials.sort(key=lambda trial: trial["trial"])
            assert [trial["trial"] for trial in trials] == [0, 1, 2]
            assert all(trial["validation_map"] is not None for trial in trials)
            best = max(trials, key=lambda trial: (trial["validation_map"], -trial["trial"]))
            for run in results["runs"]:
                if (run["row"], run["code_bits"]) == (row, bits):
                    assert run["training"]["learning_rate"] == best["training"]["learning_rate"]
                    assert run["config"]["objective"] == best["config"]["objective"]
                    assert run["training"]["validation_fraction"] == 0.34


@pytest.mark.usefixtures("tiny_protocol")
def test_trials_of_rows_that_differ_in_parts_alone_are_trained_once(recipe_file, tmp_path, cache, monkeypatch):
    recipe_file.write_text(recipe_file.read_text() + PARTS)
    recipe = read_recipe(recipe_file)
    methods = tuple(method for method in recipe.methods if "streams" in method.name)
    recipe = dataclasses.replace(recipe, methods=methods, code_bits=(16,), seeds=1)
    trained = []

    def counted(*args, **options):
        trained.append(args)
        return try_network(*args, **options)

    monkeypatch.setattr(runner, "try_network", counted)
    first, second = (
        run_recipe(dataclasses.replace(recipe, methods=some), tmp_path / "out", cache=cache, processes=1)
        for some in (methods[:1], methods)
    )
    assert len(trained) == len(RATES) == len(first["trials"])
    assert not any(trial.get("adopted") for trial in second["trials"])
    found = {
        name: [trial["validation_map"] for trial in second["trials"] if trial["row"] == name]
        for name in (method.name for method in methods)
    }
    assert len(found) == 2
    assert len(set(map(tuple, found.values()))) == 1


@pytest.mark.usefixtures("tiny_protocol")
def test_what_is_copied_from_an_adopted_trial_is_adopted(recipe_file, tmp_path, cache):
    recipe_file.write_text(recipe_file.read_text() + PARTS)
    recipe = read_recipe(recipe_file)
    methods = tuple(method for method in recipe.methods if "streams" in method.name)
    recipe = dataclasses.replace(recipe, methods=methods, code_bits=(16,), seeds=1)
    known = run_recipe(dataclasses.replace(recipe, methods=methods[:1]), tmp_path / "out", cache=cache, processes=1)
    again = run_recipe(recipe, tmp_path / "again", cache=cache, processes=1, known=condense(known))
    assert len(again["trials"]) == 2 * len(RATES)
    assert all(trial["adopted"] for trial in again["trials"])


@pytest.mark.usefixtures("tiny_protocol")
def test_what_fails_is_told_and_stops_nothing_else(recipe_file, tmp_path, cache, monkeypatch):
    recipe = dataclasses.replace(read_recipe(recipe_file), seeds=1, code_bits=(8,))

    def fails(given, config, settings, **options):
        if config.objective.name == "dpsh" and settings.learning_rate > 2e-3:
            raise DivergedError("the loss became NaN")
        if config.objective.name == "doh":
            raise DataError("there is no room")
        return try_network(given, config, settings, **options)

    monkeypatch.setattr(runner, "try_network", fails)
    said = []
    found = run_recipe(recipe, tmp_path / "out", cache=cache, processes=1, say=said.append)
    assert not found["complete"]
    assert found["failures"] == [
        f"both streams, K = 16, 8 bits, trial {trial}: there is no room" for trial in range(len(RATES))
    ]
    assert sum(line.startswith("failed: both streams") for line in said) == len(RATES)
    assert {run["row"] for run in found["runs"]} == {"raw", "lsh", "sdh", "dpsh", "doh-mixup"}
    diverged = [one for one in found["trials"] if one["row"] == "dpsh" and "validation_map" not in one]
    assert [one["training"]["learning_rate"] for one in diverged] == [6e-3]
    monkeypatch.setattr(runner, "try_network", try_network)
    mended = run_recipe(recipe, tmp_path / "out", cache=cache, processes=1)
    assert (mended["complete"], "failures" in mended) == (True, False)


@pytest.mark.usefixtures("tiny_protocol")
def test_trials_that_cannot_be_compared_are_refused_beforehand(recipe_file, tmp_path, cache):
    recipe_file.write_text(recipe_file.read_text().replace("0.67", "0.34"))
    with pytest.raises(InputError, match="none has a relevant one to find"):
        run_recipe(read_recipe(recipe_file), tmp_path / "out", cache=cache, processes=1)


@pytest.mark.parametrize(("noise", "mixup"), [(0.1, 0.5), (9.0, 0.0)])
def test_the_default_is_chosen_by_features_too(noise, mixup, recipe_file):
    method = next(method for method in read_recipe(recipe_file).methods if method.name == "doh-mixup")
    classes, rng = np.arange(360) % 3, np.random.default_rng(0)
    features = np.eye(3)[classes] + noise * rng.normal(size=(360, 3))
    prepared = SimpleNamespace(train=SimpleNamespace(averages=lambda: features.astype(np.float32)))
    images = ImageSet(
        np.zeros((360, 2, 2, 3), np.uint8), np.arange(360).astype(str), np.eye(3, dtype=bool)[classes], tuple("abc")
    )
    asked = dataclasses.replace(method, config=dataclasses.replace(method.config, objective="ordhash"))
    query = dataclasses.replace(images.subset([0, 1, 2]), keys=np.array(["q0", "q1", "q2"]))
    protocol = Protocol("p", images, query, images)
    suited = [suited.config.objective for suited in runner._suited([asked, method], protocol, (prepared,))]
    assert suited == [DOHMixup(mixup=mixup, fitted_share=mixup), DOHMixup()]
    (unseen,) = runner._suited([asked], protocol, ())
    assert unseen.config.objective == DOHMixup()
    wide, names = np.pad(images.labels, ((0, 0), (0, 1))), (*images.class_names, "d")
    of_four = dataclasses.replace(images, labels=wide, class_names=names)
    others = dataclasses.replace(query, labels=wide[:3], class_names=names)
    (without_the_empty,) = runner._suited([asked], Protocol("p", of_four, others, of_four), ())
    assert without_the_empty.config.objective == DOHMixup()
    in_scenes = dataclasses.replace(protocol, backgrounds=images.without_labels())
    without = dataclasses.replace(asked, training=dataclasses.replace(asked.training, scenes=0))
    learning, alone = runner._suited([asked, without], in_scenes, ())
    assert (learning.config.objective, alone.config.objective) == (DOHMixup(fitted_share=0.0), DOHMixup())


def test_an_interrupted_benchmark_goes_on(recipe_file, tiny_protocol, tmp_path, cache, monkeypatch):
    recipe, folder = read_recipe(recipe_file), tmp_path / "out"
    whole = run_recipe(recipe, tmp_path / "whole", cache=cache, processes=1)
    work, calls = runner._do, []

    def stop(job):
        calls.append(job)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return work(job)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_do", stop)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(recipe, folder, cache=cache, processes=1)
    assert len(json.loads((folder / "results.json").read_text())["runs"]) == 3
    said = []
    resumed = run_recipe(recipe, folder, cache=cache, processes=1, say=said.append)
    assert len(said) == len(whole["runs"]) - 3
    order = {json.dumps([r["row"], r["code_bits"], r["seed"]]): r for r in strip(resumed["runs"])}
    assert order == {json.dumps([r["row"], r["code_bits"], r["seed"]]): r for r in strip(whole["runs"])}


def test_time_that_is_up_leaves_the_rest(recipe_file, tiny_protocol, tmp_path, cache, monkeypatch):
    recipe = dataclasses.replace(read_recipe(recipe_file), seeds=1)
    nothing = run_recipe(recipe, tmp_path / "out", cache=cache, processes=1, minutes=0)
    assert (nothing["complete"], nothing["runs"], nothing["trials"]) == (False, [], [])
    clock, work = [0.0], runner._try

    def take_two_minutes(job):
        clock[0] += 120
        return work(job)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_try", take_two_minutes)
        patch.setattr(runner.time, "perf_counter", lambda: clock[0])
        short = run_recipe(recipe, tmp_path / "out", cache=cache, processes=1, minutes=1)
    assert (short["complete"], short["runs"], len(short["trials"])) == (False, [], 1)
    assert run_recipe(recipe, tmp_path / "out", cache=cache, processes=1)["complete"]


@pytest.mark.slow  # each process loads PyTorch
def test_several_processes_give_the_same(recipe_file, tiny_protocol, tmp_path, cache):
    recipe = dataclasses.replace(read_recipe(recipe_file), seeds=1, code_bits=(8,))
    one, two = (run_recipe(recipe, tmp_path / str(n), cache=cache, processes=n) for n in (1, 2))
    for name in ("runs", "trials"):
        ordered = [sorted(strip(part[name]), key=json.dumps) for part in (one, two)]
        assert ordered[0] == ordered[1]


def test_lengths_and_seeds_of_a_variant(recipe_file, tiny_protocol, tmp_path, cache):
    text = recipe_file.read_text().replace('method = "doh"\n', 'method = "doh"\nseeds = 1\ncode_bits = [24]\n')
    recipe_file.write_text(
        text.replace('"raw", "lsh", "sdh", "dpsh", "doh-mixup"', '"lsh"').replace("search = true", "")
    )
    results = run_recipe(read_recipe(recipe_file), tmp_path / "out", cache=cache, processes=1)
    done = sorted((run["row"], run["code_bits"], run["seed"]) for run in results["runs"])
    assert done == [("both streams, K = 16", 24, 0), *(("lsh", bits, seed) for bits in (8, 16) for seed in (0, 1))]
    assert results["code_bits"] == [8, 16, 24]


def finetuning(recipe_file):
    """The recipe with one objective, one length and one seed, whose backbone learns."""
    text = recipe_file.read_text().replace('mode = "frozen"', 'mode = "finetune"\nworkers = 0\naccelerator = "cpu"')
    text = text.replace('"raw", "lsh", "sdh", "dpsh", "doh-mixup"', '"doh-mixup"').replace("search = true", "")
    recipe_file.write_text(text.partition("[[variants]]")[0])
    return dataclasses.replace(read_recipe(recipe_file), seeds=1, code_bits=(8,))


_epoch = PictureBatches.epoch


def epochs_without_training(batches, order, seed):
    """Pictures for validation and encoding, and an error where training would ask for them."""
    assert seed == 0, "trained again"
    return _epoch(batches, order, seed)


def test_a_network_whose_backbone_learns(recipe_file, tiny_protocol, tmp_path, cache):
    results = run_recipe(finetuning(recipe_file), tmp_path / "out", cache=cache)
    assert results["complete"]
    assert results["protocols"]["cifar10"]["backbone"] == "test_resnet at 64 px, fine-tuned"
    (run,) = results["runs"]
    assert (run["kept_epoch"] > 0, 0 < run["ordinal"]["map"] <= 1) == (True, True)
    kept = sorted(path.suffix for path in (tmp_path / "out" / "runs").glob("cifar10-*/*"))
    assert kept == [".json", ".npz"]  # no checkpoint is left
    assert run["device"] == "cpu"


def no_pictures(*_):
    """An error where pictures are asked for."""
    raise AssertionError("encoded again")


@pytest.mark.parametrize(("dies", "pictures"), [("keep", epochs_without_training), ("measure", no_pictures)])
def test_what_has_been_learned_and_encoded_is_kept_until_it_is_measured(
    dies, pictures, recipe_file, tiny_protocol, tmp_path, cache, monkeypatch
):
    recipe = finetuning(recipe_file)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner, dies, die)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(recipe, tmp_path / "out", cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr("ordhash.learn.batches.PictureBatches.epoch", pictures)
        resumed = run_recipe(recipe, tmp_path / "out", cache=cache)
    whole = run_recipe(recipe, tmp_path / "whole", cache=cache)
    assert strip(resumed["runs"]) == strip(whole["runs"])


@pytest.mark.parametrize(
    "changed",
    [{"methods": ("itq",)}, {"methods": ("raw",)}, {"tuning": Tuning(search=True)}, {"mode": "frozen"}],
    ids=["shallow", "raw", "trials", "frozen"],
)
def test_a_recipe_that_fine_tunes_has_nothing_that_needs_a_frozen_backbone(
    changed, recipe_file, tiny_protocol, tmp_path, cache
):
    recipe = finetuning(recipe_file)
    (method,) = recipe.methods
    others = [dataclasses.replace(method, name=name, method=name) for name in changed.get("methods", ())]
    if "mode" in changed:
        others = [dataclasses.replace(method, name="b", training=dataclasses.replace(method.training, mode="frozen"))]
    recipe = dataclasses.replace(recipe, methods=(method, *others), tuning=changed.get("tuning", recipe.tuning))
    with pytest.raises(
        InputError, match="recipe tiny fine-tunes; trials, shallow methods, raw features and other modes"
    ):
        run_recipe(recipe, tmp_path / "out", cache=cache)


def test_what_is_done_is_collected_although_trials_of_another_method_are_not(
    recipe_file, tiny_protocol, tmp_path, cache
):
    recipe = dataclasses.replace(read_recipe(recipe_file), seeds=1, code_bits=(8,))
    few = dataclasses.replace(recipe, methods=recipe.methods[:4])
    done = run_recipe(few, tmp_path / "out", cache=cache, processes=1)
    more = run_recipe(recipe, tmp_path / "out", cache=cache, processes=1, minutes=0)
    assert (more["complete"], more["runs"]) == (False, done["runs"])


def test_a_rehearsal_does_everything_on_a_few_images(recipe_file, tiny_protocol, tmp_path, cache):
    recipe = rehearsal_of(read_recipe(recipe_file))
    results = run_recipe(recipe, tmp_path / "out", cache=cache, processes=1, most_images=5)
    assert results["complete"]
    facts = results["protocols"]["cifar10"]
    assert (facts["train"], facts["query"], facts["database"]) == (5, 3, 5)
    assert [run["row"] for run in results["runs"]] == [method.name for method in recipe.methods]


def test_different_backbones_are_refused(recipe_file, tiny_protocol, tmp_path, cache):
    text = recipe_file.read_text().replace("local_hidden = 8", "image_size = 96")
    recipe_file.write_text(text)
    with pytest.raises(InputError, match="has methods with different backbones; compare methods on one"):
        run_recipe(read_recipe(recipe_file), tmp_path / "out", cache=cache, processes=1)


def test_every_image_is_needed(recipe_file, tiny_protocol, bad_files, tmp_path, cache):
    shutil.copy(bad_files["truncated"], tiny_protocol.database.images[0])
    with pytest.raises(DataError, match="a benchmark needs every image"):
        run_recipe(read_recipe(recipe_file), tmp_path / "out", cache=cache, processes=1)


@pytest.mark.slow  # a benchmark, twice
def test_hidden_labels_measure_and_teach_nothing(recipe_file, photo_folder, monkeypatch, tmp_path, cache):
    for path in sorted(photo_folder.rglob("*.jpg")):  # eighteen photographs have no neighbourhoods
        for copy in range(3):
            with Image.open(path) as picture:
                picture.rotate(3 * copy + 2).save(path.with_stem(f"{path.stem}_{copy}"))
    parts = split_by_class(read_folder(photo_folder), {"query": 2, "train": 20}, salt="")
    labels = np.random.default_rng(0).permutation(parts["train"].labels)
    text = (
        recipe_file.read_text().replace('"raw", "lsh", "sdh", ', "").replace('"frozen"', '"frozen"\nuse_labels = false')
    )
    recipe_file.write_text(text[: text.index("[tuning]")])
    found = []
    for train in (parts["train"], dataclasses.replace(parts["train"], labels=labels)):
        protocol = Protocol("cifar10", train, parts["query"], parts["rest"], citation="of this test")
        monkeypatch.setattr("ordhash.bench.runner.load_protocol", lambda name, root, protocol=protocol: protocol)
        found.append(run_recipe(read_recipe(recipe_file), tmp_path / str(len(found)), cache=cache, processes=1))
    right, wrong = (strip(results["runs"]) for results in found)
    assert right == wrong
    assert len(right) == 2 * 2 * 2
    for run in right:
        assert (run["validation_map"], run["kept_epoch"]) == (None, 2)
        assert run["ordinal"]["map"] > 0.35  # colours are easy to tell apart, and a third is chance
