"""Real engines, in processes of their own: a Milvus server, and a Ray cluster of several nodes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

# Before Ray is loaded: the nodes of a cluster and who connects to it must agree on tokens, and a token that an earlier
# cluster of this machine left in the home folder is taken by some of them alone.
os.environ["RAY_AUTH_MODE"] = "disabled"

# `make milvus` makes it: the package of the server wants older packages than ours.
ENVIRONMENT = Path(__file__).parents[1] / ".cache" / "milvus"

PROGRAM = Path(__file__).parents[1] / "examples" / "milvus_server.py"


class MilvusProcess:
    """A server that can be killed and started again on the same data and at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[str] | None = None  # looks after the server, which has a session of its own
        self._server: int | None = None

    def start(self) -> None:
        command = [ENVIRONMENT / "bin" / "python", PROGRAM, self._folder, self._port]
        log = self._folder / "log"
        with log.open("w") as errors:
            self._process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True)
        said = self._process.stdout.readline()
        if not said:
            self.kill()
            pytest.fail(f"the Milvus server did not start: {log.read_text()}")
        uri, server = said.split()
        assert uri == self.uri
        self._server = int(server)

    def kill(self) -> None:
        """As if the machine lost its power, as far as the process is concerned."""
        if self._server is not None:
            os.kill(self._server, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._server = self._process = None

    def ensure(self) -> None:
        """Start it if it does not run."""
        if self._process is None:
            self.start()


@pytest.fixture(scope="session")
def milvus_process(tmp_path_factory):
    if not (ENVIRONMENT / ".ready").exists():
        pytest.skip("needs a Milvus server, which `make milvus` installs")
    server = MilvusProcess(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def milvus(milvus_process):
    """The server, running."""
    milvus_process.ensure()
    return milvus_process


class RayCluster:
    """Nodes of one core each, every one in a process group of its own."""

    def __init__(self) -> None:
        self._nodes: list[subprocess.Popen[str]] = []
        self.address = f"127.0.0.1:{_free_port()}"

    def add(self) -> None:
        port = self.address.partition(":")[2]
        where = ["--head", f"--port={port}"] if not self._nodes else [f"--address={self.address}"]
        command = [
            *(str(Path(sys.executable).with_name("ray")), "start", "--block", *where, "--num-cpus=1"),
            *("--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats"),
            *(["--include-dashboard=false"] if not self._nodes else []),
        ]
        node = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said = []
        for line in node.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                self._nodes.append(node)
                return
        os.killpg(node.pid, signal.SIGKILL)
        node.communicate()
        pytest.fail("a Ray node did not start: " + "".join(said))

    def kill(self, number: int) -> None:
        """A node and its workers, as if its machine lost its power."""
        node = self._nodes[number]
        if node.poll() is None:
            os.killpg(node.pid, signal.SIGKILL)
            node.communicate()

    def end(self) -> None:
        for number in reversed(range(len(self._nodes))):
            self.kill(number)

    def __len__(self) -> int:
        return sum(node.poll() is None for node in self._nodes)


@pytest.fixture
def ray_cluster():
    pytest.importorskip("ray", reason="needs ordhash[cluster]")
    cluster = RayCluster()
    try:
        for _ in range(3):
            cluster.add()
        yield cluster
    finally:
        cluster.end()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
