"""What holds for the package as a whole: who may import whom, and that every public name explains itself."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import ordhash

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ordhash"
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(ordhash.__path__, "ordhash.", onerror=lambda _: None)
    if not any(part.startswith("_") for part in info.name.split("."))
)


def load(name):
    if name.startswith(("ordhash.bench", "ordhash.learn", "ordhash.ownmodel")):
        pytest.importorskip("torch", reason="needs ordhash[learn]")
    if name.startswith("ordhash.service"):
        pytest.importorskip("fastapi", reason="needs ordhash[serve]")
    if name.startswith("ordhash.ray"):
        pytest.importorskip("ray", reason="needs ordhash[cluster]")
    if name.startswith("ordhash.milvus"):
        pytest.importorskip("pymilvus", reason="needs ordhash[cluster]")
    return importlib.import_module(name)


def loaded(name):
    """Modules that are loaded after an import of `name` alone."""
    program = f"import sys, {name}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert name in run.stdout.split()
    return set(run.stdout.split())


def test_imports_point_one_way():
    pytest.importorskip("importlinter", reason="needs ordhash[dev]")
    program = "import sys; sys.argv[0] = 'lint-imports'; from importlinter.cli import lint_imports_command as f; f()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 kept, 0 broken" in run.stdout


def imports_of(path):
    """Modules of the package that a file imports from, and the names that it takes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ordhash":
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names if alias.name.startswith("ordhash."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_other_rooms_are_entered_by_their_face(path):
    room = path.relative_to(PACKAGE).parts[0]
    for module, names in imports_of(path):
        _, _, below = module.partition(".")
        if not below or below == "errors" or below.split(".")[0] == room:
            continue
        assert (PACKAGE / below.replace(".", "/") / "__init__.py").exists(), f"{path} imports {module}, not its room"
        assert not [name for name in names if name.startswith("_")], f"{path} imports private names of {module}"


LIGHT_ROOMS = ("support", "codes", "data", "model", "evaluation", "index", "collection", "search", "cli")
LIGHT = ["ordhash", *(f"ordhash.{room}" for room in LIGHT_ROOMS)]


@pytest.mark.parametrize("name", LIGHT)
def test_importing_a_room_loads_neither_torch_nor_arrow(name):
    heavy = {
        "torch",
        "torchvision",
        "timm",
        "lightning",
        "pyarrow",
        "scipy",
        "numba",
        "matplotlib",
        "onnxruntime.quantization",
    }
    assert loaded(name) & heavy == set()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded("ordhash") & {"numpy", "onnx", "onnxruntime", "pyarrow", "PIL"} == set()


@pytest.mark.parametrize("name", ordhash.__all__)
def test_names_of_the_package_are_there(name):
    assert getattr(ordhash, name) is not None
    if name != "__version__":
        assert getattr(ordhash, name).__name__ == name


def test_another_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'ordhash' has no attribute 'Torch'"):
        ordhash.Torch  # noqa: B018


def test_there_are_modules_to_look_at():
    assert {"ordhash.codes.codes", "ordhash.data.images", "ordhash.index.index", "ordhash.learn.trainer"} <= set(
        MODULES
    )


@pytest.mark.parametrize("name", MODULES)
def test_every_module_lists_its_public_names_and_explains_itself(name):
    module = load(name)
    assert module.__doc__, f"{name} has no docstring"
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert hasattr(module, public), f"{name}.{public} is listed and is not there"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_class_and_function_has_a_docstring(name):
    module = load(name)
    for public in module.__all__:
        thing = getattr(module, public)
        if not inspect.isclass(thing) and not inspect.isfunction(thing):
            continue  # a value or an alias of types
        # A dataclass without a docstring gets its signature for one.
        assert thing.__doc__, f"{name}.{public} has no docstring"
        assert not thing.__doc__.startswith(f"{public}("), f"{name}.{public} has no docstring"
        members = vars(thing) if inspect.isclass(thing) else {}
        for member, value in members.items():
            if inspect.isfunction(value) and not member.startswith("_") and value.__module__ == thing.__module__:
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{public}.{member} has no docstring"
