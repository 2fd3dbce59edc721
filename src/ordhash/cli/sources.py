"""Sources on the command line: folders, manifests, protocols, images; and what contains codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer

from ordhash.cli.options import refuse_idle
from ordhash.codes import CodeTable, Plan, read_codes, read_shards
from ordhash.collection import Collection
from ordhash.data import PROTOCOLS, ImageSet, Protocol, load_protocol, read_images
from ordhash.errors import InputError, did_you_mean
from ordhash.index import OrdinalIndex
from ordhash.support import Location, is_address, without_password

__all__ = ["check_codes_output", "check_output", "codes_of", "holds_codes", "images_of", "read_source"]


def read_source(source: str, root: Path) -> ImageSet | Protocol:
    """The images of a folder or a manifest, or a protocol.

    Raises:
        InputError: It is neither.
        DataError: It cannot be read.
    """
    if source and Path(source).exists():
        return read_images(Path(source))
    if source in PROTOCOLS:
        return load_protocol(source, root)
    raise InputError(
        f"{source!r} is neither a file, nor a folder, nor a protocol; the protocols are "
        f"{', '.join(PROTOCOLS)}{did_you_mean(source, PROTOCOLS)}"
    )


def images_of(ctx: typer.Context, sources: list[str], part: str | None, root: Path) -> ImageSet:
    """Images to encode.

    Args:
        ctx: Context of a command with the options --part and --root.
        sources: One source, or several images.
        part: Part of a protocol.
        root: Folder of data sets.

    Raises:
        InputError: No such source, several that are not all images, or options of protocols with another source.
        DataError: The source cannot be read.
    """
    folders = [source for source in sources if Path(source).is_dir()]
    if len(sources) > 1 and folders:
        raise InputError(f"{folders[0]} is a folder; give either one folder or several images")
    if len(sources) > 1 or _is_image(Path(sources[0])):
        found: ImageSet | Protocol = ImageSet([Path(source) for source in sources], np.array(sources))
    else:
        found = read_source(sources[0], root)
    if isinstance(found, Protocol):
        images: ImageSet = getattr(found, part or "database")
        return images
    refuse_idle(ctx, "part", "root", unless=False, why=f"on {sources[0]}, which is not a protocol")
    return found


def codes_of(source: str) -> CodeTable:
    """Codes of a collection, of an index, of a file of codes, or of a folder of such files.

    Raises:
        InputError: It is none of these.
        DataError: It cannot be read.
    """
    if holds_codes(source):
        return read_codes(source) if Path(source).is_file() else read_shards(Location(source))
    path = Path(source)
    if Collection.is_one(path):
        return Collection(path).codes()
    if path.is_file():
        index = OrdinalIndex.load(path)
        return CodeTable(index.codes, index.keys, index.metadata, index.model_path)
    raise InputError(
        f"{without_password(source)} {'has no codes' if path.is_dir() else 'does not exist'}; give a collection made "
        "by `ordhash sync`, an index, or codes written by `ordhash encode`"
    )


def holds_codes(source: str) -> bool:
    """Whether it is a file of codes, or a folder of such files, as `ordhash encode` writes them."""
    path = Path(source)
    if is_address(source) or path.is_dir():
        return Plan.of(Location(source)) is not None
    if not path.is_file():
        return False
    import pyarrow as pa  # here: most commands do not need it
    import pyarrow.parquet as pq

    try:
        return b"ordhash.format" in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def check_output(path: Path, *, force: bool) -> None:
    """Fail before the work, not after it.

    Raises:
        InputError: The file exists and may not be replaced, or cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file name")
    if path.exists() and not force:
        raise InputError(f"{path} already exists; give another name, or --force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; create it")


def check_codes_output(path: Path, *, force: bool) -> None:
    """As `check_output`, for a file of codes.

    Raises:
        InputError: As in `check_output`, or the name does not end in .parquet.
    """
    if path.suffix.lower() != ".parquet":
        raise InputError(f"codes files must end in .parquet, not {path.name}")
    check_output(path, force=force)


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in (".csv", ".parquet")
