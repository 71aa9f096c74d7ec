"""The ways to make an endpoint reply in JSON, and which of them it takes."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from burnish.core.errors import MachineError
from burnish.core.files import write_json
from burnish.endpoints.client import Endpoint, NoAnswerError, Reply, Request

OWN_FAULT = (400, 413, 422)
"""Statuses with which an endpoint refuses this request, such as one that is too long; others would not pass either."""
FORMATS = ("json_schema", "json_object", "none")
_NO_FORMAT = (400, 422, 501)
"""Statuses with which an endpoint refuses a response_format that it does not know."""
_PROBES = 3

RequestOf = Callable[[str], Request]
"""A request in one of `FORMATS`."""


def fields_of(format: str, schema: Mapping[str, Any], name: str = "verdict") -> dict[str, Any]:
    """The field of a request that makes an endpoint reply in JSON."""
    if format == "json_schema":
        described = {"name": name, "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": described}}
    return {"response_format": {"type": "json_object"}} if format == "json_object" else {}


class KnownFormats:
    """The choices of a run by the names of its models, in its folder: a resumed run sends the same requests, whose
    replies are in the cache."""

    def __init__(self, folder: Path):
        self._path = folder / "formats.json"

    def choose(self, name: str, endpoint: Endpoint, asked: Sequence[RequestOf]) -> str:
        """The format known for a name, or the first one with which its endpoint answers one of the first requests."""
        known = self._read()
        if name not in known:
            known[name] = _format_of(endpoint, asked)
            write_json(self._path, known)
        return known[name]

    def _read(self) -> dict[str, str]:
        with suppress(OSError, ValueError, AttributeError):  # damaged: the replies that chose are in the cache
            found: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: value for name, value in found.items() if value in FORMATS}
        return {}


def _format_of(endpoint: Endpoint, asked: Sequence[RequestOf]) -> str:
    error: NoAnswerError | None = None
    for request in asked[:_PROBES]:  # the first one may be refused by itself, as too long
        for format in FORMATS:
            (reply,) = endpoint.answers([request(format)], lambda e: e.status in (*_NO_FORMAT, 0))
            if isinstance(reply, NoAnswerError) and reply.status == 0:
                fix = f"{reply.fix}; or set response_format: none if the endpoint fails on {format}"
                raise MachineError(reply.code, reply.reason, fix)
            if isinstance(reply, Reply):
                endpoint.counts.subtract(("requested", "cached"))  # it is asked again, from the cache
                return format
            error = reply
    if error is not None:
        raise error
    return "none"
