"""Codes of parts on a Milvus server: rows of a collection of their own, each with the metadata of its image.

Their keys are those of the images with ``#`` and a number. Milvus then finds parts as it finds images, and applies the
same conditions. One more column says where a part is.
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

__all__ = ["BOX", "columns_of_parts", "merged", "parts_of_table", "table_of_parts"]

BOX = "ordhash_box"
"""Column: the four sides of the box as the bytes of a number, the left one highest."""

_BYTES = 256 ** np.arange(BOX_BYTES)[::-1]


def columns_of_parts(columns: Columns) -> Columns:
    """How the metadata of parts are kept: as those of the images, and one more.

    Args:
        columns: Of the images.
    """
    return Columns(columns.schema.append(pa.field(BOX, pa.int64())), columns.scalars | {BOX})


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
    places = np.arange(len(parts)) - np.searchsorted(parts.owners, parts.owners)  # among the parts of an image
    owners = table.keys[parts.owners].tolist()
    keys = np.array([f"{owner}#{place}" for owner, place in zip(owners, places.tolist(), strict=True)], object)
    metadata = pa.table({BOX: parts.boxes.astype(np.int64) @ _BYTES})
    if table.metadata is not None:
        for place, column in enumerate(table.metadata.take(pa.array(parts.owners)).columns):
            metadata = metadata.add_column(place, table.metadata.field(place), column)
    return CodeTable(parts.codes, keys, metadata, table.model_path)


def parts_of_table(rows: CodeTable, keys: npt.NDArray[Any]) -> PartCodes:
    """Invert ``table_of_parts``; parts of images that are not there, since a push was interrupted, are left out.

    Args:
        rows: The parts, in any order.
        keys: Of the images, in the order that they get.
    """
    if not len(rows) or rows.metadata is None:
        return PartCodes.none(rows.codes.spec, rows.codes.model_id)
    number_of = {str(key): row for row, key in enumerate(keys.tolist())}
    named = [key.rpartition("#") for key in rows.keys.tolist()]
    owners = np.array([number_of.get(owner, -1) for owner, _, _ in named])
    order = np.lexsort((np.array([int(place) for _, _, place in named]), owners))
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
    if not of_items:  # then only a push that is under way has parts
        return ()
    # Not from a column: the server's texts have composed accents, and keys have those of the file's name.
    as_key = int if isinstance(of_items[0].key, int) else str
    margin, found = part_margin(spec), {answer.key: answer for answer in of_items}
    for part in of_parts:
        owner, metadata, distance = as_key(part.key.rpartition("#")[0]), dict(part.metadata), part.distance + margin
        box = metadata.pop(BOX) // _BYTES % 256 / 255
        if owner not in found or distance < found[owner].distance:
            found[owner] = Answer(owner, distance, metadata, box=tuple(box.tolist()))
    return tuple(sorted(found.values(), key=lambda answer: (answer.distance, answer.key))[:top_k])
