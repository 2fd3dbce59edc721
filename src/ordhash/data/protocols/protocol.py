"""A protocol: which images train, which are queries, which are the database, and what counts as relevant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError, InputError

__all__ = ["Protocol"]


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
            keys = "\0".join(str(key) for key in images.keys)
            digest.update(keys.encode("utf-8", "surrogateescape"))  # names of files need not be Unicode
            if images.labels is not None:
                digest.update(np.packbits(images.labels, axis=1).tobytes())
            digest.update(b"".join(images.content_ids()))
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} train, {len(self.query)} queries, {len(self.database)} database"
        return f"Protocol({self.name}: {sizes})"
