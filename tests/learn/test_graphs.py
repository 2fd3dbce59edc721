import numpy as np
import onnx
import pytest
import timm
import torch

from ordhash.data import read_folder
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainConfig, train
from ordhash.learn.backbones import configured_backbone, configured_graph
from ordhash.learn.graphs import files_of_graph, read_graph
from ordhash.learn.normalisation import NORMALISATIONS
from ordhash.model import Encoder, load_model, open_session
from ordhash.model.inference import run_in_groups

IMAGENET = NORMALISATIONS["imagenet"]
CONVOLUTIONS = "y = Conv<pads=[1, 1, 1, 1], strides=[2, 2]>(x, w)"


def write(path, text, *, opset=17, **arrays):
    """A graph written by hand, with float32 weights."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')
    values = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    model.graph.initializer.extend(values)
    onnx.save(model, path)
    return path


def kernels(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture
def convolution(tmp_path):
    text = f"(float[n, 3, h, w] x) => (float[n, 8, a, b] y) {{ {CONVOLUTIONS} }}"
    return write(tmp_path / "convolution.onnx", text, w=kernels(8, 3, 3, 3))


def random_pictures(n, height, width):
    return np.random.default_rng(1).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def features_of(backbone, pictures):
    return open_session(backbone.frozen.graph).run(["features"], {"images": pictures})[0]


def convolved(pictures, normalisation):
    values = (pictures.astype(np.float64) - normalisation.mean) / normalisation.std
    values = values[..., ::-1] if normalisation.blue_first else values
    inputs = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).permute(0, 3, 1, 2)
    weights = torch.from_numpy(kernels(8, 3, 3, 3))
    return torch.nn.functional.conv2d(inputs, weights, stride=2, padding=1).numpy()


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_pixels_are_normalised_as_asked(convolution, name):
    backbone = read_graph(convolution, NORMALISATIONS[name], image_size=32, fit="whole")
    pictures = random_pictures(3, 32, 64)
    expected = convolved(pictures, NORMALISATIONS[name])
    np.testing.assert_allclose(features_of(backbone, pictures), expected, rtol=1e-3, atol=1e-3 * expected.std())
    assert (backbone.last_channels, backbone.frozen.name) == (8, "convolution")


def test_a_picture_and_its_mirror_image_are_averaged(convolution):
    backbone = read_graph(convolution, IMAGENET, image_size=32, mirror=True)
    pictures = random_pictures(3, 32, 32)
    other = convolved(pictures[:, :, ::-1], IMAGENET)[..., ::-1]
    expected = (convolved(pictures, IMAGENET) + other) / 2
    np.testing.assert_allclose(features_of(backbone, pictures), expected, rtol=1e-3, atol=1e-3)
    assert backbone.mirror


def test_channels_may_come_last(tmp_path):
    inner = "t = Transpose<perm=[0, 3, 1, 2]>(x) z = Conv<pads=[1, 1, 1, 1], strides=[2, 2]>(t, w) "
    inner += "y = Transpose<perm=[0, 2, 3, 1]>(z)"
    text = f"(float[n, h, w, 3] x) => (float[n, a, b, 8] y) {{ {inner} }}"
    path = write(tmp_path / "last.onnx", text, w=kernels(8, 3, 3, 3))
    pictures = random_pictures(2, 64, 64)
    found = features_of(read_graph(path, IMAGENET, image_size=64), pictures)
    np.testing.assert_allclose(found, convolved(pictures, IMAGENET), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_become_a_map_and_those_before_them_are_left_out(tmp_path, prefix):
    # Patches of 16 x 16, behind tokens that are the same for all pictures.
    body = "p = Conv<strides=[16, 16]>(x, w) f = Flatten<axis=2>(p) s = Reshape(p, shape) "
    body += "t = Transpose<perm=[0, 2, 1]>(s) b = Shape<start=0, end=1>(x) e = Concat<axis=0>(b, one, one) "
    body += "c = Expand(class, e) y = Concat<axis=1>(c, t)"
    body = body.replace("f = Flatten<axis=2>(p) ", "")
    text = f"(float[n, 3, h, w] x) => (float[n, t, 8] y) {{ {body} }}"
    arrays = {"w": kernels(8, 3, 16, 16), "shape": np.array([0, 8, -1]), "one": np.array([1])}
    path = write(tmp_path / "tokens.onnx", text, **arrays, **{"class": np.full((1, prefix, 8), 9, dtype=np.float32)})
    backbone = read_graph(path, IMAGENET, image_size=64, fit="whole")
    pictures = random_pictures(2, 64, 96)
    inputs = (pictures.astype(np.float32) - np.float32(IMAGENET.mean)) / np.float32(IMAGENET.std)
    patches = torch.nn.functional.conv2d(
        torch.from_numpy(inputs).permute(0, 3, 1, 2), torch.from_numpy(kernels(8, 3, 16, 16)), stride=16
    )
    np.testing.assert_allclose(features_of(backbone, pictures), patches.numpy(), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("opset", [11, 13, 17, 20])
def test_graphs_of_other_versions_are_converted(tmp_path, opset):
    text = "(float[n, 3, h, w] x) => (float[n, 8, a, b] y) { c = Conv<strides=[2, 2]>(x, w) y = Relu(c) }"
    path = write(tmp_path / "old.onnx", text, opset=opset, w=kernels(8, 3, 2, 2))
    found = read_graph(path, IMAGENET, image_size=32).frozen.graph
    assert [(entry.domain, entry.version) for entry in onnx.load_from_string(found).opset_import] == [("", 20)]


def test_a_tensor_inside_a_classifier_is_its_map(tmp_path):
    body = "z = Conv<strides=[2, 2]>(x, w) r = Relu(z) g = GlobalAveragePool(r) y = Flatten(g)"
    text = f"(float[n, 3, h, w] x) => (float[n, 8] y) {{ {body} }}"
    path = write(tmp_path / "classifier.onnx", text, w=kernels(8, 3, 2, 2))
    with pytest.raises(InputError, match=r"gives y \(n, 8\); set tensor to the one that holds the map, for example r"):
        read_graph(path, IMAGENET, image_size=32)
    with pytest.raises(InputError, match="has no tensor q; its last ones are r, g, y"):
        read_graph(path, IMAGENET, image_size=32, tensor="q")
    backbone = read_graph(path, IMAGENET, image_size=32, tensor="r")
    assert features_of(backbone, random_pictures(2, 32, 32)).shape == (2, 8, 16, 16)
    kinds = {node.op_type for node in onnx.load_from_string(backbone.frozen.graph).graph.node}
    assert "Relu" in kinds
    assert "GlobalAveragePool" not in kinds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"(float[n, 1, h, w] x) => (float[n, 8, a, b] y) {{ {CONVOLUTIONS} }}", r"takes x \(n, 1, h, w\); a backbone"),
        ("(uint8[n, 3, h, w] x) => (uint8[n, 3, h, w] y) { y = Identity(x) }", "takes float pictures"),
        (
            "(float[n, 3, h, w] x, float[n] z) => (float[n, 3, h, w] y) { y = Identity(x) }",
            r"takes x \(n, 3, h, w\), z \(n\); a backbone",
        ),
        ("(float[n, 3, h, w] x) => (float[n, 3, a] y) { y = Reshape(x, s) }", "tokens are a square number"),
        ("(float[n, 3, h, w] x) => (float[n, 3, h, w] y) { y = Add(x, k) }", "cannot take two pictures of 32 pixels"),
        ("(float[n, 3, h, w] x) => (float[n, 3, h, w] y) { y = Log(x) }", "NaN or infinite features"),
        (
            "(float[n, 3, h, w] x) => (float[n, 3, h, w] y) { m = ReduceMean<axes=[0]>(x) y = Sub(x, m) }",
            "mixes the pictures of a batch",
        ),
    ],
)
def test_other_graphs_are_refused_in_a_sentence(tmp_path, text, message):
    arrays = {"w": kernels(8, 1, 3, 3), "s": np.array([0, 3, -1]), "k": np.ones((1, 3, 9, 9), dtype=np.float32)}
    used = {name: value for name, value in arrays.items() if f", {name})" in text}
    path = write(tmp_path / "other.onnx", text, **used)
    with pytest.raises(InputError, match=message) as caught:
        read_graph(path, IMAGENET, image_size=32)
    assert "other.onnx" in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"hello"], ids=["missing", "empty", "text"])
def test_what_is_no_graph_is_refused(tmp_path, content):
    path = tmp_path / "no.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"no\.onnx (does not exist|is not a complete ONNX file)"):
        read_graph(path, IMAGENET)


def test_options_that_a_graph_cannot_have_are_refused(convolution):
    name = str(convolution)
    for settings, message in (
        ({"stages": 2}, "gives one map: set stages to 1"),
        ({"weights": None}, "contains its weights"),
        ({"normalisation": "own"}, "set normalisation to one of imagenet, clip"),
    ):
        with pytest.raises(InputError, match=message):
            configured_graph(DOHConfig(backbone=name, **{"normalisation": "half", "image_size": 32, **settings}))
    with pytest.raises(InputError, match="is an ONNX graph, which cannot be trained; set mode to 'frozen'"):
        configured_backbone(DOHConfig(backbone=name, normalisation="half"))


def test_a_model_learns_on_a_graph_and_needs_it_no_more(convolution, photo_folder, tmp_path):
    images = read_folder(photo_folder)
    config = DOHConfig(
        12, 4, backbone=str(convolution), normalisation="half", image_size=32, fit="whole", hidden=16, local_hidden=16
    )
    result = train(images, config, TrainConfig(mode="frozen", epochs=1), out=tmp_path / "run", cache=tmp_path / "cache")
    pictures = [random_pictures(1, 32, 64)[0]]
    backbone = configured_graph(config)
    expected = features_of(backbone, np.stack(pictures))
    convolution.unlink()
    model = load_model(result.model)
    assert model.info.backbone == "convolution"
    session = open_session(model.backbone().graph)
    ((found,),) = run_in_groups(session, ["features"], "images", pictures)
    np.testing.assert_allclose(found, expected[0], rtol=1e-5, atol=1e-5)
    assert len(Encoder(result.model).encode(images)) == len(images)


@pytest.mark.slow  # exports a network
def test_graphs_that_torch_exports_are_read(tmp_path):
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=5).eval()
    side = {2: 32 * torch.export.Dim("h", max=32), 3: 32 * torch.export.Dim("w", max=32)}
    program = torch.onnx.export(
        network, (torch.zeros(2, 3, 64, 64),), dynamo=True, opset_version=18, external_data=False,
        dynamic_shapes=({0: torch.export.Dim("n"), **side},), verbose=False,
    )  # fmt: skip
    program.save(tmp_path / "resnet.onnx")
    with pytest.raises(InputError, match=r"set tensor to .*, for example (\w+)$") as caught:
        read_graph(tmp_path / "resnet.onnx", IMAGENET, image_size=64)
    tensor = str(caught.value).rpartition(" ")[2]
    backbone = read_graph(tmp_path / "resnet.onnx", IMAGENET, image_size=64, fit="whole", tensor=tensor)
    pictures = random_pictures(2, 64, 96)
    values = (pictures.astype(np.float32) - np.float32(IMAGENET.mean)) / np.float32(IMAGENET.std)
    with torch.no_grad():
        expected = network.forward_features(torch.from_numpy(values).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(features_of(backbone, pictures), expected, rtol=1e-3, atol=1e-4)


def beside(name):
    """A tensor whose values are in another file."""
    tensor = onnx.numpy_helper.from_array(kernels(4), name)
    onnx.external_data_helper.set_external_data(tensor, f"{name}.data")
    tensor.ClearField("raw_data")
    return tensor


def test_the_files_of_a_graph_are_all_that_its_weights_are_in(tmp_path):
    constant = onnx.helper.make_node("Constant", [], ["inner"], value=beside("attribute"))
    branch = onnx.helper.make_graph([constant], "branch", [], [onnx.ValueInfoProto(name="inner")], [beside("subgraph")])
    condition = onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    function = onnx.helper.make_function(
        "own", "f", [], ["z"], [onnx.helper.make_node("Constant", [], ["z"], value=beside("function"))], []
    )
    graph = onnx.helper.make_graph([condition], "g", [], [], [beside("weights"), beside("again")])
    graph.initializer[1].external_data[0].value = "weights.data"
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx.helper.make_model(graph, functions=[function]).SerializeToString())
    names = ["net.onnx", "attribute.data", "function.data", "subgraph.data", "weights.data"]
    assert files_of_graph(path) == [tmp_path / name for name in names]


def test_weights_beside_a_graph_make_another_training(convolution):
    onnx.save(onnx.load(convolution), convolution, save_as_external_data=True, location="w.data", size_threshold=0)
    config = DOHConfig(backbone=str(convolution), normalisation="imagenet")
    assert config.files == (convolution, convolution.with_name("w.data"))


def test_a_file_that_is_no_graph_is_a_file_all_the_same(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"one")
    assert files_of_graph(path) == [path]
