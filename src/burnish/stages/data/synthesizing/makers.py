"""How slots become drafts: by a reply in JSON, an answer to a given prompt, several ranked ones, or an empty turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from burnish.data.document import Message, conversation_text
from burnish.data.synthesize.model.forms import FORMS, Options
from burnish.data.synthesize.model.prompts import Prompt
from burnish.data.synthesize.model.requests import judged_values, values_of
from burnish.data.synthesize.model.schemas import VERDICT, UnusableError
from burnish.data.synthesize.model.slots import Draft, Refused, Slot, prompt_turns
from burnish.endpoints.client import Messages, Reply
from burnish.stages.data.synthesizing.asking import Asker, Want, json_of, whole_text

Prompts = Mapping[str, Prompt]
"""By language."""
Made = list[Draft | Refused]
_SENT_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name")
_LOWEST, _HIGHEST = 1, 10


def asked_in(system: str | None, text: str) -> Messages:
    """The turns of a request."""
    before = [] if system is None else [{"role": "system", "content": system}]
    return [*before, {"role": "user", "content": text}]


@dataclass(frozen=True)
class Structured:
    """Rows from replies in JSON."""

    make: str
    asker: Asker
    prompts: Prompts
    options: Options
    system: str | None

    def __call__(self, slots: Sequence[Slot]) -> Made:
        return self.asker.ask([self.want(slot) for slot in slots])

    def want(self, slot: Slot) -> Want[Draft]:
        form = FORMS[self.make]
        schema = form.schema(slot, self.options)
        text = self.prompts[slot.language].filled(values_of(slot, schema, turns=self.options.turns))

        def read(reply: Reply) -> Draft:
            return form.draft(json_of(reply, schema), slot, self.options)

        return Want(slot, asked_in(self.system, text), read, schema, repeat=slot.number)


@dataclass(frozen=True)
class Answers:
    """Answers to given prompts."""

    asker: Asker
    system: str | None

    def __call__(self, slots: Sequence[Slot]) -> Made:
        return self.asker.ask([self.want(slot) for slot in slots])

    def want(self, slot: Slot, repeat: int = 0) -> Want[Draft]:
        assert slot.given is not None
        turns, tools = prompt_turns(slot.given), slot.given.get("tools")
        fields = {"tools": tools} if tools else {}
        return Want(slot, _sent(turns, self.system), partial(_answered, slot, turns), fields=fields, repeat=repeat)


@dataclass(frozen=True)
class Ranked:
    """The best and the worst of several answers to a given prompt, by the scores of a judge."""

    answers: Answers
    candidates: int
    judge: "Judge"

    def __call__(self, slots: Sequence[Slot]) -> Made:
        count = self.candidates
        wants = [self.answers.want(slot, repeat) for slot in slots for repeat in range(count)]
        scored = self.judge.scored(self.answers.asker.ask(wants))
        groups = (scored[first : first + count] for first in range(0, len(scored), count))
        return [_pair(slot, group) for slot, group in zip(slots, groups, strict=True)]


@dataclass(frozen=True)
class Magpie:
    """What the model writes into an empty user turn, and its answer to that (Xu et al., arXiv 2406.08464)."""

    texts: Asker
    chats: Asker
    opening: Mapping[str, Any]
    """The fields of a plain completion: the prompt up to the user's turn, and where that ends."""
    specials: Sequence[str]
    """Texts of special tokens: a turn that holds one is no turn of a user."""
    system: str | None

    def __call__(self, slots: Sequence[Slot]) -> Made:
        wants = [Want(slot, (), self._request, fields=self.opening, repeat=slot.number) for slot in slots]
        requests = self.texts.ask(wants)
        places = [place for place, request in enumerate(requests) if isinstance(request, str)]
        asked = [[{"role": "user", "content": requests[place]}] for place in places]
        answers = self.chats.ask(
            [
                Want(slots[place], _sent(turns, self.system), partial(_answered, slots[place], turns))
                for place, turns in zip(places, asked, strict=True)
            ]
        )
        found = dict(zip(places, answers, strict=True))
        return [found[place] if isinstance(one, str) else one for place, one in enumerate(requests)]

    def _request(self, reply: Reply) -> str:
        text = whole_text(reply)
        if any(special in text for special in self.specials):
            raise UnusableError("special token", "the turn holds a special token of the template")
        return text


