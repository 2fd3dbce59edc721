"""Who may read a collection: nobody who may not read the folder of its images, whose names and small pictures it holds.

Permissions are only ever taken away, so what a user has restricted stays so.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ordhash.errors import InputError

__all__ = ["allowed_bits", "create_folder", "restrict", "restrict_folder"]

_GROUP_READS, _OTHERS_READ = 0o050, 0o005  # a folder: list it and enter it
_GROUP_ENTERS, _OTHERS_ENTER = 0o010, 0o001
_ACL, _ACL_ENTRY, _ACL_HEAD, _OWN_GROUP = "system.posix_acl_access", "<HHI", 4, 4
_LOCKS = ("lock", "learning.lock")


def allowed_bits(folder: Path, collection: Path, keys: Iterable[str] = ()) -> int:
    """Permissions that the files of a collection may have.

    Args:
        folder: The folder of the images.
        collection: The folder of the collection. Folders above both protect both, and do not matter.
        keys: Of images, whose sub-folders count too.

    Returns:
        Bits of a mode, all of the owner's among them.
    """
    status = folder.stat()
    bits = 0o770 if status.st_mode & _GROUP_READS == _GROUP_READS else 0o700
    bits |= 0o007 if status.st_mode & _OTHERS_READ == _OTHERS_READ else 0
    bits &= 0o700 | status.st_mode & ~_hidden_by_acl(folder)
    deepest = {key.rpartition("/")[0] for key in keys}  # first, since paths of all images would take seconds
    inside = {parent for key in deepest for parent in (PurePosixPath(key), *PurePosixPath(key).parents)}
    for name in inside - {PurePosixPath()}:
        with suppress(OSError):
            bits &= _granted((folder / name).stat(), status.st_gid, _GROUP_READS, _OTHERS_READ)
    for place in folder.parents:
        if collection.is_relative_to(place):
            break
        bits &= _granted(place.stat(), status.st_gid, _GROUP_ENTERS, _OTHERS_ENTER)
    return bits


def _granted(status: os.stat_result, group: int, of_group: int, of_others: int) -> int:
    """Bits of those who have some permissions on a folder; the others keep none."""
    others = status.st_mode & of_others == of_others
    of_that_group = status.st_mode & of_group == of_group if status.st_gid == group else others
    return 0o700 | (0o070 if of_that_group else 0) | (0o007 if others else 0)


def _hidden_by_acl(folder: Path) -> int:
    """Bits that the mode of a folder shows for its group, and which an access control list gives to others alone."""
    try:
        entries = os.getxattr(folder, _ACL)[_ACL_HEAD:]
    except (OSError, AttributeError):
        return 0
    own = [rights for kind, rights, _ in struct.iter_unpack(_ACL_ENTRY, entries) if kind == _OWN_GROUP]
    return 0o070 & ~(own[0] << 3) if own else 0


def create_folder(collection: Path, folder: Path) -> None:
    """Create the folder of a collection where there is none.

    Args:
        collection: The folder of the collection.
        folder: The folder of the images.

    Raises:
        InputError: It cannot be created.
    """
    if collection.is_dir():
        return
    try:
        collection.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{collection} cannot be created ({error.strerror}); name another with --collection"
        ) from error
    restrict_folder(folder, collection)


def restrict_folder(folder: Path, collection: Path) -> None:
    """Take from the folder of a collection what the folder of its images does not give.

    Args:
        folder: The folder of the images.
        collection: The folder of the collection.
    """
    _restrict(collection, allowed_bits(folder, collection.resolve()), folder.stat().st_gid)


def restrict(folder: Path, collection: Path, keys: Iterable[str]) -> None:
    """Take from everything in a collection what the folder of its images does not give.

    Args:
        folder: The folder of the images.
        collection: The folder of the collection.
        keys: Of the images.
    """
    bits, group = allowed_bits(folder, collection.resolve(), keys), folder.stat().st_gid
    _restrict(collection, bits, group)
    for parent, folders, names in os.walk(collection):
        for name in (*folders, *names):
            _restrict(Path(parent, name), bits, group)
    # Whoever may open a file for reading may lock it, so the locks are for those who may write.
    writers = collection.stat().st_mode & 0o022
    for name in _LOCKS:
        with suppress(OSError):
            (collection / name).chmod(0o600 | writers | writers << 1)


def _restrict(path: Path, bits: int, group: int) -> None:
    with suppress(OSError):  # gone meanwhile, or somebody else's
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return
        mode = stat.S_IMODE(status.st_mode)
        if status.st_gid != group and mode & bits & 0o070:
            try:
                os.chown(path, -1, group)
            except OSError:  # not a member of that group: those of its own one are others to the photographs
                bits &= 0o707 | (bits & 0o007) << 3
        if mode & ~(bits | 0o7000):
            path.chmod(mode & (bits | 0o7000))
