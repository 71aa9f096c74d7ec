"""Reports: what is written is what is shown, whatever the text of the rows."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from burnish.reports.document import Bar, Document, Excerpt, Figure, Heading, Table, Text, Tiles, html_of, write
from burnish.reports.figures import in_style, svg_of
from burnish.reports.style import DARK, LIGHT

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a | b\nc",
    "`code` *bold* _em_ [link](http://x) ![i](http://y) ~~gone~~ $x$",
    "evil \u202egnp.exe \u2066x\u2069 \x1b[31m \x00 \ufffe \ud800",
    "&lt; &amp; &#60;",
    "</svg></style>]]>",
    "# heading\n- item\n1. one\n===\n> quote",
    "你好，世界 🌍 العربية",
)


def bars(axes: Any, style: Any) -> None:
    axes.bar(range(len(HOSTILE)), range(len(HOSTILE)), color=style.strong, label=HOSTILE[0])
    axes.set_xticks(range(len(HOSTILE)), HOSTILE)
    axes.legend()


def document() -> Document:
    rows = [[text, Text(text, "bad"), f"{number}.5"] for number, text in enumerate(HOSTILE)]
    blocks = [Heading("Scores of #1 | 2"), *(Text(text, "warning") for text in HOSTILE)]
    blocks += [Table(HOSTILE[0], ["name", HOSTILE[2], "n"], rows)]
    blocks += [Figure(HOSTILE[1], bars, f"bars of {HOSTILE[0]}"), Figure("again", bars, "the same bars")]
    blocks += [Tiles([(text, text, text) for text in HOSTILE]), Table("", ["a", "b"], [["x", Bar(HOSTILE[0], 0.5)]])]
    blocks += [Excerpt(text, [(text, text), ("user", text)]) for text in HOSTILE]
    return Document(f"Report of {HOSTILE[0]}", blocks)


class Page(HTMLParser):
    """The elements, the text and the attributes of a page, with unclosed elements found."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write(document(), folder)
    return folder


