"""Several models answer one prompt at the same time: their pieces as they come, each with the model that wrote it."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.errors import AskError, BurnishError, ModelError, RunError
from burnish.core.runs.workspace import Workspace
from burnish.studio.playground.pool import Limits, Pool
from burnish.studio.playground.process import ModelProcess
from burnish.studio.playground.references import Placed, placed
from burnish.studio.workrooms import require

if TYPE_CHECKING:
    import httpx

MOST_MODELS = 8
Event = dict[str, Any]
"""`event`: loading (`text`), token (`text`, `reasoning`), done or error; and `model`, as it was asked for."""
Way = tuple[str, dict[str, Any]]
"""A path of OpenAI's API, and the fields of a request that say what is asked."""


class Playground:
    """The models of a workspace that answer in the playground. All methods are called from one event loop."""

    def __init__(self, workspace: Path | str | None = None, limits: Limits | None = None):
        self._place, self._pool = Workspace.find(workspace), Pool(workspace, limits)
        self._client: httpx.AsyncClient | None = None

    async def generate(
        self,
        models: Sequence[str],
        prompt: str | Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any] | None = None,
        *,
        is_raw: bool = False,
        allowed: Iterable[Path] | None = None,
    ) -> AsyncGenerator[Event]:
        """The events of all models, as they come: of each any number of `loading` and `token`, then `done` or `error`.

        `prompt` is a conversation, or what a user says: a text that is continued where it `is_raw`, or where the model
        has no chat template. `parameters` are fields of an OpenAI request, such as `temperature`, `max_tokens` and
        `seed`. `allowed`: see `placed`. Closing it ends the answers.

        Errors before the first event: those of `check`.
        """
        self.check(models)
        kept = None if allowed is None else tuple(allowed)
        events: asyncio.Queue[Event] = asyncio.Queue()
        ways = _ways(prompt, is_raw)
        tasks = [asyncio.create_task(self._answer(ref, ways, parameters or {}, kept, events.put)) for ref in models]
        try:
            left = len(tasks)
            while left:
                event = await events.get()
                left -= event["event"] in ("done", "error")
                yield event
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def check(self, models: Sequence[str]) -> None:
        """AskError `ask.wrong-value` for no model, too many, or one named twice; MachineError `machine.no-package`."""
        if not 0 < len(models) <= MOST_MODELS or len(set(models)) < len(models):
            raise AskError("ask.wrong-value", "name some models, each once", f"name 1 to {MOST_MODELS}")
        require("httpx", "ui")
        require("torch", "serve")

    def loaded(self) -> list[dict[str, Any]]:
        """The processes that have a model loaded."""
        return self._pool.loaded()

    async def close(self) -> None:
        """End all processes."""
        await self._pool.close()
        if self._client is not None:
            await self._client.aclose()

    async def _answer(
        self,
        ref: str,
        ways: Sequence[Way],
        parameters: Mapping[str, Any],
        allowed: tuple[Path, ...] | None,
        put: Callable[[Event], Awaitable[None]],
    ) -> None:
        """Put the events of one model. Nothing is raised: what goes wrong is its `error`."""
        loop = asyncio.get_running_loop()
        reports: set[asyncio.Task[None]] = set()

        def report(text: str) -> None:
            reporting = loop.create_task(_put(put, {"event": "loading", "model": ref, "text": text}))
            reports.add(reporting)
            reporting.add_done_callback(reports.discard)

        try:
            where = await asyncio.to_thread(placed, ref, workspace=self._place.root, allowed=allowed)
            await self._answer_placed(where, ways, parameters, report, put)
        except BurnishError as error:
            await put({"event": "error", "model": ref, **_problem(error)})
        except Exception as error:
            unexpected = RunError("run.failed", f"{type(error).__name__}: {error}", "see the log of the server")
            await put({"event": "error", "model": ref, **_problem(unexpected)})

    async def _answer_placed(
        self,
        where: Placed,
        ways: Sequence[Way],
        parameters: Mapping[str, Any],
        report: Callable[[str], None],
        put: Callable[[Event], Awaitable[None]],
    ) -> None:
        """An adapter that cannot be loaded beside its base answers in a process of its own."""
        try:
            async with self._pool.using(where, report) as (process, name):
                await self._ask(where.ref, process, name, ways, parameters, put)
        except ModelError as error:
            if error.code != "model.unsupported" or where.adapter is None:
                raise
            report(f"{error.reason}; it is merged into its base instead")
            async with self._pool.using(where.alone(), report) as (process, name):
                await self._ask(where.ref, process, name, ways, parameters, put)

    async def _ask(
        self,
        ref: str,
        process: ModelProcess,
        name: str,
        ways: Sequence[Way],
        parameters: Mapping[str, Any],
        put: Callable[[Event], Awaitable[None]],
    ) -> None:
        """Ask in the first of the ways; in the next one where the model has no chat template."""
        for way in ways[:-1]:
            try:
                return await self._ask_in(way, ref, process, name, parameters, put)
            except _NoTemplateError:
                continue
        return await self._ask_in(ways[-1], ref, process, name, parameters, put)

    async def _ask_in(
        self,
        way: Way,
        ref: str,
        process: ModelProcess,
        name: str,
        parameters: Mapping[str, Any],
        put: Callable[[Event], Awaitable[None]],
    ) -> None:
        path, asked = way
        body = {**parameters, **asked, "model": name, "stream": True, "stream_options": {"include_usage": True}}
        done: Event = {"event": "done", "model": ref, "answer": "", "reasoning": "", "finish_reason": None}
        began = time.monotonic()
        async with aclosing(self._chunks(process, path, body)) as chunks:
            async for chunk in chunks:
                if usage := chunk.get("usage"):
                    done |= {"prompt_tokens": usage["prompt_tokens"], "tokens": usage["completion_tokens"]}
                for choice in chunk.get("choices", ()):
                    done["finish_reason"] = choice.get("finish_reason") or done["finish_reason"]
                    piece = _piece(choice)
                    if any(piece.values()):
                        done.setdefault("first_token_seconds", round(time.monotonic() - began, 4))
                        done["answer"] += piece["text"]
                        done["reasoning"] += piece["reasoning"]
                        await put({"event": "token", "model": ref, **piece})
        await put({**done, "seconds": round(time.monotonic() - began, 4), "engine": process.ready["engine"]})

    async def _chunks(self, process: ModelProcess, path: str, body: dict[str, Any]) -> AsyncGenerator[Event]:
        """The chunks of an answer in OpenAI's shape. Errors: AskError for what the model refuses; RunError."""
        import httpx

        if self._client is None:  # no proxy stands between two processes of this machine
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(30.0, read=None), trust_env=False)
        address, headers = process.ready["address"], {"Authorization": f"Bearer {process.ready['key']}"}
        try:
            async with self._client.stream("POST", f"{address}/v1/{path}", json=body, headers=headers) as reply:
                if reply.status_code != 200:
                    raise _refused(reply.status_code, await reply.aread())
                async for chunk in _events(reply.aiter_lines()):
                    if "error" in chunk:
                        raise _refused(500, json.dumps(chunk).encode())
                    yield chunk
        except httpx.HTTPError as error:
            what = f"the model's process broke off its answer ({type(error).__name__})"
            raise RunError("run.engine-failed", what, "ask again: it is started again") from error


