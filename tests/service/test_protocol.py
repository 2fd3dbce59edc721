"""Connections that clients leave unfinished are closed."""

import contextlib
import json
import socket
import threading
import time

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

import uvicorn

from ordhash.service import protocol
from ordhash.service.protocol import Connection

SECONDS = 0.3


async def application(scope, receive, send):
    """Answers with as many bytes as the path says."""
    length = int(scope["path"][1:])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % length)]})
    await send({"type": "http.response.body", "body": bytes(length)})


@pytest.fixture
def connect(monkeypatch):
    """Opens a connection to a server."""
    for name in ("_REQUEST_SECONDS", "_READER_SECONDS", "_CLOSING_SECONDS"):
        monkeypatch.setattr(protocol, name, SECONDS)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    config = uvicorn.Config(
        application,
        http=Connection,
        ws="none",
        lifespan="off",
        timeout_keep_alive=1,
        log_level="error",
        limit_concurrency=4,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    with contextlib.ExitStack() as opened:

        def one():
            made = opened.enter_context(socket.socket())
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            made.settimeout(30)
            made.connect(listener.getsockname())
            return made

        one.server = server
        yield one
        server.should_exit = True
        thread.join(30)
    listener.close()


def everything(connection):
    with contextlib.suppress(ConnectionResetError):
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_request(connect):
    connection = connect()
    connection.sendall(b"GET /5 HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(2 * SECONDS)  # shorter than the time to keep alive
    connection.sendall(b"GET /7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    said = everything(connection)
    assert said.count(b"HTTP/1.1 200") == 2
    assert said.endswith(bytes(7))


@pytest.mark.parametrize("start", [b"", b"GET /5 HT", b"GET /5 HTTP/1.1\r\nHost: a\r\n"])
def test_headers_that_do_not_come(start, connect):
    connection = connect()
    connection.sendall(start)
    assert not everything(connection)


def test_headers_that_come_byte_by_byte(connect):
    connection, ended = connect(), time.monotonic() + 20
    with contextlib.suppress(OSError):
        while time.monotonic() < ended:
            connection.sendall(b"X")
            time.sleep(SECONDS / 5)
    assert time.monotonic() < ended


@pytest.mark.parametrize("length", [10_000_000, 150_000])
def test_an_answer_that_is_not_read(length, connect):
    connection = connect()
    connection.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % length)
    ended = time.monotonic() + 20
    while not connect.server.server_state.total_requests and time.monotonic() < ended:
        time.sleep(0.01)
    while connect.server.server_state.connections and time.monotonic() < ended:
        time.sleep(0.01)
    assert time.monotonic() < ended


def test_too_many_connections_get_the_body_that_all_failures_have(connect, monkeypatch):
    monkeypatch.setattr(protocol, "_REQUEST_SECONDS", 30)
    for number in range(4):
        connection = connect()
        connection.sendall(b"GET /5 HTTP/1.1\r\nHost: a\r\n\r\n")
        first = connection.recv(1 << 16)
        assert first.startswith(b"HTTP/1.1 503" if number == 3 else b"HTTP/1.1 200")
    said = first + everything(connection)
    assert b"\r\nconnection: close\r\n" in said
    assert "too many connections" in json.loads(said.split(b"\r\n\r\n")[1])["detail"]


def test_what_is_not_http(connect):
    connection = connect()
    connection.sendall(b"hello\r\n\r\n")
    said = everything(connection)
    assert said.startswith(b"HTTP/1.1 400")
    assert "HTTP/1.1" in json.loads(said.split(b"\r\n\r\n")[1])["detail"]


def test_a_body_that_is_not_http(connect):
    connection = connect()
    connection.sendall(b"POST /5 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    time.sleep(SECONDS)
    connection.sendall(b"hello\r\n")
    everything(connection)
    assert connect().fileno() >= 0  # the server is there
