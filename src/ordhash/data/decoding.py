"""From an open file to decoded pixels, or to one sentence that says why not."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image, JpegImagePlugin

from ordhash.data.bounds import check_header, check_memory, tags_are_sane
from ordhash.data.mending import mended
from ordhash.data.opening import detail, unreadable
from ordhash.errors import ImageError, NoMemoryError

__all__ = ["FORMATS", "MAX_PIXELS", "broken", "check_size", "decode", "kind_of", "too_large"]

_HEAD = 1 << 16  # bytes at the beginning of a file where its colour space is looked for

MAX_PIXELS = 178_956_970
"""Images with more pixels are refused before decoding: Pillow's error level, twice its warning level."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
"""Supported file formats, recognised by their first bytes and never by the extension.

Pillow knows more. Left out are formats without a reliable signature (TGA, SPIDER: random bytes can match) and those
that run another program (EPS: Ghostscript), which is unsafe for untrusted files.
"""


def decode(
    file: BinaryIO, label: str, max_pixels: int, least_side: int | None
) -> tuple[Image.Image, Image.Image, bytes]:
    """Decode a file, in the mode that it has.

    Args:
        file: At its beginning.
        label: Its name in errors.
        max_pixels: Larger images are refused before decoding.
        least_side: As [open_rgb][ordhash.data.open_rgb] takes it.

    Returns:
        The opened image, for its metadata; its pixels, which is the same image except for a damaged file; and the first
        bytes of the file.

    Raises:
        ImageError: It is not an image, broken, too large, or would take too much work.
    """
    # Image.open is not used: between half of MAX_PIXELS and MAX_PIXELS it warns, and Python 3.11 can silence a
    # warning only for all threads at once. This is its loop over the registered formats without the warning;
    # the size is checked after the header and before the pixels, as there.
    # The formats get no file name, so that none maps the file: truncating it meanwhile would kill the process.
    kind = "image"
    try:
        head = file.read(_HEAD)
        kind = kind_of(head[:16], label)
        check_header(file, kind, label)
        # Not the factory of JPEG files, which reads a second directory of tags to look for further pictures.
        opener = JpegImagePlugin.JpegImageFile if kind == "JPEG" else Image.OPEN[kind][0]

        def open_image(content: BinaryIO) -> Image.Image:
            content.seek(0)
            image = opener(content, "")
            check_size(image, label, max_pixels)  # before draft, after which it says a smaller one
            if least_side is not None:
                image.draft(None, (least_side, least_side))
            check_memory(image, content, kind, label)
            for name in ("exif", "Raw profile type exif"):
                block = image.info.get(name, b"")
                if not tags_are_sane(block if isinstance(block, bytes) else bytes(len(block))):
                    del image.info[name]
            return image

        try:
            image = open_image(file)
            image.load()
            return image, image, head
        except (ImageError, Warning, MemoryError, Image.DecompressionBombError):
            raise
        except Exception as error:
            repaired = None if _of_the_disk(error) else mended(file, kind, open_image)
            if repaired is None:
                raise
            return *repaired, head
    except (ImageError, Warning):
        raise
    except SyntaxError as error:
        raise ImageError(
            label,
            f"its {kind} header is broken, cut short or gives no pixels{detail(error)}; "
            "replace it by a whole copy, convert it to JPEG or PNG, or remove it",
        ) from error
    except Exception as error:
        raise broken(label, kind, error) from error


def kind_of(prefix: bytes, label: str) -> str:
    """The format, one of ``FORMATS``, of a file with these first bytes.

    Raises:
        ImageError: It is empty or in another format.
    """
    Image.init()
    if not prefix:
        raise ImageError(label, "the file is empty (0 bytes); replace or remove it")
    for kind in FORMATS:
        if kind not in Image.OPEN:
            continue
        accepts = Image.OPEN[kind][1]
        answer = accepts(prefix) if accepts else False
        if isinstance(answer, str):
            raise ImageError(label, f"this {kind} file cannot be read ({answer}); convert it to JPEG or PNG")
        if answer:
            return kind
    raise ImageError(
        label,
        f"this is not an image that Pillow can read here ({', '.join(FORMATS)}); convert it to JPEG or PNG, "
        "or remove it",
    )


def check_size(image: Image.Image, label: str, max_pixels: int) -> None:
    """Refuse an image without pixels, or with too many.

    Raises:
        ImageError: It is refused.
    """
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(label, f"it is {width} x {height} pixels; allowed is 1 x 1 or more: replace or remove it")
    if width * height > max_pixels:
        raise ImageError(label, too_large(f"{width:,} x {height:,} pixels", max_pixels))


def too_large(size: str, max_pixels: int = MAX_PIXELS) -> str:
    """Sentence about a size."""
    return f"it claims {size}, allowed are {max_pixels:,} in all; scale it down or remove it"


def broken(label: str, kind: str, error: Exception) -> ImageError:
    """The error of data that do not decode.

    Args:
        label: Name of the image.
        kind: Its format.
        error: What the decoder raised.
    """
    if isinstance(error, Image.DecompressionBombError):  # a plug-in refused the size of a tile or frame
        return ImageError(label, too_large("a tile or frame of too many pixels"))
    if isinstance(error, MemoryError):
        return NoMemoryError.of(label)
    if _of_the_disk(error):
        return unreadable(label, error)
    return ImageError(
        label, f"its {kind} data are broken or cut short{detail(error)}; replace it by a whole copy, or remove it"
    )


def _of_the_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno is not None
