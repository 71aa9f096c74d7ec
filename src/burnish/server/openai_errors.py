"""Problems as OpenAI's clients expect errors: under `/v1`, the same answers in their shape."""

import json
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from burnish.core.http.openai_errors import openai_error

OPENAI = "/v1/"
_OF_MESSAGES = 422
_DROPPED = ("content-length", "content-type")
_REFUSED_AGAIN = range(400, 500)
"""Statuses after which OpenAI's clients are told not to try again: they would after 408, 409 and 429."""


class OpenAIError(BaseModel):
    """An error as OpenAI's clients read it; `param` is the field that is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrors(BaseModel):
    """The answer for an error."""

    error: OpenAIError


def openai_shaped(problem: Response) -> Response:
    """A problem+json answer in OpenAI's shape: the fix is in its message. An invalid request is 400, as theirs is."""
    known: dict[str, Any] = json.loads(bytes(problem.body))
    faults: list[dict[str, Any]] = known.get("errors") or []
    param = faults[0]["field"].removeprefix("body.") if faults else _field_of(known["detail"])
    status = 400 if problem.status_code == _OF_MESSAGES else problem.status_code
    body = openai_error(status, f"{known['detail']}; {known['fix']}", param, known["code"])
    headers = {name: value for name, value in problem.headers.items() if name not in _DROPPED}
    if status in _REFUSED_AGAIN and "retry-after" not in headers:
        headers["x-should-retry"] = "false"
    return JSONResponse(body, status, headers)


def _field_of(message: str) -> str | None:
    """The field that a message begins with: `training_file: there is no …`."""
    word = message.partition(":")[0]
    return word if word.replace("_", "").replace(".", "").isalnum() and word.islower() and " " not in word else None
