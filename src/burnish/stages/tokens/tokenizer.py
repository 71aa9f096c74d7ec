"""Train a tokenizer on the rows of a dataset, and measure it on rows that it has not seen."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from burnish.core.context import Context, Outcome
from burnish.core.errors import ModelError, RunError
from burnish.core.events import Note, Progress
from burnish.data.dataset import open_rows, split_names
from burnish.models.bases import tokenizer_folder
from burnish.specs.tokens import TokenizerTrainSpec
from burnish.tokens.load import load_tokenizer
from burnish.tokens.templates.chatml import CHATML
from burnish.tokens.train import train_bpe

MEASURED_ROWS = 1_000
"""How many rows the tokenizer is measured on."""
ROWS_PER_EVENT = 2_000


def run(spec: TokenizerTrainSpec, ctx: Context) -> Outcome:
    data = ctx.input("data")
    rows = islice(open_rows(data, "train"), spec.max_rows)
    tokenizer = train_bpe(_texts_to_learn(rows, ctx), spec, _chat_template(spec, ctx))
    if len(tokenizer) < spec.vocabulary:
        ctx.emit(
            Note(
                level="warning",
                text=f"the rows have pairs for only {len(tokenizer):,} tokens of {spec.vocabulary:,} requested: "
                "give more rows or a smaller vocabulary",
            )
        )
    tokenizer.save_pretrained(ctx.out)
    held_out = next((split for split in ("validation", "test") if split in split_names(data)), "train")
    if held_out == "train":
        ctx.emit(Note(text="the dataset has no held-out rows, so the tokenizer is measured on rows that it has seen"))
    measured = islice(open_rows(data, held_out), MEASURED_ROWS)
    return Outcome(
        "tokenizer", {"vocabulary": len(tokenizer), "measured_on": held_out, **_measure(tokenizer, measured)}
    )


def texts_of(row: dict[str, Any]) -> Iterator[str]:
    """The texts of a row between special tokens: texts, turns headed by their role, thoughts, tool calls, tools."""
    if "text" in row:
        yield row["text"]
    for tool in row.get("tools", ()):
        yield json.dumps(tool, ensure_ascii=False)
    for part in ("messages", "completion", "chosen", "rejected"):
        for message in row.get(part, ()):
            yield f"{message['role']}\n{message.get('content') or ''}"
            if message.get("reasoning_content"):
                yield f"\n{message['reasoning_content']}\n"
            for call in message.get("tool_calls", ()):
                function = call["function"]
                yield f'\n{{"name": {json.dumps(function["name"])}, "arguments": {function["arguments"]}}}\n'


def _texts_to_learn(rows: Iterable[dict[str, Any]], ctx: Context) -> Iterator[str]:
    ctx.check_settings()  # reached when the trainer reads its first text: it has read its settings by then
    for number, row in enumerate(rows, start=1):
        if number % ROWS_PER_EVENT == 0:
            ctx.emit(Progress(phase="read", done=number))
            if ctx.stopping:
                raise RunError("run.interrupted", "the tokenizer was stopped while reading rows", "run it again")
        yield from texts_of(row)


def _chat_template(spec: TokenizerTrainSpec, ctx: Context) -> str:
    if spec.chat_template == "chatml":
        return CHATML
    other = ctx.input("chat_template")
    template = load_tokenizer(tokenizer_folder(other)).chat_template
    if not isinstance(template, str):
        raise ModelError(
            "model.no-template",
            f"{other.ref} has no single chat template to copy",
            "name a tokenizer that has one, or write chat_template: chatml",
        )
    return template


def _measure(tokenizer: Any, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Bytes and words per token, and the share of texts that come back exactly (which must be all)."""
    count = tokens = size = words = exact = 0
    for row in rows:
        for text in texts_of(row):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            count += 1
            tokens += len(ids)
            size += len(text.encode())
            words += len(text.split())
            exact += tokenizer.decode(ids) == text
    return {
        "bytes_per_token": round(size / max(tokens, 1), 3),
        "tokens_per_word": round(tokens / max(words, 1), 3),
        "exact_roundtrips": exact / max(count, 1),
    }
