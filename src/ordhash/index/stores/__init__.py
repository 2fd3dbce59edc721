"""How the codes of an index are kept and searched: a file for each store, one interface."""

from ordhash.index.stores.choice import store_of, with_tables
from ordhash.index.stores.distinct import Distinct
from ordhash.index.stores.grown import AnyStore, Grown
from ordhash.index.stores.plain import Plain
from ordhash.index.stores.scan import Scan
from ordhash.index.stores.store import Store, bools_of
from ordhash.index.stores.tabled import Tabled
from ordhash.index.stores.warming import Warming

__all__ = [
    "AnyStore",
    "Distinct",
    "Grown",
    "Plain",
    "Scan",
    "Store",
    "Tabled",
    "Warming",
    "bools_of",
    "store_of",
    "with_tables",
]
