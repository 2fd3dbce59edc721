"""Bodies of requests have an end, in bytes and in seconds."""

import asyncio

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from starlette.exceptions import HTTPException

from ordhash.service.body import Body

LENGTH = [(b"content-length", b"10")]
CHUNKED = [(b"transfer-encoding", b"chunked")]


def body(*parts, headers=CHUNKED, most=10, seconds=5.0, endless=False):
    """A body of some parts, after which nothing comes, or the last of them again and again."""
    left = list(parts)

    async def receive():
        if not left:
            await asyncio.sleep(60)
        part = left[0] if endless else left.pop(0)
        return {"type": "http.request", "body": part, "more_body": endless or bool(left)}

    return Body({"type": "http", "headers": headers}, receive, most=most, seconds=seconds)


def run(check):
    asyncio.run(asyncio.wait_for(check(), 30))


def test_whole():
    async def check():
        some = body(b"12345", b"67890", headers=LENGTH)
        assert not some.whole
        assert (await some.receive())["body"] == b"12345"
        assert not some.whole
        assert (await some.receive())["body"] == b"67890"
        assert some.whole
        assert body(headers=[]).whole
        assert body(headers=[(b"content-length", b"0")]).whole
        assert not body(headers=[(b"content-length", b"x")]).whole

    run(check)


def test_too_much():
    async def check():
        some = body(b"12345", b"67890", b"1")
        for _ in range(2):
            await some.receive()
        with pytest.raises(HTTPException) as caught:
            await some.receive()
        assert caught.value.status_code == 413

    run(check)


def test_too_slow():
    async def check():
        some = body(headers=LENGTH, seconds=0.05)
        with pytest.raises(HTTPException) as caught:
            await some.receive()
        assert caught.value.status_code == 408

    run(check)


@pytest.mark.parametrize("parts", [[b"x" * 1_000_000], []])
def test_the_rest_is_dropped_up_to_a_limit(parts, monkeypatch):
    monkeypatch.setattr("ordhash.service.body._REST_SECONDS", 0.2)

    async def check():
        await body(*parts, endless=bool(parts)).drop()

    run(check)
