"""The picture of the service's page in README.md: ``make page-picture``, after ``make demo``.

The demo's photographs as a collection, encoded by the demo's model; a search for one of them and another, as Chromium
shows it.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from ordhash import Encoder
from ordhash.collection import Collection
from ordhash.data import load_protocol, open_rgb

FOLDER = Path("runs/page")
MODEL = Path("runs/demo/network/model.onnx")
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "page.jpg"
WIDTH, HEIGHT = 1200, 760


def made_collection() -> Path:
    """The database of the demo's protocol, photographs in a folder for each class."""
    images = load_protocol("grocery-photos").database
    if images.labels is None:
        raise ValueError("the protocol has labels")
    photographs = FOLDER / "groceries"
    for row, source in enumerate(images.images):
        label = images.class_names[int(images.labels[row].argmax())]
        path = photographs / label / f"{label.lower()} {row:03}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            open_rgb(source).save(path, "JPEG", quality=92)
    collection = FOLDER / "groceries.ordhash"
    Collection(collection).sync(photographs, Encoder(MODEL), reencode=True, progress=True)
    return collection


def screenshot(address: str) -> bytes:
    """What the page shows of a search with two examples."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--headless"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(address)
        page.locator("#grid .photo img").nth(5).click()
        expect(page.locator("#results-list .card").nth(20)).to_be_attached()
        page.locator("#results-list .photo").nth(3).focus()
        page.keyboard.press("+")
        expect(page.locator("#tray img")).to_have_count(2)
        page.keyboard.press("Home")
        page.mouse.move(WIDTH - 2, HEIGHT - 2)
        page.wait_for_timeout(4000)  # pictures load as they come into sight, and fade in
        picture = page.screenshot()
        browser.close()
    return picture


def main() -> None:
    collection = made_collection()
    command = [sys.executable, "-m", "ordhash.cli", "serve", str(collection), "--port", "0", "--read-only"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise RuntimeError("the server has no output")
        try:
            found = re.search(r"http://\S+", server.stdout.readline())
            if found is None:
                raise RuntimeError("the server did not start")
            picture = screenshot(found[0])
        finally:
            server.terminate()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(PICTURE, quality=85)
    print(PICTURE)


if __name__ == "__main__":
    main()
