"""What a user may name: a folder, a manifest, a protocol or images to encode, and what holds codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ordhash.codes import CodeTable, Plan, read_codes, read_shards
from ordhash.collection import Collection
from ordhash.data import PROTOCOLS, ImageSet, Protocol, load_protocol, read_images
from ordhash.errors import InputError, did_you_mean
from ordhash.index import OrdinalIndex
from ordhash.support import Location, is_address, without_password

__all__ = ["check_output", "codes_of", "holds_codes", "images_of", "read_source"]


def read_source(source: str, root: Path) -> ImageSet | Protocol:
    """Images of a folder or a manifest, or else the protocol of that name.

    Raises:
        InputError: It is neither.
        DataError: It cannot be read.
    """
    if source and Path(source).exists():
        return read_images(Path(source))
    if source in PROTOCOLS:
        return load_protocol(source, root)
    raise InputError(
        f"{source!r} is no folder, no file and no protocol; give images, or one of the protocols "
        f"{', '.join(PROTOCOLS)}{did_you_mean(source, PROTOCOLS)}"
    )


def images_of(sources: list[str], part: str | None, root: Path) -> ImageSet:
    """Images to encode.

    Args:
        sources: One source, or several images.
        part: Part of a protocol.
        root: Folder of data sets.

    Raises:
        InputError: No such source, several that are not all images, or a part of what has none.
        DataError: The source cannot be read.
    """
    folders = [source for source in sources if Path(source).is_dir()]
    if len(sources) > 1 and folders:
        raise InputError(f"{folders[0]} is a folder among several sources; give one folder alone, or several images")
    if len(sources) > 1 or _is_image(Path(sources[0])):
        found: ImageSet | Protocol = ImageSet([Path(source) for source in sources], np.array(sources))
    else:
        found = read_source(sources[0], root)
    if isinstance(found, Protocol):
        images: ImageSet = getattr(found, part or "database")
        return images
    if part is not None:
        raise InputError(f"--part {part} was given and {sources[0]} is no protocol; leave it out")
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
        f"{without_password(source)} is {'a folder without codes' if path.is_dir() else 'missing'}; give a collection "
        "that `ordhash sync` made, an index, or codes that `ordhash encode` wrote"
    )


def holds_codes(source: str) -> bool:
    """Whether it is a file of codes, or a folder of such files, as `ordhash encode` writes them."""
    path = Path(source)
    if is_address(source) or path.is_dir():
        return Plan.of(Location(source)) is not None
    if not path.is_file():
        return False
    try:
        return b"ordhash.format" in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def check_output(path: Path, *, force: bool) -> None:
    """Meet before the work what would fail after it.

    Raises:
        InputError: The file exists and may not be replaced, or cannot exist.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not force:
        raise InputError(f"{path} exists already; give another name, or --force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; create it")


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in (".csv", ".parquet")
