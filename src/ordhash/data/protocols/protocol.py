"""A protocol: which images train, which are queries, which are the database, and what counts as relevant."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError, InputError
from ordhash.support import natural_order

__all__ = ["Protocol"]


@dataclass(frozen=True, eq=False)
class Protocol:
    """An experiment. An image of the database is relevant to a query when they share a label.

    Args:
        name: Name for people and results.
        train: Training images. They may also be in the database, as in many published protocols.
        query: Images to search with.
        database: Images to find.
        validation: Images to choose settings and checkpoints on; None lets training hold some out of ``train``.
        cutoff: Length of the ranking that counts for average precision; None means ALL.
        citation: Where the protocol is from.
        coarse: For graded relevance, the coarse class of every class name. None means binary relevance.
        note: Caveat on this copy of the data, for reports.
        backgrounds: Photographs of none of the classes, into which training images are pasted.
        groups: Columns of the metadata of queries, or else of the database, for whose values quality is reported too.

    Raises:
        DataError: A query is in the database or the training set, carries no label, or has no relevant image, or
            ``coarse`` does not fit the class names.
    """

    name: str
    train: ImageSet
    query: ImageSet
    database: ImageSet
    validation: ImageSet | None = None
    cutoff: int | None = None
    citation: str = ""
    coarse: tuple[str, ...] | None = None
    note: str = ""
    backgrounds: ImageSet | None = None
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.cutoff is not None and self.cutoff < 1:
            raise InputError(f"cutoff is {self.cutoff}; allowed are 1 and more, or None for the whole ranking")
        for name, images in (("query", self.query), ("database", self.database)):
            if len(images) == 0 or images.labels is None:
                raise DataError(f"protocol {self.name}: its {name} set has no labelled image; give it some")
        if self.query.class_names != self.database.class_names:
            raise DataError(f"protocol {self.name}: queries and database have different class names; use the same")
        if self.coarse is not None and len(self.coarse) != len(self.query.class_names):
            raise DataError(
                f"protocol {self.name}: there are {len(self.coarse)} coarse classes for {len(self.query.class_names)} "
                "class names; give each class name the one it belongs to"
            )
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
        if self.validation is not None:
            shared = np.intersect1d(self.train.keys, self.validation.keys)
            if len(shared):
                raise DataError(
                    f"protocol {self.name}: {len(shared)} validation images are also in the training set (such as "
                    f"{shared[0]}), where they would choose what they have taught; take them out"
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
        if self.query.labels is None or self.database.labels is None:  # checked on construction; for the type checker
            raise DataError(f"protocol {self.name} has no labels")
        shared = self.query.labels[rows].astype(np.float32) @ self.database.labels.T.astype(np.float32)
        return np.asarray(shared > 0)

    @property
    def single(self) -> bool:
        """Whether every query has one relevant image alone."""
        starts = range(0, len(self.query), 100)
        return all((self.relevance(slice(start, start + 100)).sum(axis=1) == 1).all() for start in starts)

    def gains(self, rows: slice = slice(None)) -> npt.NDArray[np.uint8]:
        """Graded relevance of a protocol with coarse classes: 2 for a shared class, 1 for a shared coarse class, or 0.

        Args:
            rows: Positions of queries.

        Returns:
            uint8 (n_queries, n_database).

        Raises:
            DataError: The protocol has no coarse classes.
        """
        if self.coarse is None or self.query.labels is None or self.database.labels is None:
            raise DataError(f"protocol {self.name} has one grade of relevance; give it coarse classes for two")
        names = sorted(set(self.coarse))
        member = np.array([[name == of for name in names] for of in self.coarse], dtype=np.float32)
        query, database = (
            (labels.astype(np.float32) @ member > 0).astype(np.float32)
            for labels in (self.query.labels[rows], self.database.labels)
        )
        return (query @ database.T > 0).astype(np.uint8) + self.relevance(rows)

    def group_masks(self) -> dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
        """Which queries and which images of the database belong to each group.

        A group is a value of one of the columns ``groups``: of queries, which then search the whole database, or else
        of the database, where all queries search among the images of the group. Images without a value are in none.

        Returns:
            By name, such as ``share 5-10 %``: bool (n_queries,) and bool (n_database,).

        Raises:
            DataError: Neither queries nor database have the column.
        """
        found = {}
        for column in self.groups:
            of_queries = _has(self.query, column)
            if not of_queries and not _has(self.database, column):
                raise DataError(f"protocol {self.name}: neither queries nor database have a column {column}")
            values = (self.query if of_queries else self.database).metadata[column].to_pylist()  # type: ignore[index]
            for value in sorted(set(values) - {None, ""}, key=lambda one: natural_order(str(one))):
                mask = np.array([one == value for one in values])
                queries, images = np.ones(len(self.query), dtype=bool), np.ones(len(self.database), dtype=bool)
                found[f"{column} {value}"] = (mask, images) if of_queries else (queries, mask)
        return found

    def thinned(self, most: int) -> Protocol:
        """The protocol with at most ``most`` images in each part, evenly spread, for quick trials.

        Args:
            most: At least 1. Only queries that still have a relevant image are kept.

        Raises:
            DataError: No query has.
        """

        def spread(images: ImageSet) -> ImageSet:
            return images.subset(np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)))

        database = spread(self.database)
        if self.query.labels is None or database.labels is None:  # checked on construction; for the type checker
            raise DataError(f"protocol {self.name} has no labels")
        findable = (self.query.labels & database.labels.any(axis=0)).any(axis=1)
        return dataclasses.replace(
            self,
            train=spread(self.train),
            query=spread(self.query.subset(findable)),
            database=database,
            validation=None if self.validation is None else spread(self.validation),
            backgrounds=None if self.backgrounds is None else spread(self.backgrounds),
        )

    def hash(self, *, contents: bool = True) -> str:
        """16 hexadecimal digits over the keys, labels and contents of every split, the cutoff and the coarse classes.

        Args:
            contents: False leaves out the contents of the images: the hash of the split alone.
        """
        digest = hashlib.blake2b(f"{self.cutoff}".encode(), digest_size=8)
        if self.coarse is not None:
            digest.update("\0".join(self.coarse).encode())
        for images in (self.train, self.validation, self.query, self.database, self.backgrounds):
            if images is not None:
                _add(digest, images, contents)
        return digest.hexdigest()

    def training_hash(self) -> str:
        """The same over what is learned from alone; protocols that share it share their trainings."""
        digest = hashlib.blake2b("\0".join(self.train.class_names).encode("utf-8", "surrogateescape"), digest_size=8)
        for images in (self.train, self.validation):
            digest.update(b"none" if images is None else b"some")
            if images is not None:
                _add(digest, images, contents=True)
        if self.backgrounds is not None:
            _add(digest, self.backgrounds, contents=True)
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} train, {len(self.query)} queries, {len(self.database)} database"
        return f"Protocol({self.name}: {sizes})"


def _has(images: ImageSet, column: str) -> bool:
    return images.metadata is not None and column in images.metadata.column_names


def _add(digest: hashlib.blake2b, images: ImageSet, contents: bool) -> None:
    keys = "\0".join(str(key) for key in images.keys)
    digest.update(keys.encode("utf-8", "surrogateescape"))  # file names need not be Unicode
    if images.labels is not None:
        digest.update(np.packbits(images.labels, axis=1).tobytes())
    if contents:
        digest.update(b"".join(images.content_ids()))
