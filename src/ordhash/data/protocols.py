"""Protocols: which images train, which are queries, which are the database, and what counts as relevant.

A published protocol is pinned by a hash over its keys, labels and image contents, so that two people who name it mean
the same experiment. Splits are drawn by digests of keys, not by a random generator: the same on every machine, and with
every version of NumPy.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ordhash.data.datasets import DATASETS, Parts
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError, InputError

__all__ = ["PROTOCOLS", "Protocol", "ProtocolInfo", "load_protocol", "split_by_class"]


@dataclass(frozen=True, eq=False)
class Protocol:
    """An experiment. An image of the database is relevant to a query when they share a label.

    Args:
        name: Name for people and results.
        train: Images to learn from. They may also be in the database: many published protocols have them there.
        query: Images to search with.
        database: Images to find.
        validation: Images to choose settings and checkpoints on; None lets training hold some out of ``train``.
        cutoff: Length of the ranking that counts for average precision; None means ALL.
        citation: Where the protocol is from.

    Raises:
        DataError: A query is in the database or the training set, carries no label, or has no relevant image.
    """

    name: str
    train: ImageSet
    query: ImageSet
    database: ImageSet
    validation: ImageSet | None = None
    cutoff: int | None = None
    citation: str = ""

    def __post_init__(self) -> None:
        if self.cutoff is not None and self.cutoff < 1:
            raise InputError(f"cutoff is {self.cutoff}; allowed are 1 and more, or None for the whole ranking")
        for name, images in (("query", self.query), ("database", self.database)):
            if len(images) == 0 or images.labels is None:
                raise DataError(f"protocol {self.name}: its {name} set has no labelled image; give it some")
        if self.query.class_names != self.database.class_names:
            raise DataError(f"protocol {self.name}: queries and database have different class names; use the same")
        for name, others in (
            ("database", self.database),
            ("training set", self.train),
            ("validation set", self.validation),
        ):
            if others is not None:
                shared = np.intersect1d(self.query.keys, others.keys)
                if len(shared):
                    raise DataError(
                        f"protocol {self.name}: {len(shared)} queries are also in the {name} (such as {shared[0]}), "
                        "where they would find or teach themselves; take them out"
                    )
        found = self.query.labels & self.database.labels.any(axis=0)  # type: ignore[operator, union-attr]
        relevant = found.any(axis=1)
        if not relevant.all():
            row = int(np.argmin(relevant))
            labelled = self.query.labels[row].any()  # type: ignore[index]
            reason = "no database image shares a label with it" if labelled else "it carries no label"
            raise DataError(
                f"protocol {self.name}: query {self.query.keys[row]} can find nothing, {reason}; take it out"
            )

    def relevance(self, rows: slice = slice(None)) -> npt.NDArray[np.bool_]:
        """Relevance, bool (n_queries, n_database), of the queries at ``rows``."""
        if self.query.labels is None or self.database.labels is None:  # checked when made; for the type checker
            raise DataError(f"protocol {self.name} has no labels")
        shared = self.query.labels[rows].astype(np.float32) @ self.database.labels.T.astype(np.float32)
        return np.asarray(shared > 0)

    def hash(self) -> str:
        """16 hexadecimal digits over the keys, labels and contents of every split, and the cutoff."""
        digest = hashlib.blake2b(f"{self.cutoff}".encode(), digest_size=8)
        for images in (self.train, self.validation, self.query, self.database):
            if images is None:
                continue
            digest.update(_bytes("\0".join(str(key) for key in images.keys)))
            if images.labels is not None:
                digest.update(np.packbits(images.labels, axis=1).tobytes())
            digest.update(b"".join(images.content_ids()))
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} train, {len(self.query)} queries, {len(self.database)} database"
        return f"Protocol({self.name}: {sizes})"


def split_by_class(images: ImageSet, counts: dict[str, int | float], *, salt: str) -> dict[str, ImageSet]:
    """Divide images class by class, in an order given by digests of their keys.

    Args:
        images: Images with one label each.
        counts: Part -> images a class, or (below 1) share of a class; what is left over goes to ``rest``.
        salt: Another salt gives another split.

    Returns:
        The parts, and ``rest``; each in the order of ``images``.

    Raises:
        InputError: An image carries no label.
    """
    if images.labels is None:
        raise InputError("images without labels cannot be divided by class; give labels")
    unlabelled = np.flatnonzero(images.labels.sum(axis=1) == 0)
    if len(unlabelled):
        name = images.name(int(unlabelled[0]))
        raise InputError(f"{name} carries no label ({len(unlabelled)} such images); leave them out")
    order = np.argsort([hashlib.blake2b(_bytes(f"{salt}/{key}"), digest_size=8).digest() for key in images.keys])
    parts: dict[str, list[int]] = {part: [] for part in (*counts, "rest")}
    first_label = images.labels.argmax(axis=1)
    for label in range(len(images.class_names)):
        rows = [int(row) for row in order if first_label[row] == label]
        start = 0
        for part, count in counts.items():
            stop = start + (round(count * len(rows)) if isinstance(count, float) else count)
            parts[part] += rows[start:stop]
            start = stop
        parts["rest"] += rows[start:]
    return {part: images.subset(np.array(sorted(rows), dtype=np.intp)) for part, rows in parts.items()}


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")  # names of files need not be Unicode


def _together(first: ImageSet, second: ImageSet) -> ImageSet:
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    images = (
        np.concatenate([first.images, second.images])
        if isinstance(first.images, np.ndarray) and isinstance(second.images, np.ndarray)
        else [*first.images, *second.images]
    )
    metadata = None
    if first.metadata is not None and second.metadata is not None:
        metadata = pa.concat_tables([first.metadata, second.metadata])
    return ImageSet(images, np.concatenate([first.keys, second.keys]), labels, first.class_names, metadata)


def _cifar10(name: str, *, train: int, database_has_train: bool) -> Callable[[Parts], Protocol]:
    def build(parts: Parts) -> Protocol:
        everything = _together(parts["train"], parts["test"])
        split = split_by_class(everything, {"query": 100, "train": train}, salt="cifar10")
        database = _together(split["train"], split["rest"]) if database_has_train else split["rest"]
        return Protocol(name, split["train"], split["query"], database, citation=_CIFAR10_CITATION)

    return build


_CIFAR10_CITATION = (
    "Krizhevsky 2009; 100 queries and 500 training images a class as in DPSH (Li et al., IJCAI 2016) and later work"
)


def _cifar10_full(parts: Parts) -> Protocol:
    return Protocol(
        "cifar10-50k",
        parts["train"],
        parts["test"],
        parts["train"],
        citation="Krizhevsky 2009; official split: 10,000 queries, 50,000 training images which are the database",
    )


def _fashion_mnist(parts: Parts) -> Protocol:
    everything = _together(parts["train"], parts["test"])
    split = split_by_class(everything, {"query": 100, "train": 500}, salt="fashion-mnist")
    database = _together(split["train"], split["rest"])
    return Protocol(
        "fashion-mnist", split["train"], split["query"], database, citation="as CIFAR-10 1k/5k, on Xiao et al. 2017"
    )


def _grocery_photos(parts: Parts) -> Protocol:
    shares: dict[str, int | float] = {"query": 0.15, "validation": 0.10, "train": 0.40}
    split = split_by_class(parts["all"], shares, salt="grocery-photos")
    return Protocol(
        "grocery-photos",
        split["train"],
        split["query"],
        split["rest"],
        split["validation"],
        citation="ordhash: 40 % train, 10 % validation, 15 % queries, the rest database; no photograph in two of them",
    )


def _corel5k(parts: Parts) -> Protocol:
    return Protocol(
        "corel5k",
        parts["train"],
        parts["test"],
        parts["train"],
        citation="Duygulu et al., ECCV 2002: official split, test images as queries, 374 words",
    )


@dataclass(frozen=True)
class ProtocolInfo:
    """A published protocol.

    Attributes:
        dataset: Name of its data set.
        summary: One line for people.
        build: Makes it from the parts of the data set.
        pinned: Hash that the built protocol must have.
    """

    dataset: str
    summary: str
    build: Callable[[Parts], Protocol]
    pinned: str


PROTOCOLS: dict[str, ProtocolInfo] = {
    "cifar10": ProtocolInfo(
        "cifar10",
        "1,000 queries, 5,000 training images, database of the 59,000 that are no queries",
        _cifar10("cifar10", train=500, database_has_train=True),
        "d55a541b63abee07",
    ),
    "cifar10-54k": ProtocolInfo(
        "cifar10",
        "the same queries and training images, database of the 54,000 others",
        _cifar10("cifar10-54k", train=500, database_has_train=False),
        "a3a64d254450f79b",
    ),
    "cifar10-50k": ProtocolInfo(
        "cifar10", "10,000 queries, 50,000 training images = database", _cifar10_full, "d53586905cf770b6"
    ),
    "grocery-photos": ProtocolInfo(
        "grocery-photos",
        "photographs of 14 kinds of groceries, four disjoint parts",
        _grocery_photos,
        "5b6349b7189953d5",
    ),
    "fashion-mnist": ProtocolInfo(
        "fashion-mnist", "1,000 queries, 5,000 training images, database of 69,000", _fashion_mnist, "f1ee0d1e56544845"
    ),
    "corel5k": ProtocolInfo(
        "corel5k", "499 queries, 4,500 training images = database, 374 words", _corel5k, "cc0067f44f8319b4"
    ),
}


def load_protocol(name: str, root: str | Path = "data") -> Protocol:
    """Published protocol of that name.

    Args:
        name: One of ``PROTOCOLS``.
        root: Folder of data sets, one sub-folder each, as ``ordhash data get`` fills it.

    Raises:
        InputError: There is no such protocol.
        DataError: Its data set is not there, or gives another protocol than the published one.
    """
    if name not in PROTOCOLS:
        close = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"there is no protocol {name!r}; allowed are {', '.join(PROTOCOLS)}{hint}")
    info = PROTOCOLS[name]
    protocol = info.build(DATASETS[info.dataset].read(Path(root) / info.dataset))
    found = protocol.hash()
    if found != info.pinned:
        raise DataError(
            f"protocol {name} has the hash {found} and not {info.pinned}: the data in {Path(root) / info.dataset} is "
            "not the published data; fetch it again"
        )
    return protocol
