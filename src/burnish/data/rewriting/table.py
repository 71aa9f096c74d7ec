"""The rewritings that the settings ask for, in their order: markup, characters, lines, personal data."""

from collections.abc import Iterator

from burnish.data.rewriting import Rewrite
from burnish.data.rewriting.edges import BoilerplateLines
from burnish.data.rewriting.html import Html
from burnish.data.rewriting.normalize import Normalize
from burnish.data.rewriting.personal import PLACEHOLDERS, SHAPES, Masked
from burnish.specs.data import RewritingSpec


def rewrites(spec: RewritingSpec) -> list[Rewrite]:
    """What is applied to each text of a row, one after the other. Each can be pickled."""
    return list(_rewrites(spec))


def _rewrites(spec: RewritingSpec) -> Iterator[Rewrite]:
    if (html := spec.html) is not None:
        yield Html(html.when)
    if (normalize := spec.normalize) is not None:
        yield Normalize(normalize.unicode, normalize.max_blank_lines)
    if (lines := spec.boilerplate_lines) is not None:
        yield BoilerplateLines(lines.max_words)
    if (pii := spec.pii) is not None:
        placeholders = PLACEHOLDERS | pii.placeholders
        kinds, private = pii.kinds, pii.private_addresses
        yield from (Masked(kind, placeholders[kind], private) for kind in SHAPES if kind in kinds)
