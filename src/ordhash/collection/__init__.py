"""A folder of images that stays searchable: its catalogue, sync, duplicates, fingerprints."""

from ordhash.collection.collection import Collection
from ordhash.collection.duplicates import Duplicates
from ordhash.collection.excluding import kept_patterns
from ordhash.collection.fingerprints import NEAR_DUPLICATE, fingerprint, first_alike
from ordhash.collection.moves import collection_of_moved
from ordhash.collection.rows import CollectionInfo, Entry
from ordhash.collection.sync import SyncReport, is_as_it_was
from ordhash.collection.syncprogress import SyncProgress

__all__ = [
    "NEAR_DUPLICATE",
    "Collection",
    "CollectionInfo",
    "Duplicates",
    "Entry",
    "SyncProgress",
    "SyncReport",
    "collection_of_moved",
    "fingerprint",
    "first_alike",
    "is_as_it_was",
    "kept_patterns",
]