async def _put(put: Callable[[Event], Awaitable[None]], event: Event) -> None:
    await put(event)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    async for line in lines:
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line[6:])


class _NoTemplateError(AskError):
    """A chat was asked of a model without a chat template."""


def _ways(prompt: str | Sequence[Mapping[str, Any]], is_raw: bool) -> list[Way]:
    """The ways to ask it, the best one first."""
    if not isinstance(prompt, str):
        return [("chat/completions", {"messages": [dict(message) for message in prompt]})]
    chat = ("chat/completions", {"messages": [{"role": "user", "content": prompt}]})
    return [*([] if is_raw else [chat]), ("completions", {"prompt": prompt})]


def _piece(choice: Mapping[str, Any]) -> dict[str, Any]:
    """What is new of an answer; a call of a tool is shown as its JSON."""
    delta: dict[str, Any] = choice.get("delta") or {}
    text: str = choice.get("text") or delta.get("content") or ""
    for call in delta.get("tool_calls") or ():
        text += json.dumps(call["function"], ensure_ascii=False)
    return {"text": text, "reasoning": delta.get("reasoning_content") or ""}


def _refused(status: int, body: bytes) -> BurnishError:
    code = None
    try:
        error = json.loads(body)["error"]
        what, code = str(error["message"]), error.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        what = f"the model's process answered with status {status}"
    if status in (429, 503):
        return RunError("run.busy", what, "wait a little, and ask again")
    if status < 500:
        kind = _NoTemplateError if code == "no_chat_template" else AskError
        return kind("ask.wrong-value", what, "correct the prompt or the parameters")
    return RunError("run.engine-failed", what, "ask again; the log of the model is below .burnish/playground")


def _problem(error: BurnishError) -> dict[str, Any]:
    return {"code": error.code, "detail": error.what, "fix": error.fix}
