"""Rows answered by a model behind an endpoint: what is sent of a row, and its reply as the text of an answer."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from burnish.core.context import Context
from burnish.core.fingerprint import of_value
from burnish.endpoints.client import Endpoint, NoAnswerError, Reply, Request
from burnish.endpoints.completions import CompletionEndpoint
from burnish.endpoints.spending import journal
from burnish.evals.scoring.scorers import Row, answering_turn
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals import GenerationSpec

RESTART = "replies in the cache are not requested again"
_REFUSED = (400, 413, 422)
"""Statuses that concern the request: the row has no answer, and the run continues."""
_SENT_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name")


class ServedModel:
    """A model behind an endpoint. Rows with messages are answered as chats, texts are continued as plain completions.

    Temperature and length are those of `generation` where the endpoint sets none of its own.
    """

    def __init__(self, spec: EndpointSpec, name: str, generation: GenerationSpec, ctx: Context):
        acting = _acting(spec, generation)
        settings = ctx.cache / "replies", journal(ctx.scratch, name), lambda: ctx.stopping
        self.chats, self.texts = Endpoint(acting, *settings), CompletionEndpoint(acting, *settings)
        self.texts.spending, self.texts.counts = self.chats.spending, self.chats.counts
        self.name = self.chats.name

    def replies(self, rows: Sequence[Row], tick: Callable[[int, int], None]) -> list[Reply | NoAnswerError]:
        """The reply to each row, in order; the error of a row that the endpoint refuses. `tick` gets (done, total).

        Errors: those of `Endpoint.answers`.
        """
        texts = [place for place, row in enumerate(rows) if not row.get("messages")]
        chats = [place for place, row in enumerate(rows) if row.get("messages")]
        found: dict[int, Reply | NoAnswerError] = {}
        for endpoint, places in ((self.chats, chats), (self.texts, texts)):
            before = len(found)
            requests = [_request(rows[place]) for place in places]

            def counted(done: int, _: int, before: int = before) -> None:
                tick(before + done, len(rows))

            given = endpoint.answers(requests, lambda error: error.status in _REFUSED, counted) if places else []
            found |= dict(zip(places, given, strict=True))
        return [found[place] for place in range(len(rows))]

    @property
    def doubt(self) -> str:
        """A note on the replies of the cache, where they may be of another model; "" if there is no doubt."""
        return self.chats.doubt  # the counts are those of both

    @property
    def damaged(self) -> int:
        """Replies in the cache that could not be used, and were requested again."""
        return self.chats.damaged + self.texts.damaged


def served_fingerprint(spec: EndpointSpec, identity: str = "") -> str:
    """What is known of a model behind an endpoint: its address, its name, the settings of its requests, and the
    identity that its server gives."""
    values = spec.__dict__
    known = {name: values[name] for name in ("url", "model", "temperature", "max_tokens", "parameters")}
    return of_value({**known, "fingerprint": identity} if identity else known)


def prompt_of(row: Row) -> list[dict[str, Any]]:
    """The turns before the answer, with the keys of the protocol."""
    turns = row["messages"][:-1] if answering_turn(row) is not None else row["messages"]
    return [{key: turn[key] for key in _SENT_KEYS if turn.get(key) is not None} for turn in turns]


def reference_of(row: Row) -> str | None:
    """The text of the last turn; its calls as in an answer. None if the row has no answer."""
    turn = answering_turn(row) if row.get("messages") else None
    return None if turn is None else with_calls(str(turn.get("content") or ""), turn.get("tool_calls") or ())


def with_calls(text: str, calls: Sequence[Mapping[str, Any]]) -> str:
    """A text and the calls after it, in the notation of Hermes and Qwen."""
    blocks = [text] if text else []
    for call in calls:
        function = call.get("function") or {}
        arguments = function.get("arguments")
        with contextlib.suppress(ValueError):  # what cannot be read is a call that differs
            arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
        value = {"name": function.get("name"), "arguments": arguments}
        blocks.append(f"<tool_call>\n{json.dumps(value, ensure_ascii=False)}\n</tool_call>")
    return "\n".join(blocks)


def _request(row: Row) -> Request:
    if not row.get("messages"):
        return Request((), {"prompt": row["text"]})
    return Request(prompt_of(row), {"tools": row["tools"]} if row.get("tools") else {})


def _acting(spec: EndpointSpec, generation: GenerationSpec) -> EndpointSpec:
    given = spec.model_fields_set
    changed: dict[str, Any] = {}
    if "temperature" not in given:
        changed["temperature"] = generation.temperature
    if "max_tokens" not in given:
        changed["max_tokens"] = generation.max_new_tokens
    if generation.temperature > 0:
        fixed = {"seed": generation.seed} | ({"top_p": generation.top_p} if generation.top_p < 1 else {})
        changed["parameters"] = {**fixed, **spec.parameters}
    acting = spec.model_copy(update=changed)
    for field in given:  # a copy has fields of its own: those of the original count as read
        getattr(spec, field)
    return acting
