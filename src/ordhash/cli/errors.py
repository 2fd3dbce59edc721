"""Turn exceptions into one sentence on stderr and an exit status."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import typer
from typer.core import TyperGroup

from ordhash.cli.output import say
from ordhash.errors import InputError, MissingPartError, OrdhashError

__all__ = ["Commands", "install_command", "needs_extra"]


class Commands(TyperGroup):
    """The commands. Errors raised on purpose are printed without a traceback; others are bugs and keep theirs."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # as below
        """Read the arguments; an empty one is refused, as it would be the current folder where a path is expected."""
        for before, text in itertools.pairwise(["", *args]):
            option, equals, value = text.partition("=") if text.startswith("--") else (before, "", text)
            if value or (text.startswith("--") and not equals) or option == "--exclude":  # which may be none at all
                continue
            what = option if option.startswith("-") else "an argument"
            raise typer.BadParameter(f"{what} is empty; give a value, or check the variable that should hold it")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Typer's Context is a subclass
        """Run the command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # here Typer handles a closed pipe quietly
            return result
        except OrdhashError as error:
            say(f"error: {error}")
            raise typer.Exit(2 if isinstance(error, InputError) else 1) from error
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk, a read-only folder
            say(f"error: {error}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            resumes = ctx.invoked_subcommand in ("train", "sync", "bench", "push")
            say("interrupted" + ("; run the same command again to continue" if resumes else ""))
            raise typer.Exit(130) from None


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Wrap imports of an optional part: if one fails, say what is missing and how to install it.

    Args:
        extra: The extra that installs the part.
        what: What needs it, as the beginning of the sentence.

    Raises:
        MissingPartError: A package of the extra is not installed.
    """
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "ordhash":  # a bug of ours
            raise
        raise MissingPartError(f"{what} needs {missing or error}; run `{install_command(extra)}`") from error


def install_command(extra: str) -> str:
    """The command that installs an extra of this package, from where the package was installed.

    Args:
        extra: A group of optional dependencies.
    """
    try:
        origin = json.loads(importlib.metadata.distribution("ordhash").read_text("direct_url.json") or "{}")
    except importlib.metadata.PackageNotFoundError:  # run from its source
        origin = {"url": Path(__file__).parents[3].as_uri()}
    address = origin.get("url", "")
    path = url2pathname(urlsplit(address).path)
    if address.startswith("file:") and Path(path).exists():
        wanted = f"{path}[{extra}]"
    elif "vcs_info" in origin:
        wanted = f"ordhash[{extra}] @ {origin['vcs_info']['vcs']}+{address}"
    else:
        wanted = f"ordhash[{extra}]"
    return f"pip install {shlex.quote(wanted)}"
