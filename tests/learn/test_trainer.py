import contextlib
import dataclasses
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

from ordhash.data import ImageSet, open_rgb, read_folder
from ordhash.errors import DataError, ImageError, InputError
from ordhash.learn import DOHConfig, TrainConfig, TrainingRun, TrainingState, loop, train, train_network
from ordhash.learn import checkpoint as checkpoint_module
from ordhash.learn import trainer as module
from ordhash.learn.backbones import build_backbone
from ordhash.learn.checkpoint import training_digest
from ordhash.learn.export import export_backbone, export_head, weights_digest
from ordhash.learn.familiarity import GaugedHead
from ordhash.learn.network import HashingHead
from ordhash.learn.objectives import DOHCodewords
from ordhash.learn.validation import calibrations, held_out, leave_one_out_map
from ordhash.model.encoder import Encoder
from ordhash.model.features import FeatureStore
from ordhash.model.file import load_model
from ordhash.model.inference import Preprocessing

TINY = DOHConfig(
    16, 4, backbone="test_resnet", weights=None, image_size=64, fit="squash", hidden=16, local_hidden=16, dropout=0.2
)
FAST = TrainConfig(
    mode="frozen",
    epochs=3,
    batch_size=8,
    learning_rate=3e-3,
    validation_fraction=0.34,
    validate_every=1,
    accelerator="cpu",
    workers=0,
)
MODES = ["frozen", "finetune"]
MOSTLY_FROZEN = ["frozen", pytest.param("finetune", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def graphs(cache):
    """A backbone and a head in ONNX, of the shapes that TINY gives."""
    backbone = build_backbone(TINY.backbone, weights=None, image_size=64)
    head = HashingHead(96, 3, TINY.spec, hidden=16, local_hidden=16).eval()
    return export_backbone(backbone, Preprocessing(64), TINY.backbone, cache / "backbones"), export_head(head, 96)


@pytest.fixture
def learned(graphs, monkeypatch):
    """Digests of the weights learned, backbone first; the model files get a graph from elsewhere.

    That spares the seconds of an export; the tests without it export for real, and so do heads that gauge familiarity.
    """
    digests = []

    def backbone(network, preprocessing, name, cache=None):
        if cache is not None:
            return export_backbone(network, preprocessing, name, cache)
        digests.append(weights_digest(network))
        return dataclasses.replace(graphs[0], weights_id=digests[-1])

    def head(network, depth):
        assert depth == 96
        digests.append(weights_digest(network))
        return export_head(network, depth) if isinstance(network, GaugedHead) else graphs[1]

    monkeypatch.setattr(module, "export_backbone", backbone)
    monkeypatch.setattr("ordhash.learn.export.export_head", head)
    return digests


def on_cpu(settings):
    """A training of its own, which writes nothing."""
    return TrainingRun(settings, Fabric(accelerator="cpu", devices=1), TrainingState(""))


def weights(path):
    """The graph of a model file without what it says of itself (which holds the time that training took)."""
    graph = onnx.load(path)
    del graph.metadata_props[:]
    return graph.SerializeToString()


def summary(path):
    return load_model(path).info.training


@pytest.mark.parametrize("mode", MOSTLY_FROZEN)
def test_training_writes_a_model_that_an_encoder_reads(mode, photo_folder, tmp_path, cache):
    images = read_folder(photo_folder)
    torch.manual_seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    settings = dataclasses.replace(FAST, mode=mode)
    result = train(images, TINY, settings, out=tmp_path / "run", protocol="fruit", cache=cache)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])

    assert result.model == tmp_path / "run" / "model.onnx"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.onnx"]  # no checkpoint is left
    assert (result.reused, result.failures) == (False, ())
    assert [entry["epoch"] for entry in result.history] == [1, 2, 3]
    assert result.history[result.kept_epoch - 1]["validation_map"] == pytest.approx(result.validation_map, abs=1e-4)
    assert result.validation_map == pytest.approx(max(entry["validation_map"] for entry in result.history), abs=1e-4)
    encoder = Encoder(result.model)
    assert encoder.spec == TINY.spec
    assert encoder.info.class_names == ("apple", "banana", "carrot")
    assert encoder.info.protocol == "fruit"
    assert encoder.info.method["name"] == "doh-codewords"  # what the default is with so few images
    training = encoder.info.training
    assert (training["mode"], training["images"], training["validation_images"]) == (mode, 12, 6)
    encoded = encoder.run(images)
    assert encoded.scores.shape == (18, 8, 4)
    np.testing.assert_allclose([one.sum() for one in encoded.attention], 1, rtol=1e-5)

    # The kept epoch is the one in the file: its validation mAP can be measured again from outside.
    _, validation = held_out(images, 0.34, 0)
    again = leave_one_out_map(encoder.encode(validation), validation.labels)
    assert again == pytest.approx(result.validation_map, abs=0.02)
    # So can the likelihoods, except that a network in another runtime rounds differently.
    ordinal, asymmetric = calibrations(encoder.scores(validation), validation.labels)
    for written, found in ((encoder.info.calibration, ordinal), (encoder.info.asymmetric_calibration, asymmetric)):
        assert (written.pairs, len(written.distances)) == (30, len(found.distances))
        np.testing.assert_allclose(written.likelihoods, found.likelihoods, atol=0.1)

    written = result.model.read_bytes(), result.model.stat().st_mtime_ns
    reused = train(images, TINY, settings, out=tmp_path / "run", protocol="fruit", cache=cache)
    assert reused.reused
    assert (result.model.read_bytes(), result.model.stat().st_mtime_ns) == written
    assert (reused.model, reused.validation_map, reused.kept_epoch) == (
        result.model,
        result.validation_map,
        result.kept_epoch,
    )


def test_the_automatic_mode_is_frozen_on_a_processor(photo_folder, tmp_path, cache, learned):
    settings = dataclasses.replace(FAST, mode="auto", epochs=1)
    result = train(read_folder(photo_folder), TINY, settings, out=tmp_path, cache=cache)
    assert summary(result.model)["mode"] == "frozen"


