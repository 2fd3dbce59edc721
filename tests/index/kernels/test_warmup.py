import threading
import time

from ordhash.index.kernels import warm_up, warmup


def test_everything_is_loaded_once_in_a_process_whoever_asks(monkeypatch):
    loaded = []

    def step():
        time.sleep(0.05)
        loaded.append(threading.get_ident())

    monkeypatch.setattr(warmup, "_warm", False)
    monkeypatch.setattr(warmup, "_steps", lambda: [step, step])
    threads = [threading.Thread(target=warm_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        assert len(loaded) == 2  # nobody goes on before all is there
    warm_up(progress=True)
    assert len(loaded) == 2
    assert len(set(loaded)) == 1


def test_it_compiles_every_scan():
    for step in warmup._steps():
        step()
