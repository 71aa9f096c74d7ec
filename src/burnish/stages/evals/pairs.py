"""What two evaluations show of their difference: the comparison that `compare` makes of them, without a run.

The studio asks it in a child process that stays: `python -m burnish.stages.evals.pairs`. No model is loaded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.errors import DataError
from burnish.core.events import Event, Note
from burnish.evals.comparison.claims import Looks, Settings, claims_of, compared, scored_by
from burnish.evals.comparison.clusters import with_clusters
from burnish.evals.comparison.detectable import Assumed
from burnish.evals.comparison.evaluated import Evaluated, rows_of
from burnish.evals.comparison.results import Results
from burnish.evals.comparison.table import Candidate, columns_of
from burnish.evals.items import read_items
from burnish.evals.statistics.clusters import labels_of
from burnish.specs.evals import CompareSpec
from burnish.stages.answer import answer_each

ONE, OTHER = "one", "other"
_DEFAULTS = {name: field.default for name, field in CompareSpec.model_fields.items()}


def pair(request: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a `comparison.json` of the evaluations `one` and `other`, and the `warnings` of the comparison.

    Errors: DataError `data.empty`, `data.unreadable`, and `data.other-rows` for evaluations of other rows.
    """
    warnings: list[str] = []
    given = {name: Input.from_json(request[name]) for name in (ONE, OTHER)}
    sources = [Evaluated(name, value.ref, read_items(value.path)) for name, value in given.items()]
    if not sources[0].lines:
        raise DataError("data.empty", f"{sources[0].ref} has no rows", "compare evaluations that have rows")
    ctx = _context(given, warnings)
    rows = with_clusters(rows_of(sources[0].lines), None, None, sources, ctx)
    candidates = [
        Candidate(source.name, source.ref, "evaluation", given[source.name].fingerprint, source.items(rows, ctx))
        for source in sources
    ]
    labels, settings = labels_of(rows.clusters), Settings(_DEFAULTS["confidence"], _DEFAULTS["seed"])
    columns = columns_of(candidates, labels)
    claims = claims_of(scored_by(columns), ONE, {}, [])
    assumed = Assumed(
        len(rows), len(claims), settings.confidence, _DEFAULTS["power"], _DEFAULTS["discordance"], None, labels
    )
    results = Results(
        title="",
        rows=rows,
        candidates=candidates,
        baseline=ONE,
        columns=columns,
        found=compared(claims, columns, settings, Looks()),
        assumed=assumed,
        confidence=settings.confidence,
        seed=settings.seed,
        fractions=[],
        looks=1,
        checked={},
        gate=None,
        missing={each.name: sum(item is None for item in each.items) for each in candidates},
    )
    return {**results.as_dict(), "warnings": warnings}


def _context(inputs: Mapping[str, Input], warnings: list[str]) -> Context:
    """A context of a comparison that writes nothing."""

    def emit(event: Event) -> None:
        if isinstance(event, Note) and event.level == "warning":
            warnings.append(event.text)

    return Context(Path("out"), Path("scratch"), inputs, emit, lambda: False, lambda: None, Path("cache"))


if __name__ == "__main__":
    answer_each(pair)
