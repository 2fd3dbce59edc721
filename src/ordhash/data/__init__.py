"""Images, data sets and protocols."""

from ordhash.data.datasets import DATASETS
from ordhash.data.folders import read_folder, read_photographs
from ordhash.data.images import MAX_PIXELS, ImageSource, content_id, file_suffix, open_rgb, source_name
from ordhash.data.imageset import Images, ImageSet, as_image_set
from ordhash.data.manifests import IMAGE, manifest_set, read_manifest
from ordhash.data.opening import MAX_FILE_BYTES, open_file, read_file
from ordhash.data.packages import take_from_pypi
from ordhash.data.protocols import PROTOCOLS, Protocol, load_protocol
from ordhash.data.readers import read_images
from ordhash.data.remote import read_location
from ordhash.data.scaling import Fit, prepare
from ordhash.data.tables import is_table_name
from ordhash.data.walking import CATALOGUE, is_image_name, walk_images

__all__ = [
    "CATALOGUE",
    "DATASETS",
    "IMAGE",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "PROTOCOLS",
    "Fit",
    "ImageSet",
    "ImageSource",
    "Images",
    "Protocol",
    "as_image_set",
    "content_id",
    "file_suffix",
    "is_image_name",
    "is_table_name",
    "load_protocol",
    "manifest_set",
    "open_file",
    "open_rgb",
    "prepare",
    "read_file",
    "read_folder",
    "read_images",
    "read_location",
    "read_manifest",
    "read_photographs",
    "source_name",
    "take_from_pypi",
    "walk_images",
]
