"""The address of this machine, as others reach it."""

from __future__ import annotations

import ipaddress
import socket

__all__ = ["address_for_others"]

# Kept for documentation (RFC 5737, RFC 3849), so they belong to nobody.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def address_for_others(listening: str) -> str:
    """The host of a URL under which a server is reached.

    A server that listens at all addresses (``0.0.0.0``, ``::``) is reached at the one that this machine uses towards
    others. Nothing is sent to find it: connecting a datagram socket only makes the system choose a route.

    Args:
        listening: The address that the server listens at.

    Returns:
        An address, IPv6 in brackets; the name of the machine if it is connected to no network.

    >>> address_for_others("127.0.0.1"), address_for_others("::1"), address_for_others("localhost")
    ('127.0.0.1', '[::1]', 'localhost')
    """
    try:
        address = ipaddress.ip_address(listening)
    except ValueError:
        return listening
    if not address.is_unspecified:
        return f"[{listening}]" if address.version == 6 else listening
    if address.version == 6:  # takes IPv4 too
        found = _towards_others(socket.AF_INET6)
        if found:
            return f"[{found}]"
    return _towards_others(socket.AF_INET) or socket.gethostname()


def _towards_others(family: socket.AddressFamily) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_ELSEWHERE[family], 9))
            found = str(probe.getsockname()[0])
    except OSError:  # no route, or no such family here
        return None
    return None if ipaddress.ip_address(found).is_loopback else found