@pytest.mark.parametrize("given", [True, False], ids=["validation images given", "held out"])
def test_frozen_training_reads_every_image_once_for_each_thing_it_needs(
    given, photo_folder, tmp_path, cache, monkeypatch, learned
):
    images, digests, read = read_folder(photo_folder), ImageSet.content_ids, []

    def count(self):
        read.append(len(self))
        return digests(self)

    monkeypatch.setattr(ImageSet, "content_ids", count)
    training, validation = held_out(images, FAST.validation_fraction, 0)
    parts = (training, validation) if given else (images, None)
    train(parts[0], TINY, dataclasses.replace(FAST, epochs=1), out=tmp_path, validation=parts[1], cache=cache)
    # To know the training again, for the maps, and for those of the mirrored training images.
    assert read == ([12, 6, 12, 6, 12] if given else [18, 18, 12])


def test_an_image_that_vanishes_between_its_two_maps_stops_the_training(photo_folder, tmp_path, cache, monkeypatch):
    maps, calls = FeatureStore.maps, []

    def once(self, images, *given, **options):
        found = maps(self, images, *given, **options)
        calls.append(found)
        lost = [] if len(calls) == 1 else [ImageError("gone.jpg", "no such file")]
        return dataclasses.replace(found, failures=lost)

    monkeypatch.setattr(FeatureStore, "maps", once)
    with pytest.raises(DataError, match=r"gone\.jpg: no such file: .*readable a moment ago; run the training again"):
        train(read_folder(photo_folder), TINY, FAST, out=tmp_path, cache=cache)


def test_training_learns(photo_folder, tmp_path, cache):
    images = read_folder(photo_folder)
    settings = dataclasses.replace(FAST, epochs=120, learning_rate=1e-2, validate_every=20)
    result = train(images, dataclasses.replace(TINY, objective="doh"), settings, out=tmp_path, cache=cache)
    first, last = result.history[0], result.history[-1]
    losses = [sum(entry[name] for name in ("pairs", "classes")) for entry in (first, last)]
    assert losses[1] < 0.5 * losses[0]
    training, _ = held_out(images, 0.34, 0)
    assert leave_one_out_map(Encoder(result.model).encode(training), training.labels) > 0.9


def test_fine_tuning_changes_the_backbone_and_frozen_training_does_not(photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    runs = {
        mode: train(images, TINY, dataclasses.replace(FAST, mode=mode, epochs=1), out=tmp_path / mode, cache=cache)
        for mode in MODES
    }
    ids = {mode: load_model(run.model).info.weights_id for mode, run in runs.items()}
    assert ids["frozen"] != ids["finetune"]
    kept = [path.name for path in (cache / "backbones").iterdir()]
    assert any(ids["frozen"] in name for name in kept)
    assert not any(ids["finetune"] in name for name in kept)  # nobody else will ask for it


@pytest.mark.parametrize("mode", MOSTLY_FROZEN)
def test_the_seed_decides_what_is_learned(mode, photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    settings = dataclasses.replace(FAST, mode=mode, epochs=2)
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)
        chosen = dataclasses.replace(settings, seed=seed, workers=number)  # workers do not matter
        train(images, TINY, chosen, out=tmp_path / str(number), cache=cache)
    first, again, other = np.split(np.array(learned), 3)
    assert first.tolist() == again.tolist()
    assert not set(first) & set(other)


@contextlib.contextmanager
def interrupted(monkeypatch, *, in_epoch):
    """Trainings inside are interrupted once, when that many epochs have been validated; gives the calls so far."""
    validate, calls = loop.scores_of, []

    def stop_once(*given):
        calls.append(given)
        if len(calls) == in_epoch:
            raise KeyboardInterrupt
        return validate(*given)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "scores_of", stop_once)
        yield calls


@pytest.mark.parametrize("mode", MODES)
def test_an_interrupted_training_goes_on_to_the_same_result(mode, photo_folder, tmp_path, cache, monkeypatch, learned):
    images = read_folder(photo_folder)
    settings = dataclasses.replace(FAST, mode=mode, epochs=4)
    whole = train(images, TINY, settings, out=tmp_path / "whole", cache=cache)
    learned_at_once = learned.copy()
    learned.clear()

    with interrupted(monkeypatch, in_epoch=3), pytest.raises(KeyboardInterrupt):
        train(images, TINY, settings, out=tmp_path / "resumed", cache=cache)
    assert not (tmp_path / "resumed" / "model.onnx").exists()
    torch.manual_seed(9)  # what happens in between does not matter
    resumed = train(images, TINY, settings, out=tmp_path / "resumed", cache=cache)
    assert resumed.history == whole.history
    assert (resumed.validation_map, resumed.kept_epoch) == (whole.validation_map, whole.kept_epoch)
    assert learned == learned_at_once  # to the last bit
    assert not resumed.reused
    assert not (tmp_path / "resumed" / "checkpoint.pt").exists()


@pytest.mark.parametrize("mode", MOSTLY_FROZEN)
def test_fitted_segments_see_the_images_learned_from_and_survive_an_interruption(
    mode, photo_folder, tmp_path, cache, monkeypatch
):
    images = read_folder(photo_folder)
    config = dataclasses.replace(TINY, code_bits=32, objective="doh-mixup")
    settings = dataclasses.replace(FAST, mode=mode)
    whole = train(images, config, settings, out=tmp_path / "whole", cache=cache)
    with interrupted(monkeypatch, in_epoch=2), pytest.raises(KeyboardInterrupt):
        train(images, config, settings, out=tmp_path / "resumed", cache=cache)
    resumed = train(images, config, settings, out=tmp_path / "resumed", cache=cache)
    assert weights(resumed.model) == weights(whole.model)

    scores = Encoder(whole.model).run(images).scores
    assert scores.shape == (len(images), 16, 4)
    fitted, trained = scores[:, 8:], scores[:, :8]
    np.testing.assert_allclose(fitted.sum(axis=2), 0, atol=1e-4)  # inner products with the corners of a simplex
    assert np.abs(trained.sum(axis=2)).max() > 1e-3
    apart = [np.square(part - part.mean(axis=2, keepdims=True)).mean() for part in (fitted, trained)]
    assert 0.5 < apart[0] / apart[1] < 2


