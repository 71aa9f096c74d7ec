"""The judges: endpoints, the way each is made to reply in JSON, and what became of every request."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, MachineError
from burnish.core.events import Chosen
from burnish.core.files import write_json
from burnish.endpoints.client import Endpoint, NoAnswerError, Reply, Request
from burnish.endpoints.spending import journal
from burnish.evals.judge.answers import Emit
from burnish.evals.judge.criteria import Verdict, read_reply
from burnish.evals.judge.reading import UnreadableError
from burnish.evals.judge.requests import Form, Question, request_of
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals.judge import JudgeSpec

_OWN_FAULT = (400, 413, 422)
"""Statuses with which an endpoint refuses this request, such as one that is too long; others would not pass either."""
_NO_FORMAT = (400, 422, 501)
"""Statuses with which an endpoint refuses a response_format that it does not know."""
_FORMATS = ("json_schema", "json_object", "none")
_PROBES = 3


@dataclass(frozen=True)
class Judgement:
    """What one request became: verdicts by criterion, or None, with the reason and its kind."""

    question: Question
    verdicts: Mapping[str, Verdict] | None
    why: str = ""
    kind: str = ""
    reply: Reply | None = None


@dataclass
class Judge:
    """One endpoint, with a unique name. `format` is the response_format that it takes."""

    name: str
    endpoint: Endpoint
    seed: int | None
    format: str = ""
    judgements: list[Judgement] = field(default_factory=list[Judgement])

    def request(self, question: Question, form: Form) -> Request:
        return request_of(question, fields_of(self.format, form.schema), self.seed)


def build_panel(
    spec: JudgeSpec, cache: Path, scratch: Path, is_stopping: Callable[[], bool], emit: Emit
) -> list[Judge]:
    """The judges of the settings. Errors: AskError for a missing key, or two equal judges."""
    settings = [spec.judge, *spec.panel]
    asked = [json.dumps([one.url, one.model, one.temperature, one.max_tokens, one.parameters]) for one in settings]
    if len(set(asked)) < len(asked):
        fix = "remove one, or set repeats to ask a judge several times"
        raise AskError("ask.wrong-value", "two judges of the panel are the same", fix)
    names, seed = _names(settings), spec.seed
    judges = []
    for place, (one, name) in enumerate(zip(settings, names, strict=True)):
        endpoint = Endpoint(one, cache, journal(scratch, str(place)), is_stopping)
        judges.append(Judge(name, endpoint, seed, "none" if "response_format" in one.parameters else ""))
        if "response_format" in one.parameters:
            emit(Chosen(field="response_format", value="none", reason=f"{name} has one in its parameters"))
    return judges


def _names(settings: Sequence[EndpointSpec]) -> list[str]:
    seen, names = Counter[str](), list[str]()
    for one in settings:
        seen[one.model] += 1
        names.append(one.model if seen[one.model] == 1 else f"{one.model} ({seen[one.model]})")
    return names


def fields_of(format: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The field of a request that makes an endpoint reply in JSON."""
    if format == "json_schema":
        described = {"name": "verdict", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": described}}
    return {"response_format": {"type": "json_object"}} if format == "json_object" else {}


def choose_formats(judges: Sequence[Judge], wanted: str, form: Form, asked: Sequence[Question], folder: Path) -> None:
    """Set the response_format of each judge: the wanted one, or with `auto` the first one that it takes.

    The choice is kept in `folder`, so that a resumed run sends the same requests, whose replies are in the cache.
    """
    path = folder / "formats.json"
    known = dict[str, str]()
    with suppress(OSError, ValueError, AttributeError):  # damaged: the replies that chose are in the cache
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known |= {name: value for name, value in found.items() if value in _FORMATS}
    for judge in judges:
        if judge.format:
            continue
        judge.format = wanted if wanted != "auto" else known.get(judge.name) or _format_of(judge, form, asked)
        known[judge.name] = judge.format
        write_json(path, known)


def _format_of(judge: Judge, form: Form, asked: Sequence[Question]) -> str:
    """The first format with which the endpoint answers one of the first questions."""
    error: NoAnswerError | None = None
    for question in asked[:_PROBES]:  # the first one may be refused by itself, as too long
        for judge.format in _FORMATS:
            (reply,) = judge.endpoint.answers([judge.request(question, form)], lambda e: e.status in (*_NO_FORMAT, 0))
            if isinstance(reply, NoAnswerError) and reply.status == 0:
                fix = f"{reply.fix}; or set response_format: none if the endpoint fails on {judge.format}"
                raise MachineError(reply.code, reply.reason, fix)
            if isinstance(reply, Reply):
                judge.endpoint.counts.subtract(("requested", "cached"))  # its question is asked again, from the cache
                return judge.format
            error = reply
    judge.format = ""
    if error is not None:
        raise error
    return "none"


def ask(
    judge: Judge,
    form: Form,
    questions: Sequence[Question],
    *,
    keeps_unanswered: bool,
    tick: Callable[[int, int], None],
) -> None:
    """Ask a judge all questions, and read its replies.

    Errors: those of `Endpoint.answers`; with `keeps_unanswered` no request fails the run except by a limit, and else
    only those that the endpoint refuses by themselves are kept.
    """

    def keeps(error: NoAnswerError) -> bool:
        return error.status in _OWN_FAULT or (keeps_unanswered and error.status == 0)

    requests = [judge.request(question, form) for question in questions]
    replies = judge.endpoint.answers(requests, keeps, tick)
    judge.judgements = [_judgement(question, reply, form) for question, reply in zip(questions, replies, strict=True)]


def _judgement(question: Question, reply: Reply | NoAnswerError, form: Form) -> Judgement:
    if isinstance(reply, NoAnswerError):
        return Judgement(question, None, reply.reason, f"refused ({reply.status})" if reply.status else "no answer")
    try:
        return Judgement(question, read_reply(reply, form.criteria), reply=reply)
    except UnreadableError as error:
        return Judgement(question, None, str(error), error.kind, reply)
