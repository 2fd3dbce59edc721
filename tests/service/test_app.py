"""The API, asked by its own client over real photographs, and by calls made up from its OpenAPI document."""

import base64
import errno
import io
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from parting import BOX, part_like_the_first
from PIL import Image

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from fastapi.testclient import TestClient

from ordhash import Encoder
from ordhash.codes import CodeSpec, part_margin
from ordhash.collection import Collection
from ordhash.collection.fingerprints import NEAR_DUPLICATE, fingerprint_distance
from ordhash.errors import DataError
from ordhash.search import Example, Target, search_by_examples
from ordhash.service.app import create_app
from ordhash.service.guard import COOKIE
from ordhash.service.library import Library
from ordhash.service.settings import ServiceSettings

TOKEN = "a-secret-of-twenty-four"
ADDRESS = "http://127.0.0.1:8765"


@pytest.fixture
def library(photo_collection):
    return Library(photo_collection, pixels=1_000_000)


@pytest.fixture
def client(library):
    with TestClient(create_app(library), base_url=ADDRESS) as client:
        yield client


def good(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def problem(answer, status):
    assert answer.status_code == status, answer.text
    values = answer.json()
    assert list(values) == ["detail"]
    return values["detail"]


def test_what_is_served(client, photo_folder, library):
    status = good(client.get("/v1/status"))
    assert status["name"] == "photos"
    assert (status["count"], status["unusable"], status["code_bits"], status["segments"]) == (18, 0, 48, 24)
    assert status["calibrated"]
    assert status["sync"] is None
    assert status["columns"] == [
        {"name": "folder", "kind": "text", "values": ["apple", "banana", "carrot"]},
        {"name": "size", "kind": "number", "values": None},
        {"name": "modified", "kind": "time", "values": None},
    ]
    assert str(photo_folder.parent) not in client.get("/v1/status").text
    assert good(client.get("/v1/health")) == {"status": "ok"}


def test_photographs_some_at_a_time(client, photo_folder):
    everything = good(client.get("/v1/images"))
    keys = [one["key"] for one in everything["images"]]
    assert everything["total"] == 18
    assert keys == sorted(path.relative_to(photo_folder).as_posix() for path in photo_folder.rglob("*.jpg"))
    some = good(client.get("/v1/images", params={"offset": 16, "limit": 10}))
    assert some["images"] == everything["images"][16:]
    assert good(client.get("/v1/images", params={"offset": 18}))["images"] == []
    newest = good(client.get("/v1/images", params={"order": "newest"}))["images"]
    times = [(photo_folder / one["key"]).stat().st_mtime_ns // 1000 for one in newest]
    assert times == sorted(times, reverse=True)
    assert "limit: Input should be greater than" in problem(client.get("/v1/images", params={"limit": 0}), 422)
    problem(client.get("/v1/images", params={"order": "best"}), 422)


@pytest.mark.parametrize("order", ["name", "newest"])
def test_photographs_that_meet_conditions(client, order):
    everything = good(client.get("/v1/images", params={"order": order}))["images"]
    apples = [one for one in everything if one["key"].startswith("apple/")]
    params = {"order": order, "where": ["folder=apple", "size>=1"]}
    some = good(client.get("/v1/images", params={**params, "offset": 1, "limit": 3}))
    assert (some["total"], some["images"]) == (len(apples), apples[1:4])
    nothing = good(client.get("/v1/images", params={"order": order, "where": "size>100000000"}))
    assert (nothing["total"], nothing["images"]) == (0, [])
    assert "did you mean folder" in problem(client.get("/v1/images", params={"where": "foldr=apple"}), 422)
    assert "the condition is 'apple'" in problem(client.get("/v1/images", params={"where": "apple"}), 422)


def test_pictures(client, photo_folder, photo_collection):
    key = "apple/apple_0.jpg"
    version = good(client.get("/v1/images"))["images"][0]["version"]
    small = client.get("/v1/thumbnail", params={"key": key, "version": version})
    assert small.headers["content-type"] == "image/jpeg"
    assert "immutable" in small.headers["cache-control"]
    assert "immutable" not in client.get("/v1/thumbnail", params={"key": key}).headers["cache-control"]
    assert Image.open(io.BytesIO(small.content)).size == (48, 40)
    kept = list((photo_collection / "thumbnails").rglob("*.jpg"))
    assert [path.read_bytes() for path in kept] == [small.content]
    picture = client.get("/v1/picture", params={"key": key, "side": 24})
    assert Image.open(io.BytesIO(picture.content)).size == (24, 20)
    # Kept, so it is there although the photograph is not; a picture that was not made can no longer be.
    (photo_folder / key).unlink()
    assert client.get("/v1/thumbnail", params={"key": key}).content == small.content
    assert problem(client.get("/v1/picture", params={"key": key}), 422).startswith(f"{key}: there is no such file")


@pytest.mark.parametrize(
    "key", ["", "nothing.jpg", "../photos.collection/catalogue.sqlite", "/etc/passwd", "apple", "\0"]
)
@pytest.mark.parametrize("route", ["thumbnail", "picture", "attention"])
def test_a_key_is_never_a_path(route, key, client):
    assert "there is no photograph" in problem(client.get(f"/v1/{route}", params={"key": key}), 404)


def test_attention_of_a_photograph(client, library, photo_folder):
    answer = good(client.get("/v1/attention", params={"key": "apple/apple_0.jpg"}))
    values = np.array(answer["values"])
    assert answer["box"] == {"left": 0, "top": 0, "right": 1, "bottom": 1}
    expected = library.encoder.attention([photo_folder / "apple/apple_0.jpg"])[0]
    np.testing.assert_allclose(values, expected, atol=1e-6)


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


def test_a_search_finds_what_the_library_finds(client, library, photo_folder):
    path = photo_folder / "banana/banana_2.jpg"
    answer = good(client.post("/v1/search", json={"examples": [{"image": encoded(path)}], "top_k": 7}))
    expected = search_by_examples([Example(path)], Target(library.encoder, library.collection.index()), top_k=7)
    assert [one["key"] for one in answer["results"]] == [one.key for one in expected.found]
    assert [one["distance"] for one in answer["results"]] == [one.distance for one in expected.found]
    assert [one["likelihood"] for one in answer["results"]] == [one.likelihood for one in expected.found]
    assert [one["metadata"]["folder"] for one in answer["results"]] == [
        one.metadata["folder"] for one in expected.found
    ]
    np.testing.assert_allclose(answer["attention"][0]["values"], expected.attention[0][0], atol=1e-6)
    symbols = library.encoder.encode([photo_folder / one["key"] for one in answer["results"]]).symbols
    wanted = library.encoder.encode([path]).symbols
    assert [one["agreeing"] for one in answer["results"]] == (symbols == wanted).tolist()
    assert answer["encode_milliseconds"] > 0
    # By its key, as a body of its own, and as a whole box: the same.
    by_key = good(client.post("/v1/search", json={"examples": [{"key": "banana/banana_2.jpg", "box": {}}], "top_k": 7}))
    alone = good(client.post("/v1/search/image", params={"top_k": 7}, content=path.read_bytes()))
    assert answer["results"] == by_key["results"] == alone["results"]


def test_near_duplicates_are_grouped(client, photo_folder, tmp_path):
    fruit = Image.open(photo_folder / "carrot/carrot_1.jpg")
    fruit.resize((96, 80)).save(tmp_path / "larger.png")
    key = good(client.post("/v1/images", content=(tmp_path / "larger.png").read_bytes()), 201)["key"]
    assert (photo_folder / key).is_file()
    answer = good(client.post("/v1/search", json={"examples": [{"key": "carrot/carrot_1.jpg"}], "top_k": 19}))
    found = {one["key"]: one for one in answer["results"]}
    assert len(found) == 19
    assert {one["key"] for one in answer["results"] if one["near_duplicate"]} == {key, "carrot/carrot_1.jpg"}
    assert found[key]["group"] == found["carrot/carrot_1.jpg"]["group"]
    keys = list(found)
    entries = Collection(tmp_path / "photos.collection").entries(keys)
    for place, entry in enumerate(entries):
        alike = [
            earlier
            for earlier in range(place)
            if fingerprint_distance(entry.fingerprint, entries[earlier].fingerprint) <= NEAR_DUPLICATE
        ]
        group = found[keys[alike[0]]]["group"] if alike else place
        assert found[keys[place]]["group"] == group


def test_ordinal_distance_needs_no_network(client, library):
    request = {"examples": [{"key": "apple/apple_3.jpg"}], "top_k": 18, "distance": "ordinal"}
    answer = good(client.post("/v1/search", json=request))
    index = library.collection.index()
    row = index.keys.tolist().index("apple/apple_3.jpg")
    result = index.search(index.codes[row : row + 1], top_k=18)
    assert [one["key"] for one in answer["results"]] == result.keys[0].tolist()
    assert [one["distance"] for one in answer["results"]] == result.distances[0].tolist()
    expected = library.encoder.info.calibration.likelihood(result.distances[0]).tolist()
    assert [one["likelihood"] for one in answer["results"]] == expected
    for one in answer["results"]:
        assert 24 - sum(one["agreeing"]) == one["distance"]
    assert answer["attention"] == []
    assert answer["encode_milliseconds"] == 0


def test_a_search_by_parts_says_where(photo_folder, photo_collection):
    keys = part_like_the_first(photo_collection)
    with TestClient(create_app(Library(photo_collection)), base_url=ADDRESS) as client:
        assert good(client.get("/v1/status"))["parts"]
        for distance in ("ordinal", "asymmetric"):
            wanted = {"examples": [{"key": keys[0]}], "distance": distance, "top_k": 18}
            plain = good(client.post("/v1/search", json=wanted))["results"]
            assert all(result["box"] is None for result in plain)
            found = {r["key"]: r for r in good(client.post("/v1/search", json={**wanted, "parts": True}))["results"]}
            part = found[keys[-1]]
            assert part["box"] == pytest.approx(dict(zip(("left", "top", "right", "bottom"), BOX, strict=True)))
            assert part["distance"] == part_margin(CodeSpec(48, 4)) or distance == "asymmetric"
            assert part["likelihood"] is None
            assert (found[keys[0]]["box"], found[keys[0]]["distance"]) == (None, pytest.approx(0, abs=1e-6))
        content = (photo_folder / keys[0]).read_bytes()
        sent = client.post("/v1/search/image", params={"parts": True, "top_k": 18}, content=content)
        assert {r["key"]: r["box"] for r in good(sent)["results"]}[keys[-1]] == part["box"]


def test_what_is_unlike_anything_learned_has_no_likelihood(photo_folder, judging_model, dark_photo, tmp_path):
    dark_photo.rename(photo_folder / "apple" / "dark.png")
    path = tmp_path / "judging.collection"
    Collection(path).sync(photo_folder, Encoder(judging_model))
    with TestClient(create_app(Library(path, pixels=1_000_000)), base_url=ADDRESS) as client:
        for distance in ("ordinal", "asymmetric"):
            for key, unlike in (("apple/dark.png", True), ("apple/apple_0.jpg", False)):
                request = {"examples": [{"key": key}], "top_k": 19, "distance": distance}
                answer = good(client.post("/v1/search", json=request))
                assert answer["unlike"] == unlike
                for one in answer["results"]:
                    assert one["unlike"] == (one["key"] == "apple/dark.png")
                    assert (one["likelihood"] is None) == (unlike or one["unlike"])


def test_several_examples_boxes_and_what_is_not_wanted(client, library, photo_folder):
    examples = [
        {"key": "apple/apple_0.jpg", "box": {"left": 0.25, "bottom": 0.5}},
        {"image": encoded(photo_folder / "banana/banana_0.jpg"), "wanted": False},
    ]
    answer = good(client.post("/v1/search", json={"examples": examples, "top_k": 18}))
    expected = search_by_examples(
        [
            Example(photo_folder / "apple/apple_0.jpg", (0.25, 0, 1, 0.5)),
            Example(photo_folder / "banana/banana_0.jpg", wanted=False),
        ],
        Target(library.encoder, library.collection.index()),
        top_k=18,
    )
    assert [one["key"] for one in answer["results"]] == [one.key for one in expected.found]
    assert len(answer["attention"]) == 2
    assert not any(one["near_duplicate"] for one in answer["results"])


def test_filters(client):
    def keys(*filters, distance="asymmetric"):
        request = {"examples": [{"key": "apple/apple_3.jpg"}], "filters": filters, "distance": distance}
        return {one["key"].split("/")[0] for one in good(client.post("/v1/search", json=request))["results"]}

    for distance in ("asymmetric", "ordinal"):
        assert keys({"column": "folder", "value": "banana"}, distance=distance) == {"banana"}
        assert keys({"column": "folder", "comparison": "~", "value": "AN"}, distance=distance) == {"banana"}
        assert keys({"column": "folder", "comparison": "!=", "value": "apple"}, distance=distance) == {
            "banana",
            "carrot",
        }
        assert keys({"column": "modified", "comparison": "<", "value": "2001-01-01"}, distance=distance) == set()
    wrong = {"examples": [{"key": "apple/apple_3.jpg"}], "filters": [{"column": "fold", "value": "x"}]}
    sentence = problem(client.post("/v1/search", json=wrong), 422)
    assert "'fold'" in sentence
    assert "folder, size, modified" in sentence
    assert "did you mean folder" in sentence


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ({"examples": []}, 422, "examples: "),
        ({"examples": [{}]}, 422, "examples.0: "),
        ({"examples": [{"key": "a", "image": "AAAA"}]}, 422, "key or image"),
        ({"examples": [{"key": "a", "wanted": False}]}, 422, "wanted"),
        ({"examples": [{"key": "a", "box": {"left": 1}}]}, 422, "left"),
        ({"examples": [{"image": "AAAA"}], "distance": "ordinal"}, 422, "ordinal distance"),
        ({"examples": [{"image": "?"}]}, 422, "base64"),
        ({"examples": [{"key": "a"}], "topk": 3}, 422, "topk: "),
        ({"examples": [{"key": "no.jpg"}]}, 404, "'no.jpg'"),
        ({"examples": [{"image": base64.b64encode(b"hello").decode()}]}, 422, "example 1: "),
        ({"examples": [{"image": "aGVsbG8=", "name": "list.txt"}]}, 422, "list.txt: "),
    ],
)
def test_requests_that_make_no_sense(request_, status, sentence, client):
    assert sentence in problem(client.post("/v1/search", json=request_), status)


