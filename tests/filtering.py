"""What filters say of texts, and texts that are odd: for the tests of filters and rewritings."""

from burnish.data.filters.table import block_filters
from burnish.data.texts.block import Block
from burnish.specs.data import FiltersSpec

ALL_OFF = dict.fromkeys(("length", "gopher", "repetition", "boilerplate", "junk"))
ODD = [
    "",
    "a",
    "\n",
    " \t\n",
    "\x00",
    "a\x00b",
    "\ud800",
    "x \udfff y\n",
    "。",
    "𝔘🎉",
    "\ufeff",
    "a" * 1_000_000,
    "中" * 50_000,
    "-" * 10_000,
    "\n" * 10_000,
    "( " * 5_000,
    "1" * 10_000,
    "<" * 10_000,
    "\u0301" * 100,
    "é" * 1000,
]


def all_reasons(texts, kind="document", files=None, **settings):
    """For each text the reasons to drop it, of these filters with these settings alone (all others are off)."""
    block = Block(texts)
    spec = FiltersSpec.model_validate(ALL_OFF | settings)
    found = [[] for _ in texts]
    for drop in block_filters(spec, kind, files):
        for reason, dropped in drop(block).items():
            for i in dropped.nonzero()[0]:
                found[i].append(reason)
    return found


def reasons(text, kind="document", files=None, **settings):
    """The reasons to drop one text."""
    return all_reasons([text], kind, files, **settings)[0]


def default_reasons(text, kind="document"):
    """The reasons to drop one text by default."""
    block = Block([text])
    return [
        reason for drop in block_filters(FiltersSpec(), kind) for reason, dropped in drop(block).items() if dropped[0]
    ]
