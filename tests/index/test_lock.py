"""Readers together, writers alone, and nobody waits for ever."""

import signal
import threading

import pytest

from ordhash.index.lock import SharedLock


@pytest.fixture
def interruption():
    """Ctrl-C after 0.2 seconds."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_interrupted_wait_for_a_change_blocks_nobody(interruption):
    lock, looked = SharedLock(), threading.Event()

    def look():
        with lock.looking():
            looked.set()

    later = threading.Timer(0.05, look)  # it waits for the change, which goes first
    later.daemon = True
    later.start()
    with lock.looking():
        with pytest.raises(KeyboardInterrupt), lock.changing():
            pass
        assert looked.wait(5)
    with lock.changing():
        pass
