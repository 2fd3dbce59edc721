"""The picture of docs/architecture.md, drawn from the code: ``make architecture``.

Rooms of the package stand in the order of the import contract in pyproject.toml, each with the first sentence of its
docstring. An arrow leads from a room to one that it imports; it is left out where other arrows lead there already.
The picture is text (SVG) and the same on every machine, so a test compares it with the code.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

__all__ = ["PICTURE", "Rooms", "draw", "look", "without_detours"]

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

# Pixels; README and docs show pictures at most about 880 wide.
WIDTH, ROW, BOX, BOX_HEIGHT, ARCS, COLUMNS = 880, 40, 104, 28, 170, 84
COLOURS = ("#1f6fb4", "#c2571a", "#2c8a4b", "#8a4fb0", "#b0354d", "#6b6b1f")


@dataclass(frozen=True)
class Rooms:
    """What the picture shows.

    Args:
        layers: Names of rooms, those that import first; rooms of one layer do not import each other.
        imports: Of every room the rooms that it imports.
        summaries: Of every room the first sentence of its docstring.
    """

    layers: list[list[str]]
    imports: dict[str, set[str]]
    summaries: dict[str, str]


def look() -> Rooms:
    """The rooms of the package as they are now."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    order = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    layers = [[name.strip().removeprefix("ordhash.") for name in layer.split("|")] for layer in order]
    names = [name for layer in layers for name in layer]
    graph = grimp.build_graph("ordhash", exclude_type_checking_imports=True, cache_dir=None)
    imports: dict[str, set[str]] = {name: set() for name in names}
    for module in graph.modules:
        room = _room(module)
        if room in imports:
            others = {_room(other) for other in graph.find_modules_directly_imported_by(module)}
            imports[room] |= others & (set(names) - {room})
    return Rooms(layers, imports, {name: _summary(name) for name in names})


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _summary(room: str) -> str:
    folder = ROOT / "src" / "ordhash" / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n\n")[0].replace("\n", " ")
    return first.partition(". ")[0].rstrip(".").replace("`", "")


def without_detours(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Imports without those that follow from others: a imports c where a imports b and b imports c."""

    def reached(rooms: Iterable[str]) -> set[str]:
        return {far for room in rooms for far in imports[room] | reached(imports[room])}

    return {room: {other for other in others if other not in reached(others)} for room, others in imports.items()}


def draw(rooms: Rooms) -> str:
    """The picture as SVG."""
    rows = {name: row for row, name in enumerate(name for layer in rooms.layers for name in layer)}
    height = ROW * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13">',
        "<title>Rooms of ordhash: arrows lead from a room to those that it imports</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *(_marker(number, colour) for number, colour in enumerate(COLOURS)),
    ]
    for number, layer in enumerate(rooms.layers):
        shade = "#f2f4f7" if number % 2 == 0 else "#ffffff"
        top, bottom = rows[layer[0]] * ROW + 4, (rows[layer[-1]] + 1) * ROW + 4
        parts.append(f'<rect x="0" y="{top}" width="{WIDTH}" height="{bottom - top}" fill="{shade}"/>')
    arrows = [(rows[a], rows[b]) for a, others in without_detours(rooms.imports).items() for b in others]
    longest = max(end - start for start, end in arrows)
    parts += [_arrow(start, end, longest) for start, end in sorted(arrows)]
    for name, row in rows.items():
        parts += _box(name, rooms.summaries[name], row)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _middle(row: int) -> int:
    return row * ROW + ROW // 2 + 4


def _marker(number: int, colour: str) -> str:
    return (
        f'<marker id="head{number}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
    )


def _arrow(start: int, end: int, longest: int) -> str:
    # A curve reaches three quarters of the way to its control points; the longest keeps 15 pixels from the margin.
    reach = 30 + (4 * (ARCS - 15) // 3 - 30) * (end - start - 1) // max(1, longest - 1)
    # Arrows leave below the middle of a box and arrive above it, so that both can be told apart.
    number = start % len(COLOURS)
    left = ARCS - reach
    y1, y2 = _middle(start) + 6, _middle(end) - 6
    return (
        f'<path d="M{ARCS} {y1}C{left} {y1} {left} {y2} {ARCS} {y2}" fill="none" stroke="{COLOURS[number]}" '
        f'stroke-width="1.5" marker-end="url(#head{number})"/>'
    )


def _box(name: str, summary: str, row: int) -> list[str]:
    y = _middle(row)
    lines = textwrap.wrap(summary, COLUMNS)
    starts = [y + 4.5 + 16 * (n - (len(lines) - 1) / 2) for n in range(len(lines))]
    return [
        f'<rect x="{ARCS}" y="{y - BOX_HEIGHT // 2}" width="{BOX}" height="{BOX_HEIGHT}" rx="4" fill="white" '
        f'stroke="{COLOURS[row % len(COLOURS)]}" stroke-width="1.5"/>',
        f'<text x="{ARCS + BOX // 2}" y="{y + 4.5}" text-anchor="middle" font-weight="bold">{escape(name)}</text>',
        *(
            f'<text x="{ARCS + BOX + 14}" y="{start:g}">{escape(line)}</text>'
            for start, line in zip(starts, lines, strict=True)
        ),
    ]


def main() -> None:
    PICTURE.write_text(draw(look()))
    print(f"written {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
