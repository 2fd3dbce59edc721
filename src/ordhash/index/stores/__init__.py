"""How the codes of an index are kept and searched: a file for each store, one interface."""

from ordhash.index.stores.choice import store_of, with_tables
from ordhash.index.stores.distinct import Distinct
from ordhash.index.stores.engine import Engine
from ordhash.index.stores.grown import AnyStore, Grown
from ordhash.index.stores.plain import Plain
from ordhash.index.stores.scan import Scan
from ordhash.index.stores.store import Store, bools_of
from ordhash.index.stores.tabled import Tabled

__all__ = [
    "AnyStore",
    "Distinct",
    "Engine",
    "Grown",
    "Plain",
    "Scan",
    "Store",
    "Tabled",
    "bools_of",
    "store_of",
    "with_tables",
]
