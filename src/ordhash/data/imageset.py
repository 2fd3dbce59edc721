"""ImageSet: images with keys, labels and metadata, loaded lazily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ordhash.codes import LABELS, composed, is_label, joined_labels
from ordhash.data.images import ImageSource, content_id, source_name
from ordhash.data.passedover import PassedOver
from ordhash.errors import ImageError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ImageSet", "Images", "as_image_set", "is_unicode", "label_matrix"]

Labels = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """n images with keys of the user's choice, and optionally labels and metadata.

    Nothing is decoded here: a path stays a path until an encoder needs the pixels.

    Args:
        images: n sources (paths, file contents, open images), or one array uint8 (n, h, w, 3) of small pictures.
        keys: n distinct strings or integers; the default numbers the images.
        labels: bool (n, n_classes), True where an image carries a label; None if labels are unknown.
        class_names: Name of every column of ``labels``.
        metadata: Other columns, n rows.
        passed_over: What the reader of a folder passed over; subsets do not have it.

    Raises:
        InputError: The parts differ in length, two images share a key, or the name of a class has a ``;``, which
            separates labels.

    >>> pictures = ImageSet(np.zeros((3, 8, 8, 3), np.uint8), labels=np.eye(3, dtype=bool), class_names=("a", "b", "c"))
    >>> len(pictures), pictures.subset([2, 0]).keys.tolist(), pictures.multilabel
    (3, [2, 0], False)
    """

    images: Sequence[ImageSource] | npt.NDArray[np.uint8]
    keys: npt.NDArray[Any] = None  # type: ignore[assignment]  # filled below, so that readers never see None
    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    metadata: pa.Table | None = None
    passed_over: PassedOver = field(default_factory=PassedOver)

    def __post_init__(self) -> None:
        n = len(self.images)
        keys = np.arange(n) if self.keys is None else np.asarray(self.keys)
        if keys.dtype.kind not in "iuU" and n:
            raise InputError(f"keys are {keys.dtype}; allowed are strings or integers")
        object.__setattr__(self, "keys", keys)
        if keys.shape != (n,):
            raise InputError(f"there are {n} images and keys of shape {keys.shape}; give each image one key")
        unique, counts = np.unique(keys, return_counts=True)
        if len(unique) < n:
            raise InputError(f"key {unique[counts > 1][0]!s} stands for several images; keys must be distinct")
        if self.labels is not None:
            labels = np.asarray(self.labels, dtype=bool)
            object.__setattr__(self, "labels", labels)
            if labels.shape != (n, len(self.class_names)):
                raise InputError(
                    f"labels have shape {labels.shape}; with {n} images and {len(self.class_names)} class names "
                    f"it must be ({n}, {len(self.class_names)})"
                )
        bad = next((name for name in self.class_names if not is_label(name)), None)
        if bad is not None:
            raise InputError(f"a class is called {bad!r}, and ; separates labels; rename it")
        if self.metadata is not None and self.metadata.num_rows != n:
            raise InputError(f"metadata has {self.metadata.num_rows} rows; there are {n} images")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        classes = f", {len(self.class_names)} classes" if self.labels is not None else ""
        return f"ImageSet({len(self)} images{classes})"

    @property
    def multilabel(self) -> bool:
        """Whether some image carries more than one label."""
        return self.labels is not None and bool((self.labels.sum(axis=1) > 1).any())

    def subset(self, rows: npt.ArrayLike) -> ImageSet:
        """The images at ``rows`` (positions, or a boolean mask), in that order; images in a list are not copied."""
        picked: Rows = np.arange(len(self))[np.asarray(rows, dtype=None if len(np.asarray(rows)) else np.intp)]
        images: Sequence[ImageSource] | npt.NDArray[np.uint8]
        images = self.images[picked] if isinstance(self.images, np.ndarray) else [self.images[i] for i in picked]
        return ImageSet(
            images,
            self.keys[picked],
            None if self.labels is None else self.labels[picked],
            self.class_names,
            None if self.metadata is None else self.metadata.take(picked),
        )

    def metadata_with_labels(self) -> pa.Table | None:
        """Metadata with the labels as one more column, ``labels``, separated by ``;``; None without either.

        Raises:
            InputError: A key is not valid Unicode, or a metadata column has a name that files of codes reserve.
        """
        import pyarrow as pa

        bad = next((str(key) for key in self.keys if not is_unicode(str(key))), None)
        if bad is not None:
            raise InputError(f"the name {bad!r} is not valid Unicode; rename the file")
        if self.metadata is not None and "code" in self.metadata.column_names:
            raise InputError("the manifest has a column 'code', a name the package uses itself; rename the column")
        if self.labels is None:
            return self.metadata
        names = np.array(self.class_names, dtype=object)
        labels = pa.array([joined_labels(names[row]) for row in self.labels], pa.string())
        return pa.table({LABELS: labels}) if self.metadata is None else self.metadata.append_column(LABELS, labels)

    def without_labels(self) -> ImageSet:
        """The same images without labels."""
        return ImageSet(self.images, self.keys, metadata=self.metadata, passed_over=self.passed_over)

    def without_empty_classes(self) -> ImageSet:
        """The same images without the classes that none of them shows, as in a search among classes not learned."""
        if self.labels is None or self.labels.any(axis=0).all():
            return self
        shown = np.flatnonzero(self.labels.any(axis=0))
        names = tuple(self.class_names[column] for column in shown)
        return replace(self, labels=self.labels[:, shown], class_names=names)

    def name(self, row: int) -> str:
        """Name of the image at ``row`` for messages: its path, or else its key."""
        source = self.images[row]
        if isinstance(source, str | Path):
            return source_name(source)
        return f"image {self.keys[row]}"

    def content_ids(self) -> list[bytes]:
        """16-byte digest of every image's content; a file that cannot be read gets the digest of its name.

        Decoding will fail later and report it; here it must not stop the others.
        """
        ids = []
        for row, source in enumerate(self.images):
            try:
                ids.append(content_id(source))
            except ImageError:
                ids.append(content_id(self.name(row).encode("utf-8", "surrogateescape")))
        return ids


def is_unicode(text: str) -> bool:
    r"""Whether a text is valid Unicode; the name of a file need not be.

    >>> is_unicode("caf\u00e9"), is_unicode("caf\udce9")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Images = ImageSet | Sequence[ImageSource] | npt.NDArray[np.uint8]


