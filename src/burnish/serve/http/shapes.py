"""Answers in OpenAI's shapes: chats, plain completions, their chunks, log-probabilities and usage."""

import uuid
from collections.abc import Sequence
from typing import Any

from burnish.serve.chat.model import ServedModel
from burnish.serve.chat.parts import Part
from burnish.serve.engines.protocol import Token
from burnish.serve.http.answers import Step
from burnish.serve.http.orders import Order

_LEAST = -9999.0
"""A log-probability of minus infinity, which JSON has not, as OpenAI writes it."""
Shown = Sequence[tuple[Token, int]]
Json = dict[str, Any]


def usage_of(order: Order, completion_tokens: int) -> Json:
    """The tokens of a request."""
    return {
        "prompt_tokens": order.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": order.prompt_tokens + completion_tokens,
    }


def head(order: Order, kind: str) -> Json:
    """The first fields of every answer; `kind` is the object's name."""
    prefix = "chatcmpl" if kind.startswith("chat") else "cmpl"
    return {
        "id": f"{prefix}-{order.id}",
        "object": kind,
        "created": order.created,
        "model": order.model.name,
        "system_fingerprint": order.model.fingerprint or None,
    }


def chat_log_probs(model: ServedModel, tokens: Shown) -> Json:
    """`logprobs` of a chat's choice."""

    def entry(token: int, log_prob: float | None) -> Json:
        data = model.bytes_of(token)
        value = _LEAST if log_prob is None else max(log_prob, _LEAST)
        return {"token": data.decode("utf-8", errors="replace"), "logprob": value, "bytes": list(data)}

    content = [
        {**entry(token.id, token.log_prob), "top_logprobs": [entry(other, value) for other, value in token.top]}
        for token, _ in tokens
    ]
    return {"content": content, "refusal": None}


def text_log_probs(model: ServedModel, tokens: Shown, offset: int = 0) -> Json:
    """`logprobs` of a plain completion's choice; places begin at `offset`."""

    def name(token: int) -> str:
        data = model.bytes_of(token)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)

    def top(token: Token) -> Json:
        found = {name(other): max(value, _LEAST) for other, value in token.top}
        if token.log_prob is not None:
            found.setdefault(name(token.id), max(token.log_prob, _LEAST))
        return found

    return {
        "tokens": [name(token.id) for token, _ in tokens],
        "token_logprobs": [None if token.log_prob is None else max(token.log_prob, _LEAST) for token, _ in tokens],
        "top_logprobs": [None if token.log_prob is None else top(token) for token, _ in tokens],
        "text_offset": [offset + place for _, place in tokens],
    }


class Calls:
    """The tool calls of a choice: each gets its index and an id."""

    def __init__(self) -> None:
        self._count = 0

    def shape(self, part: Part, with_index: bool) -> Json:
        """A call as a message has it, or a chunk."""
        assert part.call is not None
        index, self._count = self._count, self._count + 1
        call = {
            "id": f"call_{uuid.uuid4().hex[:24]}",
            "type": "function",
            "function": {"name": part.call.name, "arguments": part.call.arguments},
        }
        return {"index": index, **call} if with_index else call


class ChatChoice:
    """Collects the steps of one choice of a chat."""

    def __init__(self, order: Order, index: int):
        self._order, self._index = order, index
        self._texts: dict[str, str] = {"content": "", "reasoning": ""}
        self._calls: list[Json] = []
        self._made = Calls()
        self._tokens: list[tuple[Token, int]] = []
        self._reason = ""

    def add(self, step: Step) -> None:
        for part in step.parts:
            if part.kind == "call":
                self._calls.append(self._made.shape(part, with_index=False))
            else:
                self._texts[part.kind] += part.text
        self._tokens += step.tokens
        self._reason = step.reason or self._reason

    @property
    def shape(self) -> Json:
        content = self._texts["content"]
        message: Json = {"role": "assistant", "content": content if content or not self._calls else None}
        message["refusal"] = None
        if thought := self._texts["reasoning"].rstrip():
            message["reasoning_content"] = thought
        if self._calls:
            message["tool_calls"] = self._calls
        log_probs = chat_log_probs(self._order.model, self._tokens) if self._order.log_probs else None
        return {"index": self._index, "message": message, "logprobs": log_probs, "finish_reason": self._reason}


