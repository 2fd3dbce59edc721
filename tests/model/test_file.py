import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import pytest

from ordhash.codes import CodeSpec
from ordhash.errors import DataError, InputError, ModelFileError
from ordhash.model.calibration import Calibration
from ordhash.model.familiarity import Familiarity
from ordhash.model.features import FrozenBackbone
from ordhash.model.file import load_model, recorded_model, save_model
from ordhash.model.inference import Preprocessing, open_session
from ordhash.model.info import FORMAT_VERSION, ModelInfo
from ordhash.support import SEAL

FORM = Preprocessing(8, "crop")
INFO = ModelInfo(
    spec=CodeSpec(6, 4),
    preprocessing=FORM,
    normalisation={"mean": [127.0, 127.0, 127.0], "std": [128.0, 128.0, 128.0]},
    class_names=("Käse", "sea"),
    multilabel=True,
    backbone="tiny",
    weights_id="00ff",
    method={"name": "doh", "temperature": 0.5},
    protocol="cifar10",
    training={"epochs": 3, "map": None, "where": Path("runs")},
)


def weights(seed, *shape):
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def graph(text, **initializers):
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 18]> {text}')
    for name, values in initializers.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return model.SerializeToString()


def backbone(seed=0):
    text = """
        backbone (uint8[n, 8, 8, 3] images) => (float[n, 5, 2, 2] features) {
            pixels = Cast <to = 1> (images)
            planes = Transpose <perm = [0, 3, 1, 2]> (pixels)
            features = Conv <strides = [4, 4]> (planes, weight)
        }
    """
    return FrozenBackbone(graph(text, weight=weights(seed, 5, 3, 4, 4)), FORM, "tiny", "00ff")


def head(seed=1):
    # Its names are those of the backbone, as they are when an exporter numbers them.
    text = """
        head (float[n, 5, 2, 2] features) => (float[n, 3, 4] scores, float[n, 2, 2] attention) {
            planes = Flatten (features)
            pixels = MatMul (planes, weight)
            scores = Reshape (pixels, shape)
            evidence = ReduceMean <keepdims = 0> (features, axes)
            flat = Reshape (evidence, row)
            shares = Softmax <axis = 1> (flat)
            attention = Reshape (shares, square)
        }
    """
    integers = {"shape": [-1, 3, 4], "axes": [1], "row": [0, -1], "square": [-1, 2, 2]}
    return graph(
        text,
        weight=weights(seed, 20, 12),
        **{name: np.array(values, dtype=np.int64) for name, values in integers.items()},
    )


@pytest.fixture
def path(tmp_path):
    return save_model(tmp_path / "model.onnx", backbone(), head(), INFO)


def test_a_model_says_of_itself_what_was_written(path):
    model = load_model(str(path))
    assert model.info == dataclasses.replace(INFO, training={"epochs": 3, "map": None, "where": "runs"})
    assert model.path == path
    assert model.graph == path.read_bytes()
    assert len(model.id) == 16


def test_numbers_of_numpy_are_numbers_in_the_file(tmp_path):
    info = dataclasses.replace(INFO, spec=CodeSpec(np.int64(6), np.int64(4)), training={"epochs": np.int64(3)})
    model = load_model(save_model(tmp_path / "model.onnx", backbone(), head(), info))
    assert (model.info.spec, model.info.training) == (INFO.spec, {"epochs": 3})


def test_the_model_of_an_index_is_known_by_its_content(path, tmp_path, monkeypatch):
    index, model_id = tmp_path / "folder" / "photos.index", load_model(path).id
    copy = index / path.name  # as in a collection
    assert recorded_model(index, str(path), model_id) == recorded_model(index, str(path)) == path
    with pytest.raises(DataError, match="no longer"):
        recorded_model(index, str(tmp_path / "gone.onnx"), model_id)
    with pytest.raises(DataError, match="not the one"):
        recorded_model(index, str(path), "another")
    read = Path.read_bytes

    def refused(file):
        if file == path:
            raise PermissionError("Permission denied")
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(DataError, match="cannot be read"):
        recorded_model(index, str(path), model_id)
    index.mkdir(parents=True)
    shutil.copy(path, copy)
    assert recorded_model(index, str(path), model_id) == copy


def test_files_from_before_there_were_calibrations_are_read(path):
    values = {name: value for name, value in INFO.to_json().items() if name not in CALIBRATIONS}
    info = load_model(rewritten(path, json.dumps(values, default=str))).info
    assert (info.calibration, info.asymmetric_calibration) == (None, None)


