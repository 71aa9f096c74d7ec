"""Writes docs/museum.md from the exhibits: `python tests/museum/page.py`; a test compares the two."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "museum.md"
LATER = {
    "the reward is read at a padding token": "huggingface/transformers#35352 huggingface/trl#3750",
    "the divergence of GRPO is that of other quantities": "huggingface/trl#3104",
    "advantages are normalised twice, over groups and over the batch": "axon-rl/gem#113",
    "ipo sums log-probabilities instead of averaging them": "huggingface/trl#1265",
}
"""Faults of parts without a check of their own so far; each becomes an exhibit with its check."""
TITLES = {
    "rows": "What is learned",
    "kernels": "How the model is computed",
    "models": "What is trained, updated and saved",
    "preferences": "Preferences",
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
    from museum import kernels, models, preferences, rows

    parts = [_HEAD]
    for room in (rows, kernels, models, preferences):
        parts.append(f"## {TITLES[room.__name__.rpartition('.')[2]]}\n")
        parts.append("| fault | how it looks | seen in | caught by |\n| --- | --- | --- | --- |")
        for exhibit in room.EXHIBITS:
            seen = ", ".join(f"[{one}]({_link(one)})" for one in exhibit.source.split())
            parts.append(f"| {exhibit.name} | {exhibit.looked} | {seen} | {exhibit.caught_by} |")
        parts.append("")
    parts.append("## Not shown yet\n")
    for fault, source in LATER.items():
        seen = ", ".join(f"[{one}]({_link(one)})" for one in source.split())
        parts.append(f"- {fault} ({seen})")
    return "\n".join([*parts, ""])


def _link(source: str) -> str:
    project, _, number = source.partition("#")
    return f"https://github.com/{project}/issues/{number}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    PAGE.write_text(text(), encoding="utf-8")