TRAIN_SCRIPT = """
import json, sys
from pathlib import Path
import torch
from ordhash.data import read_folder
from ordhash.learn import DOHConfig, TrainConfig, train

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    config = DOHConfig(**{**given["config"], "objective": given["config"]["objective"]["name"]})
    result = train(read_folder(Path(given["photos"])), config, TrainConfig(**given["settings"]), out=given["out"],
                   cache=Path(given["cache"]))
"""


def start_training(photos, config, settings, out, cache, launcher=()):
    script = out.parent / "train_script.py"
    script.write_text(TRAIN_SCRIPT)
    given = {
        "photos": str(photos),
        "config": config.to_json(),
        "settings": settings.to_json(),
        "out": str(out),
        "cache": str(cache),
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (out.parent / "train.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, *launcher, str(script), json.dumps(given)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_result(photo_folder, tmp_path, cache):
    images, settings = read_folder(photo_folder), dataclasses.replace(FAST, epochs=60)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    process = start_training(photo_folder, TINY, settings, checkpoint.parent, cache)
    try:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert checkpoint.exists(), (tmp_path / "train.log").read_text()
    assert not (checkpoint.parent / "model.onnx").exists()
    done = torch.load(checkpoint, weights_only=True)["state"]["epoch"]
    assert 1 <= done < 60
    # In processes like the first: with more threads, fitted segments differ in their last bits.
    folders = (checkpoint.parent, tmp_path / "whole")
    for folder in folders:
        assert start_training(photo_folder, TINY, settings, folder, cache).wait() == 0
    resumed, whole = (train(images, TINY, settings, out=folder, cache=cache) for folder in folders)
    assert resumed.reused
    assert whole.reused
    assert resumed.history == whole.history
    assert weights(resumed.model) == weights(whole.model)
    np.testing.assert_array_equal(Encoder(resumed.model).scores(images), Encoder(whole.model).scores(images))
    other = train(images, TINY, dataclasses.replace(settings, seed=1), out=tmp_path / "other", cache=cache)
    codes = [Encoder(run.model).encode(images).symbols for run in (whole, other)]
    assert (codes[0] != codes[1]).any()


@pytest.fixture
def unfinished(photo_folder, tmp_path, cache, monkeypatch):
    """Folder of a training that was stopped in its second epoch."""
    validate, calls = loop.scores_of, []

    def stop(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return validate(*given)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "scores_of", stop)
        with pytest.raises(KeyboardInterrupt):
            train(read_folder(photo_folder), TINY, FAST, out=tmp_path / "run", cache=cache)
    assert (tmp_path / "run" / "checkpoint.pt").exists()
    return tmp_path / "run"


def test_another_training_does_not_go_on_with_this_one(unfinished, photo_folder, cache, learned):
    images, before = read_folder(photo_folder), (unfinished / "checkpoint.pt").read_bytes()
    others = [
        (images, TINY, dataclasses.replace(FAST, learning_rate=1e-3)),
        (images, dataclasses.replace(TINY, hidden=17), FAST),
        (images, dataclasses.replace(TINY, objective="doh"), FAST),
        (images.subset(np.arange(1, 18)), TINY, FAST),
    ]
    for pictures, config, how in others:
        with pytest.raises(InputError, match=r"checkpoint\.pt belongs to an unfinished training with other images"):
            train(pictures, config, how, out=unfinished, cache=cache)
    assert (unfinished / "checkpoint.pt").read_bytes() == before
    assert train(images, TINY, FAST, out=unfinished, cache=cache).history[-1]["epoch"] == 3


def test_a_damaged_checkpoint_is_refused(unfinished, photo_folder, cache, learned):
    images, whole = read_folder(photo_folder), (unfinished / "checkpoint.pt").read_bytes()
    for content in (whole[: len(whole) // 2], b"nonsense", b""):
        (unfinished / "checkpoint.pt").write_bytes(content)
        with pytest.raises(DataError, match=r"checkpoint\.pt is damaged \(.*\); delete it to start again"):
            train(images, TINY, FAST, out=unfinished, cache=cache)
    torch.save({"weights": torch.zeros(3)}, unfinished / "checkpoint.pt")  # somebody else's
    with pytest.raises(DataError, match=r"checkpoint\.pt is damaged \(.*\); delete it to start again"):
        train(images, TINY, FAST, out=unfinished, cache=cache)
    (unfinished / "checkpoint.pt").unlink()
    assert not train(images, TINY, FAST, out=unfinished, cache=cache).reused


def test_a_finished_training_is_done_again_where_that_is_asked_for(photo_folder, tmp_path, cache, monkeypatch, learned):
    images, out = read_folder(photo_folder), tmp_path / "run"
    first = train(images, TINY, FAST, out=out, cache=cache)
    again = train(images, TINY, FAST, out=out, cache=cache, overwrite=True)
    assert (first.reused, again.reused) == (False, False)
    assert len(learned) == 2  # heads
    assert learned[0] == learned[1]
    assert again.history == first.history
    assert train(images, TINY, FAST, out=out, cache=cache).reused

    # Interrupted, the same call goes on.
    with interrupted(monkeypatch, in_epoch=2) as calls:
        with pytest.raises(KeyboardInterrupt):
            train(images, TINY, FAST, out=out, cache=cache, overwrite=True)
        resumed = train(images, TINY, FAST, out=out, cache=cache, overwrite=True)
    assert len(calls) == 4  # epochs 1 and 2, then 2 and 3
    assert not resumed.reused
    assert resumed.history == first.history
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(photo_folder, tmp_path, cache, monkeypatch, learned):
    replace, calls = checkpoint_module.replace_file, []

    def disk_that_fills_up(path, write):
        calls.append(path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if len(calls) == 2 else soft, hard))
        try:
            replace(path, write)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    images = read_folder(photo_folder)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "replace_file", disk_that_fills_up)
        with pytest.raises(OSError, match="too large"):
            train(images, TINY, FAST, out=tmp_path / "run", cache=cache)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint.pt"]
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state"]["epoch"] == 1
    assert train(images, TINY, FAST, out=tmp_path / "run", cache=cache).history[-1]["epoch"] == 3


def test_a_checkpoint_left_beside_a_finished_model_stops_nothing(unfinished, photo_folder, cache, learned):
    images, checkpoint = read_folder(photo_folder), unfinished / "checkpoint.pt"
    left = checkpoint.read_bytes()
    train(images, TINY, FAST, out=unfinished, cache=cache)
    checkpoint.write_bytes(left)  # as when the process dies between writing the one and removing the other
    assert train(images, TINY, FAST, out=unfinished, cache=cache).reused
    once = dataclasses.replace(FAST, epochs=1)
    with pytest.raises(InputError, match="is another training's model; choose another folder, or allow overwriting it"):
        train(images, TINY, once, out=unfinished, cache=cache)
    checkpoint.write_bytes(left)
    other = train(images, TINY, once, out=unfinished, cache=cache, overwrite=True)
    assert not other.reused


@pytest.mark.parametrize("mode", MODES)
def test_bad_files_are_left_out_and_reported(mode, photo_folder, bad_files, tmp_path, cache, learned):
    for kind in ("truncated", "text"):
        (photo_folder / "banana" / f"{kind}.jpg").write_bytes(bad_files[kind].read_bytes())
    settings = dataclasses.replace(FAST, mode=mode, epochs=1, workers=2 if mode == "finetune" else 0)
    result = train(read_folder(photo_folder), TINY, settings, out=tmp_path / "run", cache=cache)
    assert sorted(Path(failure.source).name for failure in result.failures) == ["text.jpg", "truncated.jpg"]
    training = summary(result.model)
    assert training["images"] + training["validation_images"] == 18


@pytest.mark.parametrize("mode", MODES)
def test_bad_validation_files_are_left_out_and_reported(mode, photo_folder, bad_files, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    validation = photo_folder.parent / "validation"
    for label in ("apple", "banana"):
        (validation / label).mkdir(parents=True)
        for number in range(2):
            pixels = np.array(Image.open(photo_folder / label / f"{label}_{number}.jpg"))
            Image.fromarray(pixels[:, ::-1]).save(validation / label / f"{number}.jpg")
    (validation / "apple" / "bad.jpg").write_bytes(bad_files["truncated"].read_bytes())
    settings = dataclasses.replace(FAST, mode=mode, epochs=1)
    result = train(images, TINY, settings, out=tmp_path / "run", validation=read_folder(validation), cache=cache)
    training = summary(result.model)
    assert (training["images"], training["validation_images"]) == (18, 4)  # nothing is held out of the training images
    assert [Path(failure.source).name for failure in result.failures] == ["bad.jpg"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("part", ["training", "validation"])
def test_not_one_usable_image_is_refused(mode, part, photo_folder, bad_files, tmp_path, cache):
    good = read_folder(photo_folder)
    bad = ImageSet(list(bad_files.values()), None, np.eye(3, dtype=bool)[[0, 1, 2, 0]], good.class_names)
    images, validation = (bad, None) if part == "training" else (good, bad)
    settings = dataclasses.replace(FAST, mode=mode)
    with pytest.raises(InputError, match=r"none of the 4 images can be used \(.*\); give images that can be read"):
        train(images, TINY, settings, out=tmp_path / "run", validation=validation, cache=cache)
    assert not (tmp_path / "run").exists()


def test_without_validation_images_the_last_epoch_is_kept(photo_folder, tmp_path, cache, learned):
    settings = dataclasses.replace(FAST, validation_fraction=0.0, validate_every=2)
    result = train(read_folder(photo_folder), TINY, settings, out=tmp_path, cache=cache)
    assert (result.validation_map, result.kept_epoch) == (None, 3)
    assert summary(result.model)["validation_map"] is None
    assert load_model(result.model).info.calibration is None
    assert [entry["epoch"] for entry in result.history] == [2, 3]


def test_a_class_with_one_image_is_learned(photo_folder, tmp_path, cache, learned):
    (photo_folder / "durian").mkdir()
    Image.new("RGB", (40, 40), (90, 120, 40)).save(photo_folder / "durian" / "only.jpg")
    result = train(read_folder(photo_folder), TINY, dataclasses.replace(FAST, epochs=1), out=tmp_path, cache=cache)
    training = summary(result.model)
    assert (training["images"], training["validation_images"]) == (13, 6)
    assert load_model(result.model).info.class_names == ("apple", "banana", "carrot", "durian")


@pytest.mark.parametrize("mode", MODES)
def test_classes_without_images_change_nothing(mode, photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    wide = np.insert(images.labels, [0, 2, 3], False, axis=1)
    names = ("aaa", "apple", "banana", "box", "carrot", "durian")
    settings = dataclasses.replace(FAST, mode=mode, epochs=1)
    for number, some in enumerate([images, dataclasses.replace(images, labels=wide, class_names=names)]):
        result = train(some, TINY, settings, out=tmp_path / str(number), cache=cache)
        assert load_model(result.model).info.class_names == images.class_names
    assert learned[: len(learned) // 2] == learned[len(learned) // 2 :]


def test_images_with_many_labels(photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    labels = images.labels.copy()
    labels[::3, 0] = True
    many = ImageSet(images.images, images.keys, labels, images.class_names)
    result = train(many, TINY, dataclasses.replace(FAST, epochs=2), out=tmp_path, cache=cache)
    assert load_model(result.model).info.multilabel
    assert 0 < result.validation_map <= 1


def test_images_without_a_label_are_left_out(photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    labels = images.labels.copy()
    labels[[0, 7]] = False
    some = ImageSet(images.images, images.keys, labels, images.class_names)
    result = train(some, TINY, dataclasses.replace(FAST, epochs=1), out=tmp_path, cache=cache)
    training = summary(result.model)
    assert training["images"] + training["validation_images"] == 16


def test_validation_images_without_a_label_measure_nothing(photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    labels = images.labels.copy()
    labels[1::2] = False
    models = []
    for number, validation in enumerate([dataclasses.replace(images, labels=labels), images.subset(range(0, 18, 2))]):
        out = tmp_path / str(number)
        models.append(train(images, TINY, FAST, out=out, validation=validation, cache=cache).model)
    some, alone = (load_model(model).info for model in models)
    assert some.calibration == alone.calibration
    assert some.training["history"] == alone.training["history"]
    assert some.training["validation_images"] == alone.training["validation_images"] == 9
    assert some.training["digest"] == alone.training["digest"]


def test_what_cannot_be_learned_from_is_refused(photo_folder, tmp_path):
    images = read_folder(photo_folder)
    with pytest.raises(InputError, match="the images have no labels; give one sub-folder per class"):
        train(ImageSet(images.images, images.keys), TINY, FAST, out=tmp_path / "run", cache=tmp_path)
    with pytest.raises(InputError, match="at least two"):
        train(images.subset(images.labels[:, 0]), TINY, FAST, out=tmp_path / "run", cache=tmp_path)
    assert not (tmp_path / "run").exists()


def test_the_digest_follows_whatever_decides_the_result(photo_folder, tmp_path):
    images = read_folder(photo_folder)
    weights_file = tmp_path / "weights.pth"
    weights_file.write_bytes(b"one")
    from_file = dataclasses.replace(TINY, weights=weights_file)

    graph_file = tmp_path / "net.onnx"
    graph_file.write_bytes(b"one")
    from_graph = dataclasses.replace(TINY, backbone=str(graph_file), weights="pretrained")

    def digest(images=images, validation=None, config=TINY, settings=FAST, finetune=False, backgrounds=None):
        return training_digest(images, validation, config, settings, finetune=finetune, backgrounds=backgrounds)

    assert digest() == digest(images=read_folder(photo_folder))
    relabelled = ImageSet(images.images, images.keys, np.roll(images.labels, 1, axis=1), images.class_names)
    found = [
        digest(),
        digest(images=images.subset(np.arange(17))),
        digest(images=relabelled),
        digest(images=dataclasses.replace(images, class_names=("a", "b", "c"))),
        digest(validation=images),
        digest(backgrounds=images),
        digest(config=from_graph),
        digest(config=dataclasses.replace(TINY, arity=2)),
        digest(settings=dataclasses.replace(FAST, seed=1)),
        digest(finetune=True),
        digest(config=from_file),
    ]
    for file, config in ((weights_file, from_file), (graph_file, from_graph)):
        file.write_bytes(b"two")  # another network under the same name
        found.append(digest(config=config))
    (photo_folder / "apple" / "apple_0.jpg").write_bytes((photo_folder / "apple" / "apple_1.jpg").read_bytes())
    found.append(digest())
    assert len(set(found)) == len(found)


def test_a_loss_that_is_no_number_stops_the_training(photo_folder, tmp_path, cache, monkeypatch):
    def broken(*given, **options):
        return torch.tensor(float("nan"), requires_grad=True)

    monkeypatch.setattr("ordhash.learn.objectives.doh.class_loss", broken)
    with pytest.raises(DataError, match=r"loss .* epoch 1; lower the learning rate"):
        train(read_folder(photo_folder), TINY, FAST, out=tmp_path, cache=cache)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_the_learning_rate_rises_and_then_falls_to_nothing():
    factors = [loop.rate_factor(done, 0.1) for done in np.linspace(0, 1, 101)]
    assert 0 < factors[0] < 0.05
    assert max(factors) == factors[10] == 1
    assert factors[:11] == sorted(factors[:11])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5)  # half-way along the cosine
    assert factors[-1] == pytest.approx(0, abs=1e-9)
    assert loop.rate_factor(0, 0.0) == 1
    assert loop.rate_factor(1, 1.0) == 1


@pytest.mark.slow  # learns three times
def test_codewords_in_mixed_precision_and_after_an_interruption(photo_folder, tmp_path, cache, learned, monkeypatch):
    images = read_folder(photo_folder)
    config = dataclasses.replace(TINY, objective="doh-codewords")
    settings = dataclasses.replace(FAST, mode="finetune", precision="bf16-mixed", epochs=2)
    whole = train(images, config, settings, out=tmp_path / "whole", cache=cache)
    learned_at_once = learned.copy()
    learned.clear()
    with interrupted(monkeypatch, in_epoch=2), pytest.raises(KeyboardInterrupt):
        train(images, config, settings, out=tmp_path / "resumed", cache=cache)
    resumed = train(images, config, settings, out=tmp_path / "resumed", cache=cache)
    assert resumed.history == whole.history
    assert learned == learned_at_once


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(("objective", "n_trained"), [("doh", 8), ("doh-codewords", 4), ("dpsh", 16), ("hyp2", 16)])
def test_two_processes_learn_what_one_does(objective, n_trained, photo_folder, tmp_path, cache):
    # The processes draw different dropout, and blend each its own share of a batch. Rivals leave class layers alone.
    arity = 2 if objective in ("dpsh", "hyp2") else TINY.arity
    config = dataclasses.replace(TINY, dropout=0.0, hidden_dropout=0.0, objective=objective, arity=arity)
    settings = dataclasses.replace(FAST, epochs=3)
    one = train(read_folder(photo_folder), config, settings, out=tmp_path / "one", cache=cache)
    process = start_training(photo_folder, config, dataclasses.replace(settings, devices=2), tmp_path / "two", cache)
    assert process.wait(timeout=200) == 0, (tmp_path / "train.log").read_text()
    two = summary(tmp_path / "two" / "model.onnx")
    for alone, together in zip(one.history, two["history"], strict=True):
        assert together == pytest.approx(alone, rel=1e-3, abs=2e-5)
    images = read_folder(photo_folder)
    apart = np.abs(Encoder(tmp_path / "two" / "model.onnx").scores(images) - Encoder(one.model).scores(images))
    # Fitted segments come last. Their rotation is found by turns with symbols: one that flips moves it a little.
    assert apart[:, :n_trained].max() < 1e-3
    assert apart.max() < 0.05


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("machines", [1, 2])
def test_torchrun_decides_the_numbers_of_processes_and_machines(machines, photo_folder, tmp_path, cache):
    config = dataclasses.replace(TINY, dropout=0.0, hidden_dropout=0.0)
    settings = dataclasses.replace(FAST, epochs=3)
    one = train(read_folder(photo_folder), config, settings, out=tmp_path / "one", cache=cache)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [tmp_path / f"machine{number}" / "two" for number in range(machines)]
    processes = []
    for number, place in enumerate(places):
        place.parent.mkdir()
        launcher = (
            *("-m", "torch.distributed.run", f"--nproc-per-node={2 // machines}", f"--nnodes={machines}"),
            *(f"--node-rank={number}", "--master-addr=127.0.0.1", f"--master-port={port}"),
        )
        processes.append(start_training(photo_folder, config, settings, place, cache, launcher))
    for process, place in zip(processes, places, strict=True):
        assert process.wait(timeout=200) == 0, (place.parent / "train.log").read_text()
    two = summary(places[0] / "model.onnx")
    for alone, together in zip(one.history, two["history"], strict=True):
        assert together == pytest.approx(alone, rel=1e-3, abs=2e-5)


@pytest.mark.slow
@pytest.mark.cluster
def test_fabric_run_decides_the_number_of_processes(photo_folder, tmp_path):
    out = tmp_path / "run"
    tiny = (
        "--weights none --image-size 64 --backbone test_resnet --hidden 16 --local-hidden 16 --epochs 2 --batch-size 4"
    )
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [
            scripts / "fabric",
            "run",
            "--accelerator",
            "cpu",
            "--devices",
            "2",
            scripts / "ordhash",
            "train",
            photo_folder,
            "--out",
            out,
            "--cache",
            tmp_path / "cache",
            "--json",
            *tiny.split(),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(printed) == 1  # of two processes one speaks
    assert json.loads(printed[0])["model"] == str(out / "model.onnx")
    assert "distributed_backend=gloo" in done.stderr + done.stdout


@pytest.fixture
def unlabelled(tmp_path):
    """Sixty pictures of three colours, without labels."""
    rng = np.random.default_rng(5)
    colours = np.array([(200, 40, 40), (40, 200, 60), (40, 60, 200)])[np.arange(60) % 3]
    pictures = np.clip(colours[:, None, None] + rng.normal(0, 30, (60, 40, 48, 3)), 0, 255).astype(np.uint8)
    return ImageSet(pictures)


def test_codes_are_learned_without_labels(unlabelled, cache, tmp_path, learned):
    settings = dataclasses.replace(FAST, use_labels=False, epochs=4)
    result = train(unlabelled, TINY, settings, out=tmp_path / "run", cache=cache)
    assert (result.validation_map, result.kept_epoch) == (None, 4)
    info = load_model(result.model).info
    assert (info.class_names, info.multilabel, info.calibration) == ((), False, None)
    assert info.method["name"] == "doh-symbols"
    assert info.training["images"] == 60
    shares = np.array(info.training["symbol_shares"])
    assert shares.shape == (TINY.spec.n_segments, 4)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-3)
    assert train(unlabelled, TINY, settings, out=tmp_path / "run", cache=cache).reused


def test_labels_are_not_looked_at_where_settings_say_so(unlabelled, cache, tmp_path, learned):
    settings = dataclasses.replace(FAST, use_labels=False, epochs=1)
    kinds = np.eye(2, dtype=bool)[np.random.default_rng(0).integers(0, 2, 60)]
    labelled = dataclasses.replace(unlabelled, labels=kinds, class_names=("a", "b"))
    first, second = (
        train(images, TINY, settings, out=tmp_path / name, cache=cache).history
        for name, images in (("none", unlabelled), ("some", labelled))
    )
    assert first == second


def test_too_few_images_have_no_neighbourhoods(unlabelled, tmp_path):
    few = unlabelled.subset(np.arange(49))
    with pytest.raises(InputError, match="there are 49 images; to learn without labels takes at least 50"):
        train(few, TINY, dataclasses.replace(FAST, use_labels=False), out=tmp_path / "run")


def test_a_backbone_does_not_learn_without_labels():
    with pytest.raises(InputError, match="finetune"):
        TrainConfig(mode="finetune", use_labels=False)


@pytest.mark.slow
@pytest.mark.cluster
def test_two_processes_correct_the_same_labels(mislabelled, tmp_path, cache):
    images, _ = mislabelled
    names = np.array(images.class_names)[images.labels.argmax(axis=1)]
    for row, name in enumerate(names):  # as files, which the other process can read
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.images[row]).save(tmp_path / "photos" / name / f"{row:03}.png")
    config = dataclasses.replace(TINY, dropout=0.0, hidden_dropout=0.0, objective="doh")
    settings = dataclasses.replace(FAST, epochs=1, batch_size=32, correct_labels=True)
    one = train(read_folder(tmp_path / "photos"), config, settings, out=tmp_path / "one", cache=cache)
    assert one.corrected > 40
    process = start_training(
        tmp_path / "photos", config, dataclasses.replace(settings, devices=2), tmp_path / "two", cache
    )
    assert process.wait(timeout=200) == 0, (tmp_path / "train.log").read_text()
    two = summary(tmp_path / "two" / "model.onnx")
    assert (two["corrected"], two["wrong_labels"]) == (one.corrected, pytest.approx(one.wrong_labels))
    listed = [(tmp_path / name / "corrected.csv").read_text() for name in ("one", "two")]
    assert listed[0] == listed[1]
    for alone, together in zip(one.history, two["history"], strict=True):
        assert together == pytest.approx(alone, rel=1e-2, abs=1e-3)


@pytest.mark.slow  # learns three times
def test_an_interrupted_training_goes_on_with_the_same_corrected_labels(
    mislabelled, tmp_path, cache, learned, monkeypatch
):
    images, _ = mislabelled
    settings = dataclasses.replace(FAST, epochs=3, batch_size=32, validation_fraction=0.1)
    whole = train(images, TINY, settings, out=tmp_path / "whole", cache=cache)
    with interrupted(monkeypatch, in_epoch=2), pytest.raises(KeyboardInterrupt):
        train(images, TINY, settings, out=tmp_path / "resumed", cache=cache)
    resumed = train(images, TINY, settings, out=tmp_path / "resumed", cache=cache)
    assert (resumed.history, resumed.wrong_labels, resumed.corrected) == (
        whole.history,
        whole.wrong_labels,
        whole.corrected,
    )
    assert whole.corrected > 40


@pytest.fixture
def mislabelled():
    """Pictures of three colours, 120 of each, three tenths of them with the label of another; and the right labels."""
    rng = np.random.default_rng(6)
    right = np.arange(360) % 3
    colours = np.array([(200, 40, 40), (40, 200, 60), (40, 60, 200)])[right]
    pictures = np.clip(colours[:, None, None] + rng.normal(0, 30, (360, 40, 48, 3)), 0, 255).astype(np.uint8)
    given = np.where(rng.random(360) < 0.3, (right + rng.integers(1, 3, 360)) % 3, right)
    keys = np.array([f"{row}.jpg" for row in range(360)])
    return ImageSet(pictures, keys, np.eye(3, dtype=bool)[given], ("red", "green", "blue")), right


@pytest.mark.slow  # learns from 360 pictures
@pytest.mark.parametrize("mode", MODES)
def test_wrong_labels_are_found_corrected_and_listed(mode, mislabelled, tmp_path, cache, learned):
    images, right = mislabelled
    settings = dataclasses.replace(FAST, mode=mode, epochs=1, batch_size=32, validation_fraction=0.1)
    result = train(images, TINY, settings, out=tmp_path / "run", cache=cache)
    assert result.wrong_labels == pytest.approx(0.3, abs=0.12)
    info = summary(result.model)
    assert (info["wrong_labels"], info["corrected"]) == (result.wrong_labels, result.corrected)
    lines = (tmp_path / "run" / "corrected.csv").read_text().splitlines()
    assert lines[0] == "image,label,learned_as"
    assert len(lines) == 1 + result.corrected
    given, names = images.labels.argmax(axis=1), images.class_names
    wrong = {f"{row}.jpg,{names[given[row]]},{names[right[row]]}" for row in np.flatnonzero(given != right)}
    assert len(set(lines[1:]) & wrong) > 0.9 * 0.9 * len(wrong)  # a tenth of the images was held out
    assert len(set(lines[1:]) - wrong) < 0.1 * len(wrong)
    again = train(images, TINY, settings, out=tmp_path / "run", cache=cache)
    assert (again.reused, again.wrong_labels, again.corrected) == (True, result.wrong_labels, result.corrected)


@pytest.mark.parametrize("correct", [None, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("mode", "labels", "mixup"),
    [
        ("frozen", "right", 0.5),
        pytest.param("frozen", "any", 0.0, marks=pytest.mark.slow),
        pytest.param("finetune", "any", 0.5, marks=pytest.mark.slow),
    ],
)
def test_images_are_blended_unless_frozen_features_say_little(mode, labels, mixup, correct, mislabelled, cache):
    images, right = mislabelled
    shown = right if labels == "right" else np.random.default_rng(0).permutation(right)
    images = dataclasses.replace(images, labels=np.eye(3, dtype=bool)[shown])
    settings = dataclasses.replace(FAST, mode=mode, epochs=1, batch_size=32, validation_fraction=0.1)
    trained = train_network(images, TINY, on_cpu(dataclasses.replace(settings, correct_labels=correct)), cache=cache)
    assert (trained.objective.name, trained.objective.mixup) == ("doh-mixup", mixup)
    if correct is False:
        assert trained.state.wrong_labels is None


def test_labels_are_corrected_where_objective_and_images_allow_it_or_settings_say_so(mislabelled, cache):
    images, _ = mislabelled
    few = images.subset(np.arange(150))
    quick = dataclasses.replace(FAST, epochs=1)

    def wrong_labels(images, objective="ordhash", correct=None):
        config = dataclasses.replace(TINY, objective=objective, arity=2 if objective == "dch" else 4)
        run = on_cpu(dataclasses.replace(quick, correct_labels=correct))
        trained = train_network(images, config, run, cache=cache)
        assert not (correct is False and trained.corrected)
        return trained.state.wrong_labels

    assert wrong_labels(few) is None
    assert wrong_labels(few, correct=True) is not None
    assert wrong_labels(images, "dch") is None
    assert wrong_labels(images, "dch", correct=True) == pytest.approx(0.3, abs=0.1)
    assert wrong_labels(images, correct=False) is None
    both = dataclasses.replace(few, labels=few.labels | few.labels[::-1])
    with pytest.raises(InputError, match="only where every image has one"):
        wrong_labels(both, correct=True)
    with pytest.raises(InputError, match="correct_labels"):
        TrainConfig(correct_labels=True, use_labels=False)


@pytest.mark.parametrize("mode", MOSTLY_FROZEN)
def test_a_model_knows_what_is_unlike_the_images_that_it_learned_from(mode, tmp_path, cache):
    rng, classes = np.random.default_rng(0), np.arange(240) % 3
    pictures = np.eye(3)[classes][:, None, None] * 150 + rng.normal(50, 20, (240, 64, 64, 3))
    images = ImageSet(
        pictures.clip(0, 255).astype(np.uint8), labels=np.eye(3, dtype=bool)[classes], class_names=tuple("abc")
    )
    settings = dataclasses.replace(FAST, mode=mode, epochs=1, validation_fraction=0.5)
    encoder = Encoder(train(images, TINY, settings, out=tmp_path / "run", cache=cache).model)
    # A frozen backbone has learned from no image, so of the training images those that are no examples count too.
    assert encoder.info.familiarity.images == {"frozen": 180, "finetune": 120}[mode]
    assert encoder.run(images).unlike.mean() < 0.05
    foreign = rng.integers(0, 2, (10, 8, 8, 1)).repeat(8, axis=1).repeat(8, axis=2) * np.ones(3)
    assert encoder.run((255 * foreign).astype(np.uint8)).unlike.mean() > 0.5
    cached = Encoder(encoder.path, features=FeatureStore(tmp_path / "cache")).run(images)
    assert (cached.unlike != encoder.run(images).unlike).mean() < 0.02


@pytest.mark.slow  # exports a backbone for any height and width, twice
@pytest.mark.parametrize("mode", MODES)
def test_whole_photographs_of_several_shapes_are_learned_and_encoded(mode, photo_folder, tmp_path, cache):
    for number, path in enumerate(sorted(photo_folder.rglob("*.jpg"))[:9]):
        with Image.open(path) as picture:
            picture.resize([(96, 64), (64, 96), (150, 64)][number % 3]).save(path)
    images = read_folder(photo_folder)
    config = dataclasses.replace(TINY, fit="whole")
    done = train(images, config, dataclasses.replace(FAST, mode=mode), out=tmp_path / "run", cache=cache)
    found = Encoder(done.model).run(images)
    shapes = {one.shape for one in found.attention}
    assert {(2, 2), (2, 3), (3, 2), (2, 4)} <= shapes
    assert found.failures == []
    for one in found.attention:
        assert one.sum() == pytest.approx(1, abs=1e-5)
    stored = Encoder(done.model, features=FeatureStore(tmp_path / "features")).run(images)
    np.testing.assert_allclose(stored.scores, found.scores, rtol=0, atol=0.05)
    for one, other in zip(stored.attention, found.attention, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=0.02)
    one_by_one = np.concatenate([Encoder(done.model).scores(images.subset([row])) for row in range(3)])
    np.testing.assert_allclose(one_by_one, found.scores[:3], rtol=0, atol=1e-4)


def test_backgrounds_make_another_training_and_what_cannot_be_read_is_left_out(photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    behind = ImageSet([*np.random.default_rng(0).integers(0, 256, (3, 60, 90, 3), dtype=np.uint8), b"no picture"])
    # The same network and objective, so that scenes alone make a difference.
    config = dataclasses.replace(TINY, attention="learned", fit="whole", objective=DOHCodewords(fitted_share=0.0))
    runs = [
        train(images, config, dataclasses.replace(FAST, scenes=scenes), out=tmp_path / f"{i}", backgrounds=given,
              cache=cache)
        for i, (given, scenes) in enumerate([(None, 2), (behind, 2), (behind, 0)])
    ]  # fmt: skip
    assert runs[0].history == runs[2].history != runs[1].history
    assert len({load_model(run.model).info.training["digest"] for run in runs}) == 3
    assert [len(run.failures) for run in runs] == [0, 1, 0]  # the one that is no picture


def test_what_backgrounds_decide(photo_folder, tmp_path, cache, learned):
    images, config = read_folder(photo_folder), dataclasses.replace(TINY, fit="whole")
    behind = ImageSet(np.random.default_rng(0).integers(0, 256, (3, 60, 90, 3), dtype=np.uint8))
    models = [
        load_model(train(images, config, FAST, out=tmp_path / f"{i}", backgrounds=given, cache=cache).model)
        for i, given in enumerate([None, behind])
    ]
    configs = [model.info.training["config"] for model in models]
    assert [(config["attention"], config["fit"]) for config in configs] == [("cam", "whole"), ("learned", "whole")]
    assert [config["objective"]["name"] for config in configs] == ["ordhash"] * 2
    assert [model.info.method["fitted_share"] for model in models] == [0.5, 0.0]


def test_attention_and_fitted_segments_that_were_asked_for_stay_with_backgrounds(
    photo_folder, tmp_path, cache, learned
):
    images = read_folder(photo_folder)
    asked = dataclasses.replace(TINY, attention="none", objective=DOHCodewords(fitted_share=0.25))
    behind = ImageSet(np.random.default_rng(0).integers(0, 256, (3, 60, 90, 3), dtype=np.uint8))
    model = load_model(train(images, asked, FAST, out=tmp_path, backgrounds=behind, cache=cache).model)
    assert model.info.training["config"]["attention"] == "none"
    assert model.info.method["fitted_share"] == 0.25


def test_fine_tuning_learns_from_scenes_too(photo_folder, tmp_path, cache, learned):
    images, settings = read_folder(photo_folder), dataclasses.replace(FAST, mode="finetune", epochs=2)
    behind = ImageSet([*np.random.default_rng(0).integers(0, 256, (3, 60, 90, 3), dtype=np.uint8), b"no picture"])
    config = dataclasses.replace(TINY, attention="learned", fit="whole", objective=DOHCodewords(fitted_share=0.0))
    runs = []
    for scenes in (0, 1):
        how = dataclasses.replace(settings, scenes=scenes)
        runs.append(train(images, config, how, out=tmp_path / f"{scenes}", backgrounds=behind, cache=cache))
    assert [len(run.failures) for run in runs] == [0, 1]
    assert runs[0].history != runs[1].history


@pytest.mark.parametrize("mode", MODES)
def test_at_most_so_many_backgrounds_are_used(mode, photo_folder, cache, monkeypatch):
    monkeypatch.setattr("ordhash.learn.backgrounds.MOST_BACKGROUNDS", 2)
    picture = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    behind = ImageSet([Image.fromarray(picture), b"not looked at", Image.fromarray(picture[::-1])])
    settings = dataclasses.replace(FAST, mode=mode, epochs=1, scenes=1)
    assert (
        train_network(read_folder(photo_folder), TINY, on_cpu(settings), backgrounds=behind, cache=cache).failures == []
    )


def test_backgrounds_that_cannot_be_used_are_refused(photo_folder, tmp_path, cache):
    images = read_folder(photo_folder)
    with pytest.raises(InputError, match="none of the 1 images"):
        train(images, TINY, FAST, out=tmp_path, backgrounds=ImageSet([b"no picture"]), cache=cache)
    with pytest.raises(InputError, match="all 18 backgrounds look like training images"):
        train(images, TINY, FAST, out=tmp_path, backgrounds=images, cache=cache)


def test_backgrounds_that_show_a_class_are_left_out_and_named(photo_folder, tmp_path, cache, learned):
    images = read_folder(photo_folder)
    noise = list(np.random.default_rng(0).integers(0, 256, (3, 60, 90, 3), dtype=np.uint8))
    known = [open_rgb(images.images[row]) for row in (0, 17)]
    behind = ImageSet([noise[0], known[0], *noise[1:], known[1]], np.array(["a", "apple", "b", "c", "pear"]))
    found = train(images, TINY, FAST, out=tmp_path, backgrounds=behind, cache=cache)
    assert [(failure.source, "label it" in failure.reason) for failure in found.failures] == [
        ("image apple", True),
        ("image pear", True),
    ]
