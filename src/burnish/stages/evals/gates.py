"""Read the gate and the regression sets of a comparison, with their places for messages."""

import json
from collections.abc import Sequence

from burnish.core.context import Context, Input
from burnish.core.errors import BurnishError
from burnish.core.recipes.gates import Rule
from burnish.core.recipes.listed import read_listed
from burnish.data.dataset import open_rows
from burnish.evals.comparison import regressions
from burnish.evals.comparison.regressions import Required, read_set
from burnish.specs.evals import CompareSpec, GateRuleSpec
from burnish.specs.evals.gates import RULES
from burnish.stages.models.answering import as_chat


def read_rules(spec: CompareSpec, ctx: Context) -> list[Rule]:
    """The rules of the gate. Errors: AskError with file and line for a file that is no list of rules."""
    gate = spec.gate
    if gate is None:
        return []
    if not isinstance(gate, str):
        return [Rule(_read(rule), f"gate, rule {number}") for number, rule in enumerate(gate, 1)]
    listed, places = read_listed(ctx.input("gate").path, RULES)
    return [Rule(rule, place) for rule, place in zip(listed.rules, places, strict=True)]


def _read(rule: GateRuleSpec) -> GateRuleSpec:
    """Every field of a valid rule acts: it counts as read before the long work."""
    for name in rule.model_fields_set:
        getattr(rule, name)
    return rule


def read_sets(spec: CompareSpec, ctx: Context) -> dict[str, Sequence[Required]]:
    """The regression sets by name. Errors: those of `read_set`, and of reading rows."""
    return {name: _read_set(ctx.input(f"regressions.{name}")) for name in spec.regressions}


def _read_set(value: Input) -> Sequence[Required]:
    """A file of ids, of lines with `id`, of rows; or the set of a comparison."""
    if value.kind == "comparison":
        return read_set(value.path / regressions.FILE)
    if _has_rows(value):
        return [Required(as_chat(row)["id"], {}) for row in open_rows(value, "train")]
    return read_set(value.path)


def _has_rows(value: Input) -> bool:
    """Whether a file has rows of data: lines of JSON without an id, or another type of file."""
    if value.path.suffix not in (".jsonl", ".json", ".txt", ""):
        return True
    try:
        with value.path.open(encoding="utf-8") as file:
            first = json.loads(next((line for line in file if line.strip()), "null"))
    except (OSError, ValueError, BurnishError):
        return False
    return isinstance(first, dict) and "id" not in first
