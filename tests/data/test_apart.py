from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from oddimages import encoded, photograph
from PIL import Image

from ordhash.data.apart import Decoders
from ordhash.data.images import open_rgb
from ordhash.errors import ImageError

LIMIT = 1_000_000


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    with Decoders(2, seconds=20, max_pixels=LIMIT) as made:
        yield made


def test_an_image_comes_back_as_it_is_decoded_here(decoders: Decoders) -> None:
    for kind in ("JPEG", "PNG"):
        content = encoded(photograph().resize((900, 700)), kind)
        for least in (None, 100):
            got = decoders.open_rgb(content, name="a", least_side=least)
            np.testing.assert_array_equal(np.asarray(got), np.asarray(open_rgb(content, least_side=least)))


def test_what_cannot_be_used_is_said_under_its_name(decoders: Decoders) -> None:
    with pytest.raises(ImageError, match="upload: this is not an image"):
        decoders.open_rgb(b"hello", name="upload")
    with pytest.raises(ImageError, match="allowed are 1,000,000 in all"):
        decoders.open_rgb(encoded(Image.new("L", (1001, 1000)), "PNG"), name="upload")
    assert decoders.open_rgb(encoded(photograph(), "PNG"), name="a").size == (96, 96)


def test_threads_share_the_processes(decoders: Decoders) -> None:
    contents = [encoded(Image.new("RGB", (8 + i, 8)), "PNG") for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda content: decoders.open_rgb(content, name="a").size, contents))
    assert sizes == [(8 + i, 8) for i in range(40)]
    assert len(decoders._all) <= 2


def stuck(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """An image whose decoding never ends, in processes started from now on."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'ordhash.data.apart' in ' '.join(sys.orig_argv):\n"
        "    from PIL import BmpImagePlugin\n"
        "    def load(self):\n"
        "        while True: pass\n"
        "    BmpImagePlugin.BmpImageFile.load = load\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return encoded(photograph(), "BMP")


def test_one_that_takes_too_long_is_ended_and_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = stuck(monkeypatch, tmp_path)
    with Decoders(1, seconds=1, max_pixels=LIMIT) as decoders:
        decoders.start()
        (process,) = decoders._all
        started = time.monotonic()
        with pytest.raises(ImageError, match="more than 1 seconds"):
            decoders.open_rgb(content, name="slow")
        assert time.monotonic() - started < 15
        assert process.returncode == -signal.SIGALRM
        assert decoders.open_rgb(encoded(photograph(), "PNG"), name="a").size == (96, 96)


def test_closing_ends_what_is_decoded_now(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = stuck(monkeypatch, tmp_path)
    decoders = Decoders(1, seconds=600, max_pixels=LIMIT)
    decoders.start()
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            decoders.open_rgb(content, name="slow")
        except ImageError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.5)
    decoders.close()
    thread.join(20)
    assert failed
    assert not decoders._all
    with decoders:
        assert decoders.open_rgb(encoded(photograph(), "PNG"), name="late").size == (96, 96)


def test_a_process_that_dies_between_two_images_is_replaced(decoders: Decoders) -> None:
    content = encoded(photograph(), "PNG")
    decoders.open_rgb(content, name="a")
    for process in list(decoders._all):
        process.kill()
        process.wait()
    assert decoders.open_rgb(content, name="a").size == (96, 96)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is not limited on this system")
def test_memory_is_limited() -> None:
    content = encoded(photograph().resize((4000, 4000)), "PNG")
    with Decoders(1, seconds=60, max_pixels=20_000_000, memory=20 << 20) as decoders:
        with pytest.raises(ImageError, match="memory"):
            decoders.open_rgb(content, name="large")
        assert decoders.open_rgb(encoded(photograph(), "PNG"), name="a").size == (96, 96)


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "import os\nfrom ordhash.data.apart import Decoders\nd = Decoders(1, seconds=9, max_pixels=9)\nd.start()\n"
        "print(next(iter(d._all)).pid, flush=True)\nos._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if b") Z" in Path(f"/proc/{pid}/stat").read_bytes():
            return  # nobody collects it here
        time.sleep(0.05)
    pytest.fail("it is still there")
