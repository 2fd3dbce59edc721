"""The server as a process: how it starts, how it stops, and what it says."""

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

pytestmark = pytest.mark.cluster


class Server:
    """`ordhash serve` in a process of its own."""

    def __init__(self, *arguments, before=""):
        program = f"{before}\nfrom ordhash.cli import main\nmain()"
        command = [sys.executable, "-c", program, "serve", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline()
        found = re.search(r"http://(\S+?):(\d+)/(\S*)", self.said)
        assert found, self.said + self.process.stderr.read()
        self.address, self.question = ("127.0.0.1", int(found[2])), found[3]

    def get(self, path, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{self.address[1]}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture
def serve():
    servers = []

    def start(*arguments, before=""):
        servers.append(Server(*arguments, before=before))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.communicate()


def begin(server, length, path="/v1/search/image"):
    """A connection that has announced a body and sent none of it."""
    connection = socket.create_connection(server.address, timeout=60)
    head = (f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {length}", "", "")
    connection.sendall("\r\n".join(head).encode())
    return connection


def everything(connection):
    return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_under_way_is_answered_before_the_server_stops(number, serve, photo_collection, photo_folder):
    server = serve(photo_collection, "--port", 0)
    assert server.said.startswith("18 photographs of ")
    assert server.get("/v1/status")["count"] == 18
    content = (photo_folder / "apple/apple_0.jpg").read_bytes()
    with begin(server, len(content), "/v1/search/image?top_k=1") as connection:
        connection.sendall(content[:100])
        # Answered only once the request above has arrived, as both come to the same loop in order.
        assert server.get("/v1/health") == {"status": "ok"}
        server.process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(server.address, timeout=5)
        connection.sendall(content[100:])
        answer = everything(connection)
    assert answer.startswith("HTTP/1.1 200")
    assert '"key":"apple/apple_0.jpg"' in answer
    status = server.process.wait(30)
    assert status in ((0,) if number == signal.SIGINT else (0, -signal.SIGTERM))
    said = server.process.stderr.read()
    assert said == ("stopped\n" if number == signal.SIGINT else "")


# Taking everything apart, as Python does at its end, must not hold it up.
SLOW_END = """
import atexit, time
atexit.register(time.sleep, 60)
"""


def test_nothing_is_worth_waiting_for_once_everything_is_closed(serve, photo_collection):
    server = serve(photo_collection, "--port", 0, before=SLOW_END)
    assert server.get("/v1/health") == {"status": "ok"}
    server.process.send_signal(signal.SIGINT)
    said = server.process.communicate(timeout=30)[1]
    assert (server.process.returncode, said) == (0, "stopped\n")


SLOW_SEARCH = """
import time
from ordhash.service.library import Library
Library.search_like = lambda *arguments, **options: time.sleep(60)
"""
SLOW_START = """
import time
from ordhash.service.library import Library
Library.warm_up = lambda *arguments, **options: time.sleep(60)
"""
SEARCH = b'{"examples": [{"key": "apple/apple_0.jpg"}], "distance": "ordinal"}'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("before", "head", "body"),
    [
        ("", b"", b""),
        ("", b"GET /v1/hea", b""),
        ("", b"POST /v1/search/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", b"half"),
        (SLOW_SEARCH, b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", SEARCH),
        (SLOW_START, b"", b""),
    ],
    ids=["nothing", "headers", "body", "search", "start"],
)
def test_it_stops_within_seconds_whatever_is_in_progress(number, before, head, body, serve, photo_collection):
    server = serve(photo_collection, "--port", 0, before=before)
    with socket.create_connection(server.address, timeout=60) as connection:
        if before == SLOW_SEARCH:
            head += b"Content-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        time.sleep(1)
        started = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(30) in ((0,) if number == signal.SIGINT else (128 + number, -number))
        assert time.monotonic() - started < 12  # 8, and some for a busy machine
    said = server.process.stderr.read()
    assert said.replace("stopped\n", "") == ""


def test_a_chunked_body_without_end_is_cut_off(serve, photo_collection):
    server = serve(photo_collection, "--port", 0, "--upload-mb", 1)
    head = b"POST /v1/search/image HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(head)
        ended = time.monotonic() + 30
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < ended:
                connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        assert time.monotonic() < ended
        answer = connection.recv(1 << 16).lower()
    assert answer.startswith(b"http/1.1 413")
    assert b"connection: close" in answer


def test_no_more_is_taken_in_at_once_than_there_is_room_for(serve, photo_collection):
    server = serve(photo_collection, "--port", 0, "--upload-mb", 1)
    sending = [begin(server, 1_000_000) for _ in range(16)]
    deadline = time.monotonic() + 60
    while True:  # the server sees them one by one
        with begin(server, 10) as one_more:
            one_more.sendall(bytes(10))
            answer = everything(one_more)
        if "HTTP/1.1 429" in answer:
            break
        assert "HTTP/1.1 422" in answer
        assert time.monotonic() < deadline
    assert "at once" in answer
    assert server.get("/v1/health") == {"status": "ok"}
    for connection in sending:
        connection.close()
    while "HTTP/1.1 422" not in answer:
        with begin(server, 10) as one_more:
            one_more.sendall(bytes(10))
            answer = everything(one_more)
        assert time.monotonic() < deadline


def test_a_body_that_does_not_come_is_given_up(serve, photo_collection):
    server = serve(photo_collection, "--port", 0, "--seconds", 0.5)
    with begin(server, 1000) as connection:
        assert "HTTP/1.1 408" in everything(connection)


def test_another_address_of_this_machine(serve, photo_collection):
    server = serve(photo_collection, "--port", 0, "--host", "127.0.0.2")
    with urllib.request.urlopen(f"http://127.0.0.2:{server.address[1]}/v1/status", timeout=60) as answer:
        assert json.load(answer)["count"] == 18


def test_headers_have_an_end(serve, photo_collection):
    server = serve(photo_collection, "--port", 0)
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n" + b"X-Long: " + b"x" * 100_000)
        assert b"HTTP/1.1 400" in connection.recv(1 << 16)


def test_a_token_is_drawn_where_others_can_connect(serve, photo_collection):
    server = serve(photo_collection, "--port", 0, "--host", "0.0.0.0")
    token = server.question.removeprefix("?token=")
    assert len(token) >= 32
    with pytest.raises(urllib.error.HTTPError, match="401"):
        server.get("/v1/status")
    assert server.get("/v1/status", Authorization=f"Bearer {token}")["count"] == 18


def test_a_token_of_ones_own_is_not_printed(serve, photo_collection, monkeypatch):
    monkeypatch.setenv("ORDHASH_TOKEN", "a-secret-that-nobody-guesses")
    server = serve(photo_collection, "--port", 0)
    assert "secret" not in server.said
    assert server.get("/v1/status", Authorization="Bearer a-secret-that-nobody-guesses")["count"] == 18


def failure(*arguments):
    command = [sys.executable, "-m", "ordhash.cli", "serve", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


def test_a_server_that_cannot_start_says_why(serve, photo_collection, tmp_path, calibrated_model, tiny_model):
    port = serve(photo_collection, "--port", 0).address[1]
    status, said = failure(photo_collection, "--port", port)
    assert status == 2
    assert f"port {port} of 127.0.0.1" in said
    assert "(Address already in use)" in said
    status, said = failure(tmp_path)
    assert (status, "not a collection" in said) == (1, True)
    status, said = failure(photo_collection, "--model", tiny_model)
    assert (status, "model of" in said) == (2, True)
    without = shutil.copytree(photo_collection, tmp_path / "without.collection")
    (own,) = without.glob("model-*.onnx")
    own.unlink()
    # Where it came from is the other place that is looked at.
    moved = calibrated_model.rename(f"{calibrated_model}.moved")
    try:
        status, said = failure(without)
    finally:
        moved.rename(calibrated_model)
    assert (status, "is no longer at" in said) == (1, True)
