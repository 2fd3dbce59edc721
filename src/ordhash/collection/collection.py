"""Collection: a folder of images that stays searchable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ordhash.codes import CodeTable, check_same_model, write_codes
from ordhash.collection.access import create_folder, restrict_folder
from ordhash.collection.adding import add_photograph
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.connections import Connections
from ordhash.collection.database import DamagedError
from ordhash.collection.deletions import delete_photographs
from ordhash.collection.duplicates import Duplicates, duplicates_in
from ordhash.collection.excluding import checked_patterns, keep_patterns
from ordhash.collection.keptindex import everything_in, index_damages, kept_index
from ordhash.collection.learninglock import locked_for_learning
from ordhash.collection.moves import check_same_images, check_some_left
from ordhash.collection.placing import folder_to_sync, is_collection
from ordhash.collection.reencoding import check_all_there
from ordhash.collection.rescue import mended_catalogue
from ordhash.collection.rows import CollectionInfo, Entry
from ordhash.collection.sync import SyncReport, changed_photographs
from ordhash.collection.syncprogress import LOCK, SyncProgress, forget_progress, progress_in
from ordhash.collection.upkeep import THUMBNAILS, models_in
from ordhash.collection.writing import facts_of, write_codes_of_folder
from ordhash.data import CATALOGUE, MAX_PIXELS
from ordhash.errors import ImageError, SyncRunningError
from ordhash.index import OrdinalIndex
from ordhash.model import Encoder, Model, recorded_model, staleness
from ordhash.support import StrPath, locked

__all__ = ["Collection"]


class Collection:
    """A folder of images, a catalogue of their codes, and an index built from it.

    The catalogue is the truth. The index beside it carries a name of the catalogue's state, and is rebuilt when the
    images have changed or the file is damaged. One process writes; any number read.

    Args:
        path: Folder of the catalogue, not of the images.

    Example::

        collection = Collection("photos.collection")
        collection.sync("PHOTOS", Encoder("runs/mine/model.onnx"))
        collection.index().search(query.codes)
    """

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self._connections = Connections(self.path / CATALOGUE)

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalogue's connections; a later call opens it again. They are also closed with the process."""
        self._connections.close()

    @staticmethod
    def is_one(path: StrPath) -> bool:
        """Whether a folder is a collection."""
        return is_collection(Path(path))

    # Each option may be left out, and is given by name.
    def sync(
        self,
        folder: StrPath,
        encoder: Encoder,
        *,
        exclude: Sequence[str] | None = None,
        reencode: bool = False,
        own: bool = False,
        undelete: bool = False,
        forget: bool = False,
        wait: bool = False,
        progress: bool = False,
    ) -> SyncReport:
        """Encode new and changed images of a folder, and forget deleted ones.

        An interrupted sync keeps every chunk that it has written, and the next one continues from there.

        Args:
            folder: The folder of the images. If they were moved to another one, the collection follows them.
            encoder: The model; the collection keeps a copy of it.
            exclude: Patterns of what to leave out from now on, as in a .gitignore; None keeps those there are.
            reencode: Whether to encode all images again if the catalogue is of another model. The old codes are
                replaced when all new ones are there.
            own: Whether the model was learned from these images.
            undelete: Whether to restore images that were deleted from the collection but not from the folder.
            forget: Whether to forget all missing images, also where a disk may be missing with them.
            wait: Whether to wait for another sync of this collection to end.
            progress: Whether to show a bar.

        Returns:
            What was done.

        Raises:
            InputError: The collection is of another model or of other images, a pattern is none, or the folder of a new
                collection holds other files.
            SyncRunningError: Another sync is running.
            DataError: The folder or its images are missing, or the catalogue is damaged.
        """
        facts = facts_of(encoder, self.path, own=own)
        wanted = folder_to_sync(folder, self.path, patterns := checked_patterns(exclude))
        create_folder(self.path, wanted)
        path = self.path / CATALOGUE
        with self._locked(wait=wait), mended_catalogue(path, facts, wanted, undelete=undelete) as catalogue:
            before = catalogue.folder if check_same_images(catalogue, wanted) else None
            if not reencode:
                self._check_model(catalogue, encoder)
            if patterns is not None and not forget:
                check_some_left(wanted, self.path, catalogue.sound_entries(), patterns)
            keep_patterns(self.path, patterns)
            if undelete:
                catalogue.undelete()
            entries = catalogue.mend()  # what is damaged is encoded anew
            if before is not None:
                catalogue.move_to(wanted)
            restrict_folder(wanted, self.path)
            report = write_codes_of_folder(catalogue, encoder, facts, entries, forget=forget, progress=progress)
        report.moved_from = None if before is None else str(before)
        return report

    @contextmanager
    def learning(
        self, folder: StrPath, *, exclude: Sequence[str] | None = None, forget: bool = False, wait: bool = False
    ) -> Iterator[Path]:
        """Lock the learning of a model for this collection; yields a folder for intermediate files.

        Args:
            folder: The folder of the images.
            exclude: As in ``sync``.
            forget: As in ``sync``; otherwise none may be missing, since a new model has to encode all.
            wait: Whether to wait for another process that is learning a model.

        Raises:
            InputError: As ``sync``; or the collection cannot be created.
            SyncRunningError: Another process is learning a model.
            DataError: The folder or its images are missing, or the catalogue is damaged.
        """
        wanted = folder_to_sync(folder, self.path, patterns := checked_patterns(exclude))
        if self.is_one(self.path):
            with self._connections.opened() as catalogue:
                check_all_there(catalogue, wanted, patterns, forget=forget)
        create_folder(self.path, wanted)
        with locked_for_learning(self.path, wait=wait) as work:
            keep_patterns(self.path, patterns)
            yield work

    def model(self) -> Path:
        """The file of the model that made the codes.

        Raises:
            InputError: The collection does not know where it is.
            DataError: It is missing, there is no collection, or its catalogue is damaged and several may be it.
        """
        try:
            with self._connections.opened() as catalogue:
                facts = catalogue.facts
        except DamagedError:
            models = models_in(self.path)
            if len(models) == 1:  # the next sync mends the catalogue with it
                return models[0]
            raise
        return recorded_model(self.path, facts.model_path, facts.model_id)

    def progress(self) -> SyncProgress | None:
        """Progress of the sync that is running now, in whatever process; None where none is."""
        return progress_in(self.path)

    def index(self) -> OrdinalIndex:
        """The index of all images: keys are paths below the folder; ``folder``, ``size`` and ``modified`` are metadata.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return kept_index(self.path, catalogue)

    def duplicates(self, *, distance: int | None = None, progress: bool = False) -> Duplicates:
        """Keys of images that show the same picture, two or more in a group, in the order of keys.

        Left out are hard and symbolic links to another file of the group, and files that are not as they were encoded.

        Args:
            distance: How far the fingerprints of two images may be apart, 0 to
                [NEAR_DUPLICATE][ordhash.collection.NEAR_DUPLICATE]; every image of a group is that near to its first.
                None asks for files that are equal byte for byte.
            progress: Whether to show a bar.
        """
        with self._connections.opened() as catalogue:
            entries, folder = catalogue.entries(), catalogue.folder
        return duplicates_in(folder, entries, distance, progress=progress)

    def entries(self, keys: Sequence[str], *, model_id: str | None = None) -> list[Entry | None]:
        """Rows of the catalogue, in the order of the keys; None for keys that it does not hold.

        Args:
            keys: Of the images.
            model_id: The model that must have made their codes; None allows any.

        Raises:
            OtherModelError: Another model did.
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue, catalogue.snapshot():  # or codes may be of the next model
            check_same_model(
                model_id,
                catalogue.facts.model_id,
                what="the query",
                of=f"the collection {self.path}",
                hint="search with the model of the collection",
            )
            return catalogue.entries_of(keys)

    @property
    def generation(self) -> int:
        """A number that grows with every change of the images.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return catalogue.generation

    def add(self, photograph: bytes, encoder: Encoder, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> str:
        """Write a photograph into the folder, below ``added``, and encode it.

        Args:
            photograph: Content of an image file.
            encoder: The model of the collection.
            name: What its file was called, which its new file is called too as far as possible; None names it by its
                content.
            max_pixels: As [open_rgb][ordhash.data.open_rgb] takes it.

        Returns:
            Its key, or that of an image with the same content.

        Raises:
            ImageError: It cannot be used; nothing is written.
            InputError: The collection is of another model.
            SyncRunningError: A sync is running.
            DataError: There is no collection, its catalogue is damaged, its folder is missing, or ``added`` is a link.
        """
        with self._writing() as catalogue:
            self._check_model(catalogue, encoder)
            return add_photograph(catalogue, encoder, photograph, name=name, max_pixels=max_pixels)

    @property
    def model_id(self) -> str | None:
        """The model that made the codes.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return catalogue.facts.model_id

    def failures(self) -> list[ImageError]:
        """Images that could not be used when they were last looked at, by their keys.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return [ImageError(failure.key, failure.reason) for failure in catalogue.failures()]

    @property
    def n_failures(self) -> int:
        """How many images could not be used when they were last looked at.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return catalogue.n_failures

    def delete(self, keys: Sequence[str]) -> None:
        """Delete images from the collection; their files stay, and later syncs leave them out.

        A deleted image is known by its content: it stays away when its file is touched, moved or restored, and so do
        new copies of it. Copies that the collection holds already stay. ``sync(undelete=True)`` restores all.

        Args:
            keys: Of the images.

        Raises:
            InputError: An unknown key; nothing is deleted.
            SyncRunningError: A sync is running.
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._writing() as catalogue:
            delete_photographs(catalogue, keys)

    def export(self, path: StrPath) -> int:
        """Write all codes with keys and metadata to a Parquet file, as `ordhash encode` does; returns their number."""
        table = self.codes()
        write_codes(path, table.codes, table.keys, table.metadata, model_path=table.model_path, parts=table.parts)
        return len(table)

    def codes(self) -> CodeTable:
        """All codes with keys and metadata, as in the index.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return everything_in(catalogue)

    def verify(self, *, photographs: bool = False, progress: bool = False) -> list[str]:
        """What is damaged, a sentence each; an empty list means nothing.

        Args:
            photographs: Whether to read every photograph again, and report those whose content has changed although
                size and time have not: a sync does not notice them.
            progress: Whether to show a bar while they are read.
        """
        with self._connections.opened() as catalogue:
            damages = catalogue.damages() or index_damages(self.path, catalogue)
            entries = catalogue.sound_entries() if photographs else []
            folder = catalogue.folder
        return damages + changed_photographs(folder, entries, progress=progress)

    def info(self) -> CollectionInfo:
        """What is known of the collection.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return catalogue.info()

    def staleness(self, model: Model) -> str | None:
        """Why this collection's own model should be learned again, in a sentence; None if it should not.

        None also for a model that was not learned from the collection's images.

        Args:
            model: The model of the collection.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        return staleness(self.index().codes, model.info.training) if self.has_own_model else None

    @property
    def has_own_model(self) -> bool:
        """Whether the model was learned from the images of the collection, or is the general one.

        Raises:
            DataError: There is no collection, or its catalogue is damaged.
        """
        with self._connections.opened() as catalogue:
            return catalogue.has_own_model

    @property
    def thumbnails(self) -> Path:
        """Folder of small pictures, which may be deleted at any time."""
        return self.path / THUMBNAILS

    def _check_model(self, catalogue: Catalogue, encoder: Encoder) -> None:
        check_same_model(
            encoder.model_id,
            catalogue.facts.model_id,
            what=str(encoder.path),
            of=f"the collection {self.path}",
            hint="give the model of the collection, or --reencode to encode all images with this one",
        )

    @contextmanager
    def _writing(self) -> Iterator[Catalogue]:
        """The catalogue, locked: opened after that, since a sync may put another one in its place."""
        with self._connections.opened():
            pass  # there is one; otherwise a lock would be made first
        with self._locked(wait=False), self._connections.opened() as catalogue:
            yield catalogue

    @contextmanager
    def _locked(self, *, wait: bool) -> Iterator[None]:
        """Lock the collection against other writers."""
        with locked(self.path / LOCK, self._busy, wait=wait, mode=0o600):
            forget_progress(self.path)  # of a sync that was killed
            try:
                yield
            finally:
                forget_progress(self.path)

    def _busy(self, process: str) -> SyncRunningError:
        return SyncRunningError(f"process {process} is syncing {self.path}; wait for it, or give --wait")
