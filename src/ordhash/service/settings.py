"""Settings of the service."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from ordhash.errors import InputError
from ordhash.support import available_cores

__all__ = ["ServiceSettings", "is_loopback"]


@dataclass(frozen=True)
class ServiceSettings:
    """Where a service listens, who may connect, and limits.

    Attributes:
        host: Address to listen at.
        port: Port; 0 takes a free one.
        token: Clients must send it; None lets in everybody who can reach a loopback address.
        changes: Whether photographs may be added and deleted, and syncs started.
        originals: Whether clients may fetch the files of photographs as they are, with place and camera.
        upload_bytes: Largest body of a request.
        pixels: Most pixels of an uploaded image.
        concurrent: Requests that run at once, of searches and of pictures each; of changes only one does.
        waiting: Requests that may wait, of searches, pictures and changes each; more are refused with status 429.
        seconds: Time limit of a request; then status 503. A change that has begun is waited for.

    Raises:
        InputError: A value that is not allowed, or no token although other machines can connect.

    >>> ServiceSettings().loopback
    True
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    changes: bool = True
    originals: bool = False
    upload_bytes: int = 32 << 20
    pixels: int = 100_000_000
    concurrent: int = field(default_factory=available_cores)
    waiting: int = 64
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"port is {self.port}; allowed is 0 to 65535")
        if not self.loopback and not self.token:
            raise InputError(f"host {self.host} can be reached by other machines; set a token, or listen at 127.0.0.1")
        if self.token is not None and not re.fullmatch(r"[!-~]{16,}", self.token):
            raise InputError("the token must have 16 or more printable ASCII characters and no space")
        for name in ("upload_bytes", "pixels", "concurrent", "seconds"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.waiting < 0:
            raise InputError(f"waiting is {self.waiting}; it must be 0 or more")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
