"""Ids, weights and counts of whole rows, compared with plain string work on the pieces of each conversation.

Every character is a token here (a letter outside ASCII is one token per byte), so the expected tokens follow from the
text alone. A `Family` is a chat template beside a function that writes the same text in pieces, each with the message
that it is learned for. Samples, weights, truncation and counts are derived from the pieces by their definitions.
"""

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.tokens.conftest import LETTER_SPECIALS
from tests.tokens.rendering.test_rendered import slow_parts
from tests.tokens.rendering.test_renderer import BARE, UNMARKED

from burnish.core.errors import BurnishError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.rendered import Encoded
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML

Messages = list[dict[str, Any]]
Pieces = list[tuple[str, int | None]]
SPLIT = re.compile("|".join(map(re.escape, LETTER_SPECIALS)) + r"|[\s\S]")


# Families: what a template writes


def chatml(messages: Messages) -> Pieces:
    pieces: Pieces = []
    for index, m in enumerate(messages):
        pieces.append((f"<|im_start|>{m['role']}\n", None))
        thought = f"<think>\n{m['reasoning_content']}\n</think>\n\n" if "reasoning_content" in m else ""
        pieces.append((f"{thought}{m['content']}<|im_end|>\n", index if m["role"] == "assistant" else None))
    return pieces


def bare(messages: Messages) -> Pieces:
    pieces: Pieces = []
    for index, m in enumerate(messages):
        pieces += [(f"<|{m['role']}|>", None), (f"{m['content']}<|end|>", index if m["role"] == "assistant" else None)]
    return pieces


def opening(messages: Messages) -> Pieces:
    """A turn ends with the special token that opens the next one."""
    pieces: Pieces = []
    for index, m in enumerate(messages):
        before = index - 1 if index and messages[index - 1]["role"] == "assistant" else None
        pieces += [(f"<|{m['role']}|>", before), (m["content"], index if m["role"] == "assistant" else None)]
    if messages[-1]["role"] == "assistant":
        pieces.append(("<|user|>", len(messages) - 1))
    return pieces


def brackets(messages: Messages) -> Pieces:
    """The text of Llama 2: BOS first, contents stripped, EOS after an answer, no generation prompt."""
    pieces: Pieces = [("<bos>", None)]
    for index, m in enumerate(messages):
        text = m["content"].strip()
        match m["role"]:
            case "assistant":
                pieces.append((f" {text}<eos>", index))
            case "user":
                pieces.append((f"[INST] {text} [/INST]", None))
            case _:
                pieces.append((f"<<{text}>>", None))
    return pieces


def forgetful(messages: Messages) -> Pieces:
    """The text of Qwen 3: reasoning tags are written for turns after the last question only."""
    last = max((index for index, m in enumerate(messages) if m["role"] == "user"), default=-1)
    pieces: Pieces = []
    for index, m in enumerate(messages):
        pieces.append((f"<|im_start|>{m['role']}\n", None))
        thought = f"<think>\n{m.get('reasoning_content', '')}\n</think>\n\n" if index > last else ""
        is_turn = m["role"] == "assistant"
        pieces.append(
            (f"{thought if is_turn else ''}{m['content']}<|im_end|>\n", index if m["role"] == "assistant" else None)
        )
    return pieces


def switched(messages: Messages) -> Pieces:
    """A turn without reasoning starts as no default prompt does."""
    pieces: Pieces = []
    for index, m in enumerate(messages):
        pieces.append((f"<|{m['role']}|>\n", None))
        if m["role"] != "assistant":
            pieces.append((f"{m['content']}<|end|>", None))
            continue
        thought = f"<think>\n{m['reasoning_content']}</think>" if "reasoning_content" in m else "<nothink>"
        pieces.append((f"{thought}{m['content']}<|end|>", index))
    return pieces


OPENING = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
BRACKETS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content.strip() }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content | trim }}{{ eos_token }}{% else %}<<{{ m.content.strip() }}>>"
    "{% endif %}{% endfor %}"
)
FORGETFUL = (
    "{%- set ns = namespace(last=-1) %}{%- for m in messages if m.role == 'user' %}{%- set ns.last = loop.index0 %}"
    "{%- endfor %}{%- set ns = namespace(last=-1) %}{%- for m in messages %}{%- if m.role == 'user' %}"
    "{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}{%- for m in messages %}"
    "{{- '<|im_start|>' + m.role + '\\n' }}{%- if m.role == 'assistant' and loop.index0 > ns.last %}"
    "{{- '<think>\\n' + (m.reasoning_content or '') + '\\n</think>\\n\\n' }}{%- endif %}"
    "{{- m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SWITCHED = (
    "{%- for m in messages %}{{- '<|' + m.role + '|>\\n' }}{%- if m.role == 'assistant' %}"
    "{{- '<think>\\n' + m.reasoning_content + '</think>' if m.reasoning_content else '<nothink>' }}{%- endif %}"
    "{{- m.content + '<|end|>' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}"
    "{{- '<nothink>' if enable_thinking is defined and not enable_thinking else '<think>\\n' }}{%- endif %}"
)


