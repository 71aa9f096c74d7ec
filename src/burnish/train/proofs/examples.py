"""Rows of the user as they are served: the prompt and the answers that training must agree with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.core.errors import BurnishError
from burnish.tokens.rendering.renderer import Renderer
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped
from burnish.train.proofs.subject import Subject


@dataclass(frozen=True)
class Example:
    """A conversation: its prompt as at inference, and the text of each answer that is learned."""

    row_id: str
    prompt: tuple[int, ...]
    answers: tuple[str, ...]


def examples_of(rows: Iterable[Mapping[str, Any]], renderer: Renderer) -> tuple[Example, ...]:
    """The examples among these rows; a row that has no prompt and answer gives none."""
    found = list[Example]()
    for row in rows:
        turns = [row[name] for name in ("chosen", "rejected", "completion") if name in row]
        if "messages" not in row or any(len(answer) != 1 for answer in turns):
            continue
        if not turns and (row["messages"][-1]["role"] != "assistant" or row["messages"][-1].get("weight") == 0):
            continue
        try:
            _, prompt = renderer.prompt(row)
            whole = [{**row, "messages": [*row["messages"], *answer]} for answer in turns] or [row]
            found.append(Example(row["id"], tuple(prompt), tuple(renderer.answer(one) for one in whole)))
        except BurnishError:  # rendering it for training reports the same
            continue
    return tuple(found)


def as_served(subject: Subject) -> Answer:
    examples = {example.row_id: example for example in subject.known.examples}
    rows, compared, longest = subject.rows, 0, subject.spec.render.max_length
    last = {name: row for row, name in enumerate(rows.row_ids) if name in examples}  # of a split row, the last piece
    learns_all = subject.spec.render.train_on == "all"
    renderer = Renderer(subject.tokenizer) if examples else None
    for name, row in last.items():
        example = examples[name]
        for span, answer in zip(rows.spans(row), example.answers, strict=True):
            ids, learned, start = rows.ids[span], rows.weights[span] != 0, len(example.prompt)
            if longest is not None and len(ids) >= longest:
                continue
            if tuple(ids[:start].tolist()) != example.prompt and "enable_thinking" in str(
                subject.tokenizer.chat_template
            ):
                return skipped("the rows follow another mode of thinking than the default of the chat template")
            if tuple(ids[:start].tolist()) != example.prompt:
                return fails(f"row {name} starts with other tokens than the prompt that is served")
            if not learned[start] or (learned[start - 1] and not learns_all):
                first = int(np.argmax(learned))
                return fails(f"row {name} is learned from token {first} on, and its answer starts at token {start}")
            if renderer is not None and renderer.decode(ids[start:].tolist()) != answer:
                return fails(f"the learned tokens of row {name} are not the text of its answer")
            compared += 1
    if not compared:
        return skipped("the rows are no conversations that end with an answer")
    return holds(f"{compared} sequences have the prompt that is served, and learn exactly their answer after it")


AT_START = (
    Question(
        "prompt as served",
        "Is a row trained with the prompt that is served, and exactly its answer learned?",
        "check the chat template with `burnish inspect`",
        as_served,
        at_start=True,
    ),
)
