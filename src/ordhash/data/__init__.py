"""Images, data sets and protocols."""

from ordhash.data.apart import Decoders
from ordhash.data.classfolders import ClassFolders, class_folders, parts_of_a_set
from ordhash.data.datasets import DATASETS
from ordhash.data.finding import find_file
from ordhash.data.folders import check_holds_images, read_folder, read_photographs
from ordhash.data.images import MAX_PIXELS, DrawnImage, ImageSource, content_id, file_suffix, open_rgb, source_name
from ordhash.data.imageset import Images, ImageSet, as_image_set, is_unicode
from ordhash.data.manifests import IMAGE, manifest_set, read_manifest
from ordhash.data.opening import MAX_FILE_BYTES, open_file, read_file
from ordhash.data.packages import take_from_npm, take_from_pypi
from ordhash.data.passedover import PassedOver, not_read
from ordhash.data.patterns import check_patterns
from ordhash.data.protocols import PROTOCOLS, Protocol, load_protocol
from ordhash.data.readers import read_images
from ordhash.data.remote import holds_images, read_location
from ordhash.data.scaling import STEP, Fit, check_fit, prepare, step_for
from ordhash.data.scenes import by_digest, companions, drawn_scene, in_clutter
from ordhash.data.tables import TABLES, is_table_name
from ordhash.data.walking import CATALOGUE, is_image_name, is_system_folder, is_walked, walk_images

__all__ = [
    "CATALOGUE",
    "DATASETS",
    "IMAGE",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "PROTOCOLS",
    "STEP",
    "TABLES",
    "ClassFolders",
    "Decoders",
    "DrawnImage",
    "Fit",
    "ImageSet",
    "ImageSource",
    "Images",
    "PassedOver",
    "Protocol",
    "as_image_set",
    "by_digest",
    "check_fit",
    "check_holds_images",
    "check_patterns",
    "class_folders",
    "companions",
    "content_id",
    "drawn_scene",
    "file_suffix",
    "find_file",
    "holds_images",
    "in_clutter",
    "is_image_name",
    "is_system_folder",
    "is_table_name",
    "is_unicode",
    "is_walked",
    "load_protocol",
    "manifest_set",
    "not_read",
    "open_file",
    "open_rgb",
    "parts_of_a_set",
    "prepare",
    "read_file",
    "read_folder",
    "read_images",
    "read_location",
    "read_manifest",
    "read_photographs",
    "source_name",
    "step_for",
    "take_from_npm",
    "take_from_pypi",
    "walk_images",
]
