"""generate: answer every prompt of a file or dataset with one or two models."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress, Table
from burnish.core.files import write_lines
from burnish.evals.scoring.scorers import Row
from burnish.models.device import inference_dtype, pick_device, use_threads
from burnish.models.engines.protocol import Answer
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import load_model
from burnish.models.quantization.layers import report
from burnish.specs.models import GenerateSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.models.answering import requested_rows, tokenizers_of
from burnish.tokens.rendering.renderer import Renderer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWERS = "answers.jsonl"
_SHOWN, _SHOWN_CHARACTERS = 5, 400


@dataclass(frozen=True)
class Prompt:
    """The prompt of one model as ids, and the reference as that model would write it."""

    ids: list[int]
    reference: str | None


def run(spec: GenerateSpec, ctx: Context) -> Outcome:
    """Write `answers.jsonl`, one line per row, in the order of the data.

    A line holds id, source, prompt (messages, or text), answer, finish_reason, and where they apply tools, tag,
    extra (the row's own other columns), reference, other_answer and other_finish_reason (of `compare_with`). A row
    too long for the model's context has the finish_reason `no_room` and no answer.
    """
    rows = requested_rows(spec, ctx)
    use_threads(spec.threads)
    models = [ctx.input("model")] + ([ctx.input("compare_with")] if spec.compare_with is not None else [])
    tokenizers = tokenizers_of(models, ctx)
    lines = [_line(row) for row in rows]
    counts: dict[str, int] = {}
    for model, tokenizer, before in zip(models, tokenizers, ("", "other_"), strict=False):
        answers, references = _answer(spec, ctx, model, tokenizer, rows, f"{before.replace('_', ' ')}answers")
        for line, answer, reference in zip(lines, answers, references, strict=True):
            line[f"{before}answer"] = answer and answer.text
            line[f"{before}finish_reason"] = answer.finish_reason if answer else "no_room"
            if reference is not None and not before:
                line["reference"] = reference
        counts |= _counts(answers, before)
        if without := answers.count(None):
            ctx.emit(Note(level="warning", text=f"{model.ref}: {without} prompts fill its context and have no answer"))
    write_lines(ctx.out / ANSWERS, lines)
    ctx.emit(_side_by_side(lines, [model.ref for model in models]))
    return Outcome("generations", {"rows": len(rows), **_same_answers(lines), **counts})


def _answer(
    spec: GenerateSpec,
    ctx: Context,
    source: Input,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Row],
    phase: str,
) -> tuple[list[Answer | None], list[str | None]]:
    """The model's answers, and the references as it would write them."""
    renderer = Renderer(tokenizer, RenderSpec(date=spec.date))
    prompts = [_prompt(renderer, row) for row in rows]
    device = pick_device(spec.device)
    model = load_model(source, dtype=inference_dtype(device), device=device)
    for note in report(model):
        ctx.emit(note)
    engine = TransformersEngine(model, tokenizer, ctx.emit)
    fitting = [place for place, prompt in enumerate(prompts) if len(prompt.ids) < engine.context]

    def progress(done: int, total: int) -> None:
        if done == 0:
            ctx.check_settings()
        ctx.emit(Progress(phase=phase, done=done, total=total))
        if ctx.stopping:
            raise RunError("run.interrupted", f"stopped after {done} of {total} {phase}", "run it again")

    given = engine.generate([prompts[place].ids for place in fitting], spec.generation, renderer.stop_ids, progress)
    engine.close()
    answers: list[Answer | None] = [None] * len(rows)
    for place, answer in zip(fitting, given, strict=True):
        answers[place] = answer
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


def _counts(answers: list[Answer | None], before: str) -> dict[str, int]:
    given = [answer for answer in answers if answer is not None]
    return {
        f"{before}answers": len(given),
        f"{before}cut_off": sum(answer.finish_reason == "length" for answer in given),
        f"{before}tokens": sum(len(answer.ids) for answer in given),
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
