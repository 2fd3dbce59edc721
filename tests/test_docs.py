"""What README, CONTRIBUTING and docs/ say is there: links, anchors, names, paths, make targets; and lines are short."""

import functools
import importlib
import re
from pathlib import Path

import pytest
from typer.main import get_command

from ordhash.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COLUMNS = 120
# Folders that `make` and `ordhash` fill, so a clone has none of what is in them.
MADE = ("demo/", "data/", "runs/", ".cache/", ".venv/")
# What other repositories and other people's data sets call their files.
FOREIGN = (
    "dataset/",
    "ImageList/",
    "Groundtruth/",
    "Flickr/",
    "mirflickr/",
    "mirflickr25k_annotations_v080/",
    "images/",
    "labels/",
)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def lines_of(page):
    """The lines of a page with their numbers, and whether each is code."""
    fenced, code = False, False
    before = ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            yield number, line, True
            continue
        indented = line.startswith("    ") and (code or not before.strip())
        code = indented or (code and not line.strip())
        yield number, line, fenced or indented
        before = line


def prose(page):
    return "\n".join(line for _, line, code in lines_of(page) if not code)


def anchors_of(page):
    """The anchors that GitHub gives the headings of a page."""
    headings = [line.lstrip("#").strip() for _, line, code in lines_of(page) if line.startswith("#") and not code]
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def broken_links(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            yield target


def spans(page):
    """What a page has in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def is_there(dotted):
    """Whether a dotted name of the package can be reached."""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def targets():
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@every_page
def test_lines_of_prose_are_short(page):
    long = [
        number
        for number, line, code in lines_of(page)
        if len(line) > COLUMNS and not code and not line.startswith(("|", "#", "![")) and " " in line[:COLUMNS].strip()
    ]
    assert long == [], f"{page.name} has lines of more than {COLUMNS} columns"


@every_page
def test_links_lead_somewhere(page):
    assert list(broken_links(page)) == []


@every_page
def test_names_of_the_package_are_there(page):
    for module, extra in (("torch", "learn"), ("fastapi", "serve"), ("pymilvus", "cluster"), ("ray", "cluster")):
        pytest.importorskip(module, reason=f"needs ordhash[{extra}]")
    names = {name for span in spans(page) for name in re.findall(r"\bordhash(?:\.[A-Za-z_]\w*)+", span)}
    for _, line, code in lines_of(page):
        if code and (found := re.match(r"\s*from (ordhash[\w.]*) import (.*)", line)):
            names |= {f"{found[1]}.{name.strip()}" for name in found[2].split(",")}
    assert [name for name in sorted(names) if not is_there(name)] == []


@every_page
def test_paths_are_there(page):
    folders = [ROOT, ROOT / "src", ROOT / "src" / "ordhash"]
    missing = []
    for span in spans(page):
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*\.(py|toml|md|txt|json|npz)|[\w.-]+(/[\w.-]+)*/", span):
            continue
        if "/" not in span or "mine" in span or span.startswith((*MADE, *FOREIGN)):
            continue
        if not any((folder / span).exists() for folder in folders):
            missing.append(span)
    assert missing == []


@every_page
def test_make_targets_are_there(page):
    commands = spans(page) + [line.strip() for _, line, code in lines_of(page) if code]
    asked = {found[1] for command in commands if (found := re.match(r"make ([a-z][\w-]*)", command))}
    assert asked - targets() == set()


@functools.cache
def program():
    """The command `ordhash` with its commands, which takes a second to build."""
    return get_command(app)


def wrong_options(text):
    """Options that a command line of `ordhash` gives, and its command does not have."""
    known = program()
    for words in re.findall(r"\bordhash ([a-z][^|)#]*)", text):
        command, rest = known, words.split()
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        if command is not known:
            there = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            yield from (word for word in re.findall(r"(?<!\S)--[a-z][\w-]*", " ".join(rest)) if word not in there)


@every_page
def test_options_of_commands_are_there(page):
    if page.name == "cli.md":
        pytest.skip("written from the commands")
    code = "\n".join(line for _, line, code in lines_of(page) if code).replace("\\\n", " ").splitlines()
    assert [option for text in (*code, *spans(page)) for option in wrong_options(text)] == []


def test_what_is_not_there_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A heading\n\n[good](#a-heading) [bad](#none) [worse](none.md)\n\n    [code](none.md)\n")
    assert list(broken_links(page)) == ["#none", "none.md"]
    assert is_there("ordhash.codes.CodeSpec")
    assert not is_there("ordhash.codes.Nothing")
    assert {"test", "demo"} <= targets()
    assert list(wrong_options("ordhash search photos.index cat.jpg --top-k 3 --topk 3 | jq --raw")) == ["--topk"]
