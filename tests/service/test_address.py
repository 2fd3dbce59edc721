import ipaddress
import socket
from typing import ClassVar

import pytest

from ordhash.service import address as module
from ordhash.service.address import address_for_others


class Probe:
    """A datagram socket of a machine with some addresses."""

    own: ClassVar[dict] = {}

    def __init__(self, family, kind):
        assert kind == socket.SOCK_DGRAM  # a stream would connect
        self.family = family

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def connect(self, address):
        assert ipaddress.ip_address(address[0]) in ipaddress.ip_network(("192.0.2.0/24", "2001:db8::/32")[self.v6])
        if self.family not in self.own:
            raise OSError(101, "Network is unreachable")

    @property
    def v6(self):
        return self.family == socket.AF_INET6

    def getsockname(self):
        return self.own[self.family], 1234


@pytest.mark.parametrize(
    ("listening", "own", "expected"),
    [
        ("0.0.0.0", {socket.AF_INET: "192.168.1.7", socket.AF_INET6: "fd00::7"}, "192.168.1.7"),
        ("::", {socket.AF_INET: "192.168.1.7", socket.AF_INET6: "fd00::7"}, "[fd00::7]"),
        ("::", {socket.AF_INET: "192.168.1.7"}, "192.168.1.7"),
        ("0.0.0.0", {}, "here"),
        ("::", {socket.AF_INET6: "::1"}, "here"),
        ("192.168.1.7", {}, "192.168.1.7"),
        ("fd00::7", {}, "[fd00::7]"),
    ],
)
def test_the_address_is_one_that_others_reach(listening, own, expected, monkeypatch):
    monkeypatch.setattr(Probe, "own", own)
    monkeypatch.setattr(module.socket, "socket", Probe)
    monkeypatch.setattr(module.socket, "gethostname", lambda: "here")
    assert address_for_others(listening) == expected
