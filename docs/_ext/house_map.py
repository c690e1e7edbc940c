"""The directive ``house-map``: a picture of who imports whom, made from the imports.

Sub-packages and the modules beside them are the parts. Each stands above all that it
imports, so that every arrow leads down; the table below the picture has the same
imports in words.
"""

import ast
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2] / "llmreg"
#: The part that `llmreg/__init__.py` is.
FRONT = "llmreg"

Arrows = dict[str, set[str]]
#: A part in the layer of its number, or the point where an arrow passes a layer.
Point = tuple[str, str, int]

# In user units, which are pixels where the page is wide enough.
WIDTH, ROW, HEIGHT, LETTER, PADDING, GAP, SLOT = 860, 84, 30, 7.6, 22, 40, 24
SWEEPS = 12


def read_arrows(root: Path = ROOT) -> Arrows:
    """Tell which parts every part of a package imports."""
    files = {path: _part(path, root) for path in sorted(root.rglob("*.py"))}
    arrows: Arrows = {part: set() for part in files.values()}
    for path, part in files.items():
        arrows[part].update(_imported(path, root, set(files.values())) - {part})
    return arrows


def _part(path: Path, root: Path) -> str:
    name = path.relative_to(root).parts[0].removesuffix(".py")
    return FRONT if name == "__init__" else name


def _imported(path: Path, root: Path, parts: set[str]) -> set[str]:
    found = set()
    for name in _names(path, root):
        package, *rest = name.split(".")
        if package == root.name:
            found.add(rest[0] if rest and rest[0] in parts else FRONT)
    return found


