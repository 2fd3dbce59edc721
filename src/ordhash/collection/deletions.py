"""Photographs that were deleted from a collection while their files stayed: they are known by their content.

Neither touching a file nor moving or restoring it brings a deleted photograph back, and another file under its name is
a photograph of its own. Copies that were not deleted stay, also when they are moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ordhash.collection.catalogue import Catalogue
from ordhash.collection.keptindex import followed_by_index
from ordhash.collection.listing import PhotoFile
from ordhash.collection.rows import DeletedFile, Entry
from ordhash.collection.upkeep import remove_thumbnails
from ordhash.errors import InputError

__all__ = ["Deletions", "delete_photographs"]


def delete_photographs(catalogue: Catalogue, keys: Sequence[str]) -> None:
    """Delete images from a catalogue, and the thumbnails that nothing else needs.

    Args:
        catalogue: The catalogue, locked.
        keys: Of the images.

    Raises:
        InputError: An unknown key; nothing is deleted.
    """
    collection, entries = catalogue.path.parent, catalogue.entries_of(keys)
    absent = [key for key, entry in zip(keys, entries, strict=True) if entry is None]
    if absent:
        raise InputError(f"{collection} has no image {absent[0]}; give a key that it has")
    with followed_by_index(catalogue, keys):
        catalogue.hide(keys)
    for content in {entry.content for entry in entries if entry is not None}:
        if catalogue.with_content(content) is None:
            remove_thumbnails(collection, content)


class Deletions:
    """Which files a sync leaves out.

    Args:
        deleted: Files of deleted photographs, as the catalogue knows them.
        held: The images of the collection, by key.
        is_missing: Whether the file of a key is not there now, perhaps with its disk.

    Attributes:
        found: Files that have another name, size or time than the catalogue knows.
        left_out: Keys of all files that were left out.
    """

    def __init__(
        self, deleted: Iterable[DeletedFile], held: dict[str, Entry], is_missing: Callable[[str], bool]
    ) -> None:
        self._known = list(deleted)
        self._contents = {file.content for file in self._known}
        self._places = {(file.content, file.key) for file in self._known}
        self._states = {(file.key, file.size, file.modified) for file in self._known}
        self._held = held
        self._is_missing = is_missing
        # Copies that were not deleted and are no longer where they were: as many new files may be these.
        self._moved = Counter(
            entry.content for entry in held.values() if entry.content in self._contents and is_missing(entry.key)
        )
        self.found: list[DeletedFile] = []
        self.left_out: set[str] = set()

    def knows(self, file: PhotoFile) -> bool:
        """Whether a file is one of a deleted photograph by its name, size and time."""
        if (file.key, file.size, file.modified) not in self._states:
            return False
        self.left_out.add(file.key)
        return True

    def leave_out(self, file: PhotoFile, content: bytes) -> bool:
        """Whether a file whose name, size or time is new shows a deleted photograph; notes it in ``found``.

        Args:
            file: The file.
            content: Its digest.
        """
        if content not in self._contents:
            return False
        if (content, file.key) not in self._places:
            before = self._held.get(file.key)
            if before is not None and before.content == content:
                return False
            if self._moved[content]:
                self._moved[content] -= 1
                return False
        self.left_out.add(file.key)
        self.found.append(DeletedFile(content, file.key, file.size, file.modified))
        return True

    def outdated(self) -> list[DeletedFile]:
        """Files that are missing and whose content was found in another place."""
        elsewhere = {file.content for file in self.found}
        return [file for file in self._known if file.content in elsewhere and self._is_missing(file.key)]