def test_a_body_that_is_no_json(client):
    assert "JSON" in problem(client.post("/v1/search", content=b"{", headers={"content-type": "application/json"}), 400)
    assert problem(client.get("/v1/nowhere"), 404) == "Not Found"


def test_images_that_are_too_large(library, photo_folder):
    path = photo_folder / "apple/apple_0.jpg"
    settings = ServiceSettings(upload_bytes=5000)
    with TestClient(create_app(library, settings), base_url=ADDRESS) as client:
        good(client.post("/v1/search/image", content=path.read_bytes()[:4000] + bytes(1000)))
        sentence = problem(client.post("/v1/search/image", content=bytes(5001)), 413)
        assert "5,000 bytes" in sentence

        def chunks():  # without a length
            for _ in range(6):
                yield bytes(1000)

        assert problem(client.post("/v1/search/image", content=chunks()), 413) == sentence
    buffer = io.BytesIO()
    Image.new("RGB", (1001, 1000)).save(buffer, "PNG")
    with TestClient(create_app(library), base_url=ADDRESS) as client:
        sentence = problem(client.post("/v1/search/image", content=buffer.getvalue()), 422)
        assert "1,001 x 1,000" in sentence
        assert "1,000,000" in sentence


def test_add_and_delete(client, photo_folder, library):
    picture = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(picture, "PNG")
    key = good(client.post("/v1/images", content=picture.getvalue()), 201)["key"]
    assert good(client.get("/v1/status"))["count"] == 19
    assert good(client.post("/v1/images", content=picture.getvalue()), 201)["key"] == key
    assert good(client.delete("/v1/images", params={"key": key})) == {"key": key}
    assert good(client.get("/v1/status"))["count"] == 18
    assert (photo_folder / key).exists()
    assert "there is no photograph" in problem(client.delete("/v1/images", params={"key": key}), 404)
    assert "not an image" in problem(client.post("/v1/images", content=b"hello"), 422)
    picture.write(b"other")
    for name, wanted in (("my photo.png", "my photo.png"), ("../my photo.png", "my photo-2.png")):
        picture.write(b"other")
        key = good(client.post("/v1/images", content=picture.getvalue(), params={"name": name}), 201)["key"]
        assert key == f"added/{wanted}"
    with library.collection._locked(wait=False):
        sentence = problem(client.post("/v1/images", content=picture.getvalue()), 409)
        assert " photos.collection;" in sentence  # not where on this machine it is
        assert "process" in sentence
        assert "process" in problem(client.delete("/v1/images", params={"key": "apple/apple_0.jpg"}), 409)
        assert good(client.get("/v1/status"))["sync"] is None  # whoever holds the lock, it is no sync