@dataclass(frozen=True)
class Family:
    template: str
    write: Callable[[Messages], Pieces]
    method: str
    end: str
    prompt: str = "<|assistant|>"
    reasons: bool = False
    starts: bool = True
    """Whether the assistant may speak first."""
    thinks: bool = False
    """Whether a turn without reasoning needs another mode."""


FAMILIES = {
    "marked": Family(CHATML, chatml, "generation markers", "<|im_end|>", "<|im_start|>assistant\n", reasons=True),
    "traced": Family(UNMARKED, chatml, "traced turns", "<|im_end|>", "<|im_start|>assistant\n", reasons=True),
    "differenced": Family(BARE, bare, "differenced prefixes", "<|end|>", starts=False),
    "opening": Family(OPENING, opening, "traced turns", "<|user|>"),
    "brackets": Family(BRACKETS, brackets, "traced turns", "<eos>", "", starts=False),
    "forgetful": Family(FORGETFUL, forgetful, "traced turns", "<|im_end|>", "<|im_start|>assistant\n", reasons=True),
    "switched": Family(SWITCHED, switched, "traced turns", "<|end|>", "<|assistant|>\n", reasons=True, thinks=True),
}

# The expected rows


def text_of(pieces: Pieces) -> str:
    return "".join(text for text, _ in pieces)


def expected_samples(
    family: Family, messages: Messages, wanted: dict[int, float], rewritten: str
) -> tuple[list[tuple[str, list[float]]], Counter[str]]:
    """Texts with the weight of each character, and counts, by the definition of each way."""
    counts = Counter(turns=len(wanted))
    if family.thinks:
        counts["thinking_off"] = sum(bool(index) and "reasoning_content" not in messages[index] for index in wanted)

    def until(index: int) -> str:
        """The text up to the end of a turn as at inference."""
        pieces = family.write(messages[: index + 1])
        return text_of(pieces[: 1 + max(place for place, (_, owner) in enumerate(pieces) if owner == index)])

    def sample(count: int, learned: set[int]) -> tuple[str, list[float]]:
        pieces = family.write(messages[:count])
        if family.write is opening and count - 1 not in learned and pieces[-1][1] == count - 1:
            pieces = pieces[:-1]  # only a learned turn at the end gets the opening of a next one
        weights = [wanted[o] if o is not None and o in learned else 0.0 for text, o in pieces for _ in text]
        return text_of(pieces), weights

    if not wanted:
        return [sample(len(messages), set())], counts
    left = set(wanted)
    here = {index for index in left if text_of(family.write(messages)).startswith(until(index))}
    if rewritten == "as_shown":
        counts["rewritten_as_shown"] = len(left - here)
        return [sample(len(messages), left)], counts
    samples = [sample(len(messages), here)] if here else []
    left -= here
    counts["rewritten_masked" if rewritten == "mask" else "rewritten"] = len(left)
    while left and rewritten == "separate":
        count = max(left) + 1
        here = {index for index in left if text_of(family.write(messages[:count])).startswith(until(index))}
        samples.append(sample(count, here))
        left -= here
    return samples or [sample(len(messages), set())], counts


def tokens_of(tokenizer: Any, text: str) -> tuple[list[int], list[int], list[list[int]]]:
    """Ids, the first character of each token, and offsets."""
    ids, places, offsets = [], [], []
    for match in SPLIT.finditer(text):
        for token in tokenizer(match.group(), add_special_tokens=False)["input_ids"]:
            ids.append(token)
            places.append(match.start())
            offsets.append([match.start(), match.end()])
    return ids, places, offsets


def expected(tokenizer: Any, family: Family, row: dict[str, Any], spec: RenderSpec) -> tuple[Any, dict[str, int]]:
    """Rendered rows or the error's words, and all counts."""
    messages = row["messages"]
    turns = [index for index, m in enumerate(messages) if m["role"] == "assistant"]
    if spec.train_on == "completion":
        turns = turns[-1:]
    wanted = {index: messages[index].get("weight", 1.0) for index in turns}
    wanted = {index: weight for index, weight in wanted.items() if weight}
    counts = Counter(rows=1)
    if spec.train_on == "all":
        pieces = family.write(messages)
        if family.write is opening and messages[-1]["role"] == "assistant":
            pieces = pieces[:-1]
        text = text_of(pieces)
        samples = [(text, [1.0] * len(text))]
        given = {m.get("weight", 1.0) for m in messages}
        counts["overruled"] = given != {1.0}
    else:
        samples, more = expected_samples(family, messages, wanted, spec.rewritten_turns)
        counts += more
        overruled = [m for index, m in enumerate(messages) if m.get("weight", 0.0) != 0.0 and index not in wanted]
        counts["overruled"] = bool(overruled)
    texts = [text for text, _ in samples]
    counts["content_left_out"] = sum(not any(m["content"].strip() in text for text in texts) for m in messages)
    thoughts = [m["reasoning_content"] for m in messages if "reasoning_content" in m]
    counts["thinking_left_out"] = sum(not any(thought in text for text in texts) for thought in thoughts)
    rows = []
    for text, weights in samples:
        ids, places, offsets = tokens_of(tokenizer, text)
        rows.append((text, ids, [0.0, *(weights[place] for place in places[1:])], offsets))
    learned = [each for each in rows if any(each[2])]
    counts["unlearned"] = not learned
    found, dropped = [], False
    for text, ids, weights, offsets in learned or rows[:1]:
        bos = ids[0] == tokenizer.bos_token_id
        if len(ids) <= spec.max_length:
            found.append((text, ids, weights))
        elif spec.over_length == "raise":
            longest = f"{spec.max_length:,}"
            return f"x:1: the row has {len(ids):,} tokens, but max_length is {longest}", +counts
        elif spec.over_length == "drop":
            dropped = True
        elif spec.over_length == "truncate_left":
            counts["truncated"] += 1
            kept = [0, *range(len(ids) - spec.max_length + 1, len(ids))] if bos else range(len(ids))[-spec.max_length :]
            chosen = [weights[token] for token in kept]
            begin, end = offsets[kept[1] if bos else kept[0]][0], offsets[-1][1]
            found.append(("<bos>" * bos + text[begin:end], [ids[token] for token in kept], [0.0, *chosen[1:]]))
        else:
            parts = slow_parts(Encoded(text, np.array(ids), np.array(offsets)), weights, spec.max_length, bos)
            kept_parts = [part for part in parts if any(part[2])]
            found += kept_parts
            counts.update(split=1, pieces=len(kept_parts), pieces_unlearned=len(parts) - len(kept_parts))
    if dropped:
        counts["samples_dropped" if found else "dropped"] += 1
    return found, +counts


