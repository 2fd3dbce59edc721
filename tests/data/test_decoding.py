from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from oddimages import SHOWN, large_images, odd_images

SECONDS, MEGABYTES = 2.0, 500

# Each image is decoded in a process of its own, of which the system says what it took.
MEASURE = """
import os, sys
from pathlib import Path
from ordhash.data import open_rgb
from ordhash.errors import ImageError
from PIL import Image
Image.init()  # or every process would load all formats again
for path in sorted(Path(sys.argv[1]).iterdir()):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            open_rgb(path, least_side=320)
            said = "shown"
        except ImageError as error:
            said = "refused " + error.reason
        except BaseException as error:
            said = "raised " + repr(error)
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    said = os.fdopen(read, "rb").read().decode()
    _, status, used = os.wait4(pid, 0)
    print(path.name, status, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, said.replace("\\n", " "), sep="\\t")
"""


def decoded(images: Iterator[tuple[str, bytes, str]], folder: Path) -> int:
    expected = {}
    for number, (name, content, what) in enumerate(images):
        (folder / f"{number:03}").write_bytes(content)
        expected[f"{number:03}"] = name, what
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)], capture_output=True, text=True, check=True, errors="replace"
    )
    wrong, lines = [], done.stdout.splitlines()
    for line in lines:
        number, status, seconds, megabytes, said = line.split("\t")
        name, what = expected[number]
        good = said.startswith(("shown", "refused")) if what not in (SHOWN, "refused") else said.startswith(what)
        one_sentence = said == "shown" or (said.count(". ") == 0 and "Traceback" not in said and len(said) < 400)
        if status != "0" or not good or not one_sentence or float(seconds) > SECONDS or int(megabytes) > MEGABYTES:
            wrong.append(f"{name}: {what} expected; {said} after {float(seconds):.1f} s with {megabytes} MB, {status}")
    assert not wrong, "\n".join(wrong)
    assert len(lines) == len(expected)
    return len(lines)


@pytest.mark.slow  # 150 images in processes of their own
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in another unit elsewhere")
def test_odd_images_are_shown_or_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    assert decoded(odd_images(), tmp_path) >= 150


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in another unit elsewhere")
def test_large_images_are_shown_or_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    decoded(large_images(), tmp_path)
