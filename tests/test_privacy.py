"""Nothing leaves the machine, and nothing is written but what docs/privacy.md names."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from commands import PROGRAM, TINY, photo
from PIL import Image

from ordhash.data import read_folder
from ordhash.index import OrdinalIndex
from ordhash.model import Encoder

ROOT = Path(__file__).parents[1]


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "always", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=True)


@pytest.mark.parametrize("given", ["", "0", "1"])
def test_reports_are_off_whatever_the_environment_says(given):
    names = ["ORT_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"]
    program = f"import ordhash, os; print(*(os.environ[name] for name in {names}))"
    assert python(program, **dict.fromkeys(names, given)).stdout == "1 0 1\n"


def test_onnxruntime_writes_nothing_about_the_user(tmp_path):
    program = "import ordhash, onnxruntime; print(onnxruntime.__version__)"
    python(program, HOME=str(tmp_path), XDG_CACHE_HOME="", TMPDIR=str(tmp_path), ORT_DISABLE_TELEMETRY="")
    assert list(tmp_path.iterdir()) == []


def test_a_warning_says_that_onnxruntime_came_first():
    late = python("import onnxruntime, ordhash, ordhash.model", ORT_DISABLE_TELEMETRY="0")
    assert late.stderr.count("import ordhash first") == 1
    for program, value in (("import onnxruntime, ordhash", "1"), ("import ordhash.model", "0")):
        assert python(program, ORT_DISABLE_TELEMETRY=value).stderr == ""


def is_too_early(tree: ast.Module) -> bool:
    """Whether a file imports ONNX Runtime at its top, before it imports the package."""
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        roots = [name.partition(".")[0] for name in names]
        if "onnxruntime" in roots or "ordhash" in roots:
            return "ordhash" not in roots
    return False


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "tools"])
def test_programs_import_the_package_before_onnxruntime(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert [file.name for file in files if is_too_early(ast.parse(file.read_text()))] == []
    assert is_too_early(ast.parse("import numpy\nimport onnxruntime.capi\nimport ordhash"))
    assert not is_too_early(ast.parse("from ordhash import model\nimport onnxruntime"))


LOOPBACK = re.compile(r'inet_addr\("127\.|"::1"|"::ffff:127\.')
TALKING = ("bind", "connect", "sendto", "sendmsg", "sendmmsg")
WRITING = ("openat", "open", "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat")
WRITING += ("symlink", "symlinkat", "mknod", "mknodat")
LOOKING_UP = ("port=htons(53)", "avahi", "systemd/resolve")  # though what is asked may be on this machine


@dataclass
class Seen:
    """What the processes of a command did."""

    talked: list[str] = field(default_factory=list)
    written: set[Path] = field(default_factory=set)


def seen_in(trace: str, folder: Path) -> Seen:
    """What a trace of system calls tells: who was talked to outside this machine, and which files were written.

    `folder` is where the processes ran.
    """
    seen = Seen()
    for line in trace.splitlines():
        found = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
        if not found:
            continue
        call, rest = found.groups()
        if call in TALKING:
            outside = "AF_INET" in rest and not LOOPBACK.search(rest)
            if outside or any(sign in rest for sign in LOOKING_UP):
                seen.talked.append(line)
        elif re.search(r"\) = -1 E", rest):
            continue
        elif call not in ("open", "openat") or re.search(r"O_(WRONLY|RDWR|CREAT)", rest):
            for place, path in re.findall(r'(?:\w+<([^>]*)>, )?"([^"]*)"', rest):
                seen.written.add(Path(place or folder, path))
    return seen


def test_what_a_trace_tells():
    trace = """