# Rows

SHAPES = ["ua", "sua", "uaua", "suauau", "u", "uaauaa", "au", "auaua"]
ROLES = {"s": "system", "u": "user", "a": "assistant"}
WORDS = ["Hello", "  two blanks\n", "天气🙂", "a\nb\n\nc", "yes!", "{{ 1 }} & <b>", "\tx\xa0"]


def rows(seed: str, family: Family, count: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    shapes = [shape for shape in SHAPES if family.starts or shape[0] != "a"]
    if family.write is opening:
        shapes = [shape for shape in shapes if "aa" not in shape]
    made = []
    for number in range(count):
        messages = []
        for index, letter in enumerate(shapes[number % len(shapes)]):
            words = chance.choice(WORDS)
            message: dict[str, Any] = {
                "role": ROLES[letter],
                "content": words.replace("\t", f"\t[{index}]") + f"<{index}>",
            }
            if letter == "a" and chance.random() < 0.4:
                message["weight"] = chance.choice([0.0, 0.5, 1.0, 2.0])
            if letter == "u" and chance.random() < 0.1:
                message["weight"] = chance.choice([0.0, 1.0])
            if letter == "a" and family.reasons and chance.random() < 0.3:
                message["reasoning_content"] = f"Hm {index}"
            messages.append(message)
        made.append({"kind": "chat", "source": "x:1", "messages": messages})
    return made


SETTINGS: list[dict[str, Any]] = [
    {},
    {"rewritten_turns": "mask"},
    {"rewritten_turns": "as_shown"},
    {"train_on": "completion"},
    {"train_on": "all", "max_length": 60, "over_length": "split"},
    {"max_length": 60},
    {"max_length": 60, "over_length": "drop"},
    {"max_length": 40, "over_length": "truncate_left"},
    {"max_length": 17, "over_length": "split"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_rows_are_what_their_pieces_say(letters, name, settings):
    family = FAMILIES[name]
    tokenizer, spec = letters(family.template), RenderSpec(**{"max_length": 4096, **settings})
    renderer = Renderer(tokenizer, spec)
    total: Counter[str] = Counter()
    for row in rows(f"{name} {settings}", family, 24):
        before = renderer.counts.copy()
        try:
            made: Any = [(each.text, each.ids.tolist(), each.weights.tolist()) for each in renderer.render(row)]
        except BurnishError as error:
            made = error.what
        wanted, counts = expected(tokenizer, family, row, spec)
        assert made == wanted, row["messages"]
        assert +(renderer.counts - before) == counts, row["messages"]
        total.update(counts)
    assert renderer.method == family.method
    assert +renderer.counts == +total


@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_and_answers_are_what_their_pieces_say(letters, name):
    family = FAMILIES[name]
    renderer = Renderer(letters(family.template), RenderSpec())
    for row in rows(name, family, 16):
        messages = row["messages"]
        asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
        if not asked:
            continue
        pieces = family.write(asked)
        if family.write is opening and asked[-1]["role"] == "assistant":
            pieces = pieces[:-1]
        text = text_of(pieces) + family.prompt + "<think>\n" * family.thinks
        assert renderer.prompt(row) == (text, tokens_of(renderer.tokenizer, text)[0])
        assert renderer.prompt(messages) == renderer.prompt(row)
        if messages[-1]["role"] == "assistant":
            last = len(messages) - 1
            answer = "".join(text for text, owner in family.write(messages) if owner == last).partition(family.end)[0]
            if family.thinks and "reasoning_content" in messages[-1]:
                answer = answer.removeprefix("<think>\n")  # the prompt has it
            assert renderer.answer(row) == answer