def test_the_page_makes_no_request_and_has_no_script(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not page.open
    assert not {"script", "img", "link", "iframe", "object", "image", "use2", "foreignobject"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on"), (name, value)
        if name in ("src", "href", "xlink:href", "action"):
            assert (value or "").startswith("#"), (name, value)
        assert "url(" not in (value or "") or "url(#" in (value or "")
    assert "@import" not in "".join(page.text["style"])
    assert "url(" not in "".join(page.text["style"])


def test_every_text_is_shown_as_it_is_in_html(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    shown = "".join(page.text["span"] + page.text["th"])
    for text in (HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[5], HOSTILE[8]):
        assert text in shown
    whole = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\ufffe]", whole)
    assert r"\u202egnp.exe" in whole


def test_ids_are_unique_and_references_resolve(folder: Path) -> None:
    attributes = Page((folder / "report.html").read_text(encoding="utf-8")).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {(value or "")[1:] for name, value in attributes if name.endswith("href")}
    targets |= {found for _, value in attributes for found in re.findall(r"url\(#([^)]+)\)", value or "")}
    assert targets
    assert targets <= set(ids)


def test_the_page_is_accessible(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert ("lang", "en") in page.attributes
    assert page.tags.count("h1") == 1
    assert page.tags.count("svg") == 4  # two figures, light and dark
    assert sum(name == "aria-label" and (value or "").startswith("bars of") for name, value in page.attributes) == 2
    assert ("scope", "col") in page.attributes
    assert ("scope", "row") in page.attributes
    assert "caption" in page.tags


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_in_both_color_schemes(style: Any) -> None:
    for name in ("ink", "faint", "strong", "warm", "good", "bad"):
        for behind in (style.background, style.stripe):
            assert contrast(getattr(style, name), behind) >= 4.5, name


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_what_a_figure_does_not_color_is_readable_in_both_color_schemes(style: Any) -> None:
    def draw(axes: Any, _: Any) -> None:
        axes.plot([0, 1], [0, 1], label="line")
        axes.set_xlabel("x")
        axes.legend()

    drawn = svg_of(Figure("t", draw, "t"), style, "f")
    texts = re.findall(r"<text[^>]*style=\"([^\"]*)\"", drawn)
    assert len(texts) > 5
    fills = {found[1] if (found := re.search(r"fill: (#\w+)", text)) else "#000000" for text in texts}
    assert all(contrast(fill, style.background) >= 4.5 for fill in fills), fills


def lines(axes: Any, style: Any) -> None:
    """With every color of a style, those that matplotlib chooses, and text that looks like a color and an id."""
    for place, color in enumerate((*vars(style).values(), *style.series)):
        axes.plot([0, 1], [place + 1, place + 2], "o-", color=color, label=str(place))
    axes.annotate(f"{LIGHT.ink} #f-1-x url(#f-1-x)", (0, 1), color=style.faint, size=5)
    axes.set_xlabel("x")
    axes.set_yscale("log")
    axes.legend(fontsize=3, ncols=9)


@pytest.mark.parametrize("draw", [bars, lines])
def test_a_figure_in_another_style_is_what_drawing_it_in_that_style_gives(draw: Any) -> None:
    figure = Figure("t", draw, f"{LIGHT.strong} #f-1-")
    found = in_style(svg_of(figure, LIGHT, "f-1"), LIGHT, "f-1", DARK, "g-2")

    def without_hashes(text: str) -> str:
        return re.sub(r"(id=\"|href=\"#|url\(#)g-2-([mphg])[0-9a-f]{10}", r"\1g-2-\2", text)

    assert without_hashes(found) == without_hashes(svg_of(figure, DARK, "g-2"))
    assert LIGHT.faint not in found


def test_markdown_shows_every_text_as_it_is(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img" not in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\ufffe]", text)
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| name"))
    rows = lines[start + 2 : start + 2 + len(HOSTILE)]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in rows)  # three cells each
    assert not any(line.startswith(("- ", "1. ", "===", "> ", "# heading")) for line in lines)
    assert (folder / "figure-1.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "](figure-2.svg)" in text


def test_equal_documents_give_equal_files(folder: Path, tmp_path: Path) -> None:
    write(document(), tmp_path)
    for name in ("report.md", "report.html", "figure-1.svg"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(("ends", "label"), [((1e-5, 1.0), "10⁻³"), ((2e-3, 4e-3), "3×10⁻³")])
def test_the_ticks_of_a_logarithmic_axis_are_plain_text(tmp_path, ends, label):
    def draw(axes, style):
        axes.plot(ends, ends)
        axes.set_xscale("log")

    write(Document("t", [Figure("f", draw, "a line")]), tmp_path)
    drawn = (tmp_path / "figure-1.svg").read_text(encoding="utf-8")
    assert label in drawn
    assert "mathdefault" not in drawn


def test_numbers_bars_and_excerpts_are_shown_in_both_files(tmp_path):
    blocks = [
        Tiles([("rows", "1,200", "800 train")]),
        Table("", ["language", "share"], [["en", Bar("75%", 0.75)], ["zh", Bar("25%", 7.0)]]),
        Excerpt("a.jsonl:1", [("user", "Hi\nthere"), ("critic", "Hm")], is_open=True),
    ]
    write(Document("d", blocks), tmp_path)
    page, text = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    assert page == html_of(Document("d", blocks))
    assert "<dt>rows</dt><dd>1,200<small>800 train</small></dd>" in page
    assert '<span class="bar" style="--share: 0.7500">75%</span>' in page
    assert '<span class="bar" style="--share: 1.0000">25%</span>' in page
    assert "<details open><summary>a.jsonl:1</summary>" in page
    assert '<div class="turn user"><span>user</span>Hi\nthere</div><div class="turn other"><span>critic</span>' in page
    assert "| rows | 1,200 | 800 train |" in text
    assert "| en | 75% |" in text
    assert "| user | Hi<br>there |" in text
