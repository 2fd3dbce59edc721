"""Bring a catalogue into step with its folder: encode new and changed files, forget deleted ones.

A file is read only if its size or time differs from the catalogue's. Its bytes are read once: their digest decides
whether the content is new, and the same bytes are encoded, so a catalogue never holds the code of one content under the
digest of another. Every chunk is one transaction: however a sync ends, the next one continues where it stopped.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as Some
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ordhash.collection.absences import Absences
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.deletions import Deletions
from ordhash.collection.fingerprints import fingerprint
from ordhash.collection.listing import PhotoFile, list_files, read_listed, state_of
from ordhash.collection.moves import check_images_there
from ordhash.collection.reencoding import check_nothing_missed
from ordhash.collection.rows import Entry, Failure
from ordhash.data import ImageSet, content_id
from ordhash.errors import ImageError, NoMemoryError
from ordhash.model import Encoder
from ordhash.support import progress_bar

__all__ = ["SyncReport", "changed_photographs", "is_as_it_was", "sync_folder", "take_files"]

_CHUNK_FILES, _CHUNK_BYTES = 64, 1 << 28


@dataclass
class SyncReport:
    """What a sync did.

    Attributes:
        encoded: Images that went through the network.
        reused: Images whose content was known under another name: moved or copied.
        forgotten: Images whose files are gone; those that moved are not counted.
        kept: Images whose files are missing, perhaps with their disk.
        unchanged: Images as they were.
        hidden: Images deleted from the collection whose files are still there.
        failures: Images that turned out to be unusable, and folders that cannot be read.
        remembered: Images that were unusable in earlier syncs already, and have not changed since.
        unread: Number of images in formats that cannot be read, and of videos, by suffix.
        moved_from: Where the images were before, if the folder has moved.
        seconds: How long it took.
    """

    encoded: int = 0
    reused: int = 0
    forgotten: int = 0
    kept: int = 0
    unchanged: int = 0
    hidden: int = 0
    failures: list[ImageError] = field(default_factory=list)
    remembered: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    moved_from: str | None = None
    seconds: float = 0.0


def sync_folder(
    catalogue: Catalogue,
    encoder: Encoder,
    entries: Iterable[Entry],
    *,
    held_by: Catalogue | None = None,
    forget: bool = False,
    progress: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> SyncReport:
    """Bring a catalogue into step with its folder.

    Args:
        catalogue: Of the encoder's model.
        encoder: The model.
        entries: The images of the collection.
        held_by: The catalogue that holds them until this one replaces it; None means this one.
        forget: Whether to forget all images whose files are missing, also where a disk may be.
        progress: Whether to show a bar.
        tell: Called with the files done and all files, at the start and after each chunk.

    Raises:
        DataError: The folder is missing, or holds no image while the collection holds some.
    """
    started, report, folder = time.perf_counter(), SyncReport(), catalogue.folder
    listing = list_files(folder, catalogue.path.parent.absolute())
    files = listing.files
    report.failures += listing.failures
    report.unread = dict(listing.unread)
    held = {entry.key: entry for entry in entries}
    known = held if held_by is None else {entry.key: entry for entry in catalogue.entries()}
    failed = {failure.key: failure for failure in catalogue.failures()}
    report.failures += [
        ImageError(str(folder / key), "this is a link to nothing now; mount its disk, or remove the link")
        for key in listing.dangling
        if key in held
    ]
    if not forget:
        check_images_there(listing, folder, held)
    absences = Absences(folder, catalogue.path.parent, listing, held, forget=forget)
    holder = catalogue if held_by is None else held_by
    deletions = Deletions(holder.deleted(), held, absences.is_missing)
    todo = []
    for file in files:
        before = known.get(file.key) or failed.get(file.key)
        # Also what has its new code already may have been deleted since.
        if file.key not in held and deletions.knows(file):
            report.hidden += 1
        elif before is None or (before.size, before.modified) != (file.size, file.modified):
            todo.append(file)
        elif isinstance(before, Failure):
            report.remembered += 1
        else:
            report.unchanged += 1
    with progress_bar("Encoding", len(todo), show=progress) as advance:
        done = 0
        tell(done, len(todo))
        for chunk in _chunks(todo):
            take_files(catalogue, encoder, chunk, known, deletions, report)
            advance(len(chunk))
            done += len(chunk)
            tell(done, len(todo))
    # Last, so that the code of a file that only moved is still in the catalogue.
    taken = [entry for entry in catalogue.entries_of(file.key for file in todo) if entry is not None]
    there = _present(files, known | {entry.key: entry for entry in taken}, deletions.left_out)
    placed = Counter(entry.content for entry in there if entry.key not in held)
    absences.note_moves({entry.content for entry in there})
    gone = [key for key in (*known, *failed) if absences.is_gone(key)]
    catalogue.update(gone=gone + [key for key in deletions.left_out if key in known or key in failed])
    if held_by is not None:
        check_nothing_missed(held, catalogue, set(filter(absences.is_gone, held)) | deletions.left_out)
    holder.note_deleted(deletions.found, deletions.outdated())
    left = Counter(entry.content for entry in held.values() if absences.is_gone(entry.key))
    report.forgotten = left.total() - (placed & left).total()  # those that are there under a new name have moved
    report.kept = len(absences.kept())
    report.failures += absences.failures()
    absences.remember()
    report.seconds = time.perf_counter() - started
    return report


def _present(files: Iterable[PhotoFile], entries: Mapping[str, Entry], left_out: Some[str]) -> list[Entry]:
    """Photographs whose files are there as they were encoded, and are not left out."""
    found = ((file, entries.get(file.key)) for file in files if file.key not in left_out)
    return [
        entry
        for file, entry in found
        if entry is not None and (entry.size, entry.modified) == (file.size, file.modified)
    ]


def is_as_it_was(path: Path, entry: Entry) -> bool:
    """Whether a file is still the one in the catalogue, by size and time.

    Args:
        path: The file.
        entry: Its row of the catalogue.
    """
    try:
        status = path.stat()
    except OSError:
        return False
    return state_of(status) == (entry.size, entry.modified)


def changed_photographs(folder: Path, entries: Sequence[Entry], *, progress: bool = False) -> list[str]:
    """Photographs that changed since they were encoded, a sentence each.

    Args:
        folder: Where they are.
        entries: The photographs.
        progress: Whether to show a bar.
    """
    changed = []
    with progress_bar("Reading photographs", len(entries), show=progress and len(entries) > 0) as advance:
        for entry in entries:
            path = folder / entry.key
            try:
                status = path.stat()
                if state_of(status) != (entry.size, entry.modified):
                    changed.append(f"{path}: the file has changed since it was encoded; sync again")
                elif content_id(path) != entry.content:
                    changed.append(
                        f"{path}: its content has changed but not its size and time; check the file and the disk, then "
                        "touch it and sync again"
                    )
            except FileNotFoundError:
                changed.append(f"{path}: the file is gone; sync again")
            except ImageError as error:
                changed.append(str(error))
            except OSError as error:
                changed.append(f"{path}: the file cannot be read ({error.strerror}); check disk and permissions")
            advance(1)
    return changed


def _chunks(files: list[PhotoFile]) -> list[list[PhotoFile]]:
    chunks: list[list[PhotoFile]] = []
    room = 0
    for file in files:
        if not chunks or len(chunks[-1]) == _CHUNK_FILES or file.size > room:
            chunks.append([])
            room = _CHUNK_BYTES
        chunks[-1].append(file)
        room -= file.size
    return chunks


def take_files(
    catalogue: Catalogue,
    encoder: Encoder,
    chunk: list[PhotoFile],
    known: dict[str, Entry],
    deletions: Deletions,
    report: SyncReport,
) -> None:
    """Read and encode some files, and write the result into the catalogue.

    Args:
        catalogue: Of the encoder's model.
        encoder: The model.
        chunk: The files.
        known: What the catalogue held before, by key.
        deletions: What is left out.
        report: Gets the counts and the failures.
    """
    failures: list[Failure] = []
    contents: dict[bytes, bytes] = {}  # digest -> file, of what has to be encoded
    found: dict[bytes, Entry | None] = {}  # digest -> an image with that content
    read: list[tuple[PhotoFile, bytes]] = []
    for file in chunk:
        if file.problem is not None:
            failures.append(Failure(file.key, file.size, file.modified, file.problem))
            report.failures.append(ImageError(str(file.path), file.problem))
            continue
        try:
            data = read_listed(file)
        except ImageError as error:
            report.failures.append(error)
            # Not recorded as a failure: the next sync tries again.
            continue
        digest = content_id(data)
        if deletions.leave_out(file, digest):
            report.hidden += 1
            continue
        read.append((file, digest))
        if digest not in found:
            found[digest] = catalogue.with_content(digest)
            if found[digest] is None:
                contents[digest] = data
    names = {digest: file for file, digest in reversed(read)}  # the first file of each content
    errors: dict[bytes, ImageError] = {}
    if contents:
        digests = list(contents)
        images = ImageSet(list(contents.values()), np.array([names[digest].key for digest in digests]))
        failed: list[ImageError] = []
        for batch in encoder.stream(images, pixels=True, parts=encoder.info.sees_all):
            failed += batch.failures
            codes = batch.codes.packed()
            parts = None if batch.parts is None else batch.parts.packed(len(codes))
            for place, (row, picture) in enumerate(zip(batch.rows.tolist(), batch.pixels or [], strict=True)):
                digest = digests[row]
                file = names[digest]
                found[digest] = Entry(
                    file.key, file.size, file.modified, digest, codes[place].tobytes(), fingerprint(picture),
                    None if batch.unlike is None else int(batch.unlike[place]),
                    None if parts is None else parts[place],
                )  # fmt: skip
        unusable = [digest for digest in digests if found[digest] is None]
        errors = dict(zip(unusable, failed, strict=True))
    entries = []
    for file, digest in read:
        what = found[digest]
        if what is None:
            if not isinstance(errors[digest], NoMemoryError):  # as with files that cannot be read now
                failures.append(Failure(file.key, file.size, file.modified, errors[digest].reason))
            report.failures.append(ImageError(str(file.path), errors[digest].reason))
            continue
        entries.append(dataclasses.replace(what, key=file.key, size=file.size, modified=file.modified))
        before = known.get(file.key)
        if digest in contents and names[digest] is file:
            report.encoded += 1
        elif before is not None and before.content == digest:
            report.unchanged += 1  # only touched
        else:
            report.reused += 1
    catalogue.update(entries, failures)