def test_photographs_that_are_added_at_once_wait_for_each_other(client):
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(6):
        picture = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(picture, "PNG")
        pictures.append(picture.getvalue())
    answers = []
    threads = [
        threading.Thread(target=lambda content=content: answers.append(client.post("/v1/images", content=content)))
        for content in pictures
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer.status_code for answer in answers] == [201] * 6
    assert good(client.get("/v1/status"))["count"] == 24


def test_a_change_that_takes_long_is_told_as_it_is_and_holds_up_no_search(library, monkeypatch):
    go_on, started, made = threading.Event(), threading.Event(), []

    def add(content, name):
        started.set()
        assert go_on.wait(60)
        made.append(name)
        return name

    monkeypatch.setattr(library.uploads, "check", lambda photograph: None)
    monkeypatch.setattr(library, "add", add)
    monkeypatch.setattr(library, "delete", made.append)
    monkeypatch.setattr(library, "start_sync", lambda: made.append("sync"))
    monkeypatch.setattr(library, "attention", lambda key: (np.ones((1, 1), np.float32), (0, 0, 1, 1)))
    with (
        TestClient(create_app(library, ServiceSettings(concurrent=1, seconds=1)), base_url=ADDRESS) as client,
        ThreadPoolExecutor() as threads,
    ):
        adding = threads.submit(client.post, "/v1/images", content=b"...", params={"name": "a.jpg"})
        assert started.wait(60)
        late = [threads.submit(client.delete, "/v1/images?key=b.jpg"), threads.submit(client.post, "/v1/sync")]
        good(client.get("/v1/attention", params={"key": "a.jpg"}))  # on the threads of searches
        for one in late:
            assert "too long" in problem(one.result(60), 503)
        assert 'ordhash_work_under_way{kind="change"} 1.0' in client.get("/metrics").text
        go_on.set()
        assert good(adding.result(60), 201) == {"key": "a.jpg"}
    assert made == ["a.jpg"]


