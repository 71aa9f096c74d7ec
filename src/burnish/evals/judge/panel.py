"""The judges: endpoints, the way each is made to reply in JSON, and what became of every request."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from burnish.core.errors import AskError
from burnish.core.events import Chosen
from burnish.endpoints.client import Endpoint, NoAnswerError, Reply, Request
from burnish.endpoints.formats import OWN_FAULT, KnownFormats, fields_of
from burnish.endpoints.spending import journal
from burnish.evals.judge.answers import Emit
from burnish.evals.judge.criteria import Verdict, read_reply
from burnish.evals.judge.reading import UnreadableError
from burnish.evals.judge.requests import Form, Question, request_of
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals.judge import JudgeSpec


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


def choose_formats(judges: Sequence[Judge], wanted: str, form: Form, asked: Sequence[Question], folder: Path) -> None:
    """Set the response_format of each judge: the wanted one, or with `auto` the first one that it takes."""
    known = KnownFormats(folder)
    for judge in judges:
        if not judge.format:
            requests = [partial(_request_in, judge, question, form) for question in asked]
            judge.format = wanted if wanted != "auto" else known.choose(judge.name, judge.endpoint, requests)


def _request_in(judge: Judge, question: Question, form: Form, format: str) -> Request:
    return request_of(question, fields_of(format, form.schema), judge.seed)


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
        return error.status in OWN_FAULT or (keeps_unanswered and error.status == 0)

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
