"""The report of a certificate, for the terminal, as Markdown and as HTML."""

from typing import TYPE_CHECKING

import numpy as np

from burnish.core.events import Table as TerminalTable
from burnish.evals.certificates.check import Certificate, Check
from burnish.reports.blocks import Level
from burnish.reports.document import Document, Figure, Table, Text
from burnish.reports.style import Style, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVELS: dict[str, Level] = {"holds": "good", "does not hold": "bad", "does not apply": "plain"}
_COLUMNS = ("check", "verdict", "found", "limit")
_LEAST = 1e-12
"""Nats; smaller divergences are drawn here."""


def verdict(certificate: Certificate) -> str:
    """One sentence."""
    child, parent = certificate.child["ref"] or "the artifact", certificate.parent["ref"]
    if certificate.holds:
        return f"The certificate holds: {child} is {parent}, up to the change '{certificate.change}'."
    if certificate.failed:
        names = ", ".join(check.name for check in certificate.failed)
        return f"The certificate does not hold for '{certificate.change}' of {parent}: {names}."
    return f"Nothing is certified: neither distributions nor weights of {child} and {parent} were compared."


def terminal_table(certificate: Certificate) -> TerminalTable:
    """The checks as an event."""
    title = f"Certificate: {certificate.change}, {'holds' if certificate.holds else 'does not hold'}"
    return TerminalTable(title=title, columns=list(_COLUMNS), rows=[_cells(check) for check in certificate.checks])


def document(certificate: Certificate) -> Document:
    """The report."""
    verdict_text = Text(verdict(certificate), "good" if certificate.holds else "bad")
    compared = Text(
        f"Compared on {certificate.rows:,} rows: {certificate.tokens:,} tokens. Divergences are in nats per token, "
        "from the parent's distribution of the next token to the child's."
    )
    rows = [
        [check.name, Text(check.verdict, _LEVELS[check.verdict]), check.found, check.limit]
        for check in certificate.checks
    ]
    blocks = [verdict_text, compared, Table("Checks", _COLUMNS, rows)]
    return Document(f"Certificate of {certificate.child['ref'] or 'an artifact'}", [*blocks, *_figures(certificate)])


def _figures(certificate: Certificate) -> list[Figure]:
    kl = np.sort(np.asarray(certificate.divergences))
    if not len(kl) or not np.isfinite(kl).all() or kl[-1] <= _LEAST:
        return []
    shares = 1 - np.arange(len(kl)) / len(kl)

    def draw(axes: "Axes", style: Style) -> None:
        style_axes(axes, grid="y", style=style)
        axes.step(np.maximum(kl, _LEAST), shares, where="post", color=style.strong)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("KL divergence of a token, nats", size=8.5, color=style.faint)
        axes.set_ylabel("share of tokens with more", size=8.5, color=style.faint)

    median, largest = float(np.median(kl)), float(kl[-1])
    alt = f"KL divergence by token: the median is {median:.2g} nats, the largest is {largest:.2g} nats"
    return [Figure("Divergence by token", draw, alt)]


def _cells(check: Check) -> list[str]:
    return [check.name, check.verdict, check.found, check.limit]
