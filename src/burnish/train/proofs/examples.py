"""Rows of the user as they are served: the prompt and the answers that training must agree with."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import BurnishError
from burnish.tokens.rendering.renderer import Renderer
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped
from burnish.train.proofs.subject import Subject


@dataclass(frozen=True)
class Served:
    """A conversation in one mode of thinking: its prompt as at inference, and the texts of its answers."""

    prompt: tuple[int, ...]
    answers: tuple[str, ...]
    turns: tuple[str, ...]
    """The answers after the end of the prompt that is learned, too, since other modes' prompts lack it."""


@dataclass(frozen=True)
class Example:
    """A conversation as it is served."""

    row_id: str
    served: tuple[Served, ...]
    """In each mode of thinking of the chat template; the default is first."""


def examples_of(rows: Iterable[Mapping[str, Any]], renderer: Renderer) -> tuple[Example, ...]:
    """The examples among these rows; a row that has no prompt and answer gives none."""
    found = list[Example]()
    for row in rows:
        turns = [row[name] for name in ("chosen", "rejected", "completion") if name in row]
        if "messages" not in row or any(len(answer) != 1 for answer in turns):
            continue
        if not turns and (row["messages"][-1]["role"] != "assistant" or row["messages"][-1].get("weight") == 0):
            continue
        whole = [{**row, "messages": [*row["messages"], *answer]} for answer in turns] or [row]
        served = list[Served]()
        with suppress(BurnishError):  # rendering it for training reports the same
            for mode in renderer.modes:
                _, prompt = renderer.prompt(row, mode=mode)
                texts = [(renderer.answer(one, mode), renderer.answer(one, mode, learned=True)) for one in whole]
                served.append(Served(tuple(prompt), *zip(*texts, strict=True)))
        if served:
            found.append(Example(row["id"], tuple(served)))
    return tuple(found)


def as_served(subject: Subject) -> Answer:
    if not subject.known.examples:
        return skipped("the rows are no conversations that end with an answer")
    examples = {example.row_id: example for example in subject.known.examples}
    rows, longest, renderer = subject.rows, subject.spec.render.max_length, Renderer(subject.tokenizer)
    learns_all, compared, others = subject.spec.render.train_on == "all", 0, 0
    for name, pieces in _pieces(rows.row_ids, examples).items():
        if longest is not None and _longest(examples[name], renderer) > longest:
            continue
        for place in range(rows.width):
            spans = [rows.spans(row)[place] for row in pieces]
            found = [
                _fault(rows.ids[span].tolist(), rows.weights[span] != 0, examples[name], place, learns_all, renderer)
                for span in spans
            ]
            if all(fault for fault, _ in found):  # a row is learned in several samples where its turns are rewritten
                return fails(f"row {name} {found[0][0]}")
            compared += 1
            others += all(fault or mode for fault, mode in found)
    if not compared:
        return skipped("the rows are no conversations that end with an answer and fit into render.max_length")
    sentence = f"{compared} sequences have the prompt that is served, and learn exactly their answer after it"
    if others:
        sentence += f"; {others} of them in another mode of thinking than the chat template's default"
    return holds(sentence)


def _pieces(row_ids: Sequence[str], examples: Mapping[str, Example]) -> dict[str, list[int]]:
    """The rows that were made of each example: one with its id, or several with ID#1, ID#2, …"""
    found: dict[str, list[int]] = {}
    for row, name in enumerate(row_ids):
        stem, _, number = name.rpartition("#")
        example = stem if number.isdigit() and stem in examples else name
        if example in examples:
            found.setdefault(example, []).append(row)
    return found


def _longest(example: Example, renderer: Renderer) -> int:
    """Tokens of the longest of its sequences."""
    return max(
        len(served.prompt) + 1 + len(renderer.tokenizer.encode(answer, add_special_tokens=False))
        for served in example.served
        for answer in served.answers
    )


def _fault(
    ids: list[int], learned: NDArray[np.bool_], example: Example, place: int, learns_all: bool, renderer: Renderer
) -> tuple[str, int]:
    """How a sequence differs from what is served in each mode, or "" and the first mode in which it does not."""
    faults = list[str]()
    for mode, served in enumerate(example.served):
        if len(ids) > len(served.prompt) and tuple(ids[: len(served.prompt)]) == served.prompt:
            fault = _fault_after(served, ids, learned, place, learns_all, renderer)
            if not fault:
                return "", mode
            faults.append(fault)
    return next(iter(faults), "starts with other tokens than the prompt that is served"), 0


def _fault_after(
    served: Served, ids: list[int], learned: NDArray[np.bool_], place: int, learns_all: bool, renderer: Renderer
) -> str:
    """How what is learned after the prompt differs from the answer; empty if it does not."""
    first = start = len(served.prompt)
    if not learned[start]:
        return f"does not learn the start of its answer, token {start}"
    while first and learned[first - 1] and not learns_all:
        first -= 1
    if renderer.decode(ids[first:]) != (served.answers if first == start else served.turns)[place]:
        return f"learns other tokens than its answer, which starts at token {start}: from token {first} on"
    return ""


AT_START = (
    Question(
        "prompt as served",
        "Is a row trained with the prompt that is served, and exactly its answer learned?",
        "check the chat template with `burnish inspect`",
        as_served,
        at_start=True,
    ),
)
