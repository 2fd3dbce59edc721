"""How pixels become the input of a backbone: (x - mean) / std per channel, as in the training of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["NORMALISATIONS", "Normalisation", "NormalisationName"]

NormalisationName: TypeAlias = Literal["own", "imagenet", "clip", "half", "unit", "caffe", "none"]
"""One of ``NORMALISATIONS``, or ``own``: the one that timm states for the network."""

Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation, both in pixel values 0 to 255 and in the order red, green, blue.

    Attributes:
        mean: Per channel.
        std: Per channel.
        blue_first: Whether the backbone wants blue, green, red.
    """

    mean: Triple
    std: Triple
    blue_first: bool = False

    @classmethod
    def of_unit(cls, mean: Triple, std: Triple) -> Normalisation:
        """From values for pixels from 0 to 1, as most frameworks give them."""
        return cls(_pixels(mean), _pixels(std))

    def to_json(self) -> dict[str, list[float]]:
        """Mean and standard deviation, for the model file."""
        return {"mean": list(self.mean), "std": list(self.std)}


def _pixels(values: Triple) -> Triple:
    red, green, blue = values
    return 255 * red, 255 * green, 255 * blue


NORMALISATIONS = {
    "imagenet": Normalisation.of_unit((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": Normalisation.of_unit((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": Normalisation((127.5,) * 3, (127.5,) * 3),
    "unit": Normalisation((0.0,) * 3, (255.0,) * 3),
    "caffe": Normalisation((123.68, 116.779, 103.939), (1.0,) * 3, blue_first=True),
    "none": Normalisation((0.0,) * 3, (1.0,) * 3),
}
"""By name: ImageNet's statistics; CLIP's; -1 to 1; 0 to 1; ImageNet's means in 0 to 255, blue first; pixel values."""
