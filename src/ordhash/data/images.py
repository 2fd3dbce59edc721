"""One image: decode it to upright RGB, and compute its digest.

Every function takes an [ImageSource][ordhash.data.ImageSource] and raises
[ImageError][ordhash.errors.ImageError] for any problem with one file, so callers that read a
folder handle one exception. All functions are thread-safe; no global state is changed.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from ordhash.data.colour import colour_profile
from ordhash.data.decoding import FORMATS, MAX_PIXELS, broken, check_size, decode, kind_of, too_large
from ordhash.data.opening import detail, open_file, unreadable
from ordhash.data.rgb import to_rgb
from ordhash.errors import ImageError, InputError, NoMemoryError

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "DrawnImage",
    "ImageSource",
    "content_id",
    "file_suffix",
    "open_rgb",
    "source_name",
]


class DrawnImage(ABC):
    """An image that is drawn from others when it is needed, each time the same."""

    @abstractmethod
    def draw(self) -> Image.Image:
        """The image, of mode RGB.

        Raises:
            ImageError: An image that it is drawn from cannot be read.
        """

    @abstractmethod
    def content_id(self) -> bytes:
        """Digest of everything that it is drawn from, 16 bytes.

        Raises:
            ImageError: An image that it is drawn from cannot be read.
        """


ImageSource: TypeAlias = Path | str | bytes | Image.Image | npt.NDArray[np.uint8] | DrawnImage
"""A path, the content of a file, an open image, an array uint8 (height, width) or (height, width, 3), or an image that
is drawn when it is needed."""

IMAGE_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg"),
        *(".jpf", ".jpg", ".jps", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
"""Suffixes of image files of the supported formats."""

_ID_BYTES = 16

# ImageOps.exif_transpose also rewrites the EXIF block, which fails for many readable blocks of real cameras; the image
# would then stay rotated. So this table applies the orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_muting = threading.Lock()

_T = TypeVar("_T")


def source_name(source: ImageSource, position: int | None = None) -> str:
    """Name of an image for messages.

    Args:
        source: The image.
        position: Its place in the caller's list, from 0.

    Returns:
        A path as given; otherwise ``image 17``, or ``image`` without a position.

    >>> source_name(Path("cats/tom.jpg"), 3), source_name(b"...", 17)
    ('cats/tom.jpg', 'image 17')
    """
    if isinstance(source, Path | str):
        return str(source) or "''"
    return "image" if position is None else f"image {position}"


def open_rgb(
    source: ImageSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS, least_side: int | None = None
) -> Image.Image:
    """Decode an image to upright 8-bit RGB; of an animation, the first frame.

    Colours are converted to sRGB from the colour space that the file names (see ``ordhash.data.colour``). Transparent
    pixels are blended with white. Greyscale of 16 or 32 bits keeps the high byte of its values, where values below 256,
    1024 and 4096 are taken for 8, 10 and 12 bits. Floating-point pixels, and integers outside 0..65535, have no fixed
    black and white: their minimum..maximum is scaled to 0..255.

    Args:
        source: The image; an open image is not changed and stays at its frame.
        name: Its name in errors; by default [source_name][ordhash.data.images.source_name].
        max_pixels: Larger images are refused before decoding; at most ``MAX_PIXELS``.
        least_side: Pixels needed on the shorter side. A JPEG file with at least twice as many is decoded at a half, a
            quarter or an eighth of its size, which is several times faster; other images of more than a megapixel are
            averaged down. None decodes all pixels.

    Returns:
        An image of mode RGB that shares no pixels with ``source`` and carries no metadata.

    Raises:
        ImageError: The file is missing, unreadable, empty, not an image, broken, truncated or larger than
            ``max_pixels``, or would take far more time or memory than its pixels are worth; or the array has another
            shape or dtype. Of a file that is cut or damaged, nine tenths of the rows must be there, and only these are
            used. (With Pillow's ``LOAD_TRUNCATED_IMAGES`` set, Pillow hides truncation.)
        InputError: ``source`` is of another type.

    >>> open_rgb(np.zeros((2, 3), dtype=np.uint8))  # doctest: +ELLIPSIS
    <PIL.Image.Image image mode=RGB size=3x2 at ...>
    """
    label = source_name(source) if name is None else name
    try:
        return _despite_warnings(lambda: _open_rgb(source, label, min(max_pixels, MAX_PIXELS), least_side))
    except MemoryError as error:
        raise NoMemoryError.of(label) from error


def file_suffix(content: bytes, *, name: str = "image") -> str:
    """Usual suffix of an image file, without the dot, by its format.

    Args:
        content: Content of the file; its first bytes are enough.
        name: Its name in errors.

    Raises:
        ImageError: Its format is not one of ``FORMATS``.

    >>> file_suffix(bytes([0xFF, 0xD8, 0xFF, 0xE0]))
    'jpeg'
    """
    kind = kind_of(content[:16], name).lower()
    return {"jpeg2000": "jp2"}.get(kind, kind)


def content_id(source: ImageSource, *, name: str | None = None) -> bytes:
    """Digest of an image: the key of feature caches and of de-duplication.

    For a path or the content of a file, the BLAKE2b digest of the file's bytes (``b2sum -l 128`` prints the same). For
    an array, that of dtype, shape and values. For an open image, that of mode, size, pixels, palette, transparency,
    orientation and colour space. For a drawn image, that of what it is drawn from. The kinds never collide.

    Args:
        source: The image. Files are not decoded, so a broken one has an id too.
        name: Its name in errors; by default [source_name][ordhash.data.images.source_name].

    Returns:
        16 bytes.

    Raises:
        ImageError: A file is missing or cannot be read, an open image cannot be decoded, or an array has another
            shape or dtype than [open_rgb][ordhash.data.open_rgb] takes.
        InputError: ``source`` is of another type.

    >>> content_id(b"content of a file").hex()
    'ee66444fb6779562d9ad56ef87f00cd2'
    """
    label = source_name(source) if name is None else name
    if isinstance(source, bytes):
        return hashlib.blake2b(source, digest_size=_ID_BYTES).digest()
    if isinstance(source, Path | str):
        with open_file(source, label) as file:
            try:
                return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_ID_BYTES)).digest()
            except OSError as error:
                raise unreadable(label, error) from error
    if isinstance(source, np.ndarray):
        digest = hashlib.blake2b(digest_size=_ID_BYTES, person=b"ordhash array")
        array = _check_array(source, label)
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
        return digest.digest()
    if isinstance(source, Image.Image):
        image = source
        return _despite_warnings(lambda: _id_of_open(image, label))
    if isinstance(source, DrawnImage):
        return source.content_id()
    raise _wrong_type(source)


def _id_of_open(image: Image.Image, label: str) -> bytes:
    _load(image, label)
    digest = hashlib.blake2b(digest_size=_ID_BYTES, person=b"ordhash image")
    palette = image.getpalette(None) if image.palette else None
    colours = colour_profile(image)
    reading = (image.mode, image.size, image.info.get("transparency"), _orientation(image), palette, colours)
    digest.update(f"{reading} ".encode())
    digest.update(image.tobytes())
    return digest.digest()


def _despite_warnings(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except Warning:
        # Pillow warns about oddities that do not affect the pixels (broken EXIF, say). Only a program that turns
        # warnings into errors gets here. catch_warnings swaps a list that all threads share, so it is kept to
        # this rare way, one thread at a time, instead of standing around every decode.
        with _muting, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()


def _open_rgb(source: ImageSource, label: str, max_pixels: int, least_side: int | None) -> Image.Image:
    if isinstance(source, Path | str):
        with open_file(source, label) as file:
            image, pixels, head = decode(file, label, max_pixels, least_side)
            return _upright(image, pixels, label, least_side, head)
    if isinstance(source, bytes):
        image, pixels, head = decode(io.BytesIO(source), label, max_pixels, least_side)
        return _upright(image, pixels, label, least_side, head)
    if isinstance(source, np.ndarray):
        return Image.fromarray(np.ascontiguousarray(_check_array(source, label))).convert("RGB")
    if isinstance(source, Image.Image):
        _load(source, label, max_pixels)
        return _upright(source, source, label, least_side, own=False)
    if isinstance(source, DrawnImage):
        return source.draw()
    raise _wrong_type(source)


def _load(image: Image.Image, label: str, max_pixels: int = MAX_PIXELS) -> None:
    check_size(image, label, max_pixels)
    try:
        image.load()
    except Warning:
        raise
    # Pillow does not document what a decoder may raise on broken data; OSError, SyntaxError, ValueError,
    # struct.error, EOFError, IndexError, TypeError and zlib.error have all been seen.
    except Exception as error:
        raise broken(label, getattr(image, "format", None) or "image", error) from error


def _upright(
    image: Image.Image,
    pixels: Image.Image,
    label: str,
    least_side: int | None,
    head: bytes = b"",
    own: bool = True,
) -> Image.Image:
    try:
        rgb = to_rgb(pixels, label, profile=colour_profile(image, head), least_side=least_side)
    except (ImageError, Warning, MemoryError):
        raise
    except Exception as error:
        reason = f"its pixels of mode {image.mode} cannot be turned into RGB{detail(error)}; convert it to JPEG or PNG"
        raise ImageError(label, reason) from error
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        rgb = rgb.transpose(turn)
    elif not own and rgb is image:
        rgb = rgb.copy()
    # The copied metadata still have the old orientation and transparency: reopened, the image would be rotated twice.
    rgb.info = {}
    return rgb


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Warning:
        raise
    except Exception:  # a broken EXIF block is ignored: the pixels are fine
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _check_array(array: npt.NDArray[Any], label: str) -> npt.NDArray[np.uint8]:
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not shaped or array.size == 0:
        raise ImageError(
            label,
            f"the array is {array.dtype} {array.shape}; allowed is uint8 (height, width) or (height, width, 3), "
            "not empty: scale it to 0..255 and move the colours to the last axis",
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(label, too_large(f"{array.shape[1]:,} x {array.shape[0]:,} pixels"))
    return array


def _wrong_type(source: object) -> InputError:
    return InputError(
        f"an image is given as {type(source).__name__}; allowed are a path, the bytes of a file, a PIL image or a "
        "uint8 array: convert it to one of them"
    )
