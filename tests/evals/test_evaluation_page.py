"""The page of an evaluation in a browser: no script, no request, accessible, and hostile rows stay text."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from burnish.evals.evaluation.document import document
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.report import Sample, metrics, table
from burnish.evals.scoring.scorers import Score, Unscored
from burnish.reports.document import write

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://x onerror=alert(1)>',
    "a | b\nc `d` *e* [f](http://g) # h",
    "\u202egnp.exe \u2066x\u2069 \x1b[31m \x00 \ud800",
    "</table></body>]]>",
)


def row(number: int, text: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"{text} ask"}, {"role": "assistant", "content": f"{text} right"}]
    return {"id": f"{number:016x}", "source": f"{text}:{number}", "kind": "chat", "messages": turns, "tag": text}


def item(number: int, text: str, value: float) -> Item:
    scores: dict[str, Score | Unscored] = {"exact_match": Score(value, text), text: Score(1 - value)}
    if number == 0:
        scores["exact_match"] = Unscored(f"{text} why")
    likelihood = Likelihood(3.0, 2.0, 5.0)
    return Item(f"{text} prompt", f"{text} right", f"{text} answer {number}", "stop", scores, likelihood)


def sample(is_compared: bool) -> Sample:
    rows = [row(number, HOSTILE[number % len(HOSTILE)]) for number in range(30)]
    model = [item(number, row["tag"], float(number % 3 > 0)) for number, row in enumerate(rows)]
    base = [item(number, row["tag"], 0.0) for number, row in enumerate(rows)] if is_compared else None
    return Sample(rows, model, base, 0.95, 0)


@pytest.fixture(scope="module", params=[False, True], ids=["one model", "two models"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    measured = sample(request.param)
    write(document(HOSTILE[0], metrics(measured), measured, HOSTILE[1]), folder)
    return folder


class Page(HTMLParser):
    """The elements with their attributes, and all text outside the style sheet."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_has_no_script_and_makes_no_request(folder: Path) -> None:
    for tag, attributes in page_of(folder).elements:
        assert tag not in ("script", "img", "image", "link", "iframe", "object", "foreignobject")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href"):
                assert (value or "").startswith("#")


def test_the_page_has_one_title_headers_of_tables_and_words_for_figures(folder: Path) -> None:
    page = page_of(folder)
    assert [tag for tag, _ in page.elements].count("h1") == 1
    tables = [tag for tag, _ in page.elements].count("table")
    heads = [attributes.get("scope") for tag, attributes in page.elements if tag == "th"]
    assert tables >= 3
    assert heads.count("col") >= 3 * tables
    assert "row" in heads
    words = [attributes.get("aria-label") or "" for tag, attributes in page.elements if tag == "svg"]
    assert len(words) >= 6  # scores, bits per byte and tags, each light and dark
    assert all(re.search(r"\d\.\d{3}", text) for text in words)


def test_hostile_rows_are_shown_as_text(folder: Path) -> None:
    page = page_of(folder)
    for text in (HOSTILE[0], HOSTILE[1], HOSTILE[4]):
        assert f"{text} ask" in page.text
        assert f"{text} right" in page.text
    for name in ("report.html", "report.md"):
        whole = (folder / name).read_text(encoding="utf-8")
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", whole)
        assert "<script" not in whole
        assert "<img" not in whole
    lines = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| row"))
    cells = len(re.findall(r"(?<!\\)\|", lines[start]))
    assert all(len(re.findall(r"(?<!\\)\|", line)) == cells for line in lines[start : start + 12])


def test_the_report_says_what_was_left_out_and_shows_the_lowest_rows(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "of 30 rows not scored" in text
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Scores", "By tag", "Rows left out", "Lowest scores", "Sample of the other rows"]


def test_a_small_value_is_not_shown_as_zero() -> None:
    measured = Sample([row(0, "x")], [Item(likelihood=Likelihood(0.0002, 9.0, 9.0))], None, 0.95, 0)
    columns, lines = table(metrics(measured))
    cell = dict(zip(columns, lines[-1], strict=True))
    assert (cell["score"], cell["model"]) == ("bits_per_byte", "3.2e-05")
