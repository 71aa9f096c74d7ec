"""The rounds of a step: slots are made into drafts, near duplicates and bad rows refused, until there are enough rows.

Which rows come out, and in which order, depends on the replies alone: not on their timing, the concurrency, the size of
the rounds or kills.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from burnish.core.context import Context, StopRequestedError
from burnish.core.errors import BurnishError, DataError, RunError
from burnish.core.events import Note, Progress
from burnish.data.dedup.incremental import NearDuplicates
from burnish.data.document import Row, make_row
from burnish.data.record import RowError
from burnish.data.synthesize.model.prompts import Prompt
from burnish.data.synthesize.model.script import is_in
from burnish.data.synthesize.model.slots import Draft, Refused, Series
from burnish.stages.data.synthesizing.asking import Asker, Tally
from burnish.stages.data.synthesizing.makers import Judge, Made, Maker

_ROUNDS = (16, 64, 256, 512)
"""Slots of the first rounds, and of all after them: the first one shows cheaply whether replies can be used."""
_SHOWN = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """The work to do, with every setting read."""

    make: str
    rows: int
    most_slots: int
    series: Callable[[], Series]
    """Lists subtopics and tools first, where they are requested."""
    maker: Maker
    judge: Judge | None
    near: NearDuplicates | None
    has_own_prompts: bool
    """Whether the model writes the prompts of the rows, too."""
    askers: list[Asker]
    tally: Tally
    origin: Mapping[str, Any]
    """What the `extra` of each row begins with."""
    prompts: Mapping[str, Prompt]
    """By language; empty if the prompts are given."""
    known: Mapping[str, Any]
    """What stats.json says of the model, the prompts and the given rows."""
    spent: Callable[[], Mapping[str, Any]]
    notes: Callable[[], list[str]]


@dataclass
class Rounds:
    """The rows of a plan. Its counts are complete once all rows have been taken."""

    plan: Plan
    ctx: Context
    asked: int = 0
    kept: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Rows in the order of their slots.

        Errors: RunError `run.call-limit` and `run.interrupted`, after which the step resumes; DataError `data.empty`
        if no reply of the first round, or none at all, can be used.
        """
        plan, number = self.plan, 0
        series = self._asked(plan.series)
        while self.kept < plan.rows and self.asked < plan.most_slots:
            size = min(_ROUNDS[min(number, len(_ROUNDS) - 1)], plan.rows - self.kept, plan.most_slots - self.asked)
            for draft in self._asked(partial(self._round, series, size)):
                row = self._row(draft)
                if row is not None:
                    self.kept += 1
                    yield row, "train"
            number += 1
            self.ctx.emit(Progress(phase="rows", done=self.kept, total=plan.rows))
            if not self.kept and self.asked >= min(_ROUNDS[0], plan.most_slots):
                raise self._nothing()
        self._report()

    def _round(self, series: Series, size: int) -> Made:
        """The outcome of each of the next slots."""
        plan = self.plan
        drafts = self._distinct(plan.maker(list(series.slots(self.asked, size))))
        drafts = drafts if plan.judge is None else plan.judge(drafts)
        self.asked += size
        return drafts

    def _asked(self, requests: Callable[[], T]) -> T:
        """What requests give; errors after which the step resumes say what is there already."""
        try:
            return requests()
        except StopRequestedError:
            what = f"stopped with {self._so_far()}"
            raise RunError("run.interrupted", what, "run it again: it requests only the other replies") from None
        except BurnishError as error:
            if error.code not in ("run.call-limit", "machine.no-answer"):
                raise
            raise self._resumable(error) from error

    def _distinct(self, drafts: Made) -> Made:
        return [self._compared(draft) if isinstance(draft, Draft) else draft for draft in drafts]

    def _compared(self, draft: Draft) -> Draft | Refused:
        near = self.plan.near
        if self.plan.has_own_prompts and not is_in(draft.slot.language, draft.prompt):
            return Refused(draft.slot, "other language", draft.prompt)
        if near is not None and not near.add(draft.prompt):
            return Refused(draft.slot, "near duplicate", draft.prompt)
        return draft

    def _row(self, draft: Draft | Refused) -> Row | None:
        if isinstance(draft, Draft):
            slot, plan = draft.slot, self.plan
            extra = dict(plan.origin)
            if plan.has_own_prompts:
                extra["language"] = slot.language
            if slot.language in plan.prompts:
                extra["prompt_sha256"] = plan.prompts[slot.language].sha256
            if slot.topic:
                extra["topic"] = slot.topic
            if slot.given is not None:
                extra["seed_row"] = slot.given["id"]
            elif slot.examples:
                extra["seed_rows"] = [row["id"] for row in slot.examples]
            tag = {"tag": slot.topic} if slot.topic else {}
            source = f"model/{plan.make}#{slot.number + 1}"
            try:
                return make_row(draft.kind, source, **{**tag, **draft.content}, extra={**extra, **draft.extra})
            except RowError as error:
                draft = Refused(slot, "no valid row", str(error))
        self.refused[draft.reason] += 1
        shown = self.examples.setdefault(draft.reason, [])
        if len(shown) < _SHOWN:
            shown.append(f"slot {draft.slot.number + 1}: {draft.why}"[:300])
        return None

    def _resumable(self, error: BurnishError) -> BurnishError:
        """The same error, with what is there already and how to go on."""
        enough = f"; or set rows: {self.kept} to end with those, without another request" if self.kept else ""
        return type(error)(
            error.code, f"{error.reason}; there are {self._so_far()}", f"{error.fix}{enough}", error.place
        )

    def _so_far(self) -> str:
        replies = sum(asker.model.is_cached(request) for asker in self.plan.askers for request in asker.under_way)
        more = f", and {replies:,} replies towards the next ones" if replies else ""
        return f"{self.kept:,} of {self.plan.rows:,} rows{more}"

    def _reasons(self) -> str:
        return ", ".join(f"{reason} {count:,}" for reason, count in self.refused.most_common())

    def _nothing(self) -> DataError:
        reason, _ = self.refused.most_common(1)[0]
        what = f"none of {self.asked:,} requests gave a row: {self._reasons()}; {self.examples[reason][0]}"
        fix = "read the reasons: raise max_tokens, change the prompt or the model, or lower judge.threshold"
        return DataError("data.empty", what, fix)

    def _report(self) -> None:
        emit, plan = self.ctx.emit, self.plan
        if self.kept < plan.rows:
            text = (
                f"{self.kept:,} of {plan.rows:,} rows are made of {self.asked:,} requests; refused: {self._reasons()}"
            )
            emit(Note(level="warning", text=text))
        elif self.refused:
            emit(Note(text=f"{self.refused.total():,} of {self.asked:,} are refused: {self._reasons()}"))
        for text in plan.notes():
            emit(Note(text=text))

    def stats(self) -> dict[str, Any]:
        """For stats.json: equal for every run with the same replies, whatever was cached or killed."""
        tally = self.plan.tally
        replies = {"read": tally.replies, "unusable": dict(sorted(tally.unusable.items()))}
        tokens = {"prompt": tally.used.prompt, "reply": tally.used.reply, "replies_without_count": tally.uncounted}
        return {
            "requested": self.plan.rows,
            "read": self.asked,
            "kept": self.kept,
            "dropped": dict(sorted(self.refused.items())),
            "dropped_examples": dict(sorted(self.examples.items())),
            "replies": replies,
            "tokens": tokens,
            "cost": round(tally.cost, 9),
            **self.plan.known,
        }

    def measures(self) -> dict[str, Any]:
        """For the record: what was made of how many, and what this run and its earlier attempts spent."""
        return {"asked": self.asked, "refused": self.refused.total(), **self.plan.spent()}
