"""A report as one HTML file: no script, no request, light and dark, printable, with text alternatives."""

from collections.abc import Iterator, Sequence

from burnish.reports.blocks import Bar, Block, Excerpt, Figure, Heading, Table, Text, Tiles
from burnish.reports.escaping import html_text
from burnish.reports.markdown import is_numeric, plain_text
from burnish.reports.style import DARK, LIGHT, Style

_LONG, _MEDIUM = 60, 16
"""Columns whose longest cell has more characters have a minimum width."""
_ROLES = {name: name for name in ("system", "user", "assistant", "tool", "text")}
_SIGNS = {"good": ("✓", "good"), "bad": ("✗", "bad"), "warning": ("⚠", "warning")}


def html_page(title: str, blocks: Sequence[Block], figures: Sequence[tuple[str, str]]) -> str:
    """The page; `figures` are the light and the dark SVG of each figure, in order."""
    images = iter(figures)
    body = "\n".join(_block(block, images) for block in blocks)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{html_text(title)}</title>
<style>{_css()}</style>
</head>
<body>
<main>
<h1>{html_text(title)}</h1>
{body}
</main>
</body>
</html>
"""


def _block(block: Block, figures: Iterator[tuple[str, str]]) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{html_text(block.text)}</h{block.level}>"
        case Text():
            return f'<p class="note {block.level}">{_signed(block)}</p>'
        case Table():
            return _table(block)
        case Figure():
            light, dark = next(figures)
            images = f'<div class="light">{light}</div>\n<div class="dark">{dark}</div>'
            return f"<figure>\n<figcaption>{html_text(block.title)}</figcaption>\n{images}\n</figure>"
        case Tiles():
            tiles = (
                f"<div><dt>{html_text(name)}</dt><dd>{html_text(number)}<small>{html_text(of)}</small></dd></div>"
                for name, number, of in block.tiles
            )
            return f'<dl class="tiles">{"".join(tiles)}</dl>'
        case Excerpt():
            turns = "".join(
                f'<div class="turn {_ROLES.get(role, "other")}"><span>{html_text(role)}</span>{html_text(text)}</div>'
                for role, text in block.turns
            )
            opened = " open" if block.is_open else ""
            return f"<details{opened}><summary>{html_text(block.title)}</summary>{turns}</details>"


def _table(table: Table) -> str:
    style = [f' class="{name}"' if (name := _kind(table, place)) else "" for place in range(len(table.columns))]
    columns = zip(table.columns, style, strict=True)
    head = "".join(f'<th scope="col"{kind}>{html_text(column)}</th>' for column, kind in columns)
    rows = "\n".join(_row(row, style) for row in table.rows)
    caption = f"<caption>{html_text(table.title)}</caption>\n" if table.title else ""
    name = html_text(table.title or ", ".join(table.columns))
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{name}">\n<table>\n{caption}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _kind(table: Table, place: int) -> str:
    """The classes of a column: texts of some length keep a readable width, and the table scrolls instead."""
    if any(isinstance(row[place], Bar) for row in table.rows):
        return "bars"
    if is_numeric(table, place):
        return "number medium" if len(table.columns[place]) > _MEDIUM else "number"
    longest = max((len(plain_text(row[place])) for row in table.rows), default=0)
    return "long" if longest > _LONG else "medium" if longest > _MEDIUM else ""


def _row(row: Sequence[str | Text | Bar], style: Sequence[str]) -> str:
    cells = []
    for place, (cell, kind) in enumerate(zip(row, style, strict=True)):
        text = html_text(cell) if isinstance(cell, str) else _bar(cell) if isinstance(cell, Bar) else _signed(cell)
        cells.append(f'<th scope="row"{kind}>{text}</th>' if place == 0 else f"<td{kind}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _bar(bar: Bar) -> str:
    return f'<span class="bar" style="--share: {min(1.0, max(0.0, bar.share)):.4f}">{html_text(bar.text)}</span>'


def _signed(text: Text) -> str:
    if text.level == "plain":
        return html_text(text.text)
    sign, name = _SIGNS[text.level]
    return f'<span class="{name}"><span role="img" aria-label="{name}">{sign}</span> {html_text(text.text)}</span>'


def _colors(style: Style) -> str:
    names = ("background", "ink", "faint", "grid", "strong", "good", "bad", "warm", "stripe")
    return " ".join(f"--{name}: {getattr(style, name)};" for name in names)


def _css() -> str:
    return f"""
