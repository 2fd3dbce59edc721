"""The files that a table means by its paths, which may have been written on another system."""

from __future__ import annotations

import unicodedata
from pathlib import Path

__all__ = ["find_file"]


def find_file(folder: Path, name: str) -> Path:
    """The file of a path in a table.

    Args:
        folder: The folder that paths are relative to.
        name: The path. Where nothing is there, backslashes are tried as slashes, and accents in composed and decomposed
            form, part by part, since macOS and archives from it decompose the names of files.

    Returns:
        The path of a file if one of these is there, else that of the name as it is.
    """
    plain = folder / name
    if "\\" not in name and name.isascii():
        return plain
    names = [name, name.replace("\\", "/")] if "\\" in name else [name]
    for written in names:
        found = _in_any_form(folder, written)
        if found is not None:
            return found
    return plain


def _in_any_form(folder: Path, name: str) -> Path | None:
    """The path of a name, if something is there; its parts may be in other forms of Unicode."""
    try:
        if (folder / name).exists():
            return folder / name
        if name.isascii():
            return None
        at = folder
        for part in Path(name).parts:
            forms = dict.fromkeys([part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD"))])
            there = next((at / form for form in forms if (at / form).exists()), None)
            if there is None:
                return None
            at = there
    except (OSError, ValueError):  # a name that no file can have
        return None
    return at