def _names(path: Path, root: Path) -> Iterator[str]:
    """Yield what a file imports, by dotted names that begin with the package."""
    home = [root.name, *path.relative_to(root).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def find_depths(arrows: Arrows) -> dict[str, int]:
    """Give every part a layer above all that it imports; a circle shares one."""
    reach = {part: _reach(arrows, part) for part in arrows}
    depths: dict[str, int] = {}
    # What reaches less stands lower, and so has its depth by the time it is asked for.
    for part in sorted(arrows, key=lambda part: (len(reach[part]), part)):
        circle = {other for other in reach[part] if part in reach[other]} | {part}
        below = {depths[other] for other in reach[part] - circle}
        depths[part] = max(below, default=-1) + 1
    return depths


def _reach(arrows: Arrows, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = arrows[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def reduce(arrows: Arrows) -> Arrows:
    """Leave out the arrows that others imply: a to c, where a leads to b and b to c."""
    reach = {part: _reach(arrows, part) for part in arrows}

    def implied(part: str, target: str) -> bool:
        # What leads back is part of a circle, whose arrows would imply each other.
        between = arrows[part] - {target} - reach[target]
        return any(target in reach[b] and part not in reach[b] for b in between)

    return {
        part: {target for target in targets if not implied(part, target)}
        for part, targets in arrows.items()
    }


def draw(arrows: Arrows) -> str:
    """Draw the parts in layers as SVG, in the colors of the text around it."""
    depths = find_depths(arrows)
    shown = reduce(arrows)
    lines = [
        _line(part, other, depths) for part in arrows for other in sorted(shown[part])
    ]
    places, left, right = _place(_join(lines, depths))
    top = max(depths.values())
    height = (top + 1) * ROW

    def at(point: Point) -> tuple[float, float]:
        return places[point], (top - point[2]) * ROW + ROW / 2

    boxes = [_box(part, *at((part, "", depth))) for part, depth in depths.items()]
    curves = [_curve([at(point) for point in line]) for line in lines]
    title = f"Who imports whom in {FRONT}; the table below has the same in words."
    return (
        f'<svg class="house-map" role="img" width="{right - left:.0f}" '
        f'viewBox="{left:.0f} 0 {right - left:.0f} {height}" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
        '<defs><marker id="house-map-tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
        f"{''.join(curves)}{''.join(boxes)}</svg>"
    )


def _line(part: str, other: str, depths: dict[str, int]) -> list[Point]:
    """List the points of an arrow: one in every layer that it passes."""
    passed = range(depths[part] - 1, depths[other], -1)
    through = [(part, other, depth) for depth in passed]
    return [(part, "", depths[part]), *through, (other, "", depths[other])]


def _join(lines: list[list[Point]], depths: dict[str, int]) -> dict[Point, set[Point]]:
    """Tell for every point which points of the layers beside it an arrow leads to."""
    near: dict[Point, set[Point]] = {
        (p, "", depth): set() for p, depth in depths.items()
    }
    for line in lines:
        for upper, lower in pairwise(line):
            near.setdefault(upper, set()).add(lower)
            near.setdefault(lower, set()).add(upper)
    return near


def _place(near: dict[Point, set[Point]]) -> tuple[dict[Point, float], float, float]:
    """Find where in its layer every point stands, and from where to where all stand."""
    layers: list[list[Point]] = [[] for _ in range(max(p[2] for p in near) + 1)]
    for point in sorted(near):
        layers[point[2]].append(point)
    width = max(WIDTH, *(sum(map(_width, layer)) for layer in layers))
    places = {}
    for layer in layers:
        for index, point in enumerate(layer):
            places[point] = (index + 0.5) / len(layer) * width
    # Down and up in turn, each layer after the one that was last set.
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 else -1
        for layer in layers[::step]:
            wanted = {p: _middle(p, places, near[p], -step) for p in layer}
            layer.sort(key=lambda point: wanted[point])
            places |= _spread(layer, wanted, width)
    left = min(x - _width(point) / 2 for point, x in places.items())
    right = max(x + _width(point) / 2 for point, x in places.items())
    return places, left, right


def _middle(
    point: Point, places: dict[Point, float], near: set[Point], side: int
) -> float:
    """Average the places of the neighbours on one side, or on both where none is."""
    there = [p for p in near if (p[2] - point[2]) * side > 0] or near or {point}
    return sum(places[p] for p in there) / len(there)


def _spread(
    layer: list[Point], wanted: dict[Point, float], width: float
) -> dict[Point, float]:
    """Place a layer as wanted, but in its order and without overlap."""
    from_left, from_right = [], []
    edge = 0.0
    for point in layer:
        from_left.append(max(wanted[point], edge + _width(point) / 2))
        edge = from_left[-1] + _width(point) / 2
    edge = width
    for point in layer[::-1]:
        from_right.append(min(wanted[point], edge - _width(point) / 2))
        edge = from_right[-1] - _width(point) / 2
    both = zip(layer, from_left, from_right[::-1], strict=True)
    return {point: (left + right) / 2 for point, left, right in both}


def _width(point: Point) -> float:
    part, passing, _ = point
    return SLOT if passing else len(part) * LETTER + PADDING + GAP


def _box(part: str, x: float, y: float) -> str:
    width = len(part) * LETTER + PADDING
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{width:.1f}" '
        f'height="{HEIGHT}" rx="5"/>'
        f'<text x="{x:.1f}" y="{y:.1f}" dy="0.35em">{escape(part)}</text>'
    )


def _curve(points: list[tuple[float, float]]) -> str:
    """Draw an arrow from the bottom of a box through points to the top of another."""
    (x, y), *rest = points
    path = f"M{x:.1f} {y + HEIGHT / 2:.1f}"
    y += HEIGHT / 2
    for index, (next_x, next_y) in enumerate(rest):
        if index == len(rest) - 1:
            next_y -= HEIGHT / 2
        half = (y + next_y) / 2
        path += f"C{x:.1f} {half:.1f} {next_x:.1f} {half:.1f} {next_x:.1f} {next_y:.1f}"
        x, y = next_x, next_y
    return f'<path d="{path}" marker-end="url(#house-map-tip)"/>'


def tabulate(arrows: Arrows) -> nodes.table:
    """Write the arrows as a table, from the top of the picture to its bottom."""
    depths = find_depths(arrows)
    group = nodes.tgroup(cols=2)
    group += [nodes.colspec(colwidth=1), nodes.colspec(colwidth=3)]
    group += nodes.thead("", _row(nodes.Text("part"), nodes.Text("imports")))
    body = nodes.tbody()
    for part in sorted(arrows, key=lambda part: (-depths[part], part)):
        body += _row(nodes.literal("", part), *_list(sorted(arrows[part])))
    group += body
    return nodes.table("", group)


def _list(parts: list[str]) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    for part in parts:
        found += [nodes.Text(", ")] * bool(found) + [nodes.literal("", part)]
    return found


def _row(first: nodes.Node, *rest: nodes.Node) -> nodes.row:
    row = nodes.row()
    row += nodes.entry("", nodes.paragraph("", "", first))
    row += nodes.entry("", nodes.paragraph("", "", *rest))
    return row


class HouseMap(SphinxDirective):
    """Show who imports whom."""

    def run(self) -> list[nodes.Node]:
        """Make the picture and the table."""
        arrows = read_arrows()
        for path in ROOT.rglob("*.py"):
            self.env.note_dependency(str(path))
        picture = nodes.raw("", f"<figure>{draw(arrows)}</figure>", format="html")
        return [picture, tabulate(arrows)]


def setup(app):
    """Register the directive."""
    app.add_directive("house-map", HouseMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