def test_what_the_disk_refuses(client, photo_folder, library, monkeypatch):
    (photo_folder / "added").write_text("in the way")
    picture = io.BytesIO()
    Image.radial_gradient("L").save(picture, "PNG")
    assert "is a file" in problem(client.post("/v1/images", content=picture.getvalue()), 503)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(photo_folder))

    monkeypatch.setattr(library.collection, "add", full)
    sentence = problem(client.post("/v1/images", content=picture.getvalue()), 503)
    assert "No space left" in sentence
    assert str(photo_folder) not in sentence


def test_large_photographs_of_the_collection_may_be_searched_with(photo_collection, photo_folder):
    library = Library(photo_collection, pixels=1000)  # the photographs have 1,920
    content = (photo_folder / "apple/apple_0.jpg").read_bytes()
    with TestClient(create_app(library), base_url=ADDRESS) as client:
        good(client.post("/v1/search", json={"examples": [{"key": "apple/apple_0.jpg"}]}))
        assert "1,000" in problem(client.post("/v1/search/image", content=content), 422)
        assert "1,000" in problem(client.post("/v1/images", content=content + b" "), 422)


def test_images_that_are_sent_as_something_else(client, photo_folder):
    path = photo_folder / "apple/apple_0.jpg"
    for route in ("/v1/search/image", "/v1/images"):
        for sent in ({"files": {"file": path.read_bytes()}}, {"json": {"image": encoded(path)}}):
            sentence = problem(client.post(route, **sent), 415)
            assert "multipart/form-data" in sentence or "application/json" in sentence
            assert "--data-binary" in sentence
    for sent in ({"content": path.read_bytes()}, {"data": {"examples": "x"}}, {"files": {"file": b"x"}}):
        assert "application/json" in problem(client.post("/v1/search", **sent), 415)
    for kind in ("image/jpeg", "application/x-www-form-urlencoded", ""):  # curl sends the second
        good(client.post("/v1/search/image", content=path.read_bytes(), headers={"content-type": kind}))


