"""The report of cleaning: what became of the rows, and examples of each reason, as a page and as a table."""

from typing import TYPE_CHECKING

from burnish.core import events
from burnish.data.cleaning.findings import Findings
from burnish.reports.document import Block, Document, Figure, Heading, Table, Text
from burnish.reports.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_REASONS_DRAWN = 20


def document(findings: Findings, name: str) -> Document:
    """The page."""
    accounts = findings.accounts
    share = accounts.kept / max(1, accounts.read)
    blocks: list[Block] = [
        Text(f"{accounts.kept:,} of {accounts.read:,} rows of {name} are kept ({share:.1%})."),
        Table("Rows", ["", "rows", "share"], _rows(findings)),
    ]
    if accounts.dropped:
        blocks.append(_figure(findings))
    if changed := findings.changed.most_common():
        rows = [[what, f"{count:,}", f"{count / max(1, findings.rows):.1%}"] for what, count in changed if count]
        blocks += [Heading("Rewritten"), Table("Rows that were changed", ["by", "rows", "share"], rows)]
    if findings.examples:
        blocks.append(Heading("Examples of what was dropped"))
        for reason, _ in accounts.dropped.most_common():
            shown = [[x["source"], x["row"], x.get("kept", "")] for x in findings.examples[reason]]
            has_kept = any(row[2] for row in shown)
            columns = ["source", "row", "kept instead"] if has_kept else ["source", "row"]
            blocks.append(Table(reason, columns, shown if has_kept else [row[:2] for row in shown]))
    return Document(f"Cleaning of {name}", blocks)


def table(findings: Findings) -> events.Table:
    """The table at the end of the run."""
    rows = _rows(findings)
    rows += [[f"changed by {what}", f"{count:,}", ""] for what, count in findings.changed.most_common() if count]
    return events.Table(title="Cleaned rows", columns=["", "rows", "share"], rows=rows)


def _rows(findings: Findings) -> list[list[str]]:
    accounts = findings.accounts
    counted = [
        ("read", accounts.read),
        ("kept", accounts.kept),
        ("quarantined", accounts.quarantined),
        *((f"dropped: {reason}", count) for reason, count in accounts.dropped.most_common()),
    ]
    return [[name, f"{count:,}", f"{count / max(1, accounts.read):.1%}"] for name, count in counted]


def _figure(findings: Findings) -> Figure:
    counted = findings.accounts.dropped.most_common(_REASONS_DRAWN)

    def draw(axes: "Axes", style: Style) -> None:
        names, counts = [reason for reason, _ in counted][::-1], [count for _, count in counted][::-1]
        bars = axes.barh(names, counts, color=style.strong)
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3, color=style.ink)
        axes.set_xlabel("rows")
        axes.margins(x=0.12)

    alt = "; ".join(f"{reason}: {count:,} rows" for reason, count in counted)
    return Figure("Why rows were dropped", draw, alt, height=0.9 + 0.28 * len(counted))
