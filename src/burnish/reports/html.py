"""A report as one HTML file: no script, no request, light and dark, printable, with text alternatives."""

from collections.abc import Iterator, Sequence

from burnish.reports.blocks import Block, Figure, Heading, Table, Text
from burnish.reports.escaping import html_text
from burnish.reports.markdown import is_numeric
from burnish.reports.style import DARK, LIGHT, Style

_LONG, _MEDIUM = 60, 16
"""Columns whose longest cell has more characters have a minimum width."""
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
    if is_numeric(table, place):
        return "number medium" if len(table.columns[place]) > _MEDIUM else "number"
    longest = max((len(_plain(row[place])) for row in table.rows), default=0)
    return "long" if longest > _LONG else "medium" if longest > _MEDIUM else ""


def _plain(cell: str | Text) -> str:
    return cell.text if isinstance(cell, Text) else cell


def _row(row: Sequence[str | Text], style: Sequence[str]) -> str:
    cells = []
    for place, (cell, kind) in enumerate(zip(row, style, strict=True)):
        text = _signed(cell) if isinstance(cell, Text) else html_text(cell)
        cells.append(f'<th scope="row"{kind}>{text}</th>' if place == 0 else f"<td{kind}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"


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
thead th {{ color: var(--faint); border-bottom: 2px solid var(--grid); min-width: 4.6rem; overflow-wrap: anywhere; }}
.table .medium {{ min-width: 7rem; }} .table .long {{ min-width: 14rem; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }} td.number {{ white-space: nowrap; }}
tbody tr:nth-child(even) {{ background: var(--stripe); }}
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
  figure, tr {{ break-inside: avoid; }}
  thead {{ display: table-header-group; }}
}}
"""