class TextChoice:
    """Collects the steps of one choice of a plain completion; `scored` are the tokens of its prompt."""

    def __init__(self, order: Order, index: int, scored: Sequence[Token] = ()):
        self._order, self._index, self._scored = order, index, scored
        self._text = ""
        self._tokens: list[tuple[Token, int]] = []
        self._reason = ""

    def add(self, step: Step) -> None:
        self._text += step.text
        self._tokens += step.tokens
        self._reason = step.reason or self._reason

    @property
    def shape(self) -> Json:
        echo = self._order.echo[self._index] if self._order.echo else ""
        log_probs = None
        if self._order.log_probs:
            tokens = [(token, len(echo) + place) for token, place in self._tokens]
            if self._order.scored:
                tokens = [*placed(self._order.model, self._order.scored[self._index], self._scored), *tokens]
            log_probs = text_log_probs(self._order.model, tokens)
        return {
            "index": self._index,
            "text": echo + self._text,
            "logprobs": log_probs,
            "finish_reason": self._reason,
        }


def placed(model: ServedModel, prompt: Sequence[int], scored: Sequence[Token]) -> list[tuple[Token, int]]:
    """The tokens of a prompt with their places in its text; the first has no log-probability."""
    from burnish.models.engines.detokenize import Detokenizer

    pieces, place = Detokenizer(model.tokenizer), 0
    found: list[tuple[Token, int]] = []
    for token in [Token(prompt[0]), *scored]:
        found.append((token, place))
        place += len(pieces.add(token.id))
    return found


class ChatChunks:
    """The chunks of a chat's stream."""

    def __init__(self, order: Order):
        self._order, self._head = order, head(order, "chat.completion.chunk")
        self._made = [Calls() for _ in order.asked]

    def first(self) -> list[Json]:
        """The chunks before any token: the role of each choice."""
        return [
            self._chunk(index, {"role": "assistant", "content": "", "refusal": None}, None, None)
            for index in range(len(self._order.asked))
        ]

    def of(self, step: Step) -> list[Json]:
        """The chunks of a step; the log-probabilities go with the first of them."""
        deltas: list[Json] = []
        for part in step.parts:
            match part.kind:
                case "call":
                    deltas.append({"tool_calls": [self._made[step.index].shape(part, with_index=True)]})
                case "reasoning":
                    deltas.append({"reasoning_content": part.text})
                case _:
                    deltas.append({"content": part.text})
        if step.tokens and not deltas:
            deltas.append({})
        tokens = [step.tokens, *([()] * len(deltas))]
        chunks = [
            self._chunk(step.index, delta, self._log_probs(shown), None)
            for delta, shown in zip(deltas, tokens, strict=False)
        ]
        if step.reason is not None:
            chunks.append(self._chunk(step.index, {}, None, step.reason))
        return chunks

    def _log_probs(self, tokens: Shown) -> Json | None:
        return chat_log_probs(self._order.model, tokens) if self._order.log_probs and tokens else None

    def _chunk(self, index: int, delta: Json, log_probs: Json | None, reason: str | None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": log_probs, "finish_reason": reason}
        return {**self._head, "choices": [choice]}

    def usage(self, completion_tokens: int) -> Json:
        """The last chunk, where usage is requested."""
        return {**self._head, "choices": [], "usage": usage_of(self._order, completion_tokens)}


class TextChunks:
    """The chunks of a plain completion's stream."""

    def __init__(self, order: Order, scored: Sequence[Sequence[Token]] = ()):
        self._order, self._head, self._scored = order, head(order, "text_completion"), scored

    def first(self) -> list[Json]:
        """The echoed prompts."""
        return [self._chunk(index, text, self._echoed(index), None) for index, text in enumerate(self._order.echo)]

    def _echoed(self, index: int) -> Json | None:
        if not self._order.scored:
            return None
        model, prompt = self._order.model, self._order.scored[index]
        return text_log_probs(model, placed(model, prompt, self._scored[index]))

    def of(self, step: Step) -> list[Json]:
        offset = len(self._order.echo[step.index]) if self._order.echo else 0
        log_probs = None
        if self._order.log_probs and step.tokens:
            log_probs = text_log_probs(self._order.model, step.tokens, offset)
        return [self._chunk(step.index, step.text, log_probs, step.reason)]

    def _chunk(self, index: int, text: str, log_probs: Json | None, reason: str | None) -> Json:
        choice = {"index": index, "text": text, "logprobs": log_probs, "finish_reason": reason}
        return {**self._head, "choices": [choice]}

    def usage(self, completion_tokens: int) -> Json:
        """The last chunk, where usage is requested."""
        return {**self._head, "choices": [], "usage": usage_of(self._order, completion_tokens)}
