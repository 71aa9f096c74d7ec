"""Draw a lineage as SVG: one box for each artifact, made of those to its right. Colours follow the reader's theme."""

from bisect import bisect_right
from html import escape
from itertools import accumulate
from unicodedata import combining, east_asian_width

from burnish.core.printable import printable
from burnish.core.registry.lineage import Node

_WIDTH, _GAP_X, _GAP_Y, _LINE, _PAD = 300, 60, 16, 17, 10
_LONGEST = 38
"""Cells of a line in a box of that width; a Chinese character takes two."""
MARKS = {"passed": "✓", "failed": "✗", "undecided": "?"}
_STYLE = """
  text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2328 }
  .kind { font-weight: bold } .small { fill: #59636e } .passed { fill: #1a7f37 } .failed { fill: #cf222e }
  .undecided { fill: #9a6700 } rect { fill: #f6f8fa; stroke: #818b98 } path { fill: none; stroke: #818b98 }
  .model, .adapter { fill: #ddf4ff; stroke: #0969da } .page { fill: #ffffff; stroke: none }
  .file, .folder, .hub-dataset, .hub-model, .git, .remote { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .passed { fill: #3fb950 } .failed { fill: #f85149 }
    .undecided { fill: #d29922 } rect { fill: #151b23; stroke: #656c76 } path { stroke: #656c76 }
    .page { fill: #0d1117; stroke: none }
    .model, .adapter { fill: #0c2d4a; stroke: #4493f8 }
    .file, .folder, .hub-dataset, .hub-model, .git, .remote { fill: #0d1117 }
  }
"""


def lines_of(node: Node) -> list[tuple[str, str]]:
    """The text of a node, each with its class: kind, name, versions, hash, licence, evidence."""
    role = f"{node.role}: " if node.role else ""
    made = f" by {node.stage}" if node.stage else ""
    lines = [("kind", f"{role}{node.kind}{made}"), ("", node.ref)]
    if node.run and node.run != node.ref:
        lines.append(("small", f"run {node.run}"))
    lines += [("", version) for version in node.versions]
    if node.fingerprint:
        lines.append(("small", f"hash {node.fingerprint[:16]}"))
    if node.licence != "unknown":
        lines.append(("small", f"licence {node.licence}"))
    if node.damage:
        lines.append(("failed", f"{MARKS['failed']} damaged: {node.damage}"))
    if node.evidence:
        kind, _, state = node.evidence.partition(" ")
        lines.append((state, f"{MARKS[state]} {kind}"))
    return lines


def svg(root: Node) -> str:
    """The picture of a tree."""
    boxes: list[str] = []
    lines: list[str] = []
    bottom, _ = _place(root, 0, _PAD, boxes, lines)
    depth = _depth(root)
    width = depth * _WIDTH + (depth - 1) * _GAP_X + 2 * _PAD
    title = escape(printable(f"Lineage of {root.ref}"))
    size = f'width="{width}" height="{bottom}" viewBox="0 0 {width} {bottom}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">'
    page = f'<rect class="page" width="{width}" height="{bottom}"/>'
    return "\n".join([start, f"<title>{title}</title>", f"<style>{_STYLE}</style>", page, *lines, *boxes, "</svg>", ""])


def is_drawing(start: str) -> bool:
    """Whether a file that starts so was drawn by `svg`."""
    return start.startswith("<svg ") and 'aria-label="Lineage of ' in start.partition(">")[0]


def _place(node: Node, level: int, top: float, boxes: list[str], lines: list[str]) -> tuple[float, float]:
    """Draw a node and all below it from `top` on; returns where they end, and the middle of the node."""
    text = lines_of(node)
    height = len(text) * _LINE + 2 * _PAD
    x, end = _PAD + level * (_WIDTH + _GAP_X), top
    middles: list[float] = []
    for child in node.children:
        end, middle = _place(child, level + 1, end, boxes, lines)
        middles.append(middle)
    used = (end if node.children else top) - top
    y = top + max(0.0, (used - _GAP_Y - height) / 2) if middles else top
    middle = y + height / 2
    boxes.append(f'<rect class="{escape(node.kind)}" x="{x}" y="{y:g}" width="{_WIDTH}" height="{height}" rx="6"/>')
    for row, (name, words) in enumerate(text):
        at = y + _PAD + (row + 0.75) * _LINE
        whole = printable(words)
        label = _fitting(whole)
        title = "" if label == whole else f"<title>{escape(whole)}</title>"
        boxes.append(f'<text class="{name}" x="{x + _PAD}" y="{at:g}">{escape(label)}{title}</text>')
    right = x + _WIDTH
    for other in middles:
        bend = right + _GAP_X / 2
        lines.append(
            f'<path d="M{right} {middle:g} C{bend:g} {middle:g} {bend:g} {other:g} {right + _GAP_X} {other:g}"/>'
        )
    return max(end, y + height + _GAP_Y), middle


def _fitting(text: str) -> str:
    """The beginning of a text that a line has room for."""
    ends = list(accumulate(_cells(character) for character in text))
    if not ends or ends[-1] <= _LONGEST:
        return text
    return f"{text[: bisect_right(ends, _LONGEST - 1)]}…"


def _cells(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def _depth(node: Node) -> int:
    return 1 + max((_depth(child) for child in node.children), default=0)
