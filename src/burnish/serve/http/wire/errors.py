"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from burnish.core.errors import BurnishError
from burnish.core.http.openai_errors import openai_error
from burnish.serve.engines.protocol import EngineError
from burnish.serve.http.wire.encoding import json_bytes

_IN_CONTENT = ".content."
_FIRST_WORDS = ("tools", "suffix")
"""Fields that rules about several fields begin with."""


class ApiError(Exception):
    """An answer other than 2xx. `param` is the field that is wrong, `code` a word for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return openai_error(self.status, self.message, self.param, self.code)

    def response(self) -> Response:
        """The answer."""
        return Response(json_bytes(self.body), self.status, self.headers, "application/json")


def wrong(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """400: the request is invalid."""
    return ApiError(400, message, param=param, code=code)


def of_validation(error: ValidationError) -> ApiError:
    """400 for the first fault that pydantic found, and how many more there are."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    first = _deepest(faults)
    param = _path(first["loc"])
    if first["type"] == "extra_forbidden":
        message = f"unknown field '{param}': it is not ignored, because it may change the answer; remove it"
        return wrong(message, param, "unknown_field")
    what = first["msg"].removeprefix("Value error, ")
    if first in _wrong_types(faults).values():
        known = dict.fromkeys(fault["msg"] for fault in faults if _path(fault["loc"]) == param)
        what = " or ".join(known).replace(" or Input should be", " or")
        return wrong(f"{param}: {what}{'; the models read text' * (_IN_CONTENT in param)}", param, "invalid_value")
    others = len({_path(fault["loc"]) for fault in faults} - {param})
    more = f" (and {others} more faults)" if others else ""
    return wrong(f"{param}: {what}{more}" if param else f"{what}{more}", param or _field_of(what), "invalid_value")


def _deepest(faults: list[Any]) -> Any:
    """Of a union pydantic lists the faults of every member: the one that got furthest is meant."""
    types = _wrong_types(faults)
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    of_this_type = [fault for fault in unknown if fault["loc"][:-1] not in types]
    if unknown and not of_this_type:  # they are fields of an object of another type
        return types[unknown[0]["loc"][:-1]]
    longest = max(len(fault["loc"]) for fault in faults)
    candidates = of_this_type or [fault for fault in faults if len(fault["loc"]) == longest] if longest > 1 else faults
    return candidates[0]


def _wrong_types(faults: list[Any]) -> dict[tuple[Any, ...], Any]:
    """The faults of a field `type` that has another value, by the place of its object."""
    return {f["loc"][:-1]: f for f in faults if f["type"] == "literal_error" and f["loc"][-1] == "type"}


def _field_of(message: str) -> str | None:
    """The field that a rule about several fields names first, such as `stream_options needs stream: true`."""
    word = message.partition(" ")[0].rstrip(":")
    return word if "_" in word or word in _FIRST_WORDS else None


def _path(location: tuple[Any, ...]) -> str:
    """`messages.0.content`, without the names that pydantic gives the members of unions."""
    return ".".join(str(part) for part in location if isinstance(part, int) or _is_name(part))


def _is_name(part: str) -> bool:
    plain = part in {"str", "int", "float", "bool", "none", "dict"}
    return not (plain or "[" in part or "-" in part or part[:1].isupper())


def of_engine(error: EngineError) -> ApiError:
    """What a fault of the engine is to a client."""
    if error.kind == "refused":
        return wrong(error.what, code="unsupported_by_engine")
    if error.kind == "unavailable":
        message = f"the engine is not available: {error.what}"
        return ApiError(503, message, code="engine_unavailable", headers={"Retry-After": "2"})
    return ApiError(500, f"the engine failed: {error.what}", code="engine_failed")


_FIXES = {"data.control-token": "leave it out, or write it in other characters"}
"""What a client can do where the error's own fix is about rows of a data set."""


def of_burnish(error: BurnishError, param: str | None = None) -> ApiError:
    """A fault of what the client sent, such as a conversation that the template refuses."""
    return wrong(f"{error.what}; {_FIXES.get(error.code, error.fix)}", param, error.code)
