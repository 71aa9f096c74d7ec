"""Writes docs/museum.md from the exhibits: `python tests/museum/page.py`; a test compares the two."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "museum.md"
TITLES = {
    "rows": "What is learned",
    "kernels": "How the model is computed",
    "models": "What is trained, updated and saved",
    "preferences": "Preferences",
    "rollouts": "Rewards",
}
_HEAD = """<!-- Made by tests/museum/page.py; change the exhibits, then run it. -->
# The bug museum

Faults of training that reached users of real projects. Each is put into burnish by a patch of its own parts
(`tests/museum/`), and a check of [`burnish prove`](guides/prove.md) finds it, a training falls back to a path without
it, or the run is refused with an error code. The same trainings without a fault give no finding, nor do right models
of twenty families.
"""


def text() -> str:
    """The page."""
    from museum import kernels, models, preferences, rollouts, rows

    parts = [_HEAD]
    for room in (rows, kernels, models, preferences, rollouts):
        parts.append(f"## {TITLES[room.__name__.rpartition('.')[2]]}\n")
        parts.append("| fault | how it looks | seen in | caught by |\n| --- | --- | --- | --- |")
        for exhibit in room.EXHIBITS:
            seen = ", ".join(f"[{one}]({_link(one)})" for one in exhibit.source.split())
            parts.append(f"| {exhibit.name} | {exhibit.looked} | {seen} | {exhibit.caught_by} |")
        parts.append("")
    return "\n".join(parts)


def _link(source: str) -> str:
    project, _, number = source.partition("#")
    return f"https://github.com/{project}/issues/{number}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    PAGE.write_text(text(), encoding="utf-8")
