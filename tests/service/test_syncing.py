"""A sync in another process: what is known of it once it has ended, however it does."""

import sys
import time

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from ordhash.collection import Collection
from ordhash.errors import ImageError
from ordhash.service import syncing
from ordhash.service.syncing import SyncProcess


@pytest.fixture
def sync_that(monkeypatch, tmp_path):
    """A sync, as the last of whose processes another program runs; it has ended."""
    popen = syncing.subprocess.Popen
    monkeypatch.setattr(Collection, "failures", lambda self: [ImageError("bad.jpg", "it is empty")])

    def start(program):
        monkeypatch.setattr(
            syncing.subprocess,
            "Popen",
            lambda command, **streams: popen(
                [sys.executable, "-S", "-c", f"import os, sys, time\n{program}"], **streams
            ),
        )
        return SyncProcess(tmp_path, tmp_path / "model.onnx", Collection(tmp_path / "photos.ordhash"))

    return start


def problem_of(sync):
    deadline = time.monotonic() + 30
    while sync.running():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return sync.problem


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("os.kill(os.getpid(), 9)", ("unexpectedly", "signal 9")),
        ("1 / 0", ("unexpectedly", "status 1")),
        ("", ("unexpectedly", "status 0")),
        ("print('{\"failures\": [')", ("unexpectedly", "status 0")),
        ("sys.exit('warning: slow\\nerror: photos is not a folder')", ("failed: photos is not a folder",)),
    ],
)
def test_a_sync_without_a_report_has_failed(program, words, sync_that):
    problem = problem_of(sync_that(program))
    for word in words:
        assert word in problem


def test_what_a_sync_left_undone_is_told_and_what_is_listed_elsewhere_is_not(sync_that, tmp_path):
    def report(*failures):
        values = [{"image": str(tmp_path / name), "reason": reason} for name, reason in failures]
        return f"import json\nprint(json.dumps({{'kept': 1, 'failures': {values}}}))\nsys.exit({min(1, len(values))})"

    listed, kept = ("bad.jpg", "it is empty"), ("inbox", "one photograph is missing but not forgotten")
    assert problem_of(sync_that(report())) is None
    assert problem_of(sync_that(report(listed))) is None
    assert "inbox: one photograph is missing" in problem_of(sync_that(report(listed, kept)))
    assert "1 more" in problem_of(sync_that(report(kept, listed, ("2024", "it cannot be read"))))


def test_a_sync_that_is_stopped_is_no_problem(sync_that, caplog):
    sync = sync_that("time.sleep(60)")
    assert sync.running()
    sync.stop()
    assert not sync.running()
    assert sync.problem is None
    assert not caplog.records
