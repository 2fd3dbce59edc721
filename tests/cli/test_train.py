"""`ordhash train`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from commands import TINY, good, lines, photo, run
from PIL import Image

from ordhash.data import Protocol


def test_help_of_train_shows_the_defaults_of_the_dataclasses() -> None:
    from ordhash.learn import DOHConfig, TrainConfig

    text = " ".join(good("train", "--help").split()).replace("- ", "-")  # long names are broken at their hyphens
    for kind in (DOHConfig, TrainConfig):
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}
        for name in ("code_bits", "arity", "objective", "dropout", "epochs", "learning_rate", "precision"):
            if name in defaults:
                option = text.partition(f"--{name.replace('_', '-')} ")[2]
                assert option.partition("[default: ")[2].startswith(f"{defaults[name]}]")


def test_train_a_manifest_with_bad_files_and_a_class_of_one(
    photo_folder: Path, bad_files: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    bad_files["text"].rename(photo_folder / "apple" / "text.jpg")
    names = [f"{label}/{label}_{n}.jpg" for label in ("apple", "banana") for n in range(5)]
    names += ["carrot/carrot_0.jpg", "apple/gone.jpg", "apple/text.jpg"]
    manifest = photo_folder / "manifest.csv"
    manifest.write_text("path,labels\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in names))
    command = ["train", manifest, "--out", tmp_path / "run", "--cache", cache, *TINY]
    command += ["--accelerator=cpu", "--no-augment", "--attention=none", "--validation-fraction=0.4"]
    result = run(*command, "--json")
    assert result.exit_code == 0, result.output
    (values,) = lines(result.stdout)
    assert values["model"] == str(tmp_path / "run" / "model.onnx")
    assert values["reused"] is False
    assert values["kept_epoch"] == 1
    assert values["validation_map"] > 0
    bad = [photo_folder / "apple" / "gone.jpg", photo_folder / "apple" / "text.jpg"]
    assert [failure["image"] for failure in values["failures"]] == [str(path) for path in bad]
    assert all(f"not used: {path}: " in result.stderr for path in bad)
    (model,) = lines(good("info", values["model"], "--json"))
    assert model["class_names"] == ["apple", "banana", "carrot"]
    assert model["training"]["settings"]["augment"] is False
    assert model["training"]["config"]["attention"] == "none"
    assert model["training"]["images"] + model["training"]["validation_images"] == 11

    facts = dict(line.split("  ", 1) for line in good(*command).splitlines())
    assert facts["model"].strip() == values["model"]
    assert float(facts["validation mAP"]) == pytest.approx(values["validation_map"], abs=1e-4)
    assert facts["reused"].strip().startswith("yes")
    facts = dict(line.split("  ", 1) for line in good(*command, "--force").splitlines())
    assert facts["reused"].strip() == "no"


@pytest.mark.slow  # learns twice
def test_labels_are_corrected_or_kept_as_options_say(photo_folder: Path, cache: Path, tmp_path: Path) -> None:
    command = ["train", photo_folder, "--cache", cache, "--backbone", "test_resnet", *TINY, "--accelerator=cpu"]
    good(*command, "--out", tmp_path / "corrected", "--correct-labels")  # eighteen images say too little
    good(*command, "--out", tmp_path / "kept", "--keep-labels")
    for name, expected in (("corrected", True), ("kept", False)):
        (model,) = lines(good("info", tmp_path / name / "model.onnx", "--json"))
        assert model["training"]["settings"]["correct_labels"] is expected


@pytest.mark.slow  # fits two methods
def test_train_a_shallow_method_on_a_protocol(tiny_protocol: Protocol, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    command = ["train", "cifar10", "--out", tmp_path, "--cache", cache, "--weights", "none", "--image-size", "64"]
    command += ["--backbone", "test_resnet"]
    (values,) = lines(good(*command, "--method", "lsh", "--code-bits", "47", "--json"))
    (model,) = lines(good("info", values["model"], "--json"))
    assert (model["code_bits"], model["arity"], model["protocol"]) == (47, 2, "cifar10")
    assert model["training"]["images"] == len(tiny_protocol.train)
    result = run(*command, "--method", "itq", "--epochs", "3", "--no-local")
    assert result.exit_code == 2
    assert "--epochs, --no-local" in result.stderr
    result = run(*command, "--method", "sh", "--stages", "2")
    assert "--stages" in result.stderr
    (values,) = lines(good(*command, "--force", "--method", "sdh", "--stages", "2", "--code-bits", "8", "--json"))
    (model,) = lines(good("info", values["model"], "--json"))
    assert model["method"]["name"] == "sdh"
    result = run(*command, "--method", "pca")
    assert result.exit_code == 2
    assert "'pca'" in result.stderr
    assert "lsh, " in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--arity", "3"], "arity"),
        (["--code-bits", "47"], "47"),
        (["--objective", "doh-mixin"], "doh-mixup?"),
        (["--objective", "dpsh"], "dpsh"),
        (["--epochs", "0"], "epochs"),
        (["--devices", "two"], "'two'"),
        (["--no-global", "--no-local"], "streams"),
        (["--weights", "gone.pt"], "gone.pt"),
        (["--backbone", "efficientnet_lite9"], "'efficientnet_lite9'"),
    ],
)
def test_wrong_settings_are_status_2(options: list[str], says: str, photo_folder: Path, tmp_path: Path) -> None:
    result = run("train", photo_folder, "--out", tmp_path / "run", "--accelerator", "cpu", *options)
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert says in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow  # learns twice
@pytest.mark.usefixtures("learns_briefly")
def test_labels_for_photographs_of_a_collection(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    collection, table = tmp_path / "photos.collection", tmp_path / "labels.csv"
    good("sync", photo_folder, "--model", tiny_model, "--collection", collection)
    keys = [f"{label}/{label}_{number}.jpg" for label in ("apple", "banana", "carrot") for number in range(3)]
    table.write_text("path,labels\n" + "".join(f"{key},{key.split('/')[0]}\n" for key in keys) + "gone.jpg,apple\n")
    command = ["train", "--collection", collection, "--labels", table, "--backbone", "test_resnet", *TINY[:4]]
    result = run(*command, "--json")
    assert result.exit_code == 0, result.output
    assert "'gone.jpg'" in result.stderr
    assert "18 photographs" in result.stderr
    (values,) = lines(result.stdout)
    (model,) = lines(good("info", values["model"], "--json"))
    assert model["class_names"] == ["apple", "banana", "carrot"]
    found = lines(good("search", collection, photo(photo_folder), "--json"))[0]["results"]
    assert found[0]["key"] == "apple/apple_0.jpg"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "SOURCE and --out"),
        (["--collection", "c"], "--collection and --labels"),
        (["PHOTOS", "--labels", "l.csv"], "--collection and --labels"),
        (["--collection", "c", "--labels", "l.csv", "--epochs", "3"], "--epochs"),
        (["--collection", "c", "--labels", "l.csv", "--keep-labels"], "--keep-labels"),
        (["--collection", "c", "--labels", "l.csv", "--root", "data"], "--root"),
        (["--collection", "c", "--labels", "l.csv", "--no-augment", "--force"], "--force, --no-augment"),
    ],
)
def test_training_options_that_do_not_go_together(options: list[str], says: str) -> None:
    result = run("train", *options)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_train_with_backgrounds(photo_folder: Path, cache: Path, tmp_path: Path) -> None:
    behind = tmp_path / "behind"
    behind.mkdir()
    for number in range(3):
        Image.new("RGB", (90, 60), (0, 80 * number, 200)).save(behind / f"{number}.jpg")
    command = ["train", photo_folder, "--out", tmp_path / "run", "--cache", cache, *TINY, "--accelerator=cpu"]
    (behind / "broken.jpg").write_bytes(b"no picture")
    (behind / "film.heic").write_bytes(b"no picture either")
    trained = run(*command, "--backgrounds", behind, "--scenes=1")
    assert trained.exit_code == 0, trained.stderr
    assert "broken.jpg" in trained.stderr
    assert "HEIC" in trained.stderr
    (model,) = lines(good("info", tmp_path / "run" / "model.onnx", "--json"))
    assert model["training"]["settings"]["scenes"] == 1
    result = run(*command, "--scenes=1")
    assert result.exit_code == 2
    assert "--scenes has no effect without --backgrounds" in result.stderr
