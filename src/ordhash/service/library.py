"""A collection as the service sees it: its model, and its index in memory, reloaded when the collection changes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ordhash.codes import check_same_model
from ordhash.collection import Collection, Entry, SyncProgress, is_as_it_was
from ordhash.data import file_suffix, open_file, open_rgb
from ordhash.errors import DataError, ImageError, OrdhashError, OtherModelError, SyncRunningError, shown
from ordhash.index import Condition, rows_that_meet
from ordhash.model import Encoder
from ordhash.search import (
    Answers,
    Box,
    Example,
    Target,
    metadata_at,
    search_by_examples,
    search_by_photograph,
    seen_part,
)
from ordhash.service.pictures import Thumbnails, scaled_jpeg
from ordhash.service.syncing import SyncProcess
from ordhash.service.uploads import Uploads
from ordhash.service.view import View
from ordhash.support import StrPath

__all__ = ["Library", "Order", "UnknownKeyError"]

Order = Literal["name", "newest"]

_SEARCHES = 1000  # expected of a service: compiled scans are loaded at once if they pay for so many
_REST = 10  # times the duration of the last reload
_UNKNOWN = "there is no photograph {} in the collection; it may have been deleted"
_MEDIA = {"ppm": "x-portable-anymap"}  # other formats are called as their suffixes
_OTHER_MODEL = "the collection was encoded again by another model; restart the service"


class UnknownKeyError(OrdhashError):
    """There is no such photograph."""


class Library:
    """A collection to browse and to search; safe for threads, but for changes, which are made one at a time.

    Args:
        path: The collection.
        model: Its model; None takes the file that the collection names.
        pixels: Most pixels of a query image.

    Raises:
        DataError: There is no collection, or its model is missing.
        OtherModelError: It was encoded by another model.
    """

    def __init__(self, path: StrPath, model: StrPath | None = None, *, pixels: int = 100_000_000) -> None:
        self.collection = Collection(Path(path).absolute())
        self._problem: str | None = None
        self._pixels = pixels
        info = self.collection.info()
        self._folders: frozenset[Path] = frozenset()
        chosen = Path(model) if model else self.collection.model()
        self.encoder = Encoder(chosen)
        check_same_model(
            self.encoder.model_id,
            info.model_id,
            what=str(chosen),
            of=f"the collection {path}",
            hint="give the model of the collection",
        )
        self.uploads = Uploads(pixels, self.encoder.info.preprocessing.size)
        self._looking = threading.Lock()
        self._thumbnails = Thumbnails(self.collection.thumbnails)
        self._warm = False
        self._view = self._look()
        self._sync: SyncProcess | None = None

    def _look(self) -> View:
        started = time.monotonic()
        info = self.collection.info()  # before the index: a change in between is noticed the next time
        self._folders |= {info.folder}
        view = View(info.generation, self.collection.index(), info.folder)
        if self._warm:
            view.index.warm_up(_SEARCHES)
        self._looked_at = time.monotonic()
        self._look_seconds = self._looked_at - started
        return view

    def refresh(self, *, soon: bool = False) -> None:
        """Reload the index if the collection has changed; on failure keep the last state and set ``problem``.

        Args:
            soon: Whether to skip this if the last reload took long and was recent: during a sync the collection changes
                all the time, and the service would do nothing but reload.
        """
        with self._looking:  # or an older reload could overwrite a newer one
            if soon and time.monotonic() - self._looked_at < _REST * self._look_seconds:
                return
            try:
                self._check_model()
                if self.collection.generation != self._view.generation:
                    self._view = self._look()
                self._problem = None
            except (OrdhashError, OSError) as error:
                self._problem = self.told(error)

    def _check_model(self) -> None:
        if self.collection.model_id != self.encoder.model_id:
            raise DataError(_OTHER_MODEL)

    def told(self, problem: object) -> str:
        """Message of an error, or another sentence, without this machine's paths."""
        sentence = str(problem)
        for path in (self.collection.path, *self._folders, self.encoder.path.absolute()):
            sentence = sentence.replace(str(path), path.name)
        return sentence

    def warm_up(self) -> None:
        """Load what the first search needs."""
        self.uploads.start()
        grey = np.full((64, 64, 3), 128, dtype=np.uint8)
        grey[:32] = 64
        self._view.index.warm_up(_SEARCHES)
        self._warm = True
        search_by_examples([Example(grey)], Target(self.encoder, self._view.index), top_k=1)

    def __len__(self) -> int:
        return len(self._view.index)

    @property
    def folder(self) -> Path:
        """The folder of the photographs."""
        return self._view.folder

    @property
    def generation(self) -> int:
        """A number that grows with every change of the images."""
        return self._view.generation

    def columns(self) -> list[tuple[str, pa.DataType, list[str] | None]]:
        """Columns of the metadata: name, type, and the distinct texts if they are few."""
        return self._view.columns

    def images(
        self, offset: int, limit: int, order: Order = "name", conditions: Sequence[Condition] = ()
    ) -> tuple[list[tuple[str, str]], int, int]:
        """A page of photographs.

        Args:
            offset: Photographs to skip.
            limit: Most photographs.
            order: By key, or the newest file first.
            conditions: On their metadata, all of which must hold.

        Returns:
            Keys with versions, the number of all that meet the conditions, and the generation.

        Raises:
            InputError: A condition does not fit the metadata.
        """
        view = self._view
        rows = view.newest if order == "newest" else np.arange(len(view.index))
        met = rows_that_meet(view.index, conditions)
        if met is not None:
            rows = rows[met[rows]]
        some = rows[offset : offset + limit]
        return (
            list(zip(view.index.keys_at(some).tolist(), view.versions(some), strict=True)),
            len(rows),
            view.generation,
        )

    def known(self, key: str) -> tuple[str, dict[str, Any]]:
        """Version and metadata of a photograph.

        Raises:
            UnknownKeyError: There is no such photograph.
        """
        view = self._view
        row = view.row(key)
        if row is None:
            raise UnknownKeyError(_UNKNOWN.format(shown(key)))
        rows = np.array([row])
        return view.versions(rows)[0], metadata_at(view.index, rows)[0]

    def thumbnail(self, key: str) -> bytes:
        """Small picture of a photograph, as JPEG.

        Raises:
            UnknownKeyError: There is no such photograph.
            ImageError: Its file cannot be read.
        """
        entry = self._entry(key)
        path = self.folder / entry.key
        if not path.exists() or is_as_it_was(path, entry):
            return self._thumbnails.of(path, entry.content, name=key)
        return self._thumbnails.make(path, name=key)  # it has changed since the last sync

    def picture(self, key: str, side: int) -> bytes:
        """Picture of a photograph as JPEG, its longer side at most ``side`` pixels.

        Raises:
            UnknownKeyError: There is no such photograph.
            ImageError: Its file cannot be read.
        """
        return scaled_jpeg(self.folder / self._entry(key).key, side, name=key)

    def original(self, key: str) -> tuple[Path, str]:
        """File of a photograph, and its media type.

        Raises:
            UnknownKeyError: There is no such photograph.
            ImageError: The file is not the one in the catalogue, or not in the folder.
        """
        entry, folder = self._entry(key), self.folder
        path = folder / entry.key
        with open_file(path, key) as file:
            start = file.read(16)
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ImageError(key, "this is a link to a file outside the folder of the photographs")
        if not is_as_it_was(path, entry):
            raise ImageError(key, "the file has changed since the last sync; sync the collection")
        suffix = file_suffix(start, name=key)
        return path, f"image/{_MEDIA.get(suffix, suffix)}"

    def attention(self, key: str) -> tuple[npt.NDArray[np.float32], Box]:
        """Attention map of a photograph, float32 (h, w) with sum 1, and the part of the picture that it covers.

        Raises:
            UnknownKeyError: There is no such photograph.
            ImageError: Its file cannot be read.
        """
        preprocessing = self.encoder.info.preprocessing
        picture = open_rgb(self.folder / self._entry(key).key, name=key, least_side=2 * preprocessing.size)
        attention: npt.NDArray[np.float32] = self.encoder.attention([picture])[0]
        return attention, seen_part(picture.size, preprocessing.fit)

    def own_example(self, image: bytes, box: Box | None = None, *, wanted: bool = True, name: str) -> Example:
        """An uploaded example for [search][ordhash.service.Library.search].

        Args:
            image: Content of an image file.
            box: The part that counts.
            wanted: Whether results should be like it.
            name: How an error names it.
        """
        return Example(image, box, wanted, name, self._pixels)

    def example(self, key: str, **settings: Any) -> Example:
        """An example for [search][ordhash.service.Library.search] from the collection.

        Raises:
            UnknownKeyError: There is no such photograph.
        """
        return Example(self.folder / self._entry(key).key, name=key, **settings)

    def search(
        self, examples: Sequence[Example], top_k: int, conditions: Sequence[Condition] = (), *, parts: bool = False
    ) -> Answers:
        """Photographs that are like some examples, by asymmetric distance.

        Args:
            examples: At least one wanted.
            top_k: How many.
            conditions: On their metadata.
            parts: Whether photographs are found by their parts too.

        Raises:
            InputError: As [search_by_examples][ordhash.search.search_by_examples].
            ImageError: An example cannot be used.
            DataError: The collection was encoded again by another model.
        """
        with _same_model():
            return search_by_examples(examples, self._target(), top_k=top_k, parts=parts, conditions=conditions)

    def search_like(
        self, key: str, top_k: int, conditions: Sequence[Condition] = (), *, parts: bool = False
    ) -> Answers:
        """Photographs that are like one of the collection, by ordinal distance, without the network.

        Args:
            key: Of the photograph.
            top_k: How many.
            conditions: On their metadata.
            parts: Whether photographs are found by their parts too.

        Raises:
            UnknownKeyError: There is no such photograph.
            InputError: A condition does not fit the metadata.
            DataError: The collection was encoded again by another model.
        """
        with _same_model():
            entry, target = self._entry(key), self._target()
            return search_by_photograph(entry, target, top_k=top_k, parts=parts, conditions=conditions)

    def _target(self) -> Target:
        return Target(self.encoder, self._view.index, self.collection)

    def add(self, photograph: bytes, name: str | None = None) -> str:
        """Add a photograph to the folder and the collection; returns its key.

        Args:
            photograph: Content of an image file.
            name: What the file was called.

        Raises:
            ImageError: It cannot be used.
            SyncRunningError: A sync is running.
        """
        key = self.collection.add(photograph, self.encoder, name=name, max_pixels=self._pixels)
        self.refresh()
        return key

    def delete(self, key: str) -> None:
        """Delete a photograph from the collection, not from the folder.

        Raises:
            UnknownKeyError: There is no such photograph.
            SyncRunningError: A sync is running.
        """
        self._entry(key)
        self.collection.delete([key])
        self.refresh()

    @property
    def problem(self) -> str | None:
        """What is wrong and what to do; None if nothing is."""
        of_sync = None if self._sync is None else self._sync.problem
        return self._problem or (of_sync and self.told(of_sync))

    @property
    def n_failures(self) -> int:
        """Number of files that cannot be used."""
        return self.collection.n_failures

    def failures(self) -> list[ImageError]:
        """Files of the folder that cannot be used, by their keys."""
        return self.collection.failures()

    def progress(self) -> SyncProgress | None:
        """Progress of the running sync, whoever started it."""
        running = self.collection.progress()
        if running is None and self._sync is not None and self._sync.running():
            return SyncProgress()  # it is starting, or has just ended
        return running

    def start_sync(self) -> None:
        """Start a sync in another process.

        Raises:
            SyncRunningError: A sync is running.
        """
        if self.progress() is not None:
            raise SyncRunningError("a sync is already running; wait for it to end")
        self.refresh()  # the folder may have moved since the last look
        self._sync = SyncProcess(self.folder, self.encoder.path, self.collection)

    def close(self) -> None:
        """Stop a sync that was started here, which the next one continues, and close the collection."""
        if self._sync is not None:
            self._sync.stop()
        self.uploads.close()
        self.collection.close()

    def _entry(self, key: str) -> Entry:
        try:
            key.encode()
            with _same_model():
                entry = self.collection.entries([key], model_id=self.encoder.model_id)[0]
        except UnicodeEncodeError:
            entry = None
        if entry is None:
            raise UnknownKeyError(_UNKNOWN.format(shown(key)))
        return entry


@contextlib.contextmanager
def _same_model() -> Iterator[None]:
    """Turn the error of a collection with another model into the service's."""
    try:
        yield
    except OtherModelError:
        raise DataError(_OTHER_MODEL) from None
