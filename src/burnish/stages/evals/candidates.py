"""The candidates of a comparison that answer its rows: models and endpoints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Input, StopRequestedError
from burnish.core.errors import RunError
from burnish.core.events import Note
from burnish.endpoints.client import NoAnswerError
from burnish.evals.measure import NO_PROMPT, Item, score_item
from burnish.evals.scoring.scorers import Row, Scorer
from burnish.models.engines.opening import open_model
from burnish.stages.evals.kept import KeptItems, key_of
from burnish.stages.evals.measuring import Measuring, measured, tick_of
from burnish.stages.models.served import RESTART as SERVED_RESTART
from burnish.stages.models.served import ServedModel, prompt_of, reference_of, with_calls

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_RESTART = "finished candidates are kept"


@dataclass(frozen=True)
class LocalModel:
    """A model or adapter that is loaded here; the part of its work that was kept is not repeated."""

    name: str
    source: Input
    tokenizer: "PreTrainedTokenizerBase"
    measuring: Measuring
    kept: KeptItems
    load: Callable[[Input, Measuring], Any] | None = None
    """Gives the model; without it, it is loaded and freed."""

    def items(self, rows: Sequence[Row], ctx: Context) -> list[Item]:
        """Its answers with their scores, and its likelihoods. Errors: RunError `run.interrupted`."""
        answers, likelihoods = self._of("answers", rows), self._of("likelihoods", rows)
        missing = replace(
            self.measuring,
            generation=self.measuring.generation if answers is None else None,
            learned=self.measuring.learned if likelihoods is None else None,
        )
        if missing.generation is not None or missing.learned is not None:
            if self.load is not None:
                model: Any = self.load(self.source, missing)
            else:
                model = open_model(self.source, dtype=missing.dtype, device=missing.device, emit=ctx.emit)
            if missing.learned is not None:
                only = replace(missing, generation=None)
                likelihoods = measured(only, rows, ctx, model, self.tokenizer, f"{self.name}: ", _RESTART)
                self.kept.put(self._key("likelihoods", rows), likelihoods)
            if missing.generation is not None:
                only = replace(missing, learned=None)
                answers = measured(only, rows, ctx, model, self.tokenizer, f"{self.name}: ", _RESTART)
                self.kept.put(self._key("answers", rows), answers)
            del model
        items = answers or [Item() for _ in rows]
        for item, likelihood in zip(items, likelihoods or (), strict=False):
            item.likelihood, item.too_long = likelihood.likelihood, likelihood.too_long
        if self.measuring.generation is not None:
            _score(items, rows, self.measuring.scorers)
        return items

    def _of(self, what: str, rows: Sequence[Row]) -> list[Item] | None:
        wanted = self.measuring.generation if what == "answers" else self.measuring.learned
        return None if wanted is None else self.kept.get(self._key(what, rows), len(rows))

    def _key(self, what: str, rows: Sequence[Row]) -> str:
        measuring = self.measuring
        settings: dict[str, Any] = {"date": measuring.date, "template": self.tokenizer.chat_template}
        settings |= {"dtype": str(measuring.dtype), "device": measuring.device.type}
        if what == "answers":
            settings["generation"] = None if measuring.generation is None else measuring.generation.model_dump()
        else:
            settings["learned"] = measuring.learned
        return key_of(what, self.source, rows, settings)


@dataclass(frozen=True)
class RemoteModel:
    """A model behind an endpoint; its replies are in the cache."""

    name: str
    model: ServedModel
    scorers: Sequence[Scorer]

    def items(self, rows: Sequence[Row], ctx: Context) -> list[Item]:
        """Its answers with their scores; a row that the endpoint refuses has none.

        Errors: those of `ServedModel.replies`; RunError `run.interrupted`.
        """
        items = [Item() for _ in rows]
        asked: dict[int, Row] = {}
        for index, row in enumerate(rows):
            if row.get("messages"):
                items[index].prompt, items[index].reference = _prompt_text(row), reference_of(row)
                asked[index] = row
            else:
                items[index].unanswered = NO_PROMPT
        progress = tick_of(ctx, f"{self.name}: ", SERVED_RESTART)
        try:
            replies = self.model.replies(list(asked.values()), lambda done, total: progress("answers", done, total))
        except StopRequestedError as stop:
            what = f"the comparison was stopped at the answers of {self.name}"
            raise RunError("run.interrupted", what, f"run it again: {_RESTART}") from stop
        if self.model.doubt:
            ctx.emit(Note(text=self.model.doubt))
        for index, reply in zip(asked, replies, strict=True):
            if isinstance(reply, NoAnswerError):
                items[index].unanswered = f"the endpoint refuses the request (status {reply.status})"
            else:
                items[index].answer = with_calls(reply.text, reply.tool_calls)
                items[index].finish_reason = reply.finish_reason
        _score(items, rows, self.scorers)
        return items


def note_damage(kept: KeptItems, ctx: Context) -> None:
    """Report the kept files that could not be used."""
    if kept.damaged:
        text = f"{kept.damaged} files of kept answers in {Path('.burnish/cache')} are damaged, and were made again"
        ctx.emit(Note(level="warning", text=text))


def _score(items: Sequence[Item], rows: Sequence[Row], scorers: Sequence[Scorer]) -> None:
    for item, row in zip(items, rows, strict=True):
        item.scores = score_item(scorers, item, row)


def _prompt_text(row: Row) -> str:
    return "\n".join(f"{turn['role']}: {turn.get('content') or ''}" for turn in prompt_of(row))
