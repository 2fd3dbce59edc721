"""Processes of a benchmark."""

import os
import signal
import time

import pytest

from ordhash.bench.workers import Workers
from ordhash.errors import OrdhashError


def nothing():
    """What a process starts with."""


def fail():
    raise RuntimeError("no memory")


def doubled(number):
    return 2 * number


def doubled_or_killed(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def slow(number):
    time.sleep(0.2 if number else 60)
    return number


@pytest.mark.parametrize("n", [1, 2])
def test_every_task_is_done_once(n):
    found = list(Workers(n, nothing, ()).results(doubled, range(7)))
    assert sorted(found) == [0, 2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("n", [1, 2])
def test_after_the_end_no_task_is_started_and_the_others_are_finished(n):
    ends = time.perf_counter() + 60
    results = Workers(n, nothing, ()).results(doubled, range(100), ends)
    assert next(results) in (0, 2)
    results.close()
    assert list(Workers(n, nothing, ()).results(doubled, range(100), time.perf_counter())) == []


def test_tasks_that_run_at_the_end_are_finished():
    workers = Workers(2, nothing, ())
    found = list(workers.results(slow, [1, 2] * 50, time.perf_counter() + 3))
    assert 0 <= len(found) < 100
    assert set(found) <= {1, 2}


def test_a_killed_process_is_told():
    with pytest.raises(OrdhashError, match="killed"):
        list(Workers(2, nothing, ()).results(doubled_or_killed, range(6)))


def test_a_process_that_cannot_start_is_told(capfd):
    with pytest.raises(OrdhashError, match="could not start"):
        list(Workers(2, fail, ()).results(doubled, range(6)))
    assert "no memory" in capfd.readouterr().err


def test_whoever_gives_up_does_not_wait_for_what_still_runs():
    results = Workers(2, nothing, ()).results(slow, [0, 1, 1, 1])
    assert next(results) == 1
    started = time.perf_counter()
    results.close()
    assert time.perf_counter() - started < 20
