import logging

import numpy as np
import onnx
import pytest

from ordhash.data import ImageSet, read_folder
from ordhash.errors import InputError
from ordhash.model.encoder import Encoder
from ordhash.model.file import load_model
from ordhash.model.inference import open_session
from ordhash.model.quantization import quantize


@pytest.fixture(scope="module")
def variant(tiny_model, photos_once, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    return quantize(tiny_model, read_folder(photos_once), path)


@pytest.mark.slow  # quantizes a model
def test_the_backbone_has_weights_of_8_bits_and_the_head_its_own(variant, tiny_model):
    graph, original = onnx.load_from_string(variant.graph), onnx.load(tiny_model)
    kinds = {array.name: array.data_type for array in graph.graph.initializer}
    kernels = [node.input[1] for node in original.graph.node if node.op_type == "Conv" and "head/" not in node.name]
    assert len(kernels) > 40
    assert all(kinds[f"{name}_quantized"] == onnx.TensorProto.INT8 for name in kernels)
    head = [array.name for array in original.graph.initializer if array.name.startswith("head/")]
    assert head
    assert all(name in kinds for name in head)
    assert len(variant.graph) < len(load_model(tiny_model).graph) / 2


def test_it_says_nearly_the_same_and_is_another_model(variant, tiny_model, photos_once):
    original, images = load_model(tiny_model), read_folder(photos_once)
    assert variant.id != original.id
    assert variant.info.weights_id != original.info.weights_id
    assert variant.info.training["int8"] == {"of": original.id, "pictures": len(images)}
    assert (variant.info.spec, variant.info.calibration) == (original.info.spec, original.info.calibration)
    mine, theirs = Encoder(variant.path).run(images), Encoder(tiny_model).run(images)
    half = mine.scores.shape[1] // 2
    # The other half is fitted to whitened features: its scores move more, its symbols hardly.
    for part, share in ((slice(None, half), 0.1), (slice(half, None), 0.3)):
        error = np.abs(mine.scores[:, part] - theirs.scores[:, part]).mean()
        assert error < share * theirs.scores[:, part].std()
        assert (mine.codes.symbols[:, part] == theirs.codes.symbols[:, part]).mean() > 0.85


def test_backbone_and_head_still_come_apart(variant, photos_once):
    images = read_folder(photos_once)
    pictures = np.stack([variant.info.preprocessing.read(images, row) for row in range(4)])
    maps = open_session(variant.backbone().graph).run(["features"], {"images": pictures})[0]
    scores = open_session(variant.head()).run(["scores"], {"features": maps})[0]
    whole = Encoder(variant.path).run(images.subset(range(4))).scores
    # ONNX Runtime fuses the two graphs differently, and then an activation may round to the next of its 256 steps.
    np.testing.assert_allclose(scores, whole, atol=0.05 * whole.std())


def test_what_is_refused(variant, tiny_model, photos_once, tmp_path, bad_files):
    images = read_folder(photos_once)
    with pytest.raises(InputError, match="8 bits"):
        quantize(variant.path, images, tmp_path / "again.onnx")
    with pytest.raises(InputError, match="is the model itself"):
        quantize(tiny_model, images, tiny_model)
    with pytest.raises(InputError, match=r"must end in \.onnx"):
        quantize(tiny_model, images, tmp_path / "model.bin")
    with pytest.raises(InputError, match="none of the images can be used"):
        quantize(tiny_model, ImageSet([bad_files["text"]]), tmp_path / "none.onnx")
    assert list(tmp_path.glob("*.onnx")) == []
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.slow  # quantizes a model
def test_images_that_cannot_be_used_are_passed_over(tiny_model, photos_once, tmp_path, bad_files):
    some = [bad_files["text"], *read_folder(photos_once).images[:3]]
    found = quantize(tiny_model, ImageSet(some), tmp_path / "int8.onnx")
    assert found.info.training["int8"]["pictures"] == 3