:root {{ color-scheme: light dark; {_colors(LIGHT)} }}
.dark {{ display: none; }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ {_colors(DARK)} }}
  .light {{ display: none; }}
  .dark {{ display: block; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--background); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif; }}
main {{ max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--grid); }}
h3 {{ font-size: 1.05rem; margin: 1.5rem 0 .4rem; }}
p {{ margin: .5rem 0; max-width: 46rem; white-space: pre-line; overflow-wrap: anywhere; }}
p.good, p.bad, p.warning {{ border-left: 4px solid; padding: .3rem .8rem; }}
p.good {{ border-color: var(--good); }} p.bad {{ border-color: var(--bad); }} p.warning {{ border-color: var(--warm); }}
span.good {{ color: var(--good); }} span.bad {{ color: var(--bad); }} span.warning {{ color: var(--warm); }}
p > span {{ font-weight: 500; }}
.table {{ overflow-x: auto; margin: 1rem 0; }}
.table:focus-visible {{ outline: 2px solid var(--strong); }}
table {{ border-collapse: collapse; font-size: .92rem; }}
caption {{ text-align: left; font-weight: 600; padding-bottom: .4rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .32rem .8rem .32rem 0; border-bottom: 1px solid var(--grid);
  white-space: pre-wrap; overflow-wrap: break-word; min-width: 3.5rem; max-width: 26rem; }}
th {{ font-weight: 600; }} tbody th {{ font-weight: 500; }}
thead th {{ color: var(--faint); border-bottom: 2px solid var(--grid); min-width: 5.2rem; overflow-wrap: anywhere; }}
.table .medium {{ min-width: 7rem; }} .table .long {{ min-width: 14rem; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }} td.number {{ white-space: nowrap; }}
tbody tr:nth-child(even) {{ background: var(--stripe); }}
.bar {{ display: block; min-width: 9rem; font-variant-numeric: tabular-nums; padding: 0 .4rem; border-radius: 3px;
  background: linear-gradient(to right, color-mix(in srgb, var(--strong) 26%, transparent) calc(100% * var(--share)),
    transparent 0); }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }}
.tiles div {{ border: 1px solid var(--grid); border-radius: 8px; padding: .6rem .8rem; background: var(--stripe); }}
.tiles dt {{ color: var(--faint); font-size: .85rem; }}
.tiles dd {{ margin: .1rem 0 0; font-size: 1.45rem; font-weight: 600; line-height: 1.25; overflow-wrap: anywhere; }}
.tiles small {{ display: block; color: var(--faint); font-size: .8rem; font-weight: 400; min-height: 1.1em; }}
details {{ border: 1px solid var(--grid); border-radius: 8px; margin: .5rem 0; padding: .2rem .9rem; }}
details[open] {{ padding-bottom: .8rem; }}
summary {{ cursor: pointer; padding: .35rem 0; overflow-wrap: anywhere; }}
.turn {{ white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--grid); margin: .5rem 0 0;
  padding: .1rem .8rem; font-size: .93rem; }}
.turn > span {{ display: block; color: var(--faint); font-size: .8rem; }}
.turn.user {{ border-color: var(--warm); }} .turn.assistant, .turn.text {{ border-color: var(--strong); }}
.turn.tool {{ border-color: var(--good); font-family: ui-monospace, Consolas, monospace; font-size: .85rem; }}
figure {{ margin: 1.2rem 0; max-width: 48rem; }}
figure > div {{ overflow-x: auto; }}
figure svg {{ display: block; height: auto; min-width: 34rem; }}
figcaption {{ font-weight: 600; margin-bottom: .4rem; }}
@media print {{
  @page {{ margin: 18mm 15mm; }}
  :root {{ color-scheme: light; }}
  body {{ font-size: 10.5pt; }}
  main {{ max-width: none; padding: 0; }}
  .table {{ overflow: visible; }}
  .table .long {{ min-width: 9rem; }} .table .medium {{ min-width: 5rem; }} th, td {{ padding-right: .5rem; }}
  .long {{ overflow-wrap: anywhere; }}
  h2, h3, caption, figcaption {{ break-after: avoid; }}
  figure svg {{ min-width: 0; }}
  figure, tr, .tiles, .turn {{ break-inside: avoid; }}
  thead {{ display: table-header-group; }}
}}
"""
