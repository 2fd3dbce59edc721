"""Who is refused, and whose bodies take the room of others."""

import asyncio

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from ordhash.service.guard import Guard, Numbers
from ordhash.service.settings import ServiceSettings

TOKEN = "a-secret-of-twenty-four"
MOST = 1000
KNOWN = {"host": "localhost", "authorization": f"Bearer {TOKEN}"}


async def application(scope, receive, send):
    """Answers 200; of what needs a token it reads the body first."""
    while scope["path"].startswith("/v1/images") and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(guard, path, headers, *, sent=True):
    """Status of a request that announces the largest body, and sends it or nothing."""
    statuses = []

    async def receive():
        if not sent:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": bytes(MOST), "more_body": False}

    async def send(message):
        statuses.append(message.get("status"))

    given = [(name.encode(), value.encode()) for name, value in {**headers, "content-length": str(MOST)}.items()]
    await guard({"type": "http", "method": "POST", "path": path, "headers": given}, receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    ("path", "headers", "takes_room"),
    [
        ("/v1/images", KNOWN, True),
        ("/v1/images", {"host": "localhost"}, False),
        ("/v1/images", {**KNOWN, "authorization": "Bearer wrong"}, False),
        ("/v1/images", {**KNOWN, "origin": "https://evil.example"}, False),
        ("/v1/health", {"host": "localhost"}, False),
        ("/page/script.js", {"host": "localhost"}, False),
    ],
)
def test_bodies_that_are_only_announced_leave_room_unless_they_are_read(path, headers, takes_room):
    async def check():
        guard = Guard(application, ServiceSettings(token=TOKEN, upload_bytes=MOST), Numbers())
        hanging = [asyncio.create_task(ask(guard, path, headers, sent=False)) for _ in range(40)]
        await asyncio.sleep(0.01)
        assert await ask(guard, "/v1/images", KNOWN) == (429 if takes_room else 200)
        for one in hanging:
            one.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        assert await ask(guard, "/v1/images", KNOWN) == 200

    asyncio.run(asyncio.wait_for(check(), 30))


def test_bodies_of_pages_of_other_sites_leave_room():
    async def check():
        guard = Guard(application, ServiceSettings(upload_bytes=MOST), Numbers())
        elsewhere = {"host": "evil.example"}
        hanging = [asyncio.create_task(ask(guard, "/v1/images", elsewhere, sent=False)) for _ in range(40)]
        await asyncio.sleep(0.01)
        assert await ask(guard, "/v1/images", {"host": "localhost"}) == 200
        for one in hanging:
            one.cancel()

    asyncio.run(asyncio.wait_for(check(), 30))
