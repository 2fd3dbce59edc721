"""Bring a catalogue into step with its folder: encode what is new or changed, forget what is gone.

A file is looked into only if its size or time differs from the catalogue's. Its bytes are read once; their digest
decides whether anything is new, and the same bytes are encoded, so a catalogue never holds the code of one content
under the digest of another. Every chunk is one transaction: whatever ends a sync, the next one goes on where it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ordhash.collection.catalogue import Catalogue, Entry, Failure
from ordhash.data import ImageSet
from ordhash.data.images import content_id
from ordhash.data.readers import walk_images
from ordhash.encoder import Encoder
from ordhash.errors import DataError, ImageError
from ordhash.progress import progress_bar

__all__ = ["SyncReport", "sync_folder"]

_CHUNK_FILES, _CHUNK_BYTES = 64, 1 << 28


@dataclass
class SyncReport:
    """What a sync did.

    Attributes:
        encoded: Images that went through the network.
        reused: Images whose content was known under another name or time.
        forgotten: Images whose files are gone.
        unchanged: Images that were as they are.
        failures: Images that cannot be used, those of earlier syncs too, and folders that cannot be read.
        seconds: How long it took.
    """

    encoded: int = 0
    reused: int = 0
    forgotten: int = 0
    unchanged: int = 0
    failures: list[ImageError] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class _File:
    key: str
    path: Path
    size: int
    modified: int


def sync_folder(catalogue: Catalogue, encoder: Encoder, *, progress: bool = False) -> SyncReport:
    """Bring a catalogue into step with its folder.

    Args:
        catalogue: Of the encoder's model.
        encoder: Encodes what is new.
        progress: Whether to show a bar.

    Raises:
        DataError: The folder is not there, or holds no image while the catalogue holds some.
    """
    started, report, folder = time.perf_counter(), SyncReport(), catalogue.folder
    files, unreadable = _files(folder, report)
    known = {entry.key: entry for entry in catalogue.entries()}
    failed = {failure.key: failure for failure in catalogue.failures()}
    if known and not files and not unreadable:
        raise DataError(
            f"{folder} holds no image and the collection {len(known)}: is a disk not there? If the images are gone for "
            f"good, delete {catalogue.path.parent}"
        )
    todo = []
    for file in files:
        before = known.get(file.key) or failed.get(file.key)
        if before is None or (before.size, before.modified) != (file.size, file.modified):
            todo.append(file)
        elif isinstance(before, Failure):
            report.failures.append(ImageError(str(file.path), before.reason))
        else:
            report.unchanged += 1
    with progress_bar("Encoding", len(todo), show=progress) as advance:
        for chunk in _chunks(todo):
            _take(catalogue, encoder, chunk, known, report)
            advance(len(chunk))
    # Last, so that a file that only moved has its code still in the catalogue.
    there = {file.key for file in files}
    gone = [key for key in (*known, *failed) if key not in there and not key.startswith(unreadable)]
    catalogue.update(gone=gone)
    report.forgotten = sum(key in known for key in gone)
    report.seconds = time.perf_counter() - started
    return report


def _files(folder: Path, report: SyncReport) -> tuple[list[_File], tuple[str, ...]]:
    """Images of a folder by key, and beginnings of the keys that lie in folders that cannot be read now."""
    if not folder.is_dir():
        raise DataError(f"{folder}, the folder of the collection, is not there; is a disk missing?")
    unreadable: list[str] = []

    def pass_over(place: Path, reason: str) -> None:
        report.failures.append(ImageError(str(place), f"the folder cannot be read ({reason}); check its permissions"))
        inside = place.relative_to(folder).as_posix()
        unreadable.append("" if inside == "." else f"{inside}/")

    files = []
    for path in walk_images(folder, pass_over):
        key = path.relative_to(folder).as_posix()
        try:
            key.encode()
        except UnicodeEncodeError:
            report.failures.append(ImageError(str(path), "the name is not valid Unicode; rename the file"))
            continue
        try:
            status = path.stat()
        except OSError:
            continue  # gone since the folder was listed, or a link to nothing
        files.append(_File(key, path, status.st_size, status.st_mtime_ns))
    return sorted(files, key=lambda file: file.key), tuple(unreadable)


def _chunks(files: list[_File]) -> list[list[_File]]:
    chunks: list[list[_File]] = []
    room = 0
    for file in files:
        if not chunks or len(chunks[-1]) == _CHUNK_FILES or file.size > room:
            chunks.append([])
            room = _CHUNK_BYTES
        chunks[-1].append(file)
        room -= file.size
    return chunks


def _take(
    catalogue: Catalogue, encoder: Encoder, chunk: list[_File], known: dict[str, Entry], report: SyncReport
) -> None:
    """Write what has become of some files into the catalogue."""
    failures: list[Failure] = []
    contents: dict[bytes, bytes] = {}  # digest -> file, of what has to be encoded
    codes: dict[bytes, bytes | None] = {}
    read: list[tuple[_File, bytes]] = []
    for file in chunk:
        try:
            data = _read(file)
        except ImageError as error:
            report.failures.append(error)
            # What changes or cannot be read just now is tried again by the next sync: no failure is written down.
            continue
        digest = content_id(data)
        read.append((file, digest))
        if digest not in codes:
            codes[digest] = catalogue.code_of(digest)
            if codes[digest] is None:
                contents[digest] = data
    names = {digest: file for file, digest in reversed(read)}  # the first file of each content
    reasons: dict[bytes, str] = {}
    if contents:
        digests = list(contents)
        images = ImageSet(list(contents.values()), np.array([names[digest].key for digest in digests]))
        encoded = encoder.run(images)
        for row, code in zip(encoded.rows, encoded.codes.packed(), strict=True):
            codes[digests[row]] = code.tobytes()
        unusable = [digest for digest in digests if codes[digest] is None]
        reasons = {digest: error.reason for digest, error in zip(unusable, encoded.failures, strict=True)}
    entries = []
    for file, digest in read:
        code = codes[digest]
        if code is None:
            failures.append(Failure(file.key, file.size, file.modified, reasons[digest]))
            report.failures.append(ImageError(str(file.path), reasons[digest]))
            continue
        entries.append(Entry(file.key, file.size, file.modified, digest, code))
        before = known.get(file.key)
        if digest in contents and names[digest] is file:
            report.encoded += 1
        elif before is not None and before.content == digest:
            report.unchanged += 1  # only touched
        else:
            report.reused += 1
    catalogue.update(entries, failures)


def _read(file: _File) -> bytes:
    try:
        data = file.path.read_bytes()
        after = file.path.stat()
    except OSError as error:
        raise ImageError(
            str(file.path), f"the file cannot be read ({error.strerror}); check it and sync again"
        ) from error
    if (after.st_size, after.st_mtime_ns) != (file.size, file.modified) or len(data) != file.size:
        raise ImageError(str(file.path), "the file changed while it was read; sync again")
    return data