def test_an_answer_without_the_segments_that_agree(client, photo_folder):
    request = {"examples": [{"key": "apple/apple_3.jpg"}], "agreeing": False}
    assert {one["agreeing"] for one in good(client.post("/v1/search", json=request))["results"]} == {None}
    content = (photo_folder / "apple/apple_0.jpg").read_bytes()
    answer = good(client.post("/v1/search/image", content=content, params={"agreeing": False}))
    assert {one["agreeing"] for one in answer["results"]} == {None}


def test_conditions_on_a_search_with_one_image(client, photo_folder):
    content = (photo_folder / "apple/apple_0.jpg").read_bytes()
    where = ["folder!=apple", "size>=1", "folder~AN"]
    answer = good(client.post("/v1/search/image", content=content, params={"where": where}))
    assert {one["key"].split("/")[0] for one in answer["results"]} == {"banana"}
    for wrong in ("foldr=apple", "apple"):
        problem(client.post("/v1/search/image", content=content, params={"where": wrong}), 422)


def test_head_is_get_without_the_body(client):
    key = {"key": "apple/apple_0.jpg"}
    for path in ("/v1/health", "/v1/status", "/v1/images", "/metrics", "/v1/openapi.json", "/", "/page/script.js"):
        assert (path, client.head(path).status_code) == (path, 200)
    for path in ("/v1/image", "/v1/thumbnail", "/v1/picture", "/v1/attention"):
        said = client.head(path, params=key)
        assert (said.status_code, said.headers["content-type"]) == (
            200,
            client.get(path, params=key).headers["content-type"],
        )
        assert client.head(path, params={"key": "no"}).status_code == 404
    assert client.head("/v1/search").status_code == 405


@pytest.fixture
def with_originals(library):
    with TestClient(create_app(library, ServiceSettings(originals=True)), base_url=ADDRESS) as client:
        yield client


