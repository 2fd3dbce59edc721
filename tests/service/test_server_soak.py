"""Thousands of requests of all kinds, many at a time: the service answers each, and does not grow.

`ORDHASH_TEST_REQUESTS=20000` sends so many; the numbers are printed with `pytest -s`.
"""

import http.client
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(3600)]

REQUESTS = int(os.environ.get("ORDHASH_TEST_REQUESTS", "1000"))
AT_ONCE = 8
KEYS = [f"{name}/{name}_{number}.jpg" for name in ("apple", "banana", "carrot") for number in range(6)]
JSON = {"content-type": "application/json"}


@pytest.fixture
def served(photo_collection):
    """Process and port of `ordhash serve`."""
    command = [sys.executable, "-m", "ordhash.cli", "serve", str(photo_collection), "--port", "0"]
    command += ["--seconds", "10", "--upload-mb", "2", "--originals"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    port = int(re.search(r"127.0.0.1:(\d+)", process.stdout.readline())[1])
    yield process, port
    process.kill()
    process.communicate()


def pictures():
    """Files of small pictures of noise."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
        yield file.getvalue()


class Client:
    """Sends requests of all kinds to a port, some of which are good."""

    def __init__(self, port, photograph):
        self.port = port
        self.photograph = photograph
        self.pictures = list(pictures())
        self.statuses = Counter()
        self.kinds = [getattr(self, name) for name in dir(self) if name.startswith("send_")]

    def one(self, number):
        chance = random.Random(number)
        kind = self.kinds[number % len(self.kinds)]
        # Refused for want of room, or cut off in the middle, which some of these ask for.
        status = None
        with suppress(ConnectionError, http.client.HTTPException):
            status = kind(chance)
        self.statuses[kind.__name__, status] += 1

    def ask(self, method, path, body=None, headers=JSON, read=True):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            if not read:
                return None
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def raw(self, *parts, pause=0.0):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            return int(connection.recv(1 << 16).split(b" ")[1])

    def send_search(self, chance):
        wanted = {"examples": [{"key": chance.choice(KEYS)}], "agreeing": chance.random() < 0.5}
        if chance.random() < 0.5:
            wanted["distance"] = "ordinal"
        if chance.random() < 0.5:
            wanted["filters"] = [{"column": "folder", "value": "apple"}]
        return self.ask("POST", "/v1/search", json.dumps(wanted))

    def send_image(self, chance):
        return self.ask("POST", f"/v1/search/image?top_k={chance.randrange(1, 30)}", self.photograph, {})

    def send_view(self, chance):
        path = chance.choice(["thumbnail", "picture", "attention", "image", "original"])
        return self.ask(chance.choice(["GET", "HEAD"]), f"/v1/{path}?key={chance.choice(KEYS)}")

    def send_list(self, chance):
        paths = ["/v1/images?where=folder=apple", "/v1/status", "/metrics", "/v1/openapi.json", "/", "/page/script.js"]
        return self.ask("GET", chance.choice(paths))

    def send_change(self, chance):
        content = chance.choice(self.pictures)
        if chance.random() < 0.5:
            return self.ask("POST", "/v1/images", content, {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/v1/images?order=newest&limit=1")
        key = json.load(connection.getresponse())["images"][0]["key"]
        connection.close()
        return self.ask("DELETE", f"/v1/images?key={key}") if key.startswith("added/") else None

    def send_bad_json(self, chance):
        bodies = ["{", "null", "[" * 20_000, '{"examples": []}', json.dumps({"examples": [{"key": "x" * 500_000}]})]
        bodies.append(json.dumps({str(number): 1 for number in range(50_000)}))
        return self.ask("POST", "/v1/search", chance.choice(bodies))

    def send_bad(self, chance):
        method, path = chance.choice([("PUT", "/v1/search"), ("GET", "/v1/nothing"), ("GET", "/v1/image?key=nothing")])
        return self.ask(
            method, path, headers=chance.choice([{}, {"host": "evil.example"}, {"content-length": "9" * 9}])
        )

    def send_bad_image(self, chance):
        broken = bytearray(self.photograph)
        for _ in range(20):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        kind = {"content-type": chance.choice(["image/jpeg", "multipart/form-data"])}
        return self.ask("POST", "/v1/search/image", bytes(broken), kind)

    def send_too_much(self, chance):
        head = b"POST /v1/search/image HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        return self.raw(head, *[b"10000\r\n" + bytes(65536) + b"\r\n"] * 40)

    def send_half(self, chance):
        head = b"POST /v1/search/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall((head + b"x" * 50)[: chance.randrange(1, len(head) + 50)])

    def send_unread(self, chance):
        return self.ask("POST", "/v1/search/image", self.photograph, {}, read=False)

    def send_slow(self, chance):
        head = b"POST /v1/search/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(self.photograph)
        return self.raw(head[:30], head[30:], self.photograph[:100], self.photograph[100:], pause=0.05)

    def send_nonsense(self, chance):
        return self.raw(chance.randbytes(1000) + b"\r\n\r\n")


def size_of(pid):
    """Memory in MB, open files and threads of a process and its children."""
    memory = files = threads = 0
    for process in (pid, *children_of(pid)):
        with suppress(FileNotFoundError):  # ended meanwhile
            said = Path(f"/proc/{process}/status").read_text()
            memory += int(re.search(r"VmRSS:\s+(\d+)", said)[1]) // 1024
            threads += int(re.search(r"Threads:\s+(\d+)", said)[1])
            files += len(list(Path(f"/proc/{process}/fd").iterdir()))
    return memory, files, threads


def children_of(pid):
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            found += [child, *children_of(child)]
    return found


def test_thousands_of_requests_leave_nothing_behind(served, photo_folder):
    process, port = served
    client = Client(port, (photo_folder / "apple/apple_0.jpg").read_bytes())
    sizes, parts = [], 5
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part in range(parts):
            done = list(pool.map(client.one, range(part * REQUESTS // parts, (part + 1) * REQUESTS // parts)))
            time.sleep(3)  # connections that were left are noticed
            sizes.append(size_of(process.pid))
            print(f"after {(part + 1) * len(done):,} requests: MB, files, threads {sizes[-1]}", flush=True)
    for (kind, status), count in sorted(client.statuses.items(), key=str):
        print(f"{kind} {status}: {count}")
    statuses = {status for _, status in client.statuses}
    assert 500 not in statuses
    assert {200, 201, 206, 400, 404, 405, 413, 415, 421, 422} - {206} <= statuses
    for kind in ("send_search", "send_image", "send_view", "send_list", "send_slow"):
        assert client.statuses[kind, 200] > 0.9 * REQUESTS / len(client.kinds)
    # Caches fill in the first part.
    assert sizes[-1][0] < 1.1 * sizes[0][0] + 20
    assert sizes[-1][1] < sizes[0][1] + 20
    assert sizes[-1][2] <= sizes[0][2] + 4
    assert client.ask("GET", "/v1/health") == 200
    assert threading.active_count() < 50
    process.terminate()
    process.wait(15)
    assert "Traceback" not in process.stderr.read()
