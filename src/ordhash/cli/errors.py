"""How an exception becomes a sentence on stderr and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from ordhash.cli.output import say, visible
from ordhash.errors import InputError, MissingPartError, OrdhashError

__all__ = ["Commands", "needs_extra"]


class Commands(TyperGroup):
    """The commands; errors that the package raises on purpose end without a traceback, others are bugs and keep it."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Typer's Context is a subclass
        """Run the command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # here, so that a closed pipe is met where Typer ends quietly
            return result
        except OrdhashError as error:
            say(f"error: {visible(str(error))}")
            raise typer.Exit(2 if isinstance(error, InputError) else 1) from error
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk, a folder that may not be written
            say(f"error: {visible(str(error))}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            resumes = ctx.invoked_subcommand in ("train", "sync", "bench", "push")
            say("interrupted" + ("; run the same command again to go on" if resumes else ""))
            raise typer.Exit(130) from None


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Around imports from a part that need not be installed: one that fails says what is missing and how to install it.

    Args:
        extra: Name of the extra that brings the part.
        what: What needs it, as the sentence begins.

    Raises:
        MissingPartError: A package of the extra is not there.
    """
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "ordhash":  # a bug of ours
            raise
        raise MissingPartError(f"{what} needs {missing or error}; run `pip install 'ordhash[{extra}]'`") from error
