import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from ordhash.errors import InputError
from ordhash.service.settings import ServiceSettings, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_addresses_that_only_this_machine_reaches(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "photos.example"])
def test_addresses_that_others_reach(host):
    assert not is_loopback(host)


def test_others_may_only_come_in_with_a_token():
    with pytest.raises(InputError, match=r"0\.0\.0\.0.*token"):
        ServiceSettings(host="0.0.0.0")
    settings = ServiceSettings(host="0.0.0.0", token="x" * 16)
    assert not settings.loopback
    assert "xxxx" not in repr(settings)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"port": 70000}, "70000.*65535"),
        ({"token": "short"}, "16 or more"),
        ({"token": "schlüssel-zum-haus"}, "ASCII"),
        ({"token": "a token that has spaces"}, "space"),
        ({"upload_bytes": 0}, "upload_bytes is 0"),
        ({"pixels": -1}, "pixels is -1"),
        ({"concurrent": 0}, "concurrent is 0"),
        ({"seconds": 0}, "seconds is 0"),
        ({"waiting": -1}, "waiting is -1"),
    ],
)
def test_values_that_are_not_allowed(values, sentence):
    with pytest.raises(InputError, match=sentence):
        ServiceSettings(**values)