def test_info_survives_json():
    calibrations = Calibration((0, 1, 4), (0.9, 0.5, 0.0), 20), Calibration((0.25, 7.5), (1.0, 0.1), 20)
    info = dataclasses.replace(
        INFO,
        training={"epochs": 3},
        calibration=calibrations[0],
        asymmetric_calibration=calibrations[1],
        familiarity=Familiarity(0.5, 300),
    )
    text = json.dumps(info.to_json())
    assert ModelInfo.from_json(json.loads(text)) == info
    assert json.loads(text)["format_version"] == FORMAT_VERSION


def test_the_whole_is_its_parts_one_after_the_other(path):
    images = np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    model = load_model(path)
    whole = open_session(path).run(["scores", "attention"], {"images": images})
    assert [part.shape for part in whole] == [(5, 3, 4), (5, 2, 2)]
    for first, second in ((backbone().graph, head()), (model.backbone().graph, model.head())):
        (features,) = open_session(first).run(["features"], {"images": images})
        parts = open_session(second).run(["scores", "attention"], {"features": features})
        for found, expected in zip(parts, whole, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        half = open_session(model.head(half=True)).run(None, {"features": features.astype(np.float16)})
        exact = open_session(second).run(None, {"features": features.astype(np.float16).astype(np.float32)})
        for found, expected in zip(half, exact, strict=True):
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(whole[1].sum(axis=(1, 2)), 1, rtol=1e-5)


def test_the_parts_take_and_give_nothing_else(path):
    model = load_model(path)
    for part, inputs, outputs in (
        (model.backbone().graph, ["images"], ["features"]),
        (model.head(), ["features"], ["scores", "attention"]),
    ):
        session = open_session(part)
        assert [value.name for value in session.get_inputs()] == inputs
        assert [value.name for value in session.get_outputs()] == outputs
    frozen = model.backbone()
    assert (frozen.preprocessing, frozen.name, frozen.weights_id) == (FORM, "tiny", "00ff")
    assert frozen.folder_name == backbone().folder_name


def test_the_file_is_plain_protobuf_that_others_can_check_and_read(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.producer_name == "ordhash"
    entry, seal = model.metadata_props
    assert seal.key == SEAL
    assert entry.key == "ordhash"
    assert json.loads(entry.value)["class_names"] == ["Käse", "sea"]
    assert not [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    assert not path.read_bytes().startswith((b"\x80", b"PK"))  # neither a pickle nor an archive with one


def test_the_id_is_of_the_content(tmp_path, path):
    first = load_model(path)
    assert load_model(save_model(tmp_path / "same.onnx", backbone(), head(), INFO)).id == first.id
    others = {
        load_model(save_model(tmp_path / "other.onnx", *parts)).id
        for parts in (
            (backbone(7), head(), INFO),
            (backbone(), head(7), INFO),
            (backbone(), head(), dataclasses.replace(INFO, protocol="other")),
        )
    }
    assert len(others | {first.id}) == 4


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    path = save_model(tmp_path / "a" / "b" / "model.onnx", backbone(), head(), INFO)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]


def test_a_name_that_does_not_end_in_onnx_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"model\.pt .*must end in \.onnx"):
        save_model(tmp_path / "model.pt", backbone(), head(), INFO)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            save_model(path, backbone(7), head(), INFO)
    with pytest.raises(ValueError, match="features"):
        save_model(path, backbone(7), backbone().graph, INFO)  # no head
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    save_model(path, backbone(7), head(), INFO)
    assert path.read_bytes() != before


def rewritten(path, value):
    """The model with other metadata; None takes them away."""
    model = onnx.load(path)
    del model.metadata_props[:]
    if value is not None:
        onnx.helper.set_model_props(model, {"ordhash": value})
    path.write_bytes(model.SerializeToString())
    return path


def test_files_that_are_no_models_are_refused(tmp_path, path):
    with pytest.raises(ModelFileError, match=r"missing\.onnx does not exist"):
        load_model(tmp_path / "missing.onnx")
    with pytest.raises(ModelFileError, match="is a folder"):
        load_model(tmp_path)
    with pytest.raises(ModelFileError, match="is an ONNX file of something else; give"):
        load_model(rewritten(path, None))
    for content in (b"", b"hello, I am a text\n" * 9, b"\x80\x04\x95pickle", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(
            ModelFileError, match=r"model\.onnx is (not an ONNX file|an ONNX file of something else); give"
        ):
            load_model(path)


def test_a_truncated_model_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match=r"model\.onnx"):
            load_model(path)


def test_a_newer_format_is_refused(path):
    values = INFO.to_json() | {"format_version": FORMAT_VERSION + 1, "spec": "something new"}
    with pytest.raises(ModelFileError, match=r"format 2\b.* 1; upgrade"):
        load_model(rewritten(path, json.dumps(values, default=str)))


CALIBRATIONS = ("calibration", "asymmetric_calibration", "calibration_with_parts", "asymmetric_calibration_with_parts")


@pytest.mark.parametrize(
    "name", [f.name for f in dataclasses.fields(ModelInfo) if f.name not in CALIBRATIONS] + ["format_version"]
)
def test_a_missing_value_is_refused(path, name):
    values = INFO.to_json()
    del values[name]
    with pytest.raises(ModelFileError, match=rf"damaged metadata \(KeyError\('{name}'\)\)"):
        load_model(rewritten(path, json.dumps(values, default=str)))


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"code_bits": 7, "arity": 4}},
        {"spec": {"bits": 7}},
        {"spec": None},
        {"preprocessing": 3},
        {"class_names": None},
        {"format_version": "one"},
        {"format_version": None},
        {"calibration": {"distances": [0, 1], "likelihoods": [0.5], "pairs": 3}},
        {"calibration": {"distances": [0, 1]}},
        {"asymmetric_calibration": 3},
        {"calibration": {"distances": [0, float("nan")], "likelihoods": [0.5, 0.4], "pairs": 3}},
        {"calibration": {"distances": [0, 1], "likelihoods": [5.0, 0.4], "pairs": 3}},
        {"familiarity": 0.5},
        {"familiarity": {"least": 0.5}},
        {"familiarity": {"least": float("nan"), "images": 300}},
        {"familiarity": {"least": "low", "images": 300}},
        {"familiarity": {"least": 0.5, "images": 0}},
        {"familiarity": {"least": 0.5, "images": 2.5}},
        {"format_version": float("inf")},
        {"format_version": float("nan")},
        {"format_version": 0},
        {"format_version": True},
        {"spec": {"code_bits": float("inf"), "arity": 2}},
        {"spec": {"code_bits": 10**12, "arity": 2}},
        {"spec": {"code_bits": 48, "arity": 2**64}},
        {"preprocessing": {"size": 10**9, "fit": "squash", "mirror": False}},
        {"preprocessing": {"size": 8, "fit": "stretch", "mirror": False}},
        {"class_names": [["cat"]]},
        {"class_names": "cats"},
        {"normalisation": {"mean": [float("inf")], "std": []}},
        {"multilabel": "yes"},
        {"method": []},
        {"training": None},
    ],
)
def test_damaged_values_are_refused(path, change):
    with pytest.raises(ModelFileError, match="has damaged metadata"):
        load_model(rewritten(path, json.dumps(INFO.to_json() | change, default=str)))


