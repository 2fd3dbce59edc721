"""The command line: every command parses its options, calls one or two functions of the library, and prints.

Exit status: 0 success; 1 failure, or some images could not be used; 2 wrong use; 130 interrupted.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ordhash.cli.program import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the command ``ordhash``."""
    try:
        from ordhash.cli.program import run

        run()
    except KeyboardInterrupt:  # loading takes a second, before the commands can say it
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'ordhash.cli' has no attribute {name!r}")
    from ordhash.cli.program import app

    return app
