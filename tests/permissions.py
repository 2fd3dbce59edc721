"""Work that permissions bind, also where the tests run as root."""

import os
from contextlib import contextmanager


@contextmanager
def unprivileged(folder):
    """Work inside it is done by somebody whom permissions bind: not by root, who becomes nobody."""
    if os.geteuid():
        yield
        return
    closed = {path: path.stat().st_mode for path in folder.parents if path.stat().st_mode & 0o011 != 0o011}
    for path, mode in closed.items():
        path.chmod(mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in closed.items():
            path.chmod(mode)


def forbid_writing(folder):
    """Nobody but root may write to a folder and its files."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
