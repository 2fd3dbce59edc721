"""Write a collection, under its lock: codes, its copy of the model, its index; then tidy up."""

from __future__ import annotations

from pathlib import Path

from ordhash.codes import CodeFacts
from ordhash.collection.access import restrict
from ordhash.collection.adding import ADDED
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.keptindex import kept_index
from ordhash.collection.placing import check_path
from ordhash.collection.reencoding import next_catalogue, remove_next, remove_replaced
from ordhash.collection.rows import Entry
from ordhash.collection.sync import SyncReport, sync_folder
from ordhash.collection.syncprogress import progress_teller
from ordhash.collection.upkeep import MODEL, tidy
from ordhash.model import Encoder
from ordhash.support import remove_leftovers, replace_file

__all__ = ["facts_of", "write_codes_of_folder"]


def facts_of(encoder: Encoder, collection: Path, *, own: bool) -> CodeFacts:
    """What a catalogue records of a model: its path, or only its name if it belongs to the collection.

    Args:
        encoder: The model.
        collection: Folder of the collection.
        own: Whether it was learned from the images of the collection.

    Raises:
        InputError: Its path is not valid Unicode.
    """
    own = own or _is_inside(encoder, collection)
    path = Path(_name_of(encoder, collection)) if own else encoder.path.absolute()
    check_path(path)
    return CodeFacts(encoder.spec, encoder.model_id, str(path))


def write_codes_of_folder(
    catalogue: Catalogue,
    encoder: Encoder,
    facts: CodeFacts,
    entries: list[Entry],
    *,
    forget: bool,
    progress: bool,
) -> SyncReport:
    """Bring a collection into step with its folder.

    Codes of another model are made in a catalogue beside that of the collection, and replace the old ones at once when
    all are there: until then the collection answers as before.

    Args:
        catalogue: The catalogue of the collection.
        encoder: The model.
        facts: What the catalogue records of it.
        entries: The images of the collection.
        forget: As [sync_folder][ordhash.collection.sync.sync_folder] takes it.
        progress: Whether to show a bar.
    """
    collection = catalogue.path.parent
    state, tell = catalogue.state, progress_teller(collection)
    tell(0, 0)
    if catalogue.facts.model_id == encoder.model_id:
        report = sync_folder(catalogue, encoder, entries, forget=forget, progress=progress, tell=tell)
        _keep_model(encoder, collection)
        remove_replaced(collection, encoder.model_id)
    else:
        with next_catalogue(collection, facts, catalogue.folder) as following:
            report = sync_folder(
                following, encoder, entries, held_by=catalogue, forget=forget, progress=progress, tell=tell
            )
            _keep_model(encoder, collection)
            catalogue.replace_by(following, facts)
        remove_next(collection)
    if catalogue.state != state:
        entries = catalogue.entries()
    kept_index(collection, catalogue, entries)
    remove_leftovers(catalogue.folder / ADDED)
    tidy(collection, {entry.content for entry in entries}, _name_of(encoder, collection))
    restrict(catalogue.folder, collection, [entry.key for entry in entries])
    return report


def _keep_model(encoder: Encoder, collection: Path) -> None:
    """Keep a copy of a model in the collection, which needs it for every search."""
    path = collection / _name_of(encoder, collection)
    if not _is_inside(encoder, collection) and not (path.is_file() and path.read_bytes() == encoder.content):
        replace_file(path, lambda file: file.write(encoder.content))


def _name_of(encoder: Encoder, collection: Path) -> str:
    return encoder.path.name if _is_inside(encoder, collection) else MODEL.format(encoder.model_id)


def _is_inside(encoder: Encoder, collection: Path) -> bool:
    return encoder.path.resolve().parent == collection.resolve()
