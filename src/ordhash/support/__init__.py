"""Shared by every room, without domain knowledge.

Checks, columns, cores, files, grouping, locations, memory, ordering, progress, seals, vectors.
"""

from ordhash.support.checks import check_types, integer_at_least, some_usable
from ordhash.support.columns import is_text, plain_column, wide_column
from ordhash.support.cores import available_cores
from ordhash.support.files import StrPath, locked, remove_leftovers, replace_file, write_csv, write_json
from ordhash.support.grouping import grouped
from ordhash.support.locations import Location, is_address, name_of, without_password
from ordhash.support.memory import give_memory_back
from ordhash.support.ordering import natural_order
from ordhash.support.progress import Advance, Pace, duration, progress_bar
from ordhash.support.seals import SEAL, is_damaged, placeholder, seal, sealed
from ordhash.support.vectors import spread_rows, unit_rows

__all__ = [
    "SEAL",
    "Advance",
    "Location",
    "Pace",
    "StrPath",
    "available_cores",
    "check_types",
    "duration",
    "give_memory_back",
    "grouped",
    "integer_at_least",
    "is_address",
    "is_damaged",
    "is_text",
    "locked",
    "name_of",
    "natural_order",
    "placeholder",
    "plain_column",
    "progress_bar",
    "remove_leftovers",
    "replace_file",
    "seal",
    "sealed",
    "some_usable",
    "spread_rows",
    "unit_rows",
    "wide_column",
    "without_password",
    "write_csv",
    "write_json",
]
