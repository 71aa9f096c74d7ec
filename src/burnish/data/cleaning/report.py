"""The report of cleaning: what became of the rows, and examples of each reason, as a page and as a table."""

from burnish.core import events
from burnish.data.cleaning.findings import Findings
from burnish.reports.document import Bar, Block, Document, Heading, Table, Text


def document(findings: Findings, name: str) -> Document:
    """The page."""
    accounts = findings.accounts
    share = accounts.kept / max(1, accounts.read)
    blocks: list[Block] = [
        Text(f"{accounts.kept:,} of {accounts.read:,} rows of {name} are kept ({share:.1%})."),
        Table(
            "Rows",
            ["", "rows", "share"],
            [[name, rows, Bar(shown, share)] for name, rows, shown, share in _rows(findings)],
        ),
    ]
    if changed := findings.changed.most_common():
        rows = [[what, f"{count:,}", f"{count / max(1, findings.rows):.1%}"] for what, count in changed if count]
        blocks += [Heading("Rewritten"), Table("Rows that were changed", ["by", "rows", "share"], rows)]
    if findings.examples:
        blocks.append(Heading("Examples of what was dropped"))
        for reason, _ in accounts.dropped.most_common():
            shown = findings.examples[reason]
            named = next((name for name in ("kept", "evaluation") if any(name in example for example in shown)), None)
            columns = ["source", "row", *([] if named is None else [named])]
            blocks.append(Table(reason, columns, [[example.get(name, "") for name in columns] for example in shown]))
    return Document(f"Cleaning of {name}", blocks)


def table(findings: Findings) -> events.Table:
    """The table at the end of the run."""
    rows = [[name, count, share] for name, count, share, _ in _rows(findings)]
    rows += [[f"changed: {what}", f"{count:,}", ""] for what, count in findings.changed.most_common() if count]
    return events.Table(title="Cleaned rows", columns=["", "rows", "share"], rows=rows)


def _rows(findings: Findings) -> list[tuple[str, str, str, float]]:
    """What became of the rows: name, number, share as text, share."""
    accounts = findings.accounts
    counted = [
        ("read", accounts.read),
        ("kept", accounts.kept),
        ("quarantined", accounts.quarantined),
        *((f"dropped: {reason}", count) for reason, count in accounts.dropped.most_common()),
    ]
    shares = [(name, count, count / max(1, accounts.read)) for name, count in counted]
    return [(name, f"{count:,}", f"{share:.1%}", share) for name, count, share in shares]
