"""``python -m ordhash.cli``, for when ``ordhash`` is not on the path."""

from __future__ import annotations

from ordhash.cli import main

if __name__ == "__main__":
    main()
