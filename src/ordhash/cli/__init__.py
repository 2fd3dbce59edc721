"""The command line: every command parses its options, calls one or two functions of the library, and prints.

Exit status: 0 success; 1 failure, or some images could not be used; 2 wrong use; 130 interrupted.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

from ordhash.cli.program import app, main

__all__ = ["app", "main"]
