"""Sources on the command line: folders, manifests, protocols, images; and what contains codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer

from ordhash.cli.options import folder_options, refuse_idle
from ordhash.codes import CodeTable, Plan, read_codes, read_shards
from ordhash.collection import Collection
from ordhash.data import (
    PROTOCOLS,
    ImageSet,
    PassedOver,
    Protocol,
    is_table_name,
    is_unicode,
    load_protocol,
    read_images,
)
from ordhash.errors import DataError, ImageError, InputError, did_you_mean
from ordhash.index import OrdinalIndex
from ordhash.support import Location, is_address, without_password

__all__ = [
    "check_codes_output",
    "check_exist",
    "check_index",
    "check_is_collection",
    "check_output",
    "codes_of",
    "holds_codes",
    "images_of",
    "read_source",
]


def read_source(ctx: typer.Context, source: str, root: Path) -> ImageSet | Protocol:
    """The images of a folder or a manifest, or a protocol.

    Args:
        ctx: Context of a command, perhaps with the options --classes and --exclude.
        source: The folder, manifest or protocol.
        root: Folder of data sets.

    Raises:
        InputError: It is neither.
        DataError: It cannot be read.
    """
    check_exist([source])
    options = folder_options(ctx, source)
    if source in PROTOCOLS and not Path(source).exists():
        return load_protocol(source, root)
    if is_address(source):
        raise InputError(f"{without_password(source)} is an address, which only `ordhash encode --engine ray` reads")
    return read_images(Path(source), **options)


def check_exist(sources: list[str]) -> None:
    """Check that a source exists, before anything else is said of it; of several images, missing ones are left out.

    Raises:
        InputError: It is neither a path that exists, nor a protocol, nor an address; or it is a collection.
    """
    source = sources[0]
    if Collection.is_one(source):
        images = Collection(source).info().folder
        raise InputError(
            f"{source} is a collection; give its folder of images, {images}, or write its codes with `ordhash export`"
        )
    if len(sources) == 1 and not (Path(source).exists() or source in PROTOCOLS or is_address(source)):
        raise InputError(
            f"{source!r} does not exist; give a folder, a manifest, images, or a protocol (`ordhash data list` lists "
            f"them){did_you_mean(source, PROTOCOLS)}"
        )


def check_is_collection(path: Path) -> None:
    """Check that a path is a collection.

    Raises:
        DataError: It is not; the message says what it is, and names the collection beside a folder of images.
    """
    if Collection.is_one(path):
        return
    usual = Path(f"{path.resolve()}.ordhash")
    there = Collection.is_one(usual)
    if not path.exists():
        raise DataError(f"{path} does not exist; {f'give {usual}' if there else 'check the path'}")
    if not path.is_dir():
        raise DataError(f"{path} is a file, not a collection; give a folder made by `ordhash sync`")
    if path.suffix == usual.suffix:  # of a collection once
        raise DataError(
            f"{path} has no catalogue, so it is not a collection; run `ordhash sync {path.with_suffix('')}`"
        )
    do = f"give {usual}" if there else f"run `ordhash sync {path}`, then give {usual}"
    raise DataError(f"{path} is a folder, not a collection; {do}")


def check_index(index: Path, images: list[Path]) -> None:
    """Check that a path may be an index, a file or a collection, and is not given behind the images.

    Raises:
        InputError: A collection is among the images, or there are codes instead of an index.
        DataError: The index is missing or a folder; the message names the collection beside a folder of images.
    """
    late = [path for path in images if Collection.is_one(path)]
    if late and not Collection.is_one(index):
        raise InputError(f"the collection comes first: ordhash search {late[0]} {index}")
    if holds_codes(str(index)):
        raise InputError(f"{index} holds codes, not an index; run `ordhash index {index} --out {index}.index` first")
    if not index.is_file():
        check_is_collection(index)


def images_of(ctx: typer.Context, sources: list[str], split: str | None, root: Path) -> ImageSet:
    """Images to encode.

    Args:
        ctx: Context of a command with the options --split and --root.
        sources: One source, or several images.
        split: Which images of a protocol; None for its database.
        root: Folder of data sets.

    Raises:
        InputError: No such source, several that are not all images, or options of protocols with another source.
        DataError: The source cannot be read.
    """
    folders = [source for source in sources if Path(source).is_dir()]
    if len(sources) > 1 and folders:
        raise InputError(f"{folders[0]} is a folder; give either one folder or several images")
    if len(sources) > 1 or _is_image(Path(sources[0])):
        folder_options(ctx, sources[0])  # raises if one was given
        found: ImageSet | Protocol = _single_images(sources)
    else:
        found = read_source(ctx, sources[0], root)
    if isinstance(found, Protocol):
        images: ImageSet = getattr(found, split or "database")
        return images
    refuse_idle(ctx, "split", "root", unless=False, why=f"on {sources[0]}, which is not a protocol")
    return found


def _single_images(sources: list[str]) -> ImageSet:
    """Images that are named one by one, but for those whose names are not valid Unicode."""
    passed, used = PassedOver(), []
    for source in sources:
        if is_unicode(source):
            used.append(source)
        else:
            passed.failures.append(ImageError(source, "the name is not valid Unicode; rename the file"))
    if not used:
        raise passed.failures[0]
    return ImageSet([Path(source) for source in used], np.array(used), passed_over=passed)


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
        return CodeTable(index.codes, index.keys, index.metadata, index.model_path, index.parts)
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


def check_output(path: Path, *, force: bool, read: Sequence[str | Path | None]) -> None:
    """Fail before the work, not after it.

    Args:
        path: The file to write.
        force: Whether it may replace another.
        read: What is read, which may not be replaced.

    Raises:
        InputError: The file exists and may not be replaced, or cannot be written.
    """
    if path.exists() and any(other is not None and Path(other).exists() and path.samefile(other) for other in read):
        raise InputError(f"{path} is read by this command; give another name for what it writes")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file name")
    if path.exists() and not force:
        raise InputError(f"{path} already exists; give another name, or --force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; create it")


def check_codes_output(path: Path, *, force: bool, read: Sequence[str | Path | None]) -> None:
    """As `check_output`, for a file of codes.

    Raises:
        InputError: As in `check_output`, or the name does not end in .parquet.
    """
    if path.suffix.lower() != ".parquet":
        raise InputError(f"codes files must end in .parquet, not {path.name}")
    check_output(path, force=force, read=read)


def _is_image(path: Path) -> bool:
    return path.is_file() and not is_table_name(path.name)
