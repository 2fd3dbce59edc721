"""A collection that learns its own model: what goes on, what is refused, and what no failure may break."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from ordhash.collection import Collection
from ordhash.data import ImageSet, read_manifest
from ordhash.errors import DataError, InputError, SyncRunningError
from ordhash.learn import DOHConfig
from ordhash.learn.checkpoint import TrainingState
from ordhash.learn.correction import CORRECTED_FILE
from ordhash.learn.shallow import fit_shallow
from ordhash.model.file import load_model
from ordhash.ownmodel import LearningPlan, learn_labels, learning, sync_without_model
from ordhash.ownmodel.learning import own_config

TINY = DOHConfig(
    code_bits=16, backbone="test_resnet", weights=None, image_size=64, fit="squash", hidden=16, local_hidden=16
)


@pytest.fixture
def plan(cache):
    """Sixty photographs are few; the backbone is exported once for all tests."""
    return LearningPlan(cache=cache)


@pytest.fixture
def network(plan):
    """As if sixty photographs were many; two epochs."""
    return dataclasses.replace(plan, least_images=0, epochs=2, steps=2)


@pytest.fixture
def sync(plan):
    def with_plan(collection, folder, plan=plan, **options):
        return sync_without_model(collection, folder, config=TINY, plan=plan, **options)

    return with_plan


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    (root / "summer").mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number in range(60):
        colour = np.array([(200, 40, 40), (40, 200, 60), (40, 60, 200)][number % 3])
        pixels = np.clip(colour + rng.normal(0, 40, (6, 8, 3)), 0, 255).astype(np.uint8)
        place = root / "summer" if number % 2 else root
        Image.fromarray(pixels).resize((48, 36)).save(place / f"{number:02}.jpg", quality=90)
    return root


@pytest.fixture
def collection(tmp_path):
    return Collection(tmp_path / "photos.ordhash")


def searches(collection):
    """Whether what is there can be searched."""
    index, model = collection.index(), load_model(collection.model())
    return (index.model_id, len(index)) == (model.id, 60)


def inside(collection):
    """Names of its files, without those that SQLite has while the catalogue is open."""
    return sorted(path.name for path in collection.path.iterdir() if not path.name.startswith("catalogue.sqlite-"))


def test_few_photographs_get_a_rotation_of_their_features(collection, folder, sync):
    report, trained = sync(collection, folder)
    assert (report.encoded, trained.validation_map) == (60, None)
    info = load_model(collection.model()).info
    assert (info.method["name"], info.spec.arity) == ("itq", 2)
    assert searches(collection)
    assert collection.staleness(load_model(collection.model())) is None


def test_a_collection_learns_its_model_once(collection, folder, network, sync):
    report, trained = sync(collection, folder, plan=network)
    assert (report.encoded, trained.reused) == (60, False)
    assert searches(collection)
    assert collection.model() == collection.path / f"model-{collection.model_id}.onnx"
    assert "learning" not in inside(collection)
    report, trained = sync(collection, folder, plan=network)
    assert (report.unchanged, trained) == (60, None)
    assert collection.staleness(load_model(collection.model())) is None


@pytest.mark.slow  # learns a model
def test_another_model_takes_the_place_of_the_first(collection, folder, sync):
    sync(collection, folder)
    first = collection.model_id
    for path in sorted(folder.glob("*.jpg"))[:5]:
        with Image.open(path) as picture:
            picture.rotate(90).save(path)
    report, _ = sync(collection, folder, relearn=True)
    assert report.encoded == 60
    assert collection.model_id != first
    assert searches(collection)
    assert [name for name in inside(collection) if name.endswith(".onnx")] == [f"model-{collection.model_id}.onnx"]


@pytest.mark.slow  # learns a model
def test_what_is_refused_leaves_the_model_alone(collection, folder, tmp_path, sync):
    sync(collection, folder)
    before = inside(collection)
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"is a collection of .*photos, and .*other holds 0 of its 60"):
        sync(collection, tmp_path / "other", relearn=True)
    with pytest.raises(DataError, match="nowhere does not exist"):
        sync(collection, tmp_path / "nowhere", relearn=True)
    with collection._locked(wait=False), pytest.raises(SyncRunningError, match="is syncing"):
        sync(collection, folder, relearn=True)
    assert searches(collection)
    assert set(before) <= set(inside(collection))


@pytest.mark.slow  # learns twice
def test_an_interruption_while_encoding_goes_on_with_the_same_model(collection, folder, monkeypatch, network, sync):
    sync(collection, folder, plan=network)
    for path in sorted(folder.glob("*.jpg"))[:5]:
        path.rename(path.with_stem(f"moved {path.stem}"))

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ordhash.collection.sync.take_files", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sync(collection, folder, relearn=True, plan=network)
    assert load_model(collection.model()).id == collection.model_id  # whichever that is now
    report, trained = sync(collection, folder, relearn=True, plan=network)
    assert trained.reused
    assert report.encoded + report.reused == 60
    assert searches(collection)
    assert "learning" not in inside(collection)


@pytest.mark.slow  # learns twice
def test_a_folder_that_changes_after_an_interrupted_training(collection, folder, monkeypatch, network, sync):
    save = TrainingState.save

    def interrupted(self, *arguments):
        save(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sync(collection, folder, plan=network)
    assert (collection.path / "learning" / "checkpoint.pt").exists()
    assert not Collection.is_one(collection.path)
    (folder / "00.jpg").unlink()
    report, trained = sync(collection, folder, plan=network)
    assert (report.encoded, trained.reused) == (59, False)


def test_one_process_learns_at_a_time(collection, folder, sync):
    with collection.learning(folder), pytest.raises(SyncRunningError, match="is learning a model"):
        sync(collection, folder)


@pytest.mark.parametrize("few", [0, 1000])
def test_files_that_are_no_images_do_not_count(few, collection, folder, plan, sync):
    plan = dataclasses.replace(plan, least_images=few)
    for path in sorted(folder.rglob("*.jpg"))[15:]:
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"there are 15 images; .* at least 50|at least 16 images .* there are \(15,"):
        sync(collection, folder, plan=plan)
    assert "learning" not in inside(collection)


def test_a_folder_may_be_named_in_several_ways(collection, folder, tmp_path, monkeypatch, sync):
    sync(collection, folder)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder / "summer")
    for way in (tmp_path / "link", folder / "summer" / "..", ".."):
        assert sync(collection, way)[0].unchanged == 60


@pytest.mark.slow  # learns a model
def test_a_moved_collection_keeps_its_model(collection, folder, tmp_path, sync):
    sync(collection, folder)
    moved = Collection(collection.path.rename(tmp_path / "moved"))
    assert searches(moved)
    # What lies where it was is not taken for it.
    recorded = collection.path / f"model-{moved.model_id}.onnx"
    (folder / "00.jpg").unlink()
    sync(collection, folder)
    for other in (collection.model(), folder / "01.jpg"):
        shutil.copyfile(other, recorded) if other.exists() else recorded.write_bytes(b"no model")
        assert moved.model() == moved.path / recorded.name
    shutil.copyfile(collection.model(), moved.model())
    with pytest.raises(DataError, match=r"is not the one that made .*moved, .*; give that with --model"):
        moved.model()
    (moved.path / recorded.name).unlink()
    with pytest.raises(DataError, match="give --model"):
        moved.model()


@pytest.mark.slow  # learns a model
def test_collections_in_the_folder_hold_no_photographs(folder, tmp_path, sync):
    within = Collection(folder / "kept")
    sync(within, folder)
    (within.path / "thumbnails").mkdir()
    (folder / "00.jpg").rename(within.path / "thumbnails" / "00.jpg")
    report, _ = sync(Collection(tmp_path / "beside.ordhash"), folder)
    assert report.encoded == 59


COLOURS = ("red", "green", "blue")


def labels_file(tmp_path, numbers, *, more=""):
    """A table of the colours of some photographs, by their keys."""
    path = tmp_path / "labels.csv"
    rows = [f"{'summer/' if number % 2 else ''}{number:02}.jpg,{COLOURS[number % 3]}" for number in numbers]
    path.write_text("\n".join(["path,labels", *rows, more]).strip() + "\n")
    return path


@pytest.mark.slow  # learns twice
@pytest.mark.parametrize(("n", "use_labels"), [(6, "spread"), (30, True)])
def test_labels_that_come_later_are_learned_and_kept(n, use_labels, collection, folder, network, tmp_path, sync):
    sync(collection, folder, plan=network)
    first = collection.model_id
    given = labels_file(tmp_path, range(n), more="gone.jpg,red")
    report, trained, unknown = learn_labels(collection, read_manifest(given), config=TINY, plan=network)
    assert (report.encoded, unknown) == (60, ["gone.jpg"])
    assert searches(collection)
    info = load_model(collection.model()).info
    assert collection.model_id != first
    assert info.training["settings"]["use_labels"] == use_labels
    assert info.class_names == (() if use_labels == "spread" else ("blue", "green", "red"))
    assert "symbol_shares" in info.training or use_labels is True
    kept = read_manifest(collection.path / "labels.csv")
    assert kept.keys.tolist() == read_manifest(given).keys.tolist()  # a photograph that is away may come back
    assert trained.reused is False
    # The next learning has them too, and the network they were learned with.
    sync_without_model(collection, folder, relearn=True, plan=network)
    again = load_model(collection.model()).info
    assert again.training["config"] == TINY.decided(scenes=False).to_json()
    assert again.training["settings"]["use_labels"] == use_labels
    assert searches(collection)


@pytest.mark.slow
def test_labels_bring_together_what_they_name(collection, folder, network, tmp_path, sync):
    """Two words that have nothing to do with colours: light and dark of each."""
    network = dataclasses.replace(network, steps=60)
    sync(collection, folder, plan=network)
    path = tmp_path / "labels.csv"
    keys = [f"{'summer/' if number % 2 else ''}{number:02}.jpg" for number in range(60)]
    warm = {key: "warm" if number % 3 == 0 else "cold" for number, key in enumerate(keys)}
    path.write_text("path,labels\n" + "".join(f"{key},{word}\n" for key, word in warm.items()))
    learn_labels(collection, read_manifest(path), config=TINY, plan=network)
    index = collection.index()
    found = index.search(index.codes, top_k=20)
    same = [warm[str(key)] == warm[str(index.keys[row])] for row, keys in enumerate(found.keys) for key in keys]
    assert np.mean(same) > 0.9


def test_labels_that_cannot_be_learned_leave_the_collection_alone(collection, folder, tmp_path, sync):
    sync(collection, folder)
    before = inside(collection)
    with pytest.raises(InputError, match=r"no label is of a photograph in .*: the first is of 'nowhere\.jpg'"):
        learn_labels(collection, read_manifest(labels_file(tmp_path, [], more="nowhere.jpg,red")), config=TINY)
    with pytest.raises(InputError, match="at least two"):
        learn_labels(collection, read_manifest(labels_file(tmp_path, [0, 3])), config=TINY)
    with pytest.raises(InputError, match="have no labels"):
        learn_labels(collection, ImageSet(["a.jpg"], np.array(["00.jpg"])), config=TINY)
    assert inside(collection) == before
    with pytest.raises(DataError, match="is not a collection"):
        learn_labels(Collection(tmp_path / "none"), read_manifest(labels_file(tmp_path, [0, 1])), config=TINY)


def test_what_is_missing_is_told_before_the_work(photo_collection, photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "_learn", lambda *_, **__: pytest.fail("a model is learned"))
    collection, labels = Collection(photo_collection), tmp_path / "labels.csv"
    labels.write_text("path,labels\nbanana/banana_0.jpg,a\ncarrot/carrot_0.jpg,b\n")
    for path in (photo_folder / "apple").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"6 images .*--forget"):
        learn_labels(collection, read_manifest(labels))
    with pytest.raises(DataError, match=r"6 images .*--forget"):
        sync_without_model(collection, photo_folder, relearn=True)
    report, _ = sync_without_model(collection, photo_folder)  # which learns nothing
    assert report.kept == 6


@pytest.mark.slow  # learns a model
def test_what_was_corrected_is_listed_beside_the_model(collection, folder, monkeypatch, sync):
    def correcting(*given, out, **options):
        trained = fit_shallow(*given, out=out, **options)
        (out / CORRECTED_FILE).write_text("path,given,learned\n")
        return trained

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ordhash.ownmodel.learning.fit_shallow", correcting)
        patch.setattr(Collection, "sync", die)
        with pytest.raises(KeyboardInterrupt):
            sync(collection, folder)
    assert CORRECTED_FILE in inside(collection)  # whoever completes the encoding
    sync(collection, folder, relearn=True)  # which corrects nothing
    assert CORRECTED_FILE not in inside(collection)


@pytest.mark.slow
def test_labels_survive_an_interruption_while_encoding(collection, folder, network, tmp_path, monkeypatch, sync):
    sync(collection, folder, plan=network)
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "sync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learn_labels(collection, read_manifest(labels_file(tmp_path, range(30))), config=TINY, plan=network)
    assert (collection.path / "labels.csv").exists()
    learn_labels(collection, read_manifest(labels_file(tmp_path, range(30))), config=TINY, plan=network)
    assert searches(collection)
    assert not (collection.path / "learning").exists()


def interrupted(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_kept_labels_of_photographs_that_are_gone_stop_nothing(collection, folder, network, tmp_path, sync):
    sync(collection, folder, plan=network)
    learn_labels(collection, read_manifest(labels_file(tmp_path, range(6))), config=TINY, plan=network)
    for number in (1, 2, 4, 5):  # the green ones and the blue ones
        (folder / ("summer" if number % 2 else "") / f"{number:02}.jpg").unlink()
    said = []
    sync(collection, folder, relearn=True, plan=network, tell=said.append)
    assert "4 kept labels" in said[0]
    assert load_model(collection.model()).info.training["settings"]["use_labels"] is False
    assert (collection.path / "labels.csv").exists()


@pytest.mark.slow
def test_a_class_without_a_photograph_is_not_learned(collection, folder, network, tmp_path, sync):
    sync(collection, folder, plan=network)
    learn_labels(
        collection, read_manifest(labels_file(tmp_path, range(30), more="gone.jpg,violet")), config=TINY, plan=network
    )
    assert load_model(collection.model()).info.class_names == ("blue", "green", "red")


def test_names_that_a_table_could_not_keep_are_refused(collection, folder, tmp_path, sync):
    sync(collection, folder)
    keys = np.array(["00.jpg", "02.jpg"])
    labels = ImageSet(["0", "1"], keys, np.eye(2, dtype=bool), (" a", "c"))
    with pytest.raises(InputError, match="a class is called ' a'"):
        learn_labels(collection, labels, config=TINY)
    labels = ImageSet(["0", "1"], np.array(["00.jpg", "\udce4.jpg"]), np.eye(2, dtype=bool), ("a", "b"))
    with pytest.raises(InputError, match=r"udce4\.jpg"):
        learn_labels(collection, labels, config=TINY)


@pytest.mark.slow  # learns twice
def test_a_lost_model_is_learned_again(collection, folder, network, sync):
    sync(collection, folder, plan=network)
    collection.model().unlink()
    sync(collection, folder, relearn=True, plan=network)
    assert searches(collection)
    collection.model().unlink()
    assert own_config(collection) == DOHConfig()
