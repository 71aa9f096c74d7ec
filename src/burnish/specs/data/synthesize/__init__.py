"""Settings of `synthesize`: a generator of rows, each kind in its file."""

from typing import Annotated, Literal

from pydantic import Tag

from burnish.specs.base import Spec, by_kind
from burnish.specs.data.synthesize.docs import DocsSource as DocsSource
from burnish.specs.data.synthesize.docs import DocsSpec as DocsSpec
from burnish.specs.data.synthesize.docs import FimTokensSpec as FimTokensSpec
from burnish.specs.data.synthesize.model import ModelSpec as ModelSpec
from burnish.specs.data.synthesize.model import ScoringSpec as ScoringSpec
from burnish.specs.data.synthesize.pocket import PocketSpec as PocketSpec

Generator = Annotated[
    Annotated[PocketSpec, Tag("pocket")] | Annotated[DocsSpec, Tag("docs")] | Annotated[ModelSpec, Tag("model")],
    by_kind("pocket"),
]


class SynthesizeSpec(Spec):
    """Generate synthetic rows."""

    generator: Generator = PocketSpec()
    """The generator of the rows."""
    save_as: list[Literal["jsonl", "dataset_dict"]] = []
    """Further copies of the rows: `jsonl/SPLIT.jsonl`, and `dataset_dict/`, which `datasets.load_from_disk` reads."""
