from pathlib import Path

import numpy as np
import pyarrow as pa

from ordhash.codes import OrdinalCodes
from ordhash.index import OrdinalIndex
from ordhash.service.view import View


def test_texts_to_choose_from_are_few_and_not_empty():
    many = [f"{number}" for number in range(300)]
    metadata = pa.table({"folder": ["b", "a;b", "", None, *["b"] * 296], "size": range(300), "other": many})
    index = OrdinalIndex(OrdinalCodes.from_symbols(np.zeros((300, 2), np.uint8), arity=4), metadata=metadata)
    columns = View(0, index, Path("photos")).columns
    assert [(name, values) for name, _, values in columns] == [
        ("folder", ["a;b", "b"]),
        ("size", None),
        ("other", None),
    ]
