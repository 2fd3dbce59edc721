"""The images of a job, listed once, so that every worker and every later run uses the same list.

Images that are separate files are listed in a Parquet file of path, key and metadata; Parquet files that hold the
images themselves are their own list.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ordhash.codes import LIST
from ordhash.data import IMAGE, ClassFolders, ImageSet, PassedOver, holds_images, is_unicode, read_images, read_location
from ordhash.errors import DataError, InputError, first_line
from ordhash.support import Location, name_of

__all__ = ["ImageRows", "Listed", "list_images"]

_BATCH = 1024  # rows that are read at once


@dataclass(frozen=True)
class ImageRows:
    """Rows of Parquet files, counted through all of them.

    Attributes:
        files: The files.
        groups: Rows of every row group of every file.
    """

    files: tuple[Location, ...]
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, files: Sequence[Location]) -> ImageRows:
        """The rows of some files, of which the footers alone are read.

        Raises:
            DataError: A file is not a Parquet file, or holds neither images nor a list of them.
        """
        groups = []
        for location in files:
            try:
                with location.open() as file:
                    parquet = pq.ParquetFile(file)
                    metadata = parquet.metadata
                if IMAGE not in parquet.schema_arrow.names and location.path.rpartition("/")[2] != LIST:
                    raise DataError(f"{location} has no column {IMAGE!r}, and others beside it have; move it elsewhere")
                groups.append(tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)))
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"{location} cannot be read as a parquet table ({first_line(error)}); repair it"
                ) from error
        return cls(tuple(files), tuple(groups))

    def __len__(self) -> int:
        return sum(map(sum, self.groups))

    def take(self, start: int, stop: int) -> pa.Table:
        """Rows from ``start`` to before ``stop``; only the row groups that hold them are read."""
        tables, first = [], 0
        for location, groups in zip(self.files, self.groups, strict=True):
            last = first + sum(groups)
            if first < stop and last > start:
                edges = first + np.cumsum([0, *groups])
                wanted = [n for n in range(len(groups)) if edges[n] < stop and edges[n + 1] > start]
                at = int(edges[wanted[0]])
                with location.open() as file:
                    # In batches, since a row group may hold many more images than a shard.
                    for batch in pq.ParquetFile(file).iter_batches(_BATCH, row_groups=wanted):
                        if at < stop and at + len(batch) > start:
                            begin = max(0, start - at)
                            tables.append(pa.Table.from_batches([batch.slice(begin, stop - at - begin)]))
                        at += len(batch)
                        if at >= stop:
                            break
            first = last
        return pa.concat_tables(tables, promote_options="permissive")


@dataclass(frozen=True)
class Listed:
    """The images of a job.

    Attributes:
        name: Name of the source in messages.
        table: Path, key and metadata of every image; None where the images are in the files themselves.
        parquet: The files that hold the images themselves; None where a table says where they are.
        images: The file system of the paths.
        n_images: How many.
        passed_over: What the listing of a folder passed over.
    """

    name: str
    table: pa.Table | None
    parquet: ImageRows | None
    images: Location | None
    n_images: int
    passed_over: PassedOver = field(default_factory=PassedOver)

    def digest(self) -> str:
        """Digest of the list of images."""
        digest = hashlib.blake2b(digest_size=8)
        if self.table is not None:
            for batch in self.table.to_batches(max_chunksize=_BATCH):
                digest.update(repr(batch.to_pylist()).encode("utf-8", "backslashreplace"))
        if self.parquet is not None:
            for file, groups in zip(self.parquet.files, self.parquet.groups, strict=True):
                digest.update(repr((str(file), file.state(), groups)).encode())
        return digest.hexdigest()

    def write(self, folder: Location, shard_size: int) -> None:
        """Write the list, with a row group for each shard."""
        if self.table is not None:
            content = io.BytesIO()
            pq.write_table(self.table, content, row_group_size=shard_size)
            folder.below(LIST).write(content.getvalue())

    def rows(self, folder: Location) -> ImageRows:
        """The rows that say what to encode, in the order of the images."""
        return self.parquet if self.parquet is not None else ImageRows.of([folder.below(LIST)])


def list_images(source: str | ImageSet, *, classes: ClassFolders = "auto", exclude: Sequence[str] = ()) -> Listed:
    """The images of a source, as [encode_on_ray][ordhash.ray.encode_on_ray] takes it, too classes and exclude.

    Raises:
        InputError: It holds images that are not files.
        DataError: It cannot be read.
    """
    if isinstance(source, ImageSet):
        return _of_set(source, f"{len(source)} images", Location("."))
    location = Location(source)
    name = name_of(location)
    files = _parquet_with_images(location)
    if files and (exclude or classes != "auto"):
        raise InputError(
            f"{location} holds images in Parquet files, which have no folders; leave classes and exclude out"
        )
    if files:
        rows = ImageRows.of(files)
        if not len(rows):
            raise DataError(f"{location} has no rows; add one row per image")
        return Listed(name, None, rows, None, len(rows))
    read = (
        read_images(location.path, classes=classes, exclude=exclude)
        if location.is_local
        else (read_location(location, classes=classes, exclude=exclude))
    )
    return _of_set(read, name, location)


def _of_set(images: ImageSet, name: str, location: Location) -> Listed:
    if not all(isinstance(image, str | Path) for image in images.images):
        raise InputError(f"{name} holds images that are not files; encode them with --engine local")
    paths = [str(Path(str(image)).absolute()) if location.is_local else str(image) for image in images.images]
    metadata = images.metadata_with_labels()
    bad = next((path for path in paths if not is_unicode(path)), None)
    if bad is not None:
        raise InputError(f"the path {bad!r} is not valid Unicode; rename the folder")
    table = pa.table({"path": pa.array(paths, pa.string()), "key": pa.array(images.keys)})
    if metadata is not None:
        for column in metadata.schema:
            table = table.append_column(column, metadata[column.name])
    return Listed(name, table, None, location, len(images), images.passed_over)


def _parquet_with_images(location: Location) -> list[Location]:
    """Parquet files that hold images: the one given, or those of a folder without pictures."""
    if location.path.lower().endswith(".parquet") and location.is_file():
        files = [location]
    else:
        names = [name for name in location.names() or () if name.lower().endswith(".parquet") and name[0] not in "._"]
        if not names or holds_images(location):
            return []
        files = [location.below(name) for name in sorted(names)]
    try:
        with files[0].open() as stream:
            columns = pq.read_schema(stream).names
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{files[0]} cannot be read as a parquet table ({first_line(error)}); repair it") from error
    return files if IMAGE in columns and "path" not in columns else []