7 openat(AT_FDCWD</w>, "a.txt", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3</w/a.txt>
7 openat(AT_FDCWD</w>, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3</etc/hosts>
7 mkdir("b", 0777) = 0
7 mkdir("/w/c", 0777) = -1 EEXIST (File exists)
8 renameat(6</w>, "x", 6</w>, "y") = 0
8 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
8 connect(3<socket:[1]>, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr)}, 28
8 sendto(3<socket:[1]>, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 1
8 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/x"}, 9) = -1 ENOENT (No such file or directory)
"""
    seen = seen_in(trace, Path("/w"))
    assert sorted(map(str, seen.written)) == ["/w/a.txt", "/w/b", "/w/x", "/w/y"]
    assert [line.split("htons")[1][:5] for line in seen.talked] == ["(443)", "(53),"]


TOKEN = "0123456789abcdef0123"
RECIPE = """
protocols = ["cifar10"]
code_bits = [8]
seeds = 1
methods = ["raw", "lsh", "doh"]
[network]
backbone = "test_resnet"
weights = "none"
image_size = 64
[training]
mode = "frozen"
epochs = 1
"""
# `ordhash bench` on photographs of the test, as no data set of a protocol is small.
BENCH = [
    sys.executable,
    "-c",
    """
from pathlib import Path
import ordhash.bench.runner
from ordhash.cli import main
from ordhash.data import Protocol, read_folder
from ordhash.data.protocols import split_by_class
parts = split_by_class(read_folder(Path("photos")), {"query": 1, "train": 3}, salt="")
ordhash.bench.runner.load_protocol = lambda name, root: Protocol(name, parts["train"], parts["query"], parts["rest"])
main()
""",
]
LIBRARY = [
    sys.executable,
    "-c",
    """
import sys, time
from ordhash import Collection, Encoder
encoder = Encoder(sys.argv[1])
print(Collection("photos.collection").index().search(encoder.run([sys.argv[2]]).codes, top_k=3).keys)
time.sleep(10)  # telemetry is sent some seconds after the start
""",
]
COMPILED = [
    sys.executable,
    "-c",
    """
import numpy as np
from ordhash import OrdinalCodes, OrdinalIndex
codes = OrdinalCodes.from_symbols(np.random.default_rng(0).integers(0, 4, (300_000, 24)), arity=4)
index = OrdinalIndex(codes)
index.warm_up(1)
assert index.stats.method != "plain", index.stats
index.search(codes[:1], top_k=3)
""",
]
COMMANDS = {
    "sync": ["sync", "photos", "--collection", "new.ordhash"],
    "search": ["search", "photos.collection", "{photo}", "--where", "folder=apple"],
    "search-asymmetric": ["search", "photos.index", "{photo}", "--asymmetric"],
    "duplicates": ["duplicates", "photos.collection", "--near"],
    "verify": ["verify", "photos.collection", "--photographs"],
    "export": ["export", "photos.collection", "exported.parquet"],
    "info": ["info", "photos.collection"],
    "train": ["train", "photos", "--out", "run", *TINY],
    "train-finetune": ["train", "photos", "--out", "tuned", "--mode=finetune", "--workers=2", *TINY],
    "train-no-labels": ["train", "more", "--out", "alone", "--no-labels", *TINY],
    "train-shallow": ["train", "more", "--out", "itq", "--method=itq", "--image-size=64"],
    "evaluate": ["evaluate", "{model}", "photos", "--out", "report.json"],
    "bench": [*BENCH, "bench", "recipe.toml", "--out", "bench", "--processes", "1"],
    "quantize": ["quantize", "{model}", "photos", "--out", "int8.onnx"],
    "encode": ["encode", "photos", "--model", "{model}", "--out", "codes.parquet"],
    "encode-ray": ["encode", "photos", "--model", "{model}", "--out", "shards", "--engine", "ray", "--workers", "1"],
    "index": ["index", "photos", "--model", "{model}", "--out", "new.index"],
    "compiled": COMPILED,
    "library": [*LIBRARY, "{model}", "{photo}"],
}


# Below the home folder; docs/privacy.md names them. Matplotlib looks for fonts once.
DOCUMENTED = {"bench": [".cache/matplotlib", ".config/matplotlib"], "encode-ray": [".ray"]}
UNKEPT = re.compile(r"/dev/(null|tty|shm/.*)|/proc/.*|.*/ordhash/index/kernels/__pycache__/.*")


@dataclass
class Place:
    """A folder with photographs, a collection and an index, and a home that nobody has used."""

    folder: Path
    temporary: Path
    names: dict[str, str]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Run a command of the program, or another program, while its system calls are recorded."""
        words = [word.format(**self.names) if word.startswith("{") else word for word in command]
        calls = ",".join([*TALKING, *WRITING])
        strace = ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-s", "4096", "-e", f"trace={calls}", "-o", "trace"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_", "RAY_"))}
        fresh = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.temporary), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [*strace, *([] if words[0] == sys.executable else PROGRAM), *words],
            cwd=self.folder,
            env=kept | fresh,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def check(self, documented: list[str]) -> None:
        """Check that nobody was talked to, and that nothing was written but here and where documented."""
        seen = seen_in((self.folder / "trace").read_text(), self.folder)
        assert seen.talked == []
        outside = [path for path in seen.written if not path.is_relative_to(self.folder)]
        assert [
            path for path in outside if not UNKEPT.fullmatch(str(path)) and self.temporary not in path.parents
        ] == []
        home = self.folder / "home"
        files = [str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()]
        assert [file for file in files if not file.startswith(tuple(documented))] == []
        page = (ROOT / "docs" / "privacy.md").read_text()
        assert [name for name in documented if f"~/{name}" not in page] == []
        assert [path.name for path in self.temporary.iterdir() if path.name != "ray"] == []


@pytest.fixture
def place(photo_collection, photo_folder, tmp_path, calibrated_model):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    pytest.importorskip("torch", reason="needs ordhash[learn]")
    for name in ("home", "more"):
        (tmp_path / name).mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 40, 48, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "more" / f"{number}.png")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    images, found = photo_folder, Encoder(calibrated_model).run(read_folder(photo_folder))
    OrdinalIndex(found.codes, np.array(found.rows), model_path=str(calibrated_model)).save(tmp_path / "photos.index")
    with tempfile.TemporaryDirectory(prefix="o", ignore_cleanup_errors=True) as temporary:  # short, for Ray's sockets
        yield Place(tmp_path, Path(temporary), {"photo": str(photo(images)), "model": str(calibrated_model)})


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_talks_to_nobody_and_writes_where_it_was_told(name, place):
    with place.start(COMMANDS[name]) as process:
        out, err = process.communicate()
    assert process.returncode == 0, out + err
    place.check(DOCUMENTED.get(name, []))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_only_listens(place):
    pytest.importorskip("fastapi", reason="needs ordhash[serve]")
    with place.start(["serve", "photos.collection", "--port", "0"]) as process:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        for path in ("/", "/v1/status", "/v1/photographs/1", "/v1/search/1"):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(found[0] + path, timeout=60).read()
        time.sleep(5)
        # What strace runs: the signal must end the server, not who watches it.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGINT)
        process.communicate()
    place.check([])
