"""The picture of docs/architecture.md shows the rooms and imports that are there."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("grimp", reason="needs ordhash[dev]")

TOOL = Path(__file__).parents[1] / "tools" / "architecture.py"


@pytest.fixture(scope="module")
def architecture():
    spec = importlib.util.spec_from_file_location("architecture", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_picture_is_that_of_the_code(architecture):
    drawn = architecture.draw(architecture.look())
    assert architecture.PICTURE.read_text() == drawn, "rooms or imports have changed; run make architecture"


def test_rooms_and_imports_are_those_of_the_code(architecture):
    rooms = architecture.look()
    names = [name for layer in rooms.layers for name in layer]
    package = TOOL.parents[1] / "src" / "ordhash"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert set(names) == folders | {"errors"}
    assert "codes" in rooms.imports["index"]
    assert rooms.imports["errors"] == set()
    assert all(rooms.summaries.values())


def test_an_import_that_follows_from_others_is_left_out(architecture):
    imports = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert architecture.without_detours(imports) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_another_import_is_another_picture(architecture):
    layers, summaries = [["a"], ["b"], ["c"]], {name: f"Room & {name}" for name in "abc"}
    one = architecture.draw(architecture.Rooms(layers, {"a": {"b"}, "b": set(), "c": set()}, summaries))
    other = architecture.draw(architecture.Rooms(layers, {"a": {"c"}, "b": set(), "c": set()}, summaries))
    assert one != other
    assert one.count("marker-end") == other.count("marker-end") == 1
    assert "Room &amp; a" in one
