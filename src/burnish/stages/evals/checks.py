"""Checks of prompts in an evaluation: the file as rows, and their results for one or two models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context
from burnish.core.errors import AskError
from burnish.core.recipes.listed import read_listed
from burnish.data.formats import FORMATS
from burnish.data.mapping import Found, map_rows
from burnish.data.record import Bad, Record
from burnish.evals.checks.kinds import PromptChecks, described
from burnish.evals.measure import Item
from burnish.evals.report import Sample
from burnish.evals.scoring.scorers import Row
from burnish.evals.timing import Timing
from burnish.specs.evals import CheckedPromptSpec, EvaluateSpec
from burnish.specs.evals.checks import PROMPTS
from burnish.stages.evals.measuring import Measuring, measured

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Checks:
    """The prompts with their checks, and how they are answered."""

    rows: Sequence[Row]
    measuring: Measuring

    @classmethod
    def of(cls, spec: EvaluateSpec, ctx: Context, measuring: Measuring) -> "Checks | None":
        """None without checks. Errors: those of `read_checks`."""
        if spec.checks is None:
            return None
        return cls(read_checks(ctx.input("checks").path), measuring.of_answers(spec, [PromptChecks()]))

    def items(
        self, model: Any, tokenizer: "PreTrainedTokenizerBase", ctx: Context, name: str, timing: Timing
    ) -> list[Item]:
        """The answers of one model with their scores; `name` stands before the phases."""
        return self.described(
            measured(self.measuring, self.rows, ctx, model, tokenizer, f"{name}checks: ", timing=timing)
        )

    def described(self, items: list[Item]) -> list[Item]:
        """The items with their checks in words as the reference."""
        for row, item in zip(self.rows, items, strict=True):
            item.reference = described(row["checks"])  # `compare` refuses rows with other checks
        return items


def read_checks(path: Path) -> list[Row]:
    """The prompts of a file as rows of kind `prompt`, with their checks under `checks`.

    Errors: AskError with file and line for whatever is wrong.
    """
    listed, places = read_listed(path, PROMPTS)
    rows: list[Row] = []
    seen: dict[str, str] = {}
    for given, place in zip(listed.prompts, places, strict=True):
        row = _row(given, place)
        if row["id"] in seen:
            what = f"the id '{given.id}' is" if given.id else "the same prompt is"
            raise AskError(
                "ask.wrong-value",
                f"{place}: {what} at {seen[row['id']]} too",
                "write another id" if given.id else "join the checks of both, or give each an id",
            )
        seen[row["id"]] = place
        rows.append(row)
    return rows


def _row(given: CheckedPromptSpec, place: str) -> Row:
    turns: list[dict[str, Any]] = list(given.messages or [])
    if given.prompt is not None:
        system = [] if given.system is None else [{"role": "system", "content": given.system}]
        turns = [*system, {"role": "user", "content": given.prompt}]
    raw: dict[str, Any] = {"prompt": turns} | ({} if given.tools is None else {"tools": given.tools})
    source = f"{Path(place).name}"
    (found,) = map_rows([Record(raw, source)], Found(FORMATS["prompt"], "checks"))
    if isinstance(found, Bad):
        field = found.field.replace("prompt", "messages", 1)
        what = f"{place}: {field}: {found.reason}" if field else f"{place}: {found.reason}"
        raise AskError("ask.wrong-value", what, "write turns with role and content, the last one of the user or a tool")
    row = found.row
    if found.unmapped:
        names = ", ".join(name.replace("prompt", "messages", 1) for name in found.unmapped)
        raise AskError("ask.unknown-key", f"{place}: unknown key '{names}'", "remove it, or correct its name")
    if row["messages"][-1]["role"] not in ("user", "tool"):
        what = f"{place}: the last turn is of the {row['messages'][-1]['role']}, and the model answers a user or a tool"
        raise AskError("ask.wrong-value", what, "end with a turn of the user")
    more = {"checks": given.checks} | ({} if given.tag is None else {"tag": given.tag})
    return {**row, "id": given.id or row["id"], **more}


def with_checks(sample: Sample, ours: Sequence[Item], theirs: Sequence[Item] | None, checks: Checks) -> Sample:
    """A sample with the prompts of the checks after its rows."""
    return Sample(
        rows=[*sample.rows, *checks.rows],
        model=[*sample.model, *ours],
        base=None if theirs is None else [*(sample.base or []), *theirs],
        confidence=sample.confidence,
        seed=sample.seed,
    )
