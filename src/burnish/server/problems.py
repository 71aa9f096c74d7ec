"""Errors as problem+json (RFC 9457), made of BurnishError.

`code` is for programs, `detail` says what happened, `fix` the next step.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from burnish.core.errors import CODES, BurnishError, RunError
from burnish.core.http.connection import Fault

_FAMILIES = {"ask": 422, "data": 422, "model": 422, "machine": 503, "run": 409}
_STATUS = {
    "ask.recipe-unreadable": 400,
    "ask.no-such-run": 404,
    "ask.no-such-job": 404,
    "ask.name-taken": 409,
    "ask.no-such-route": 404,
    "ask.nothing-to-do": 409,
    "ask.not-logged-in": 401,
    "ask.not-allowed": 403,
    "ask.too-large": 413,
    "ask.too-often": 429,
    "ask.too-slow": 408,
    "ask.no-such-range": 416,
    "machine.no-package": 501,
    "machine.no-disk": 507,
    "machine.no-network": 424,
    "machine.no-answer": 424,
    "machine.no-cluster": 424,
    "run.failed": 500,
    "run.killed": 500,
    "run.engine-failed": 500,
    "run.broken-record": 500,
}
_NOT_FOUND = frozenset({"ask.bad-reference", "ask.unknown-stage", "model.not-found"})
"""What a path names is not there: 404 where nothing is to be made of it, else the request is wrong."""
_NO_HTTP = "the request is not valid HTTP, or its headers are too large"
_RETRY_SECONDS = {"run.busy": 2, "ask.too-often": 30}

Shown = TypeVar("Shown", bound=BaseModel)


class FieldFault(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(BaseModel):
    """An error. `fix` says what to do next; `errors` names the fields of a request that are wrong."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    fix: str
    errors: list[FieldFault] | None = None
    reference: str | None = None
    """Of an unexpected error: what the server's log has beside its details."""


def status_of(code: str, method: str = "POST") -> int:
    """The HTTP status of an error code."""
    if code in _NOT_FOUND and method in ("GET", "HEAD", "DELETE"):
        return 404
    return _STATUS.get(code, _FAMILIES[code.partition(".")[0]])


def problem_of(error: BurnishError, method: str = "POST", headers: Mapping[str, str] | None = None) -> Response:
    """The answer for an error."""
    return _answer(described(error, method), headers)


def described(error: BurnishError, method: str = "POST") -> Problem:
    """An error as a problem."""
    made = _problem(error.code, status_of(error.code, method), error.what, error.fix)
    if error.fields:
        faults = [FieldFault(field=field, message=what) for field, what in error.fields]
        made = made.model_copy(update={"errors": faults})
    return made


def problem_of_fields(error: RequestValidationError) -> Response:
    """The answer for a request whose fields are wrong; it repeats no value, which may be a secret."""
    said: dict[str, list[str]] = {}
    for fault in error.errors():  # of a union, each member says what it misses
        said.setdefault(_path(_fields(fault, error.body)), []).append(_said(fault))
    faults = [FieldFault(field=field, message=", or: ".join(messages)) for field, messages in said.items()]
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    code = "ask.missing-key" if error.errors()[0]["type"] == "missing" else "ask.wrong-value"
    made = _problem(
        code, 422, f"{first.field}: {first.message}{more}", "correct the request; /api/v1/openapi.json describes it"
    )
    return _answer(made.model_copy(update={"errors": faults}))


def unexpected(reference: str) -> Response:
    """The answer for a fault of the server itself, without its internals."""
    fix = f"try again; the log of the server has the details under {reference}"
    made = _problem("run.failed", 500, "the server failed unexpectedly", fix)
    return _answer(made.model_copy(update={"reference": reference}))


def refuse_connection(fault: Fault) -> tuple[int, str, bytes]:
    """The status, content type and body for a connection that sends no HTTP, or its headers too slowly."""
    code = "ask.too-slow" if fault == "too-slow" else "ask.wrong-value"
    status, what = (408, "the headers did not arrive in time") if fault == "too-slow" else (400, _NO_HTTP)
    made = _answer(_problem(code, status, what, "check the client, or the proxy before the server"))
    return status, "application/problem+json", bytes(made.body)


def _problem(code: str, status: int, detail: str, fix: str) -> Problem:
    return Problem(
        type=f"urn:burnish:error:{code}", title=CODES[code], status=status, detail=detail, code=code, fix=fix
    )


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    made = JSONResponse(
        problem.model_dump(exclude_none=True), problem.status, dict(headers or {}), "application/problem+json"
    )
    if (seconds := _RETRY_SECONDS.get(problem.code, 2 if problem.status == 503 else None)) is not None:
        made.headers.setdefault("Retry-After", str(seconds))
    if problem.status == 401:
        made.headers["WWW-Authenticate"] = "Bearer"
    return made


def _fields(fault: Mapping[str, Any], body: Any) -> tuple[Any, ...]:
    """Where a fault is in a body of JSON, without the names of union members, which no client has written."""
    place, *inner = fault["loc"]
    if place != "body" or not isinstance(body, Mapping | list):
        return fault["loc"]
    if fault["type"] == "missing":
        *inner, last = inner
        return (place, *_written(inner, body), last)
    return (place, *_written(inner, body))


def _written(parts: Iterable[Any], value: Any) -> Iterator[Any]:
    for part in parts:
        if isinstance(value, Mapping) and part in value:
            value = cast(Mapping[Any, Any], value)[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(cast(list[Any], value)):
            value = cast(list[Any], value)[part]
        else:
            continue
        yield part


def _path(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location)


def _said(fault: Mapping[str, Any]) -> str:
    return str(fault["msg"]).removeprefix("Value error, ")


def shown(model: type[Shown], found: Any, name: str) -> Shown:
    """What the records of a run, a step or a file hold, as an answer. Errors: RunError `run.broken-record`."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        fix = "restore the record from a copy, or make it again; see `burnish doctor`"
        raise RunError("run.broken-record", f"a record of {name} is damaged: {_what_is_wrong(error)}", fix) from None


def shown_rows(
    model: type[Shown], rows: Iterable[Mapping[str, Any]], name_of: Callable[[Mapping[str, Any]], str]
) -> tuple[list[Shown], list[str]]:
    """The rows of a list as answers, and the names of those whose records are damaged."""
    found: list[Shown] = []
    damaged: list[str] = []
    for row in rows:
        try:
            found.append(model.model_validate(row))
        except ValidationError:
            damaged.append(name_of(row))
    return found, damaged


def _what_is_wrong(error: ValidationError) -> str:
    """The first field that is wrong, and how, without its value."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"'{'.'.join(map(str, first['loc']))}': {first['msg']}"