def as_image_set(images: Images) -> ImageSet:
    """ImageSet of a plain sequence of sources; an ImageSet is returned as it is.

    Raises:
        InputError: A single path or a single picture was given instead of a sequence.
    """
    if isinstance(images, ImageSet):
        return images
    if isinstance(images, str | bytes | Path):
        raise InputError(f"one image was given ({str(images)[:80]!r}); give a list of images")
    if isinstance(images, np.ndarray):
        if images.ndim != 4 or images.dtype != np.uint8:
            raise InputError(f"images are {images.dtype} {images.shape}; an array must be uint8 (n, h, w, 3)")
        return ImageSet(images)
    return ImageSet(list(images))


def label_matrix(names: Sequence[Sequence[str]]) -> tuple[Labels, tuple[str, ...]]:
    """Label matrix and class names (sorted), from a list of label names for each image.

    Names that differ only in composed and decomposed accents, or in blanks around them, are one class.

    >>> matrix, classes = label_matrix([["sky"], ["sea", "sky"]])
    >>> classes, matrix.astype(int).tolist()
    (('sea', 'sky'), [[0, 1], [1, 1]])
    """
    names = [[name for given in row if (name := composed(given).strip())] for row in names]
    classes = tuple(sorted({name for row in names for name in row}))
    column = {name: position for position, name in enumerate(classes)}
    matrix = np.zeros((len(names), len(classes)), dtype=bool)
    for row, given in enumerate(names):
        for name in given:
            matrix[row, column[name]] = True
    return matrix, classes
