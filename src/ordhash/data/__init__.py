"""Images, data sets and protocols."""

from ordhash.data.datasets import DATASETS
from ordhash.data.imageset import ImageSet
from ordhash.data.protocols import PROTOCOLS, Protocol, load_protocol
from ordhash.data.readers import read_folder, read_images, read_manifest

__all__ = [
    "DATASETS",
    "PROTOCOLS",
    "ImageSet",
    "Protocol",
    "load_protocol",
    "read_folder",
    "read_images",
    "read_manifest",
]
