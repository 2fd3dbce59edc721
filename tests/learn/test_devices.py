import pytest

from ordhash.errors import InputError
from ordhash.learn import TrainConfig
from ordhash.learn.devices import start_fabric


@pytest.mark.parametrize(
    ("devices", "batch_size", "why"),
    [(3, 64, "multiple of 3"), (64, 64, "cores")],
)
def test_numbers_of_processes_are_checked_before_they_start(devices, batch_size, why, monkeypatch):
    monkeypatch.setattr("ordhash.learn.devices.available_cores", lambda: 8)
    monkeypatch.setattr("lightning_fabric.Fabric.launch", lambda _: pytest.fail("processes were started"))
    with pytest.raises(InputError, match=why):
        start_fabric(TrainConfig(devices=devices, batch_size=batch_size, accelerator="cpu"))
