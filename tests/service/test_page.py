"""The page of the service in a real browser: what people do with it, step by step."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from parting import part_like_the_first
from PIL import Image

from ordhash.collection import Collection
from ordhash.model.encoder import Encoder

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytest.importorskip("fastapi", reason="needs ordhash[serve]")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
]
expect = sync_api.expect
TOKEN = "a-token-for-the-tests"
MANY = 300


def _picture(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """A few soft blobs, so that pictures of different seeds are no near-duplicates."""
    coarse = np.random.default_rng(seed).normal(0, 60, (5, 6, 3)) + np.array(colour)
    return Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8)).resize((72, 60), Image.Resampling.BICUBIC)


def _folder(root: Path, count: int) -> Path:
    colours = {"apple": (200, 40, 40), "banana": (220, 200, 50), "carrot": (40, 90, 200)}
    for number in range(count):
        label = list(colours)[number % 3]
        (root / label).mkdir(parents=True, exist_ok=True)
        _picture(colours[label], number).save(root / label / f"{label}_{number:04}.jpg", quality=90)
    return root


@contextlib.contextmanager
def _serving(collection: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "ordhash.cli", "serve", str(collection), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        address = re.search(r"http://[^/]+", line)
        assert address, f"the service did not start: {line!r}"
        yield address[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def _collection(folder: Path, model: Path) -> Path:
    path = folder.with_suffix(".collection")
    Collection(path).sync(folder, Encoder(model))
    return path


@pytest.fixture(scope="session")
def service(tmp_path_factory, calibrated_model) -> Iterator[str]:
    """Address of a service over many photographs, three of which show the same; the tests leave it as it is."""
    folder = _folder(tmp_path_factory.mktemp("many") / "photos", MANY)
    same = _picture((200, 40, 40), 9999).resize((240, 200))
    for quality in (95, 75, 55):
        same.save(folder / "apple" / f"same_{quality}.jpg", quality=quality)
    with _serving(_collection(folder, calibrated_model)) as address:
        yield address


@dataclass
class Changing:
    """A service whose collection a test may change."""

    address: str
    folder: Path
    collection: Path


@pytest.fixture(scope="session")
def changing(tmp_path_factory, calibrated_model) -> Iterator[Changing]:
    folder = _folder(tmp_path_factory.mktemp("changing") / "pictures", 24)
    (folder / "unusable.jpg").write_bytes(b"not a picture")
    path = _collection(folder, calibrated_model)
    with _serving(path) as address:
        yield Changing(address, folder, path)


@pytest.fixture(scope="session")
def closed(tmp_path_factory, tiny_model) -> Iterator[str]:
    """A service that wants a token and takes no changes, with a model that is not calibrated."""
    folder = _folder(tmp_path_factory.mktemp("closed") / "photos", 12)
    with _serving(_collection(folder, tiny_model), "--token", TOKEN, "--read-only") as address:
        yield address


@pytest.fixture(scope="session")
def judging(tmp_path_factory, judging_model) -> Iterator[str]:
    """A service over a few photographs, one of which is unlike anything that the model learned from."""
    folder = _folder(tmp_path_factory.mktemp("judging") / "photos", 12)
    _picture((5, 5, 5), 9998).point(lambda level: level // 12).save(folder / "dark.png")
    with _serving(_collection(folder, judging_model)) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        options = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page and what went wrong in it; expected are parts of messages that a test provokes."""

    page: sync_api.Page
    hosts: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def unexpected(self) -> list[str]:
        return [one for one in self.problems if not any(part in one for part in self.expected)]


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Visit]]:
    """Open an address in a profile of its own; afterwards nothing may have failed or asked another host."""
    visits, contexts = [], []

    def open_page(address: str, *, width: int = 1280, height: int = 800, **settings) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        context.set_default_timeout(30_000)
        contexts.append(context)
        visit = Visit(context.new_page())
        visits.append((visit, urlsplit(address).netloc))
        page = visit.page
        page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: visit.problems.append(str(error)))
        page.on("console", lambda line: visit.problems.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(address)
        return visit

    expect.set_options(timeout=30_000)
    yield open_page
    for visit, host in visits:
        assert visit.unexpected() == []
        assert visit.hosts - {""} == {host}  # the empty one is of pictures that the page made itself
    for context in contexts:
        context.close()


def _open(visit, address: str, **settings) -> sync_api.Page:
    page = visit(address, **settings).page
    expect(page.locator(".cell img.there").first).to_be_visible()
    return page


def _results(page: sync_api.Page) -> int:
    """How many results are shown, once they are."""
    expect(page.locator("#results-list")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#results-count")).to_have_text(re.compile(r"\d+ of \d+ photographs? shown"))
    return int(page.locator("#results-count").inner_text().split()[0])


def _search(page: sync_api.Page) -> None:
    page.locator(".cell .photo").nth(1).click()
    _results(page)


def _file(name: str = "mine.png", seed: int = 5) -> dict[str, object]:
    content = io.BytesIO()
    _picture((40, 90, 200), seed).resize((240, 200)).save(content, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": content.getvalue()}


def _hand_over(page: sync_api.Page, event: str) -> None:
    """Drop or paste an image onto the page."""
    content = base64.b64encode(_file()["buffer"]).decode()
    page.evaluate(
        """([event, content]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "given.png", { type: "image/png" }));
          const settings = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(event === "paste"
            ? new ClipboardEvent(event, { ...settings, clipboardData: transfer })
            : new DragEvent(event, { ...settings, dataTransfer: transfer }));
        }""",
        [event, content],
    )


def test_the_grid_shows_the_collection_and_builds_only_what_is_in_sight(visit, service):
    page = _open(visit, service)
    expect(page).to_have_title("photos · ordhash")
    expect(page.locator("#counts")).to_have_text(f"{MANY + 3} photographs")
    grid = page.locator("#grid")
    columns = int(grid.get_attribute("aria-colcount"))
    assert int(grid.get_attribute("aria-rowcount")) == -(-(MANY + 3) // columns)
    first = page.locator(".cell").first.bounding_box()
    assert first["width"] == pytest.approx(first["height"], abs=0.5)
    assert page.locator(".cell").count() < 0.5 * MANY
    expect(page.get_by_alt_text("apple_0000.jpg")).to_be_visible()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_alt_text(f"carrot_{MANY - 1:04}.jpg")).to_be_in_viewport()
    expect(page.get_by_alt_text("apple_0000.jpg")).to_have_count(0)
    assert page.locator(".cell").count() < 0.5 * MANY
    page.get_by_label("Order").select_option("newest")
    expect(page.get_by_alt_text("same_55.jpg")).to_be_in_viewport()  # was written last


def test_a_hundred_thousand_photographs_are_a_few_rows(visit, service):
    page = _open(visit, service)
    first, middle, height = page.evaluate(
        """async () => {
          const { Grid } = await import("/page/grid.js");
          const grid = new Grid({});
          grid.chunks.want = () => {};
          grid.chunks.total = 100_000;
          await new Promise((resolve) => setTimeout(resolve, 100));
          const numbers = () => [...grid.rows.keys()];
          scrollTo(0, 0);
          grid.draw();
          const first = numbers();
          const height = grid.element.offsetHeight;
          scrollTo(0, height / 2);
          grid.draw();
          return [first, numbers(), height / (grid.side + 4) * grid.columns];
        }"""
    )
    assert first[0] == 0
    assert len(first) < 20
    assert height == pytest.approx(100_000, rel=0.01)
    assert len(middle) < 20
    assert min(middle) > 5_000


def test_what_scrolled_away_is_not_fetched_to_its_end(visit, service):
    page = _open(visit, service)
    under_way = page.evaluate(
        """async () => {
          const { Chunks } = await import("/page/chunks.js");
          const chunks = new Chunks({ changed: () => {}, moved: () => {} });
          chunks.want(0, 399);
          const before = [...chunks.underWay];
          chunks.want(50_000, 50_100);
          return [before.map(([number, control]) => [number, control.signal.aborted]), [...chunks.underWay.keys()]];
        }"""
    )
    given_up, under_way = under_way
    assert given_up == [[0, True], [1, True]]
    assert 250 in under_way


def test_a_click_searches_and_back_returns_to_the_same_place(visit, service):
    page = _open(visit, service)
    page.evaluate("scrollTo(0, 1500)")
    name = "apple_0201.jpg"
    cell = page.get_by_role("button", name=name, exact=True)
    expect(cell).to_be_in_viewport()
    before = page.evaluate("scrollY")
    cell.click()
    assert _results(page) == 100
    searched = page.locator("#tray img")
    expect(searched).to_have_attribute("alt", name)
    expect(page.locator("#results-list .likeness").first).to_have_text("at least 90 %")
    page.go_back()
    expect(page.locator("#grid")).to_be_visible()
    assert page.evaluate("scrollY") == pytest.approx(before, abs=2)
    page.go_forward()
    expect(searched).to_have_attribute("alt", name)
    page.reload()
    expect(searched).to_have_attribute("alt", name)
    other = page.locator("#results-list img").nth(40)
    name = other.get_attribute("alt")
    other.click()
    expect(searched).to_have_attribute("alt", name)


def test_an_image_of_ones_own_is_chosen_dropped_or_pasted(visit, service):
    page = _open(visit, service)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Search by image").click()
    chooser.value.set_files(_file())
    assert _results(page) == 100
    expect(page.locator("#tray img")).to_have_attribute("alt", "mine.png")
    for event in ("drop", "paste"):
        page.keyboard.press("Escape")
        expect(page.locator("#grid")).to_be_visible()
        _hand_over(page, event)
        assert _results(page) == 100
        expect(page.locator("#tray img")).to_have_attribute("alt", "given.png")


def test_a_part_is_drawn_with_the_pointer_and_changed_by_keys(visit, service):
    page = _open(visit, service)
    page.locator("#choose-files").set_input_files(_file())
    _results(page)
    page.get_by_role("button", name="Use a part").click()
    expect(page.locator("#crop-image")).to_be_visible()
    box = page.locator("#crop-stage").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(240 / 200, rel=0.02)
    page.mouse.move(box["x"] + 0.05 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.6 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#crop-says")).to_have_text("From the left 5 %, from the top 10 %, 50 % wide, 50 % high")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#crop-says")).to_have_text("From the left 7 %, from the top 10 %, 50 % wide, 52 % high")
    with page.expect_request("**/v1/search") as request:
        page.get_by_role("button", name="Search with this part").click()
    sent = request.value.post_data_json["examples"][0]["box"]
    assert [sent[side] for side in ("left", "top", "right", "bottom")] == pytest.approx(
        [0.07, 0.1, 0.57, 0.62], abs=0.01
    )
    expect(page.locator("#tray .outline")).to_be_visible()
    assert _results(page) == 100


def test_several_examples_some_of_them_not_wanted(visit, service):
    page = _open(visit, service)
    _search(page)
    page.locator("#results-list .why").nth(3).click()
    unwanted = page.locator("#detail-title").inner_text()
    page.locator("#detail").get_by_role("button", name="Not this").click()
    expect(page.locator("#tray li")).to_have_count(2)
    expect(page.locator("#detail")).not_to_be_visible()
    _results(page)
    with page.expect_request("**/v1/search") as request:
        page.locator("#tray-files").set_input_files(_file())
    sent = request.value.post_data_json
    assert [example["wanted"] for example in sent["examples"]] == [True, False, True]
    assert sent["examples"][1]["key"].endswith(unwanted)
    assert base64.b64decode(sent["examples"][2]["image"]) == _file()["buffer"]
    assert sent["top_k"] == 100
    expect(page.locator("#tray li")).to_have_count(3)
    page.locator("#tray li").nth(2).get_by_role("button", name="Not this").click()
    expect(page.locator("#tray li").nth(2)).to_have_class("example unwanted")
    page.locator("#tray li").nth(0).get_by_role("button", name="Not this").click()
    expect(page.locator("#notices")).to_contain_text("Keep at least one example")
    page.locator("#tray li").nth(1).get_by_role("button", name="Remove").click()
    expect(page.locator("#tray li")).to_have_count(2)
    page.go_back()
    expect(page.locator("#tray li")).to_have_count(3)


def _likelihoods(page):
    return [int(re.fullmatch(r"at least (\d+) %", text)[1]) for text in page.locator(".likeness").all_inner_texts()]


def test_the_cut_off_hides_what_is_less_likely(visit, service):
    page = _open(visit, service)
    _search(page)
    slider = page.get_by_label("At least this likely")
    likely = _likelihoods(page)
    limit = max(likely)
    slider.fill(str(limit))
    assert 0 < _results(page) <= 100
    assert min(_likelihoods(page)) >= limit
    slider.press("End")
    expect(page.get_by_text("Nothing is that likely")).to_be_visible()
    assert _results(page) == 0
    page.get_by_role("button", name="Show all").click()
    assert _results(page) == 100


def test_parts_of_photographs_are_outlined(visit, tmp_path, calibrated_model):
    path = _collection(_folder(tmp_path / "photos", 12), calibrated_model)
    first, *_, last = part_like_the_first(path)
    with _serving(path) as address:
        page = _open(visit, address)
        page.locator(f".cell .photo:has(img[alt='{Path(first).name}'])").click()
        _results(page)
        card = page.locator(f".card:has(img[alt='{Path(last).name}'])")
        expect(card.locator(".outline")).to_have_count(0)
        page.get_by_label("Look at parts of photographs").check()
        expect(card.locator(".outline")).to_have_count(1)
        assert "a part: " in card.inner_text()
        picture, outline = card.locator("img").bounding_box(), card.locator(".outline").bounding_box()
        # The photograph is 72 x 60, and the card shows its middle square: 0.2 to 1 of its height are seen whole.
        assert outline["y"] - picture["y"] == pytest.approx(0.2 * picture["height"], abs=2)
        assert outline["x"] == pytest.approx(picture["x"], abs=1)
        assert outline["width"] == pytest.approx((0.4 * 72 - 6) / 60 * picture["width"], abs=2)
        card.get_by_text("Why?").click()
        detail = page.locator("#detail")
        expect(detail.locator("#detail-result .outline")).to_be_visible()
        expect(detail.locator("#detail-alike")).to_contain_text("part")
        expect(detail.locator("#detail-agreeing")).to_contain_text("24 of 24")
        detail.get_by_label("Close").click()
        page.get_by_label("Look at parts of photographs").uncheck()
        expect(card.locator(".outline")).to_have_count(0)


def test_what_is_unlike_anything_learned_says_so(visit, judging):
    page = _open(visit, judging)
    page.get_by_role("button", name="dark.png", exact=True).click()
    expect(page.locator("#query-unlike")).to_be_visible()
    expect(page.locator(".likeness").first).to_have_text("unlike anything learned")
    expect(page.locator(".likeness").last).to_have_text(re.compile(r"distance \d+\.\d\d"))
    page.locator("#cutoff").fill("1")
    expect(page.get_by_text("Nothing is that likely")).to_be_visible()


def test_without_a_calibration_there_are_distances_and_no_cut_off(visit, closed):
    page = _open(visit, f"{closed}/?token={TOKEN}")
    assert page.url == f"{closed}/"
    _search(page)
    expect(page.locator("#cutoff")).to_be_disabled()
    expect(page.get_by_text("This model is not calibrated")).to_be_visible()
    expect(page.locator(".likeness").first).to_have_text(re.compile(r"distance \d+\.\d\d"))
    expect(page.get_by_role("button", name="Sync")).to_have_count(0)
    page.locator(".why").first.click()
    expect(page.locator("#detail-remove")).to_be_hidden()


def test_near_duplicates_are_one_card_that_opens(visit, service):
    page = _open(visit, service)
    page.get_by_label("Order").select_option("newest")
    page.get_by_role("button", name="same_95.jpg", exact=True).click()
    assert _results(page) == 100
    several = page.get_by_text(re.compile(r"^[23] alike"))  # the model of the tests may not find all three
    alike = int(several.inner_text().split()[0])
    expect(page.locator("#results-list li")).to_have_count(101 - alike)
    several.click()
    expect(page.locator("#results-list li")).to_have_count(100)
    expect(page.locator(".card.member img")).to_have_count(alike)
    page.locator(".card.member .why").nth(1).click()
    expect(page.locator("#detail-alike")).to_contain_text(f"same picture as an example. {alike - 1} other result")
    page.keyboard.press("Escape")
    page.get_by_text("Show as one").click()
    expect(page.locator("#results-list li")).to_have_count(101 - alike)


def test_filters_by_the_columns_of_the_metadata(visit, service):
    page = _open(visit, service)
    _search(page)
    page.locator("#filters-panel summary").click()
    page.locator("#filters").get_by_label("Folder").select_option("banana")
    expect(page.locator("#filters-count")).to_have_text("(1)")
    _results(page)
    names = page.locator(".card img").evaluate_all("(images) => images.map((image) => image.alt)")
    assert names
    assert all(name.startswith("banana") for name in names)
    size = page.get_by_role("group", name="Size (bytes)")
    with page.expect_request("**/v1/search") as request:
        size.get_by_label("from").fill("100000000")
    assert request.value.post_data_json["filters"] == [
        {"column": "folder", "comparison": "=", "value": "banana"},
        {"column": "size", "comparison": ">=", "value": "100000000"},
    ]
    expect(page.locator("#nothing-found-filters")).to_be_visible()
    page.locator("#nothing-found-clear").click()
    assert _results(page) == 100
    today = page.evaluate("new Date().toISOString().slice(0, 10)")
    page.get_by_role("group", name="Modified").get_by_label("to").fill("2001-02-03")
    expect(page.locator("#nothing-found-filters")).to_be_visible()
    page.get_by_role("group", name="Modified").get_by_label("to").fill(today)
    assert _results(page) == 100


def test_the_collection_is_filtered_and_a_search_from_it_too(visit, service):
    page = _open(visit, service)
    page.locator("#filters-panel summary").click()
    page.locator("#filters").get_by_label("Folder").select_option("banana")
    expect(page.locator("#collection-count")).to_have_text(f"{MANY // 3} photographs pass the filters")
    columns = int(page.locator("#grid").get_attribute("aria-colcount"))
    expect(page.locator("#grid")).to_have_attribute("aria-rowcount", str(-(-MANY // 3 // columns)))
    names = page.locator("#grid img").evaluate_all("(images) => images.map((image) => image.alt)")
    assert names
    assert all(name.startswith("banana") for name in names)
    page.locator("#grid .photo").first.click()
    assert _results(page) > 0
    expect(page.locator("#filters-count")).to_have_text("(1)")
    names = page.locator(".card img").evaluate_all("(images) => images.map((image) => image.alt)")
    assert all(name.startswith("banana") for name in names)
    page.locator("#filters-clear").click()
    expect(page.locator("#filters-count")).to_have_text("")
    page.go_back()  # to the collection as it was left
    expect(page.locator("#collection-count")).to_have_text(f"{MANY // 3} photographs pass the filters")
    expect(page.locator("#filters").get_by_label("Folder")).to_have_value("banana")
    page.get_by_role("group", name="Size (bytes)").get_by_label("from").fill("100000000")
    expect(page.locator("#nothing-passes")).to_be_visible()
    expect(page.locator("#grid .cell")).to_have_count(0)
    page.locator("#nothing-passes-clear").click()
    expect(page.locator("#collection-count")).to_have_text("")
    expect(page.locator("#grid img").first).to_have_attribute("alt", re.compile("^apple"))
    page.reload()
    expect(page.locator("#filters-count")).to_have_text("")


def test_the_detail_view_of_the_collection_says_what_is_known(visit, service):
    page = _open(visit, service)
    page.locator("#grid .about").first.click()
    expect(page.locator("#detail-metadata")).to_contain_text("Folder")
    expect(page.locator("#detail-metadata")).to_contain_text("apple")
    expect(page.locator("#detail-why")).to_be_hidden()


def test_a_filter_is_seen_although_nothing_has_its_value_any_more(visit, service):
    page = _open(visit, service)
    page.locator("#filters-panel summary").click()
    page.evaluate(
        """async () => {
          const { update } = await import("/page/state.js");
          update({ filters: [{ column: "folder", comparison: "=", value: "gone" }] });
        }"""
    )
    expect(page.locator("#filters").get_by_label("Folder")).to_have_value("gone")


def test_pictures_are_tried_again_when_the_collection_has_changed(visit, service):
    page = _open(visit, service)
    image = page.locator(".cell img.there").first
    image.evaluate("(image) => image.classList.add('broken')")
    page.evaluate(
        """async () => {
          const { state, update } = await import("/page/state.js");
          update({ status: { ...state.status, generation: 1 } });
        }"""
    )
    expect(page.locator("img.broken")).to_have_count(0)


def test_the_detail_view_stays_with_its_answer_when_another_comes(visit, service):
    page = _open(visit, service)
    _search(page)
    held = []
    page.route("**/v1/search", lambda route: held.append(route))
    page.locator("#results-list .photo").nth(5).click()
    page.locator("#results-list .why").nth(2).click()
    searched = page.locator("#detail-query img").get_attribute("alt")
    title = page.locator("#detail-title").inner_text()
    held[0].continue_()
    expect(page.locator("#searching")).to_be_hidden()
    page.get_by_role("button", name="Result after").click()
    expect(page.locator("#detail-title")).to_have_text(title)
    expect(page.locator("#detail-query img")).to_have_attribute("alt", searched)
    expect(page.locator("#tray img")).not_to_have_attribute("alt", searched)


def test_the_detail_view_says_why(visit, service):
    page = _open(visit, service)
    page.locator("#choose-files").set_input_files(_file())
    _results(page)
    page.locator("#results-list .why").nth(4).click()
    dialog = page.locator("#detail")
    expect(dialog.locator("#detail-query .overlay")).to_be_visible()
    expect(dialog.locator("#detail-result .overlay")).to_be_visible()
    assert dialog.locator("#detail-segments span").count() == 24
    agreeing = dialog.locator("#detail-segments .same").count()
    expect(dialog.locator("#detail-agreeing")).to_have_text(f"{agreeing} of 24 segments agree")
    expect(dialog.locator("#detail-metadata")).to_contain_text("Folder")
    dialog.get_by_label("Show where the network looks").uncheck()
    expect(dialog.locator(".overlay").first).to_be_hidden()
    title = dialog.locator("#detail-title").inner_text()
    page.keyboard.press("ArrowRight")  # the focus is in the check box: it does not step
    dialog.get_by_role("button", name="Result after").click()
    expect(dialog.locator("#detail-title")).not_to_have_text(title)
    expect(dialog.locator("#detail-result .overlay")).to_have_count(1)
    expect(dialog.locator("#detail-result .overlay")).to_be_hidden()
    with page.context.expect_page() as opened:
        dialog.get_by_role("link", name="Open large picture").click()
    assert "/v1/picture?" in opened.value.url
    opened.value.close()
    title = dialog.locator("#detail-title").inner_text()
    dialog.get_by_role("button", name="Search with this").click()
    expect(page.locator("#tray img")).to_have_attribute("alt", title)


def test_an_attention_map_is_dark_where_nothing_was_looked_at(visit, service):
    page = _open(visit, service)
    left, right, steps, *place = page.evaluate(
        """async () => {
          const { overlay } = await import("/page/overlay.js");
          const box = { left: 0.25, top: 0, right: 0.75, bottom: 1 };
          const canvas = overlay({ values: [[0.0, 0.5], [0.0, 0.5]], box });
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, height / 2, width, 1);
          const opacities = [...data.filter((_, place) => place % 4 === 3)];
          return [opacities[0], opacities.at(-1), new Set(opacities).size, canvas.style.left, canvas.style.width];
        }"""
    )
    assert left > 150
    assert right < 60
    assert steps > 20  # the cells run into each other
    assert place == ["25%", "50%"]


def test_everything_by_keyboard_alone(visit, service):
    page = _open(visit, service)
    focused = page.locator(":focus")
    page.keyboard.press("/")
    expect(page.get_by_role("button", name="Search by image")).to_be_focused()
    page.get_by_label("Order").focus()
    page.keyboard.press("Tab")
    expect(focused).to_have_text("Filters")
    page.keyboard.press("Tab")
    expect(focused.locator("img")).to_have_attribute("alt", "apple_0000.jpg")
    columns = int(page.locator("#grid").get_attribute("aria-colcount"))
    for key in ["ArrowDown"] * 20 + ["ArrowUp", "ArrowRight"]:
        page.keyboard.press(key)
    place = page.locator(".cell:focus-within").get_attribute("data-index")
    assert int(place) == 19 * columns + 1
    expect(focused).to_be_in_viewport(ratio=1)
    page.keyboard.press("Control+End")
    expect(page.locator(".cell:focus-within")).to_have_attribute("data-index", str(MANY + 2))
    page.keyboard.press("Control+Home")
    expect(page.locator(".cell:focus-within")).to_have_attribute("data-index", "0")
    assert page.locator("#grid button[tabindex='0']").count() == 2  # the photograph, and what tells about it
    page.keyboard.press("i")
    expect(page.locator("#detail")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).not_to_be_visible()
    expect(page.locator(".cell:focus-within")).to_have_attribute("data-index", "0")
    page.keyboard.press("Enter")
    _results(page)
    page.locator("#filters-panel summary").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#results-list li").first.locator(".photo")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    lists = page.locator("#results-list").evaluate(
        "(list) => getComputedStyle(list).gridTemplateColumns.split(' ').length"
    )
    expect(page.locator("#results-list li").nth(lists + 1).locator(".photo")).to_be_focused()
    page.keyboard.press("i")
    expect(page.locator("#detail-agreeing")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).not_to_be_visible()
    page.keyboard.press("-")
    expect(page.locator("#tray li.unwanted")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#grid")).to_be_visible()


def test_files_that_could_not_be_used_are_named(visit, changing):
    page = _open(visit, changing.address)
    page.get_by_role("button", name="1 file could not be used").click()
    expect(page.locator("#failures")).to_contain_text("unusable.jpg")
    expect(page.locator("#failures")).to_contain_text("this is not an image that Pillow can read here")
    page.keyboard.press("Escape")
    expect(page.locator("#failures")).not_to_be_visible()


def test_deleting_asks_first_and_leaves_the_file(visit, changing):
    page = _open(visit, changing.address)
    expect(page.locator("#counts")).to_have_text(re.compile(r"\d+ photographs"))
    before = int(page.locator("#counts").inner_text().split()[0])
    expect(page.locator("#unusable")).to_have_text("1 file could not be used")
    page.get_by_role("button", name="banana_0004.jpg", exact=True).click()
    _results(page)
    page.get_by_role("button", name="Why banana_0004.jpg matched").click()
    page.get_by_role("button", name="Delete …").click()
    expect(page.locator("#confirm")).to_contain_text("The file itself stays where it is")
    deleted = []
    page.on("request", lambda request: deleted.append(request.url) if request.method == "DELETE" else None)
    page.locator("#confirm").get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(300)
    assert deleted == []
    expect(page.locator("#detail")).to_be_visible()
    page.get_by_role("button", name="Delete …").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(page.locator("#notices")).to_contain_text("banana_0004.jpg is no longer in the collection")
    expect(page.locator("#results-list").get_by_alt_text("banana_0004.jpg")).to_have_count(0)
    assert (changing.folder / "banana" / "banana_0004.jpg").is_file()
    expect(page.locator("#counts")).to_have_text(f"{before - 1} photographs")
    page.get_by_role("button", name="Collection").click()
    expect(page.locator("#grid").get_by_alt_text("banana_0001.jpg")).to_be_visible()
    expect(page.locator("#grid").get_by_alt_text("banana_0004.jpg")).to_have_count(0)


def test_adding_photographs_and_what_cannot_be_added(visit, changing):
    opened = visit(changing.address)
    opened.expected.append("status of 422")
    page = opened.page
    expect(page.locator("#add")).to_be_visible()
    before = int(page.locator("#counts").inner_text().split()[0])
    text = {"name": "list.jpg", "mimeType": "image/jpeg", "buffer": b"apples and bananas"}
    page.locator("#add-files").set_input_files([_file(seed=77), text])
    expect(page.locator("#notices")).to_contain_text("1 photograph is in the collection now.")
    expect(page.locator("#notices .error")).to_contain_text("list.jpg: ")
    expect(page.locator("#counts")).to_have_text(f"{before + 1} photographs")
    assert len(list((changing.folder / "added").iterdir())) == 1
    page.locator("#notices .error").get_by_role("button", name="Dismiss").click()
    expect(page.locator("#notices .error")).to_have_count(0)


def test_adding_stops_where_the_service_does_not_answer_and_says_so(visit, service):
    opened = visit(service)
    opened.expected.append("ERR_FAILED")
    page = opened.page
    expect(page.locator(".cell img.there").first).to_be_visible()
    sent = []
    page.route("**/v1/images?name=*", lambda route: (sent.append(route.request.url), route.abort()))
    page.locator("#add-files").set_input_files([_file("a.png"), _file("b.png")])
    expect(page.locator("#notices .error")).to_contain_text("Adding stopped at a.png")
    assert len(sent) == 1


def test_a_sync_takes_new_files_and_the_grid_keeps_its_place(visit, changing):
    page = _open(visit, changing.address, height=420)
    before = int(page.locator("#counts").inner_text().split()[0])
    page.evaluate("scrollTo(0, 250)")
    name = page.locator(".cell[data-index='15'] img").get_attribute("alt")
    top = page.get_by_alt_text(name).bounding_box()["y"]
    for number in range(21):  # three rows of new photographs before all others
        _picture((200, 40, 40), 500 + number).save(changing.folder / f"AA_{number:02}.jpg")
    page.get_by_role("button", name="Sync").click()
    expect(page.locator("#sync-state")).to_be_visible()
    expect(page.locator("#sync")).to_be_disabled()
    expect(page.locator("#counts")).to_have_text(f"{before + 21} photographs")
    expect(page.locator("#sync-state")).to_be_hidden()
    expect(page.locator("#sync")).to_be_enabled()
    moved = page.get_by_alt_text(name)
    expect(page.locator("#grid")).to_have_attribute("aria-rowcount", str(-(-(before + 21) // 7)))
    expect(moved).to_be_in_viewport()
    assert moved.bounding_box()["y"] == pytest.approx(top, abs=2)
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_alt_text("AA_00.jpg")).to_be_visible()


def test_a_status_from_before_a_sync_does_not_end_it(visit, service):
    page = _open(visit, service)
    before = page.evaluate("fetch('/v1/status').then((answer) => answer.json())")
    running = {**before, "sync": {"done": 1, "total": 2, "seconds": 1}}
    held = []
    page.route("**/v1/status", lambda route: held.append(route))
    page.route("**/v1/sync", lambda route: route.fulfill(status=202, json=running))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Sync").click()
    expect(page.locator("#sync-text")).to_have_text("Sync: 1 of 2 files")
    first, *later = held
    first.fulfill(json=before)
    for route in later:
        route.fulfill(json=running)
    page.wait_for_timeout(300)
    expect(page.locator("#sync-text")).to_be_visible()
    expect(page.locator("#notices .notice")).to_have_count(0)
    page.unroute_all()


def test_what_a_sync_left_undone_is_shown_and_not_that_it_is_over(visit, changing):
    opened = visit(changing.address)
    opened.expected += ["status of 422", "status of 404"]  # of the photograph that goes
    page = opened.page
    expect(page.locator(".cell img.there").first).to_be_visible()
    emptied = changing.folder / "emptied"
    emptied.mkdir()
    _picture((40, 90, 200), 888).save(emptied / "gone.jpg")
    page.get_by_role("button", name="Sync").click()
    expect(page.locator("#notices")).to_contain_text("The sync is over")
    page.locator("#notices .notice button").click()
    (emptied / "gone.jpg").unlink()
    page.get_by_role("button", name="Sync").click()
    expect(page.locator("#problem")).to_contain_text("1 photograph is missing but not forgotten")
    expect(page.locator("#notices .notice")).to_have_count(0)
    emptied.rmdir()
    page.get_by_role("button", name="Sync").click()
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#notices")).to_contain_text("The sync is over")


def test_the_progress_of_a_sync_is_shown_whoever_runs_it(visit, changing):
    page = _open(visit, changing.address)
    expect(page.locator("#sync-state")).to_be_hidden()
    with (changing.collection / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        progress = {"done": 30, "total": 120, "started": time.time()}
        (changing.collection / "sync.json").write_text(json.dumps(progress))
        expect(page.locator("#sync-text")).to_have_text("Sync: 30 of 120 files")
        assert page.locator("#sync-progress").evaluate("(bar) => bar.position") == 0.25
        (changing.collection / "sync.json").write_text(json.dumps({**progress, "done": 90}))
        expect(page.locator("#sync-text")).to_have_text("Sync: 90 of 120 files", timeout=4000)
    expect(page.locator("#sync-state")).to_be_hidden()
    expect(page.locator("#notices")).to_contain_text("The sync is over")


def test_a_text_file_is_refused_in_a_sentence_and_changes_nothing(visit, service):
    opened = visit(service)
    opened.expected.append("status of 422")
    page = opened.page
    expect(page.locator(".cell img.there").first).to_be_visible()
    text = {"name": "list.jpg", "mimeType": "image/jpeg", "buffer": b"apples and bananas"}
    with page.expect_response("**/v1/search") as response:
        page.locator("#choose-files").set_input_files(text)
    sentence = response.value.json()["detail"]
    expect(page.locator("#notices .error p")).to_have_text(sentence[0].upper() + sentence[1:])
    expect(page.locator("#grid")).to_be_visible()
    expect(page.locator("#searching")).to_be_hidden()


def test_a_problem_of_the_collection_is_shown_until_it_is_over(visit, changing):
    opened = visit(changing.address)
    opened.expected.append("status of 503")
    page = opened.page
    expect(page.locator(".cell img.there").first).to_be_visible()
    expect(page.locator("#problem")).to_be_hidden()
    catalogue = changing.collection / "catalogue.sqlite"
    catalogue.rename(catalogue.with_suffix(".away"))
    try:
        expect(page.locator("#problem")).to_be_visible()
        expect(page.locator("#problem")).not_to_be_empty()
    finally:
        catalogue.with_suffix(".away").rename(catalogue)
    expect(page.locator("#problem")).to_be_hidden()


def test_an_empty_collection_says_so_and_takes_a_first_photograph(visit, tmp_path, calibrated_model):
    path = _collection(_folder(tmp_path / "photos", 1), calibrated_model)
    for photograph in (tmp_path / "photos").rglob("*.jpg"):
        photograph.unlink()
    Collection(path).sync(tmp_path / "photos", Encoder(calibrated_model), forget=True)
    with _serving(path) as address:
        page = visit(address).page
        expect(page.get_by_role("heading", name="No photographs yet")).to_be_visible()
        expect(page.locator("#grid")).to_be_hidden()
        page.locator("#add-files").set_input_files(_file())
        expect(page.locator(".cell img.there")).to_have_count(1)
        expect(page.get_by_role("heading", name="No photographs yet")).to_be_hidden()
        page.context.close()


def test_the_token_is_asked_for_and_kept(visit, closed):
    opened = visit(closed)
    opened.expected += ["status of 401", "status of 503"]
    page = opened.page
    expect(page.get_by_role("heading", name="This service wants its token")).to_be_visible()
    page.locator("#token-value").fill("not the token at all")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#token-wrong")).to_have_text("This is not the token of this service.")
    page.route("**/?token=*", lambda route: route.fulfill(status=503))
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#token-wrong")).to_contain_text("does not answer")
    page.unroute_all()
    page.locator("#token-value").fill(TOKEN)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".cell img.there").first).to_be_visible()
    assert TOKEN not in page.url
    page.reload()
    expect(page.locator(".cell img.there").first).to_be_visible()


def test_the_page_says_when_the_service_is_gone_and_goes_on_by_itself(visit, service):
    opened = visit(service)
    opened.expected.append("ERR_INTERNET_DISCONNECTED")
    page = opened.page
    expect(page.locator(".cell img.there").first).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("The service does not answer; is it still running?")).to_be_visible()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_role("button", name="Loading").last).to_be_in_viewport()
    page.context.set_offline(False)
    expect(page.locator("#down")).to_be_hidden()
    expect(page.locator(f"img.there[alt='carrot_{MANY - 1:04}.jpg']")).to_be_in_viewport()
    _search(page)


def test_a_busy_service_is_asked_again(visit, service):
    page = _open(visit, service)
    tried, status = page.evaluate(
        """async () => {
          const { ask } = await import("/page/api.js");
          const real = globalThis.fetch;
          let tried = 0;
          const busy = () => new Response("{}", { status: 429, headers: { "retry-after": "0.05" } });
          globalThis.fetch = (...given) => {
            if (given[0] !== "/v1/health") return real(...given);
            return ++tried < 4 ? Promise.resolve(busy()) : real(...given);
          };
          const { status } = await ask("/v1/health");
          globalThis.fetch = real;
          return [tried, status];
        }"""
    )
    assert (tried, status) == (4, "ok")


def test_light_and_dark_are_as_the_system_has_it_or_as_chosen(visit, service):
    page = _open(visit, service, color_scheme="dark")
    background = "(element) => getComputedStyle(element).backgroundColor"
    dark = page.locator("body").evaluate(background)
    page.get_by_role("button", name="Switch between light and dark").click()
    light = page.locator("body").evaluate(background)
    assert light != dark
    page.reload()
    assert page.locator("body").evaluate(background) == light


CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => [red, green, blue]
    .map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility() || element.disabled) continue;
    const [a, b] = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) low.push(`${element.id || element.className || element.tagName}: ${contrast.toFixed(1)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_it_fits_and_can_be_read(visit, service, tmp_path, width, theme):
    page = _open(visit, service, width=width, color_scheme=theme, has_touch=width < 500)

    def look(name: str) -> None:
        path = tmp_path / f"{name}-{width}-{theme}.png"
        page.screenshot(path=path)
        with Image.open(path) as picture:
            assert picture.width == width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRASTS) == []

    look("grid")
    _search(page)
    page.locator("#filters-panel summary").click()
    look("results")
    page.locator("#results-list .why").nth(2).click()
    expect(page.locator("#detail-result .overlay")).to_be_visible()
    assert page.locator("#detail").evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
    look("detail")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Use a part").click()
    look("crop")
