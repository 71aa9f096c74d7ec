"""Plain completions of an endpoint: a prompt of text or ids is continued, without a chat template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from burnish.core.printable import encodable
from burnish.endpoints.client import Endpoint, Reply, usage_in


@dataclass(frozen=True)
class Completion(Reply):
    """A reply of `/completions`; `choice` is its first choice."""

    choice: Mapping[str, Any] = field(default_factory=dict[str, Any])


class CompletionEndpoint(Endpoint):
    """`Endpoint` for `/completions`: requests have no messages, and a `prompt` among their fields."""

    path, expected = "/completions", "a completion"

    def _read(self, body: Mapping[str, Any]) -> Completion | None:
        choices = body.get("choices")
        choice: Any = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or not isinstance(choice.get("text"), str):
            return None
        reason = str(choice.get("finish_reason") or "stop")
        return Completion(encodable(choice["text"]), reason, usage=usage_in(body), choice=choice)