def test_a_familiarity_that_the_graph_does_not_give_is_refused(path):
    values = INFO.to_json() | {"familiarity": {"least": 0.5, "images": 300}}
    with pytest.raises(ModelFileError, match=r"damaged graph.*familiarity"):
        load_model(rewritten(path, json.dumps(values, default=str)))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "null", "[" * 100_000, '{"a":' * 100_000])
def test_damaged_json_is_refused(path, text):
    with pytest.raises(ModelFileError, match="has damaged metadata"):
        load_model(rewritten(path, text))


def test_every_damaged_byte_is_noticed_or_harmless(path):
    """ORDHASH_TEST_FLIPS=1000 damages more of them."""
    flips = int(os.environ.get("ORDHASH_TEST_FLIPS", "200"))
    whole = path.read_bytes()
    info = load_model(path).info
    rng = np.random.default_rng(0)
    noticed = 0
    for position in rng.choice(len(whole), flips, replace=False):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            model = load_model(path)
        except ModelFileError:
            noticed += 1
        else:  # only the seal itself
            assert model.info == info
            assert onnx.load_from_string(model.graph).graph == onnx.load_from_string(whole).graph
    assert noticed > 0.75 * flips


def changed(path, change):
    """The model with a changed graph, without a seal."""
    model = onnx.load(path)
    del model.metadata_props[1:]
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_graph_that_runs_in_circles_is_refused(path):
    def change(model):
        first, second = model.graph.node[0], model.graph.node[1]
        first.input[0], second.input[0] = second.output[0], first.output[0]

    with pytest.raises(ModelFileError, match="damaged graph"):
        load_model(changed(path, change))


def test_weights_in_another_file_are_refused(path):
    def change(model):
        model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL

    with pytest.raises(ModelFileError, match="another file"):
        load_model(changed(path, change))


@pytest.mark.parametrize("name", ["scores", "images"])
def test_a_graph_of_other_shapes_than_it_says_is_refused(path, name):
    def change(model):
        for value in (*model.graph.input, *model.graph.output):
            if value.name == name:
                value.type.tensor_type.shape.dim[1].dim_value = 77

    with pytest.raises(ModelFileError, match=name):
        load_model(changed(path, change))