def test_original_files(with_originals, photo_folder):
    key = {"key": "apple/apple_0.jpg"}
    content = (photo_folder / key["key"]).read_bytes()
    answer = with_originals.get("/v1/original", params=key)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == 'attachment; filename="apple_0.jpg"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = with_originals.head("/v1/original", params=key)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))
    part = with_originals.get("/v1/original", params=key, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    beyond = with_originals.get("/v1/original", params=key, headers={"range": "bytes=99999999-"})
    assert "no such part" in problem(beyond, 416)
    assert beyond.headers["content-range"] == f"bytes */{len(content)}"
    assert "no such part" in problem(with_originals.get("/v1/original", params=key, headers={"range": "bytes=x"}), 400)


def test_no_other_files_are_given_out(client, with_originals, photo_folder, tmp_path):
    assert "--originals" in problem(client.get("/v1/original", params={"key": "apple/apple_0.jpg"}), 403)
    for key in ("", "apple", "../photos.collection/catalogue.sqlite", "/etc/passwd", "\0", "a" * 5000):
        problem(with_originals.get("/v1/original", params={"key": key}), 404)
    # Not what took a photograph's place, wherever that is.
    place = photo_folder / "apple/apple_1.jpg"
    (tmp_path / "secret").write_bytes(place.read_bytes())
    shutil.copystat(place, tmp_path / "secret")
    place.unlink()
    place.symlink_to(tmp_path / "secret")
    assert "outside" in problem(with_originals.get("/v1/original", params={"key": "apple/apple_1.jpg"}), 422)
    (photo_folder / "apple/apple_2.jpg").write_bytes(b"secret")
    assert "has changed" in problem(with_originals.get("/v1/original", params={"key": "apple/apple_2.jpg"}), 422)
    (photo_folder / "apple/apple_3.jpg").unlink()
    assert "no such file" in problem(with_originals.get("/v1/original", params={"key": "apple/apple_3.jpg"}), 422)
    os.mkfifo(photo_folder / "apple/apple_3.jpg")
    assert "pipe" in problem(with_originals.get("/v1/original", params={"key": "apple/apple_3.jpg"}), 422)


@pytest.mark.parametrize("length", [100_000, 3_000_000])
def test_long_values_are_not_repeated(length, client):
    long = "x" * length
    for request in (
        {"examples": [{"key": long}]},
        {"examples": [{"key": "apple/apple_0.jpg"}], "filters": [{"column": long, "value": "a"}]},
        {"examples": [{"key": "apple/apple_0.jpg"}], "filters": [{"column": "folder", "value": long}]},
        {"examples": [{"image": long, "name": long}]},
        {"examples": [{"key": "apple/apple_0.jpg"}], "distance": long},
        {"examples": [{"key": "apple/apple_0.jpg"}], long: 1},
    ):
        assert len(problem(client.post("/v1/search", json=request), 422)) < 1100
    kind = {"content-type": f"application/{long}"}
    assert len(problem(client.post("/v1/search", content=b"{}", headers=kind), 415)) < 500


def test_long_values_in_an_address_are_not_repeated(client):
    long = "x" * 50_000
    assert len(problem(client.get("/v1/image", params={"key": long}), 404)) < 500
    for where in (long, f"{long}=1", f"size={long}", f"modified<{long}"):
        assert len(problem(client.get("/v1/images", params={"where": where}), 422)) < 1100
    problem(client.get("/v1/images", params={"where": ["a=b"] * 5000}), 422)
    problem(client.get("/v1/images", params={"limit": "9" * 50_000}), 422)
    good(client.get("/v1/images", params={f"a{number}": "b" for number in range(5000)}))
    assert len(problem(client.get("/v1/status", headers={"host": long}), 421)) < 500


@pytest.mark.parametrize("path", ["/page/%00", "/page/" + "x" * 5000, "/v1/%ff", "/%2e%2e/%2e%2e/etc/passwd", "/page"])
def test_paths_that_lead_nowhere(path, client):
    assert client.get(path).status_code == 404


def test_what_is_known_of_a_photograph(client, photo_folder):
    for key in ("apple/apple_0.jpg", "banana/banana_3.jpg", "carrot/carrot_5.jpg"):
        known = client.get("/v1/image", params={"key": key}).json()
        assert known["key"] == key
        assert known["metadata"]["folder"] == key.split("/")[0]
        assert known["metadata"]["size"] == (photo_folder / key).stat().st_size
        listed = {one["key"]: one["version"] for one in client.get("/v1/images").json()["images"]}
        assert known["version"] == listed[key]
    for key in ("", "a", "apple", "zebra.jpg", "\u00e9"):
        answer = client.get("/v1/image", params={"key": key})
        assert answer.status_code in (404, 422)


def test_a_thumbnail_of_a_file_that_has_changed_is_not_kept(client, photo_folder, photo_collection):
    key = "apple/apple_0.jpg"
    Image.new("RGB", (30, 20)).save(photo_folder / key)
    small = client.get("/v1/thumbnail", params={"key": key})
    assert Image.open(io.BytesIO(small.content)).size == (30, 20)
    assert not (photo_collection / "thumbnails").exists()


def test_a_folder_that_moves_is_followed(
    with_originals, library, photo_folder, photo_collection, calibrated_model, tmp_path, monkeypatch
):
    moved = photo_folder.rename(tmp_path / "elsewhere")
    Collection(photo_collection).sync(moved, Encoder(calibrated_model))
    synced = []
    monkeypatch.setattr("ordhash.service.library.SyncProcess", lambda folder, *_: synced.append(folder))
    good(with_originals.post("/v1/sync"), 202)  # at once, before the look that comes each second
    assert synced == [moved]
    assert good(with_originals.get("/v1/status"))["name"] == "elsewhere"
    key = {"key": "apple/apple_0.jpg"}
    for route in ("thumbnail", "picture", "attention", "original"):
        assert (route, with_originals.get(f"/v1/{route}", params=key).status_code) == (route, 200)
    good(with_originals.post("/v1/search", json={"examples": [key]}))
    for place in (photo_folder, moved):
        assert str(tmp_path) not in library.told(DataError(f"{place} is not a folder"))


def test_nothing_is_changed_where_that_is_not_allowed(library):
    with TestClient(create_app(library, ServiceSettings(changes=False)), base_url=ADDRESS) as client:
        assert not good(client.get("/v1/status"))["changes"]
        for answer in (
            client.post("/v1/images", content=b"x"),
            client.delete("/v1/images", params={"key": "apple/apple_0.jpg"}),
            client.post("/v1/sync"),
        ):
            assert "read-only" in problem(answer, 403)
    assert len(library) == 18


def test_a_sync_that_the_service_starts(client, photo_folder):
    shutil.copy(photo_folder / "apple/apple_0.jpg", photo_folder / "another.jpg")
    (photo_folder / "broken.jpg").write_bytes(b"...")
    for carrot in (photo_folder / "carrot").iterdir():
        carrot.unlink()
    assert good(client.post("/v1/sync"), 202)["sync"] is not None
    assert "already" in problem(client.post("/v1/sync"), 409)
    deadline = time.monotonic() + 120
    while good(client.get("/v1/status"))["count"] < 19:
        assert time.monotonic() < deadline, "the sync did not end"
        time.sleep(0.2)
    assert "another.jpg" in [one["key"] for one in good(client.get("/v1/images"))["images"]]
    while good(client.get("/v1/status"))["sync"] is not None:
        assert time.monotonic() < deadline, "the sync did not end"
        time.sleep(0.1)
    sentence = good(client.get("/v1/status"))["problem"]
    assert "photos/carrot: " in sentence
    assert "6 photographs are missing but not forgotten" in sentence
    assert str(photo_folder.parent) not in sentence
    # A file that cannot be used is no failure of the sync.
    assert "1 more" not in sentence
    found = good(client.get("/v1/failures"))
    assert (found["total"], found["failures"][0]["key"]) == (1, "broken.jpg")
    assert "this is not an image" in found["failures"][0]["reason"]


def test_a_sync_that_fails_is_told(client, photo_folder):
    shutil.rmtree(photo_folder)
    good(client.post("/v1/sync"), 202)
    deadline = time.monotonic() + 120
    while good(client.get("/v1/status"))["sync"] is not None:
        assert time.monotonic() < deadline, "the sync did not end"
        time.sleep(0.1)
    assert good(client.get("/v1/status"))["problem"] == (
        "the last sync started here failed: photos is not a folder; give the folder of the images"
    )


def test_what_another_process_changes_is_seen(client, photo_folder, photo_collection, calibrated_model, tiny_model):
    (photo_folder / "apple/apple_0.jpg").unlink()
    Collection(photo_collection).sync(photo_folder, Encoder(calibrated_model))
    deadline = time.monotonic() + 30
    while good(client.get("/v1/status"))["count"] > 17:
        assert time.monotonic() < deadline, "the change was not seen"
        time.sleep(0.1)
    Collection(photo_collection).sync(photo_folder, Encoder(tiny_model), reencode=True)
    # At once, before the look that puts it into the status: codes of two models are never compared.
    for distance in ("ordinal", "asymmetric"):
        request = {"examples": [{"key": "apple/apple_1.jpg"}], "distance": distance}
        assert "another model" in problem(client.post("/v1/search", json=request), 503)
    while good(client.get("/v1/status"))["problem"] is None:
        assert time.monotonic() < deadline, "the other model was not seen"
        time.sleep(0.1)
    assert "another model" in good(client.get("/v1/status"))["problem"]


def test_too_many_requests_are_refused_and_the_others_answered(library, monkeypatch):
    go_on, started = threading.Event(), threading.Semaphore(0)
    search = library.search

    def slow(*arguments, **settings):
        started.release()
        assert go_on.wait(60)
        return search(*arguments, **settings)

    monkeypatch.setattr(library, "search", slow)
    settings = ServiceSettings(concurrent=2, waiting=3)
    request = {"examples": [{"key": "apple/apple_3.jpg"}]}
    answers = []
    with TestClient(create_app(library, settings), base_url=ADDRESS) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.post("/v1/search", json=request))) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        assert started.acquire(timeout=60)
        assert started.acquire(timeout=60)
        deadline = time.monotonic() + 60
        while 'ordhash_work_under_way{kind="search"} 5.0' not in client.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        refused = client.post("/v1/search", json=request)
        assert "too many requests" in problem(refused, 429)
        assert refused.headers["retry-after"] == "1"
        # Pictures do not wait behind searches.
        assert client.get("/v1/thumbnail", params={"key": "apple/apple_3.jpg"}).status_code == 200
        go_on.set()
        for thread in threads:
            thread.join(60)
        assert [answer.status_code for answer in answers] == [200] * 5
        good(client.post("/v1/search", json=request))


