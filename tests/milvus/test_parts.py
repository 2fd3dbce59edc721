"""Parts as rows of a Milvus collection."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pymilvus", reason="needs ordhash[cluster]")

from ordhash.codes import CodeSpec, CodeTable, OrdinalCodes, PartCodes, part_margin
from ordhash.milvus.entities import Columns
from ordhash.milvus.parts import BOX, columns_of_parts, merged, parts_of_table, table_of_parts
from ordhash.search import Answer

SPEC = CodeSpec(16, 4)


def made(n, seed=0):
    return OrdinalCodes(np.random.default_rng(seed).integers(0, 4, (n, 8), dtype=np.uint8), SPEC, "m")


@pytest.fixture(params=["strings", "integers"])
def table(request):
    boxes = [[0, 0, 255, 51], [1, 2, 3, 4], [100, 0, 255, 255], [0, 0, 51, 255]]
    parts = PartCodes(made(4, 1), [0, 2, 2, 3], boxes)
    keys = ["a#1", "b", "cafe\u0301.jpg", "c"] if request.param == "strings" else [7, 2, 71, 1]
    return CodeTable(made(4), keys, {"size": [10, 20, None, 40]}, "model.onnx", parts)


def test_rows_of_parts_have_the_metadata_of_their_images(table):
    rows = table_of_parts(table, table.parts)
    assert rows.metadata["size"].to_pylist() == [10, None, None, 40]
    assert [key.rpartition("#")[0] for key in rows.keys] == [str(key) for key in table.keys[[0, 2, 2, 3]]]
    assert rows.metadata[BOX].to_pylist()[0] == 255 << 8 | 51
    columns = columns_of_parts(Columns.of(table.metadata))
    assert columns.schema.equals(Columns.of(rows.metadata).schema)
    assert columns.scalars == {BOX}


def test_parts_come_back_in_any_order(table):
    rows = table_of_parts(table, table.parts)
    for order in ([0, 1, 2, 3], [3, 2, 0, 1]):
        shuffled = CodeTable(rows.codes[order], rows.keys[order], rows.metadata.take(pa.array(order)))
        found = parts_of_table(shuffled, table.keys)
        assert found.packed(4) == table.parts.packed(4)
        there = [3, 2]  # the others were not pushed yet
        assert parts_of_table(shuffled, table.keys[there]).packed(2) == [table.parts.packed(4)[row] for row in there]


def test_an_image_is_as_near_as_its_nearest_part():
    margin = part_margin(SPEC)

    def part(owner, number, distance, box):
        return Answer(f"{owner}#{number}", distance, {BOX: box, "size": 1})

    found = merged(
        [Answer("a", 2, {}), Answer("b", 5, {})],
        [part("c", 0, 1, 255), part("b", 1, 2, 1 << 24), part("a", 0, 2 - margin, 255), part("c", 1, 4, 9)],
        SPEC,
        3,
    )
    assert [(answer.key, answer.distance) for answer in found] == [("a", 2), ("c", 1 + margin), ("b", 2 + margin)]
    assert [answer.box for answer in found] == [None, (0, 0, 0, 1), (1 / 255, 0, 0, 0)]
    assert [answer.metadata for answer in found] == [{}, {"size": 1}, {"size": 1}]
    assert len(merged(found[:2], [], SPEC, 1)) == 1
    assert merged([], [part("a", 0, 0, 255)], SPEC, 3) == ()
    numbered = merged([Answer(7, 9, {})], [part(7, 0, 0, 255), part(12, 0, 1, 255)], SPEC, 3)
    assert [(answer.key, answer.distance) for answer in numbered] == [(7, margin), (12, 1 + margin)]
