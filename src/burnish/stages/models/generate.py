"""generate: answer every prompt of a file or dataset with one or two models."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Input, Outcome, StopRequestedError
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress, Table
from burnish.core.files import write_lines
from burnish.endpoints.client import NoAnswerError, Reply
from burnish.evals.scoring.scorers import Row
from burnish.models.device import inference_dtype, pick_device, use_threads
from burnish.models.engines.opening import engine_of, open_model
from burnish.specs.models import GenerateSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.models.answering import only_gguf, refuse_for_gguf, requested_rows, tokenizers_of
from burnish.stages.models.served import RESTART, ServedModel, reference_of, with_calls
from burnish.tokens.rendering.renderer import Renderer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWERS = "answers.jsonl"
NO_ROOM, REFUSED = "no_room", "refused"
_SHOWN, _SHOWN_CHARACTERS = 5, 400


@dataclass(frozen=True)
class Answered:
    """What a model answered to a row. A `text` of None is no answer: `finish_reason` is then no_room or refused."""

    text: str | None
    finish_reason: str
    tokens: int = 0
    more: Mapping[str, str] = field(default_factory=dict[str, str])
    """What an endpoint gives beside the text: `reasoning`, `refusal`."""


@dataclass(frozen=True)
class Prompt:
    """The prompt of one model as ids, and the reference as that model would write it."""

    ids: list[int]
    reference: str | None


def run(spec: GenerateSpec, ctx: Context) -> Outcome:
    """Write `answers.jsonl`, one line per row, in the order of the data.

    A line holds id, source, prompt (messages, or text), answer, finish_reason, and where they apply tools, tag,
    extra (the row's own other columns), reference, other_answer and other_finish_reason (of `compare_with`). A row
    too long for the model's context has the finish_reason `no_room`, one that an endpoint refuses `refused`, and no
    answer. Calls of an endpoint's answer are in its text; `reasoning` and `refusal` are what it gives beside that.
    """
    rows = requested_rows(spec, ctx)
    served = None if spec.endpoint is None else ServedModel(spec.endpoint, "answers", spec.generation, ctx)
    fields = (["model"] if served is None else []) + (["compare_with"] if spec.compare_with is not None else [])
    if fields:
        use_threads(spec.threads)
    if only_gguf(ctx):
        refuse_for_gguf("device", spec, "auto", "cpu")
    models = [ctx.input(name) for name in fields]
    names = ([served.name] if served is not None else []) + [model.ref for model in models]
    tokenizers = tokenizers_of(models, ctx) if models else []
    lines = [_line(row) for row in rows]
    counts: dict[str, Any] = {}
    for place, (name, before) in enumerate(zip(names, ("", "other_"), strict=False)):
        phase = f"{before.replace('_', ' ')}answers"
        if served is not None and place == 0:
            answers, references = _served_answers(served, rows, ctx, last=not models)
            counts |= _spent(served, ctx)
        else:
            local = place - (served is not None)
            answers, references = _answer(spec, ctx, models[local], tokenizers[local], rows, phase)
        for line, answer, reference in zip(lines, answers, references, strict=True):
            line |= {f"{before}answer": answer.text, f"{before}finish_reason": answer.finish_reason}
            line |= {f"{before}{key}": value for key, value in answer.more.items()}
            if reference is not None and not before:
                line["reference"] = reference
        counts |= _counts(answers, before)
        if without := sum(answer.finish_reason == NO_ROOM for answer in answers):
            ctx.emit(Note(level="warning", text=f"{name}: {without} prompts fill its context and have no answer"))
    write_lines(ctx.out / ANSWERS, lines)
    ctx.emit(_side_by_side(lines, names))
    return Outcome("generations", {"rows": len(rows), **_same_answers(lines), **counts})


def _served_answers(
    model: ServedModel, rows: Sequence[Row], ctx: Context, *, last: bool
) -> tuple[list[Answered], list[str | None]]:
    """The answers of a model behind an endpoint, and the references as they would be written there.

    `last` says that no other model reads settings after it.
    """

    def progress(done: int, total: int) -> None:
        ctx.emit(Progress(phase="answers", done=done, total=total))

    if last:
        ctx.check_settings()
    try:
        replies = model.replies(rows, progress)
    except StopRequestedError as stop:
        what = f"stopped at the answers of {model.name}"
        raise RunError("run.interrupted", what, f"run it again: {RESTART}") from stop
    errors = [reply for reply in replies if isinstance(reply, NoAnswerError)]
    if errors:
        text = (
            f"{model.name} refuses {len(errors)} of {len(rows)} prompts, which have no answer; first: {errors[0].what}"
        )
        ctx.emit(Note(level="warning", text=text))
    return [_answered(reply) for reply in replies], [reference_of(row) for row in rows]


def _answered(reply: Reply | NoAnswerError) -> Answered:
    if isinstance(reply, NoAnswerError):
        return Answered(None, REFUSED)
    more = {"reasoning": reply.reasoning, "refusal": reply.refusal}
    tokens = 0 if reply.usage is None else reply.usage.reply
    given = {name: text for name, text in more.items() if text}
    return Answered(with_calls(reply.text, reply.tool_calls), reply.finish_reason, tokens, given)


def _spent(model: ServedModel, ctx: Context) -> dict[str, Any]:
    """Requests, tokens and money of this run and its earlier attempts."""
    if model.damaged:
        text = f"{model.damaged} replies in {Path('.burnish/cache')} are damaged, and were requested again"
        ctx.emit(Note(level="warning", text=text))
    if model.doubt:
        ctx.emit(Note(text=model.doubt))
    spending, counts = model.chats.spending, model.chats.counts
    if spending.uncounted:
        text = f"{model.name}: {spending.uncounted:,} requests have no count of tokens; their maximum is counted"
        ctx.emit(Note(text=text))
    spent = {"requests": spending.calls, "cached": counts["cached"], "retries": counts["retries"]}
    spent |= {"prompt_tokens": spending.used.prompt, "reply_tokens": spending.used.reply}
    return {**spent, "cost": spending.cost, "uncounted": spending.uncounted}


def _answer(
    spec: GenerateSpec,
    ctx: Context,
    source: Input,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Row],
    phase: str,
) -> tuple[list[Answered], list[str | None]]:
    """The model's answers, and the references as it would write them."""
    renderer = Renderer(tokenizer, RenderSpec(date=spec.date))
    prompts = [_prompt(renderer, row) for row in rows]
    device = pick_device(spec.device)
    model = open_model(source, dtype=inference_dtype(device), device=device, emit=ctx.emit)
    engine = engine_of(model, tokenizer, ctx.emit)
    fitting = [place for place, prompt in enumerate(prompts) if len(prompt.ids) < engine.context]

    def progress(done: int, total: int) -> None:
        if done == 0:
            ctx.check_settings()
        ctx.emit(Progress(phase=phase, done=done, total=total))
        if ctx.stopping:
            raise RunError("run.interrupted", f"stopped after {done} of {total} {phase}", "run it again")

    given = engine.generate([prompts[place].ids for place in fitting], spec.generation, renderer.stop_ids, progress)
    engine.close()
    answers = [Answered(None, NO_ROOM)] * len(rows)
    for place, answer in zip(fitting, given, strict=True):
        answers[place] = Answered(answer.text, answer.finish_reason, len(answer.ids))
    return answers, [prompt.reference for prompt in prompts]


def _prompt(renderer: Renderer, row: Row) -> Prompt:
    """Messages are rendered with the template; a text is continued."""
    if row["kind"] == "text":
        return Prompt([int(token) for token in renderer.tokenizer(row["text"])["input_ids"]], None)
    has_answer = row["messages"][-1]["role"] == "assistant"
    return Prompt(renderer.prompt(row)[1], renderer.answer(row) if has_answer else None)


def _line(row: Row) -> dict[str, Any]:
    kept = {key: row[key] for key in ("tools", "tag", "extra") if key in row}
    if row["kind"] == "text":
        return {"id": row["id"], "source": row["source"], "prompt": row["text"], **kept}
    has_answer = row["messages"][-1]["role"] == "assistant"
    prompt = row["messages"][:-1] if has_answer else row["messages"]
    return {"id": row["id"], "source": row["source"], "prompt": prompt, **kept}


def _counts(answers: Sequence[Answered], before: str) -> dict[str, int]:
    return {
        f"{before}answers": sum(answer.text is not None for answer in answers),
        f"{before}cut_off": sum(answer.finish_reason == "length" for answer in answers),
        f"{before}tokens": sum(answer.tokens for answer in answers),
    }


def _same_answers(lines: list[dict[str, Any]]) -> dict[str, int]:
    """How many rows both models answered identically; empty for one model."""
    pairs = [(line["answer"], line["other_answer"]) for line in lines if "other_answer" in line]
    return {"same_answers": sum(ours is not None and ours == theirs for ours, theirs in pairs)} if pairs else {}


def _side_by_side(lines: list[dict[str, Any]], models: list[str]) -> Table:
    """The first prompts with what each model answered."""
    columns = ["prompt", *models, "reference"]
    keys = [*("answer", "other_answer")[: len(models)], "reference"]
    rows = [[_question(line), *(line.get(key) or "" for key in keys)] for line in lines[:_SHOWN]]
    return Table(title="First answers", columns=columns, rows=[[_cut(cell) for cell in row] for row in rows])


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _question(line: dict[str, Any]) -> str:
    if isinstance(line["prompt"], str):
        return line["prompt"]
    content = line["prompt"][-1].get("content") if line["prompt"] else ""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
