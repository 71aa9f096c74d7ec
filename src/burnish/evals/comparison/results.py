"""The results of a comparison as data: `comparison.json`, `items.jsonl`, and the measures of the record."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.evals.comparison.claims import Claim
from burnish.evals.comparison.detectable import Assumed, measured_effect
from burnish.evals.comparison.gate import Judged
from burnish.evals.comparison.regressions import Checked
from burnish.evals.comparison.table import Candidate, Column, Rows, item_line
from burnish.evals.statistics.clusters import labels_of
from burnish.evals.statistics.intervals import Interval
from burnish.evals.statistics.paired import Comparison


@dataclass(frozen=True)
class Results:
    """Everything that a comparison found."""

    title: str
    rows: Rows
    candidates: Sequence[Candidate]
    baseline: str
    columns: Sequence[Column]
    found: Mapping[Claim, Comparison]
    assumed: Assumed
    confidence: float
    seed: int
    fractions: Sequence[float]
    """The share of the rows at each look; empty without looks."""
    looks: int
    checked: Mapping[tuple[str, str, str | None], Checked]
    gate: Sequence[Judged] | None
    missing: Mapping[str, int]
    """Rows that a candidate does not have, by candidate."""

    @property
    def passed(self) -> bool:
        return self.gate is None or all(judged.passed for judged in self.gate)

    def values(self, column: Column) -> dict[str, dict[str, Any]]:
        """The value and interval of a score for each candidate that has it."""
        found: dict[str, dict[str, Any]] = {}
        for name in column.values:
            interval = column.interval(name, self.confidence, self.seed)
            found[name] = {"value": column.value(name), **_ends(interval)}
        return found

    def detectable(self, claim: Claim, found: Comparison) -> float | None:
        """The minimum detectable difference at the measured variance; None for a claim with a margin."""
        if claim.margin is not None:
            return None
        return measured_effect(found, self.confidence, self.assumed.power, len(self.found))

    def as_dict(self) -> dict[str, Any]:
        """The content of `comparison.json`."""
        return {
            "baseline": self.baseline,
            "candidates": {
                each.name: {"ref": each.ref, "fingerprint": each.fingerprint, "kind": each.kind}
                for each in self.candidates
            },
            "rows": len(self.rows),
            "clusters": self._clusters(),
            "confidence": self.confidence,
            "scores": {
                column.name: {
                    "n": len(column.rows),
                    "higher_is_better": column.higher_is_better,
                    "candidates": self.values(column),
                    "unpaired": dict(column.unpaired),
                    "unscored": {name: dict(reasons) for name, reasons in column.unscored.items() if reasons},
                }
                for column in self.columns
            },
            "comparisons": [self._comparison(claim, found) for claim, found in self.found.items()],
            "minimum_detectable": self.assumed.as_dict(),
            "looks": {"planned": self.looks, "fractions": list(self.fractions)},
            "missing_rows": dict(self.missing),
            "regressions": [
                {
                    "set": name,
                    "candidate": candidate,
                    "score": score,
                    "rows": checked.rows,
                    "undecided": checked.undecided,
                    "not_required": checked.not_required,
                    "worse": [
                        {"id": worse.id, "score": worse.score, "required": worse.required, "found": worse.found}
                        for worse in checked.worse
                    ],
                }
                for (name, candidate, score), checked in self.checked.items()
            ],
            "gate": None
            if self.gate is None
            else {"passed": self.passed, "rules": [judged.as_dict() for judged in self.gate]},
        }

    def _clusters(self) -> dict[str, Any] | None:
        labels = labels_of(self.rows.clusters)
        return None if labels is None else {"count": int(labels.max()) + 1, "from": self.rows.clustered_by}

    def measures(self) -> dict[str, Any]:
        """The flat measures of the artifact's record."""
        flat: dict[str, Any] = {"rows": len(self.rows), "baseline": self.baseline}
        for column in self.columns:
            flat |= {f"{column.name}_{name}": column.value(name) for name in column.values}
        for claim, found in self.found.items():
            if claim.base == self.baseline and claim.margin is None:
                flat[f"{claim.score}_{claim.candidate}_delta"] = found.delta
                flat[f"{claim.score}_{claim.candidate}_verdict"] = found.verdict
        if self.gate is not None:
            flat["gate"] = "passed" if self.passed else "failed"
        if not self.passed:
            failed = [judged for judged in self.gate or () if not judged.passed]
            flat["gate_failed"] = [f"{judged.rule}: {judged.found}" for judged in failed]
        return {name: value for name, value in flat.items() if not _is_nan(value)}

    def item_lines(self) -> Iterator[dict[str, Any]]:
        """One dict per row: every candidate's answer side by side."""
        for index, row in enumerate(self.rows.ids):
            items = {each.name: each.items[index] for each in self.candidates}
            reference = next((item.reference for item in items.values() if item and item.reference is not None), None)
            yield {
                "id": row,
                "source": self.rows.sources[index],
                "tag": self.rows.tags[index],
                "cluster": self.rows.clusters[index],
                "reference": reference,
                "candidates": {name: item_line(item) for name, item in items.items()},
            }

    def _comparison(self, claim: Claim, found: Comparison) -> dict[str, Any]:
        return {
            "score": claim.score,
            "baseline": claim.base,
            "candidate": claim.candidate,
            "n": found.n,
            "clusters": found.clusters,
            "values": {claim.base: found.base, claim.candidate: found.candidate},
            "delta": found.delta,
            **_ends(found.interval),
            "test": found.test,
            "p": found.p_value,
            "p_corrected": found.p_corrected,
            "claim": found.claim,
            "margin": claim.margin,
            "higher_is_better": found.higher_is_better,
            "detectable": self.detectable(claim, found),
            "verdict": found.verdict,
        }


def _ends(interval: Interval | None) -> dict[str, float | None]:
    return {"low": None, "high": None} if interval is None else {"low": interval.low, "high": interval.high}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
