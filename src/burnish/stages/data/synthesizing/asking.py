"""Requests to one model: sent together, read, and sent again where the reply cannot be used."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from burnish.data.record import RowError
from burnish.data.synthesize.model.schemas import UnusableError, value_in
from burnish.data.synthesize.model.slots import Refused, Slot
from burnish.endpoints.client import Messages, NoAnswerError, Reply, Request
from burnish.endpoints.formats import OWN_FAULT, RequestOf, fields_of
from burnish.endpoints.spending import Usage
from burnish.evals.scoring.json_values import unfenced
from burnish.evals.scoring.scorers import visible

REPEATS = 10_000_000
"""The `repeat` of a second attempt is so much more than that of the first: above the number of any slot."""

T = TypeVar("T")
Tick = Callable[[int, int], None]


class Answering(Protocol):
    """What answers: a model of an endpoint, or a local one."""

    name: str

    def answers(
        self, requests: Sequence[Request], keeps: Callable[[NoAnswerError], bool], tick: Tick
    ) -> list[Reply | NoAnswerError]: ...

    def is_cached(self, request: Request) -> bool: ...


@dataclass(frozen=True)
class Want(Generic[T]):
    """A request for a slot, and how its reply is read. Errors of `read`: UnusableError, RowError."""

    slot: Slot
    messages: Messages
    read: Callable[[Reply], T]
    schema: Mapping[str, Any] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    repeat: int = 0
    """Tells apart requests with the same content."""
    form: str = "row"
    """The name of the schema; requests of the same form have the same response_format."""


@dataclass
class Tally:
    """What was asked, over all models of a step. It does not depend on kills, nor on what the cache had."""

    replies: int = 0
    unusable: Counter[str] = field(default_factory=Counter[str])
    """Replies that made nothing, by reason; those asked for again included."""
    used: Usage = field(default_factory=Usage)
    """Tokens of all replies, as the endpoint counted them."""
    cost: float = 0.0
    uncounted: int = 0
    """Replies without a count."""


@dataclass
class Asker:
    """One model. `fields` are those of every request.

    `chosen` gives the way in which it replies in JSON, from the name of a form and the first requests of that form.
    """

    model: Answering
    attempts: int
    seed: int
    tally: Tally
    tick: Tick
    price_of: Callable[[Usage], float] = lambda usage: 0.0
    chosen: Callable[[str, Sequence[RequestOf]], str] = lambda form, asked: "none"
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    formats: dict[str, str] = field(default_factory=dict[str, str])
    """By form."""
    under_way: Sequence[Request] = ()
    """The requests of the call that was begun last."""

    def ask(self, wants: Sequence[Want[T]]) -> list[T | Refused]:
        """What is read of the reply to each request, in order, or why nothing is.

        A reply that cannot be used is requested again, with another seed; a request that the endpoint refuses by
        itself is not. Errors: those of `Endpoint.answers`.
        """
        self._choose(wants)
        found: dict[int, T | Refused] = {}
        pending = list(range(len(wants)))
        for attempt in range(self.attempts):
            if not pending:
                break
            self.under_way = [self.request(wants[place], attempt) for place in pending]
            replies = self.model.answers(self.under_way, lambda error: error.status in OWN_FAULT, self.tick)
            again = []
            for place, reply in zip(pending, replies, strict=True):
                found[place] = outcome = self._outcome(wants[place], reply)
                if isinstance(outcome, Refused) and isinstance(reply, Reply):
                    again.append(place)
            pending = again
        return [found[place] for place in range(len(wants))]

    def request(self, want: Want[Any], attempt: int = 0, format: str | None = None) -> Request:
        """The request of a want; `format` replaces that of its form."""
        repeat = want.repeat + attempt * REPEATS
        asked: Mapping[str, Any] = {}
        if want.schema is not None:
            asked = fields_of(format or self.formats[want.form], want.schema, want.form)
        return Request(want.messages, {**self.fields, **want.fields, **asked, "seed": self.seed + repeat}, repeat)

    def _choose(self, wants: Sequence[Want[Any]]) -> None:
        for form in {want.form: None for want in wants if want.schema is not None and want.form not in self.formats}:
            first = [want for want in wants if want.form == form]
            self.formats[form] = self.chosen(form, [partial(self.request, want, 0) for want in first])

    def _outcome(self, want: Want[T], reply: Reply | NoAnswerError) -> T | Refused:
        if isinstance(reply, NoAnswerError):
            return self._refused(want, f"refused by the endpoint ({reply.status})", reply.reason)
        self.tally.replies += 1
        if reply.usage is None:
            self.tally.uncounted += 1
        else:
            self.tally.used += reply.usage
            self.tally.cost += self.price_of(reply.usage)
        try:
            return want.read(reply)
        except UnusableError as error:
            return self._refused(want, error.reason, str(error))
        except RowError as error:
            return self._refused(want, "no valid row", str(error))

    def _refused(self, want: Want[Any], reason: str, why: str) -> Refused:
        self.tally.unusable[reason] += 1
        return Refused(want.slot, reason, why)


def json_of(reply: Reply, schema: Mapping[str, Any]) -> Any:
    """The value of a reply in JSON, optionally in a code fence and after reasoning. Errors: UnusableError."""
    if reply.refusal:
        raise UnusableError("refusal", reply.refusal)
    return value_in(unfenced(visible(reply.text)), schema, is_cut=reply.finish_reason == "length")


def whole_text(reply: Reply) -> str:
    """The text of a reply. Errors: UnusableError if it is cut off, empty or a refusal."""
    if reply.refusal:
        raise UnusableError("refusal", reply.refusal)
    if reply.finish_reason == "length":
        raise UnusableError("cut off", "it reaches max_tokens")
    if not visible(reply.text).strip() and not reply.tool_calls:
        raise UnusableError("empty", "the reply is empty")
    return reply.text.strip()
