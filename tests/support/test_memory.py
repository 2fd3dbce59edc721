import platform
import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
from ordhash.support import give_memory_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if {asked}:
    give_memory_back()
bytes(8 << 20)  # glibc: from now on blocks of this size are taken from the heap
blocks = [b"x" * (6 << 20) for _ in range(20)]
pins = [b"x" * 4000 for _ in range(50)]
before = resident()
del blocks
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back anyhow")
def test_freed_pictures_go_back_to_the_system():
    freed = {}
    for asked in (True, False):
        command = [sys.executable, "-c", PROGRAM.format(asked=asked)]
        freed[asked] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert freed[True] > 110 << 20
    assert freed[False] < freed[True]
