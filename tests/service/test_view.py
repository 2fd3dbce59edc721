import numpy as np
import pyarrow as pa

from ordhash.codes import OrdinalCodes
from ordhash.index import OrdinalIndex
from ordhash.service.view import View


def test_labels_to_choose_from_are_single_ones():
    metadata = pa.table({"labels": ["sea;people", "sea", "", None], "folder": ["a;b", "a;b", "", "c"]})
    index = OrdinalIndex(OrdinalCodes.from_symbols(np.zeros((4, 2), np.uint8), arity=4), metadata=metadata)
    columns = View(0, index).columns
    assert [(name, values) for name, _, values in columns] == [("labels", ["people", "sea"]), ("folder", ["a;b", "c"])]