def test_a_request_that_takes_too_long_is_given_up(library, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(library, "search", lambda *_, **__: go_on.wait(60))
    with TestClient(create_app(library, ServiceSettings(seconds=0.2)), base_url=ADDRESS) as client:
        answer = client.post("/v1/search", json={"examples": [{"key": "apple/apple_3.jpg"}]})
        assert "too long" in problem(answer, 503)
        go_on.set()


def test_a_token(library):
    with TestClient(create_app(library, ServiceSettings(token=TOKEN)), base_url=ADDRESS) as client:
        assert "token" in problem(client.get("/v1/status"), 401)
        problem(client.get("/metrics"), 401)
        problem(client.get("/v1/status", headers={"authorization": "Bearer wrong"}), 401)
        problem(client.get("/v1/status", headers={"authorization": f"Basic {TOKEN}"}), 401)
        good(client.get("/v1/status", headers={"authorization": f"Bearer {TOKEN}"}))
        good(client.get("/v1/health"))
        assert client.get("/").status_code == 200  # the page asks for it
        assert "not the token" in problem(client.get("/", params={"token": "wrong"}), 401)
        known = {"authorization": f"Bearer {TOKEN}", "host": "photos.example"}
        good(client.get("/v1/status", headers=known))  # behind a proxy
        entered = client.get("/", params={"token": TOKEN}, follow_redirects=False)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        good(client.get("/v1/status"))  # with the cookie
        others = {"cookie": f'a={{"x":1}}; foo[]=1; {COOKIE}={TOKEN}'}
        with TestClient(create_app(library, ServiceSettings(token=TOKEN)), base_url=ADDRESS) as another:
            good(another.get("/v1/status", headers=others))


def test_pages_of_other_sites_are_refused(client):
    assert "127.0.0.1, not at 'evil.example'" in problem(
        client.get("/v1/status", headers={"host": "evil.example"}), 421
    )
    assert "another site" in problem(client.post("/v1/sync", headers={"origin": "https://evil.example"}), 403)
    for origin in ("null", "http://[", ""):
        assert "another site" in problem(client.get("/v1/status", headers={"origin": origin}), 403)
    good(client.get("/v1/status", headers={"origin": ADDRESS}))
    for name in ("localhost:8765", "127.0.0.1:9", "[::1]:8765"):
        good(client.get("/v1/status", headers={"host": name}))


def test_the_page_may_load_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert client.get("/page/%2e%2e/app.py").status_code == 404
    for path in ("/", "/page/script.js", "/v1/status"):
        assert "no-cache" in client.get(path).headers["cache-control"]


def test_numbers_for_prometheus(client):
    client.post("/v1/search", json={"examples": [{"key": "apple/apple_3.jpg"}]})
    client.get("/v1/made-up-path")
    text = client.get("/metrics").text
    assert 'ordhash_requests_total{method="POST",route="/v1/search",status="200"} 1.0' in text
    assert 'ordhash_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert "made-up" not in text
    assert "ordhash_photographs 18.0" in text
    assert "ordhash_encode_seconds_count 1.0" in text


def test_nothing_of_the_machine_is_told(client, tmp_path, photo_folder):
    (photo_folder / "apple/apple_3.jpg").unlink()
    answers = [
        client.get("/v1/status"),
        client.get("/v1/picture", params={"key": "apple/apple_3.jpg"}),
        client.post("/v1/search", json={"examples": [{"key": "apple/apple_3.jpg"}]}),
        client.get("/v1/openapi.json"),
        client.get("/metrics"),
    ]
    for answer in answers:
        assert str(tmp_path) not in answer.text
