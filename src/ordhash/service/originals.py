"""A file as an answer, or parts of it."""

from __future__ import annotations

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from ordhash.service.guard import problem

__all__ = ["OriginalFile"]


class OriginalFile(FileResponse):
    """Starlette's answer with a file, with the body that all failures have where a range makes no sense."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, the parts that the header Range asks for, or why that cannot be."""
        refused = False

        async def told(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = True
                size = {"content-range": f"bytes */{self.headers['content-length']}"}
                sentence = f"the file has no such part; it has {int(self.headers['content-length']):,} bytes"
                await problem(message["status"], sentence, size)(scope, receive, send)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, told)
