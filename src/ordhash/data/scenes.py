"""Scenes: photographs into which others are pasted, so that it is known what they show, where, and how large.

An object that is a small part of a photograph is hard to find by one code of the whole. Photographs with their objects
marked and classed are rare, and none can be fetched here. So a scene is made of photographs that exist: a background,
and one or several photographs of objects in it. Where an edge is soft, and brightness follows the surroundings, a model
that lives off the edges of rectangles falls behind.

Everything is drawn by digests of keys, so the scenes are the same on every machine, and composed when they are needed.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.data.draws import draws
from ordhash.data.images import DrawnImage, ImageSource, content_id, open_rgb
from ordhash.data.imageset import ImageSet
from ordhash.errors import InputError

__all__ = [
    "SHARES",
    "SHARES_OF_THREE",
    "CutOut",
    "Pasted",
    "Scene",
    "by_digest",
    "companions",
    "cut_outs",
    "drawn_scene",
    "in_clutter",
    "paste_into",
]

SHARES = ((0.05, 0.1), (0.1, 0.2), (0.2, 0.4))
"""Shares of the area that an object takes, from and to: small, middle and large."""

SHARES_OF_THREE = ((0.2, 0.4), (0.4, 0.6))
"""The same where three share a scene, of a third of it each."""

_RATIO = 4 / 3  # width to height
_MARGIN = 0.03  # of a background's shorter side: scans have dark edges
_FEATHER = 0.12  # of the shorter side of what is pasted
_BRIGHTER = 1.6  # at most, to match the surroundings

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Pasted:
    """A photograph in a scene.

    Attributes:
        image: The photograph; all of it is pasted, its aspect kept.
        share: Area that it takes, as a share of the scene; less if it would not fit.
        across: Where it is between the left (0) and the right (1) of ``between``.
        down: Where it is between the top (0) and the bottom (1).
        soft: Whether its edges fade and its brightness follows the surroundings.
        between: Left and right end of the part of the scene that is its, as shares of the width.
    """

    image: ImageSource
    share: float
    across: float
    down: float
    soft: bool = False
    between: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Scene(DrawnImage):
    """A photograph, 4:3, with others pasted into it.

    Attributes:
        background: The photograph behind; the largest part of it that is 4:3, without a margin of 3 %.
        things: What is pasted, the last one on top.
        height: Pixels.
    """

    background: ImageSource
    things: tuple[Pasted, ...]
    height: int = 320

    @property
    def width(self) -> int:
        """Pixels."""
        return round(self.height * _RATIO)

    def box(self, number: int) -> Box:
        """Left, top, right and bottom of a pasted photograph, in pixels.

        Args:
            number: Which of ``things``.

        Raises:
            ImageError: It cannot be read.
        """
        return self._box(self.things[number], open_rgb(self.things[number].image).size)

    def _box(self, thing: Pasted, size: tuple[int, int]) -> Box:
        start, stop = (end * self.width for end in thing.between)
        ratio = size[0] / size[1]
        tall = min(np.sqrt(thing.share * self.width * self.height / ratio), self.height, (stop - start) / ratio)
        width, height = max(1, round(tall * ratio)), max(1, round(tall))
        left = round(start + thing.across * max(0.0, stop - start - width))
        top = round(thing.down * (self.height - height))
        return left, top, left + width, top + height

    def draw(self) -> Image.Image:
        """The scene, RGB."""
        return self.draw_with_boxes()[0]

    def draw_with_boxes(self) -> tuple[Image.Image, list[Box]]:
        """The scene, RGB, and where its things are, as ``box`` says."""
        scene, boxes = self._behind(), []
        for thing in self.things:
            photo = open_rgb(thing.image)
            box = self._box(thing, photo.size)
            boxes.append(box)
            photo = photo.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BICUBIC, reducing_gap=3.0)
            if thing.soft:
                photo = _as_bright(photo, scene.crop(box))
            scene.paste(photo, box[:2], _feathered(photo.size) if thing.soft else None)
        return scene, boxes

    def _behind(self) -> Image.Image:
        photo = open_rgb(self.background)
        margin = round(_MARGIN * min(photo.size))
        width, height = (length - 2 * margin for length in photo.size)
        kept_width, kept_height = min(width, height * _RATIO), min(height, width / _RATIO)
        left, top = margin + (width - kept_width) / 2, margin + (height - kept_height) / 2
        box = (left, top, left + kept_width, top + kept_height)
        return photo.resize((self.width, self.height), Image.Resampling.BICUBIC, box=box)

    def content_id(self) -> bytes:
        """Digest of the photographs and of how they are placed, 16 bytes."""
        digest = hashlib.blake2b(digest_size=16, person=b"ordhash scene 1")
        digest.update(content_id(self.background) + struct.pack("<I", self.height))
        for thing in self.things:
            place = (thing.share, thing.across, thing.down, *thing.between, thing.soft)
            digest.update(content_id(thing.image) + struct.pack("<5d?", *place))
        return digest.digest()


@dataclass(frozen=True, eq=False)
class CutOut(DrawnImage):
    """What a search would see that knew where to look: the rectangle of a scene that holds a pasted photograph.

    Attributes:
        scene: The scene.
        number: Which of its ``things``.
    """

    scene: Scene
    number: int = 0

    def draw(self) -> Image.Image:
        """The rectangle, RGB."""
        picture, boxes = self.scene.draw_with_boxes()
        return picture.crop(boxes[self.number])

    def content_id(self) -> bytes:
        """Digest of the scene and the number, 16 bytes."""
        own = struct.pack("<I", self.number) + self.scene.content_id()
        return hashlib.blake2b(own, digest_size=16, person=b"ordhash cut 1").digest()


def paste_into(
    objects: ImageSet,
    backgrounds: ImageSet,
    *,
    salt: str,
    each: int = 1,
    shares: Sequence[tuple[float, float]] = SHARES,
) -> ImageSet:
    """Scenes of photographs of objects in photographs of something else: every object in one scene.

    Shares and edges take turns: a third of the scenes has objects of each of three shares, and half of them hard edges.

    Args:
        objects: n photographs of objects, with labels.
        backgrounds: At least one photograph that shows none of these; all are used before one is used again.
        salt: Another salt gives other scenes.
        each: Objects a scene, of different classes, side by side. Those left over at the end are left out.
        shares: Shares of a scene's area that an object may take; for several a scene, a share of their own part of it.

    Returns:
        n // each scenes or a few less, with the labels of their objects, keys ``OBJECT in BACKGROUND`` (several objects
        are joined by ``+``), and as metadata ``share`` (such as ``5-10 %``) and ``edges`` (``hard`` or ``soft``).

    Raises:
        InputError: Objects without labels, or no background.
    """
    if objects.labels is None or not len(backgrounds):
        raise InputError("scenes need objects with labels and at least one background; give both")
    return _composed(objects, _groups(objects, each, salt), backgrounds, salt, shares)


def in_clutter(
    objects: ImageSet, backgrounds: ImageSet, together: npt.NDArray[np.intp], *, salt: str, turn: int = 0
) -> ImageSet:
    """Scenes of photographs, to train with: objects small, and much else around them.

    Args:
        objects: n photographs, with labels or without.
        backgrounds: At least one photograph that shows none of their classes.
        together: intp (m, each), the photographs of every scene, as ``companions`` chooses them.
        salt: Another salt gives other scenes.
        turn: Another turn gives an object the next share and the other kind of edges.

    Returns:
        m scenes, as ``paste_into`` makes them.

    Raises:
        InputError: There is no background.
    """
    if not len(backgrounds):
        raise InputError("scenes need at least one background; give some photographs")
    return _composed(objects, together.tolist(), backgrounds, salt, _shares_of(together.shape[1]), turn)


def companions(order: npt.NDArray[np.intp], each: int) -> npt.NDArray[np.intp]:
    """Which photographs share a scene: each is the first in one scene, and those that follow it in an order are others.

    Args:
        order: intp (n,), a permutation.
        each: Photographs a scene, at most n.

    Returns:
        intp (n, each); row r begins with r.

    >>> companions(np.array([2, 0, 1]), 2).tolist()
    [[0, 1], [1, 2], [2, 0]]
    """
    place = np.argsort(order)
    return np.stack([order[(place + step) % len(order)] for step in range(each)], axis=1)


def drawn_scene(things: Sequence[ImageSource], backgrounds: ImageSet, *, draw: str) -> Scene:
    """One scene of some photographs, with everything about it chosen at random: another for every epoch of a training.

    Args:
        things: The photographs, side by side.
        backgrounds: At least one photograph that shows none of their classes.
        draw: Another text gives another scene.
    """
    behind, band, edges = draws(draw, 3)
    shares = _shares_of(len(things))
    share = shares[int(band * len(shares))]
    pasted = _side_by_side(things, share, draw, soft=edges < 0.5)
    return Scene(backgrounds.images[int(behind * len(backgrounds))], pasted)


def _shares_of(each: int) -> Sequence[tuple[float, float]]:
    """Shares of the area that objects may take, of their own part of a scene with several."""
    return SHARES if each == 1 else SHARES_OF_THREE


def _side_by_side(
    images: Sequence[ImageSource], share: tuple[float, float], draw: str, *, soft: bool
) -> tuple[Pasted, ...]:
    things = []
    for place, image in enumerate(images):
        within, across, down = draws(f"{draw}/{place}", 3)
        between = (place / len(images), (place + 1) / len(images))
        area = (share[0] + within * (share[1] - share[0])) / len(images)
        things.append(Pasted(image, area, across, down, soft, between))
    return tuple(things)


def _composed(
    objects: ImageSet,
    groups: list[list[int]],
    backgrounds: ImageSet,
    salt: str,
    shares: Sequence[tuple[float, float]],
    turn: int = 0,
) -> ImageSet:
    """Scenes of some rows of the objects each, side by side."""
    rounds = range(-(-len(groups) // len(backgrounds)))  # each in another order: no background keeps its share
    behind = [int(row) for turn in rounds for row in by_digest(backgrounds, f"{salt}/background/{turn}")]
    scenes, keys, share_names, edges = [], [], [], []
    labels = None if objects.labels is None else np.zeros((len(groups), len(objects.class_names)), dtype=bool)
    for number, rows in enumerate(groups):
        share = shares[(number + turn) % len(shares)]
        soft = bool((number // len(shares) + turn) % 2)
        background = behind[number]
        key = "+".join(str(objects.keys[row]) for row in rows)
        things = _side_by_side([objects.images[row] for row in rows], share, f"{salt}/{key}", soft=soft)
        if labels is not None and objects.labels is not None:
            labels[number] = objects.labels[rows].any(axis=0)
        scenes.append(Scene(backgrounds.images[background], things))
        keys.append(f"{key} in {backgrounds.keys[background]}")
        share_names.append(f"{100 * share[0]:g}-{100 * share[1]:g} %")
        edges.append("soft" if soft else "hard")
    import pyarrow as pa

    metadata = pa.table({"share": share_names, "edges": edges})
    return ImageSet(scenes, np.array(keys, dtype=np.str_), labels, objects.class_names, metadata)


def cut_outs(scenes: ImageSet) -> ImageSet:
    """The pasted photographs, cut out of scenes with one each; keys, labels and metadata stay.

    Raises:
        InputError: An image is not such a scene.
    """
    found = []
    for source in scenes.images:
        if not isinstance(source, Scene) or len(source.things) != 1:
            raise InputError("only scenes with one object each can be cut out; give those")
        found.append(CutOut(source))
    return ImageSet(found, scenes.keys, scenes.labels, scenes.class_names, scenes.metadata)


def _groups(objects: ImageSet, each: int, salt: str) -> list[list[int]]:
    """Rows of the objects of every scene, of different classes."""
    labels, waiting = objects.labels, [int(row) for row in by_digest(objects, salt)]
    groups: list[list[int]] = []
    while len(waiting) >= each:
        group = [waiting.pop(0)]
        while len(group) < each:
            taken = labels[group].any(axis=0)  # type: ignore[index]
            other = next((row for row in waiting if not (labels[row] & taken).any()), None)  # type: ignore[index]
            if other is None:
                return groups
            waiting.remove(other)
            group.append(other)
        groups.append(group)
    return groups


def by_digest(images: ImageSet, salt: str) -> npt.NDArray[np.intp]:
    """Rows in an order that keys decide, intp (n,); another salt gives another order."""
    return np.argsort(np.array([draws(f"{salt}/{key}", 1)[0] for key in images.keys]), kind="stable")


def _as_bright(photo: Image.Image, around: Image.Image) -> Image.Image:
    """The photograph, as bright in the mean as another, as far as that goes."""
    own, other = (np.asarray(image, dtype=np.float64).mean() for image in (photo, around))
    factor = np.clip(other / max(own, 1.0), 1 / _BRIGHTER, _BRIGHTER)
    return Image.fromarray(np.clip(np.asarray(photo) * factor + 0.5, 0, 255).astype(np.uint8))


def _feathered(size: tuple[int, int]) -> Image.Image:
    """A mask that fades towards the edges."""
    ramps = []
    for length in size:
        inwards = np.minimum(np.arange(length) + 0.5, length - np.arange(length) - 0.5)
        ramps.append(np.clip(inwards / max(_FEATHER * min(size), 1.0), 0, 1))
    mask = 255 * np.minimum(ramps[1][:, None], ramps[0][None, :])
    return Image.fromarray(mask.round().astype(np.uint8))
