"""The command line: every command parses, calls one or two functions of the library, and prints.

Exit status: 0 done; 1 failed, or done but for some images that could not be used; 2 wrong use; 130 interrupted.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

from ordhash.cli.program import app, main

__all__ = ["app", "main"]
