"""The rewritings that the settings ask for, in their order."""

from burnish.data.rewriting import Rewrite
from burnish.data.rewriting.normalize import Normalize
from burnish.specs.data import RewritingSpec


def rewrites(spec: RewritingSpec) -> list[Rewrite]:
    """What is applied to each text of a row, one after the other. Each can be pickled."""
    found: list[Rewrite] = []
    if (normalize := spec.normalize) is not None:
        found.append(Normalize(normalize.unicode))
    return found
