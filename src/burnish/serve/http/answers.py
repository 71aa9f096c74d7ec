"""Runs the completions of an order on the engine, and gives out their pieces as they are certain."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

from burnish.serve.chat.parts import Part
from burnish.serve.chat.written import Piece, Written
from burnish.serve.engines.protocol import Asked, Draw, End, EngineError, ServingEngine, Token
from burnish.serve.http.admission.limits import Slots
from burnish.serve.http.admission.visit import Visit
from burnish.serve.http.orders import Order, Reader


@dataclass(frozen=True)
class Step:
    """What is new of a choice: text of a plain completion, or parts of a turn; and the tokens of it with their places
    in the text. `reason` is given with the last one."""

    index: int
    text: str = ""
    parts: tuple[Part, ...] = ()
    tokens: tuple[tuple[Token, int], ...] = ()
    reason: str | None = None


async def steps_of(order: Order, engine: ServingEngine, slots: Slots, visit: Visit) -> AsyncGenerator[Step]:
    """The steps of all choices, as they come. Errors: EngineError, also in the middle; closing it ends the work."""
    if len(order.asked) == 1:
        async with aclosing(_choice(order, 0, engine, slots, visit)) as steps:
            async for step in steps:
                yield step
        return
    queue: asyncio.Queue[Step | BaseException | None] = asyncio.Queue()

    async def run(index: int) -> None:
        try:
            async with aclosing(_choice(order, index, engine, slots, visit)) as steps:
                async for step in steps:
                    queue.put_nowait(step)
            queue.put_nowait(None)
        except Exception as error:
            queue.put_nowait(error)

    tasks = [asyncio.create_task(run(index)) for index in range(len(order.asked))]
    try:
        left = len(tasks)
        while left:
            found = await queue.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                left -= 1
            else:
                yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _choice(order: Order, index: int, engine: ServingEngine, slots: Slots, visit: Visit) -> AsyncGenerator[Step]:
    asked = order.asked[index]
    if asked.max_tokens == 0:
        yield Step(index, reason="length")
        return
    written = Written(order.model.tokenizer, order.stops, order.unshown)
    reader = order.read() if order.read else None
    waiting: tuple[tuple[Token, int], ...] = ()
    async with slots.one(), aclosing(cast(Any, engine.complete(asked))) as tokens:
        reason: str = "length"
        async for item in tokens:
            if isinstance(item, End):
                visit.completion_tokens += item.token is not None
                reason = item.reason
                break
            visit.drew()
            piece = written.add(item)
            if piece.text or piece.tokens:
                step = _step(index, piece, reader, waiting, order.log_probs)
                waiting = () if step.text or step.parts else step.tokens
                if step.text or step.parts:
                    yield step
            if written.stopped is not None:
                reason = "stop"
                break
    last = _step(index, written.end(), reader, waiting, order.log_probs)
    parts = (*last.parts, *(reader.end() if reader else ()))
    if reader is not None:
        visit.malformed_calls += bool(reader.malformed)
        visit.surplus_calls += reader.surplus
        if reader.calls and (reason != "length" or reader.is_whole):
            reason = "tool_calls"
    yield Step(index, last.text, parts, last.tokens, reason)


def _step(
    index: int, piece: Piece, reader: Reader | None, waiting: tuple[tuple[Token, int], ...], keeps_tokens: bool
) -> Step:
    tokens = (*waiting, *piece.tokens) if keeps_tokens else ()
    if reader is None:
        return Step(index, piece.text, (), tokens)
    return Step(index, "", tuple(reader.add(piece.text)), tokens)


async def score(asked: Asked, engine: ServingEngine, slots: Slots) -> list[Token]:
    """The tokens of a prompt after the first, each with the log-probabilities at its place.

    One token at a time is forced by a bias, which log-probabilities do not see; an engine that keeps what it computed
    of a prompt computes one token each time.
    """
    found: list[Token] = []
    async with slots.one():
        for place in range(1, len(asked.prompt)):
            token = asked.prompt[place]
            one = replace(
                asked,
                prompt=asked.prompt[:place],
                max_tokens=1,
                draw=Draw(temperature=0.0, logit_bias={token: 100.0}),
                stop_ids=(),
                schema=None,
            )
            drawn: Token | None = None
            async with aclosing(cast(Any, engine.complete(one))) as tokens:
                async for item in tokens:
                    if isinstance(item, End):
                        if drawn is None and item.token is not None:
                            drawn = Token(item.token, item.log_prob)
                    else:
                        drawn = item
            if drawn is None or drawn.id != token:
                raise EngineError("failed", f"it does not give the log-probability of token {token}")
            found.append(drawn)
    return found
