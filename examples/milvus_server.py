"""Start a Milvus server to try `ordhash push` with: `make milvus-server`. Its address and its process come to stdout.

The server is that of the package `milvus`, which needs an environment of its own and stops with this program. For real
use, see how Milvus is installed in its documentation: this one is for one machine.
"""

from __future__ import annotations

import signal
import socket
import sys
from typing import Any

from milvus import MilvusServer, MilvusServerConfig


def bound(self: Any, port: int) -> socket.socket | None:
    """A socket at a port, also for some time after the last server there was killed, where the package's own fails."""
    trial = socket.socket()
    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        trial.bind(("127.0.0.1", port))
    except OSError:
        return None
    trial.listen()
    return trial


def main() -> None:
    folder, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 19530
    MilvusServerConfig.try_bind_port = bound
    server = MilvusServer()
    server.set_base_dir(folder)
    server.listen_port = port
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit())
    server.start()
    try:
        print(f"http://127.0.0.1:{server.listen_port} {server.server_proc.pid}", flush=True)
        server.server_proc.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_proc.kill()  # asked to stop, it takes minutes; what it acknowledged is on the disk


if __name__ == "__main__":
    main()
