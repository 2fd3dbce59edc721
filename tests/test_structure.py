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
TESTS = ROOT / "tests"
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


FILES = sorted(PACKAGE.rglob("*.py"))
LINES, LINES_OF_A_FUNCTION, PARAMETERS = 400, 80, 8  # at most; a function's without its docstring


def functions_of(path):
    """Every function and method of a file, those inside others too."""
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function):
    """Lines of a function from `def` to its end, without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


def parameters(function):
    """How many parameters a function has, without `self` and `cls`."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if one]
    return len([name for name in names if name not in ("self", "cls")])


def is_explained(path, function):
    """Whether a comment stands directly above a function, or behind its `def`."""
    lines = path.read_text().splitlines()
    first = min(node.lineno for node in (function, *function.decorator_list))
    behind = lines[function.lineno - 1].partition("  # ")[2].removeprefix("type: ignore[no-untyped-def]")
    return lines[first - 2].lstrip().startswith("# ") or bool(behind)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= LINES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_are_short_or_a_comment_says_why_not(path):
    long = {one.name: length(one) for one in functions_of(path) if not is_explained(path, one)}
    assert {name: lines for name, lines in long.items() if lines > LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_have_few_parameters_or_a_comment_says_why_not(path):
    if path.is_relative_to(PACKAGE / "cli"):
        return  # an option of a command is a parameter
    many = {one.name: parameters(one) for one in functions_of(path) if not is_explained(path, one)}
    assert {name: count for name, count in many.items() if count > PARAMETERS} == {}


def is_mirrored(path):
    """Whether tests are of something: `tests/x/test_y.py` or `test_y_part.py` of `x/y`, `tests/x/test_x.py` of `x`."""
    folder, words = PACKAGE / path.parent.relative_to(TESTS), path.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    modules = [folder / f"{name}.py" for name in names] + [folder / name for name in names]
    return any(module.exists() for module in modules) or "_".join(words) == folder.name


@pytest.mark.parametrize("path", sorted(TESTS.glob("*/**/test_*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_tests_mirror_the_package(path):
    assert is_mirrored(path), f"no module of ordhash goes with {path.relative_to(TESTS)}"


def test_what_is_too_much_is_found(tmp_path):
    path = tmp_path / "long.py"
    body = '    """Two\n    lines."""\n' + "    pass\n" * 5
    path.write_text(
        f"def one(self, a, *b, c, **d):\n{body}\n# Why.\nasync def two():  # type: ignore[no-untyped-def]\n{body}"
    )
    one, two = functions_of(path)
    assert (length(one), parameters(one), is_explained(path, one)) == (6, 4, False)
    assert (length(two), parameters(two), is_explained(path, two)) == (6, 0, True)
    assert is_mirrored(TESTS / "learn" / "test_trainer.py")
    assert not is_mirrored(TESTS / "learn" / "test_nothing.py")
