"""A folder of images that stays searchable: a catalogue, what keeps it in step, and the index made of it."""

from ordhash.collection.catalogue import Entry
from ordhash.collection.collection import Collection
from ordhash.collection.progress import SyncProgress
from ordhash.collection.sync import SyncReport

__all__ = ["Collection", "Entry", "SyncProgress", "SyncReport"]
