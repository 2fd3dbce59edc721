"""Codes of parts on a Milvus server: rows of a collection of their own, each with the metadata of its image.

Their keys are those of the images with ``#`` and a number. Milvus then finds parts as it finds images, and applies the
same conditions; which image a part is of, and where it is, are two more columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ordhash.codes import BOX_BYTES, CodeSpec, CodeTable, PartCodes, part_margin
from ordhash.milvus.entities import Columns
from ordhash.search import Answer

__all__ = ["BOX", "OWNER", "columns_of_parts", "merged", "parts_of_table", "table_of_parts"]

OWNER, BOX = "ordhash_owner", "ordhash_box"
"""Columns: the key of the image, and the four sides of the box as the bytes of a number, the left one highest."""

_BYTES = 256 ** np.arange(BOX_BYTES)[::-1]


def columns_of_parts(columns: Columns, keys: np.dtype[Any]) -> Columns:
    """How the metadata of parts are kept: as those of the images, and two more.

    Args:
        columns: Of the images.
        keys: The dtype of their keys.
    """
    owner = pa.field(OWNER, pa.int64() if keys == np.int64 else pa.string())
    schema = columns.schema.append(owner).append(pa.field(BOX, pa.int64()))
    return Columns(schema, columns.scalars | {OWNER, BOX})


def table_of_parts(table: CodeTable, parts: PartCodes) -> CodeTable:
    """Parts as rows.

    Args:
        table: The images.
        parts: Their parts.

    >>> from ordhash.codes import OrdinalCodes
    >>> codes = OrdinalCodes.from_symbols([[0, 1], [1, 1]], arity=2)
    >>> parts = PartCodes(codes, [1, 1], [[0, 0, 255, 51], [0, 0, 51, 51]])
    >>> table_of_parts(CodeTable(codes, ["a.jpg", "b.jpg"]), parts).keys.tolist()
    ['b.jpg#0', 'b.jpg#1']
    """
    owners = table.keys[parts.owners]
    places = np.arange(len(parts)) - np.searchsorted(parts.owners, parts.owners)  # among the parts of an image
    keys = np.array([f"{owner}#{place}" for owner, place in zip(owners.tolist(), places.tolist(), strict=True)], object)
    kind = pa.int64() if table.keys.dtype == np.int64 else pa.string()
    where = pa.table({OWNER: pa.array(owners, kind), BOX: parts.boxes.astype(np.int64) @ _BYTES})
    if table.metadata is not None:
        for place, column in enumerate(table.metadata.take(pa.array(parts.owners)).columns):
            where = where.add_column(place, table.metadata.field(place), column)
    return CodeTable(parts.codes, keys, where, table.model_path)


def parts_of_table(rows: CodeTable, keys: npt.NDArray[Any]) -> PartCodes:
    """Invert ``table_of_parts``; parts of images that are not there, since a push was interrupted, are left out.

    Args:
        rows: The parts, in any order.
        keys: Of the images, in the order that they get.
    """
    if not len(rows) or rows.metadata is None:
        return PartCodes.none(rows.codes.spec, rows.codes.model_id)
    number_of = {key: row for row, key in enumerate(keys.tolist())}
    owners = np.array([number_of.get(owner, -1) for owner in rows.metadata[OWNER].to_pylist()])
    places = np.array([int(key.rpartition("#")[2]) for key in rows.keys.tolist()])
    order = np.lexsort((places, owners))
    order = order[owners[order] >= 0]
    boxes = rows.metadata[BOX].to_numpy()[order, None] // _BYTES % 256
    return PartCodes(rows.codes[order], owners[order], boxes)


def merged(of_items: Sequence[Answer], of_parts: Sequence[Answer], spec: CodeSpec, top_k: int) -> tuple[Answer, ...]:
    """Answers to one query by images and by their parts: each image once, at its nearest, nearest first, ties by key.

    Args:
        of_items: Found by their codes, nearest first.
        of_parts: Found by those of parts, as rows of ``table_of_parts``.
        spec: Shape of the codes.
        top_k: How many.
    """
    margin, found = part_margin(spec), {answer.key: answer for answer in of_items}
    for part in of_parts:
        owner, metadata, distance = part.metadata[OWNER], dict(part.metadata), part.distance + margin
        if owner in found and found[owner].distance <= distance:
            continue
        box = metadata.pop(BOX) // _BYTES % 256 / 255
        del metadata[OWNER]
        found[owner] = Answer(owner, distance, metadata, box=tuple(box.tolist()))
    return tuple(sorted(found.values(), key=lambda answer: (answer.distance, answer.key))[:top_k])