@dataclass(frozen=True)
class Judge:
    """Scores drafts from 0 to 1."""

    asker: Asker
    prompts: Prompts
    threshold: float

    def __call__(self, drafts: Made) -> Made:
        """The drafts with their score; those below the threshold are refused."""
        return [self._filtered(draft) for draft in self.scored(drafts)]

    def scored(self, drafts: Sequence[Draft | Refused]) -> Made:
        """The drafts with their score; one that has a score keeps it."""
        places = [
            place for place, draft in enumerate(drafts) if isinstance(draft, Draft) and "judge_score" not in draft.extra
        ]
        found = list(drafts)
        wants = [self.want(draft) for place in places if isinstance(draft := drafts[place], Draft)]
        for place, score in zip(places, self.asker.ask(wants), strict=True):
            draft = drafts[place]
            assert isinstance(draft, Draft)
            if isinstance(score, Refused):
                found[place] = Refused(draft.slot, f"not judged: {score.reason}", score.why)
            else:
                found[place] = _with(draft, judge_score=score)
        return found

    def want(self, draft: Draft) -> Want[float]:
        text = self.prompts[draft.slot.language].filled(judged_values(draft, VERDICT))
        return Want(draft.slot, asked_in(None, text), _score, VERDICT)

    def _filtered(self, draft: Draft | Refused) -> Draft | Refused:
        if isinstance(draft, Draft) and draft.extra["judge_score"] < self.threshold:
            why = f"the judge gives {draft.extra['judge_score']:.2f}"
            return Refused(draft.slot, "below the judge's threshold", why)
        return draft


def _sent(turns: Sequence[Message], system: str | None) -> Messages:
    """Turns with the keys of the protocol; the system prompt of the settings is before those without one."""
    sent = [{key: turn[key] for key in _SENT_KEYS if turn.get(key) is not None} for turn in turns]
    if system is None or any(turn["role"] == "system" for turn in sent):
        return sent
    return [{"role": "system", "content": system}, *sent]


def _answered(slot: Slot, turns: Sequence[Message], reply: Reply) -> Draft:
    text = whole_text(reply)
    turn: Message = {"role": "assistant", "content": text}
    if reply.reasoning:
        turn["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        turn["tool_calls"] = [_call(call) for call in reply.tool_calls]
    content: dict[str, Any] = {"messages": [*turns, turn]}
    if slot.given is not None:
        content |= {key: slot.given[key] for key in ("tools", "tag") if key in slot.given}
    return Draft(slot, "chat", content, conversation_text(turns), conversation_text([turn]).removeprefix("Assistant: "))


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call as rows have it. Errors: UnusableError for one that is not of the protocol."""
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise UnusableError("other schema", "a call has no function")
    if not isinstance(function.get("arguments"), str):
        raise UnusableError("other schema", "the arguments of a call are no text")
    identity = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
    return {**identity, "type": "function", "function": {"name": function["name"], "arguments": function["arguments"]}}


def _pair(slot: Slot, scored: Sequence[Draft | Refused]) -> Draft | Refused:
    drafts = [draft for draft in scored if isinstance(draft, Draft)]
    if len(drafts) < 2:
        first = next(one for one in scored if isinstance(one, Refused))
        return Refused(slot, "fewer than two answers", f"{first.reason}: {first.why}")
    best = max(drafts, key=_score_of)
    worst = min(reversed(drafts), key=_score_of)
    if _score_of(best) == _score_of(worst):
        return Refused(slot, "answers of equal score", f"the judge gives all of them {_score_of(best):.2f}")
    *turns, chosen = best.content["messages"]
    content = {**best.content, "messages": turns, "chosen": [chosen], "rejected": [worst.content["messages"][-1]]}
    extra = {"judge_score": _score_of(best), "judge_scores": [_score_of(draft) for draft in drafts]}
    return Draft(slot, "preference", content, best.prompt, best.answer, extra)


def _score_of(draft: Draft) -> float:
    return float(draft.extra["judge_score"])


def _score(reply: Reply) -> float:
    value = json_of(reply, VERDICT)
    return round((value["score"] - _LOWEST) / (_HIGHEST - _LOWEST), 4)


def _with(draft: Draft, **extra: Any) -> Draft:
    return Draft(draft.slot, draft.kind, draft.content, draft.prompt, draft.answer, {**draft.extra, **extra})


Maker = Callable[[Sequence[Slot]], Made]
