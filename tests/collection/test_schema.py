from pathlib import Path

import pytest

from ordhash.collection.schema import FORMAT, check_format
from ordhash.errors import DataError


@pytest.mark.parametrize(("found", "advice"), [(f"{FORMAT - 1}", "delete it and sync"), (f"{FORMAT + 1}", "upgrade")])
def test_other_formats_are_refused(found, advice):
    check_format(Path("catalogue.sqlite"), f"{FORMAT}")
    with pytest.raises(DataError, match=f"catalogue.sqlite has format {found}.*{advice}"):
        check_format(Path("catalogue.sqlite"), found)
