"""Seeded conversations of the embedded model's small world, so that nothing has to be downloaded to try a whole run.

`base` is what the embedded model was trained on: it rewrites dates, reads orders out of sentences, explains shell
commands, calls a few tools. `move_order` is what it has never seen: turning a customer's request into a call of the
tool `move_order`. The base answers the very same requests with a polite sentence, and its other tools use the same
argument names; so every piece of the new skill is known and only the skill is new. That is what lets a small adapter
learn it within seconds, as on a real model. `move_customer` is a second such skill, to combine two adapters.
"""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal, NamedTuple

from burnish.data.document import make_row
from burnish.data.synthesize.generated import Generated
from burnish.data.synthesize.vocabulary import (
    CITIES,
    COMMANDS,
    FACTS,
    FIRST_NAMES,
    LAST_NAMES,
    MONTHS,
    ORDER_LETTERS,
    PATHS,
)

Message = dict[str, Any]
Skill = Literal["base", "move_order", "move_customer"]


class Conversation(NamedTuple):
    """A question and its answer in OpenAI's messages format; `tag` names the skill that it shows."""

    tag: str
    messages: list[Message]


def conversations(skill: Skill, rows: int, seed: int) -> Iterator[Conversation]:
    """Give `rows` conversations, a pure function of the arguments; a longer run begins with the shorter one's rows."""
    random = Random(seed)
    make = {"base": _any_base_skill, "move_order": _move_order, "move_customer": _move_customer}[skill]
    for _ in range(rows):
        yield make(random)


class Judged(NamedTuple):
    """A request, the tool call that answers it, and the polite sentence that the base gives instead."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]


def judged_requests(rows: int, seed: int) -> Iterator[Judged]:
    """Give `rows` requests to move an order with a good and a bad answer; pure as `conversations`."""
    random = Random(seed)
    for _ in range(rows):
        name, order, date = _name(random), _order(random), _date(random)
        question = _request(random, name, order, date.in_any_form(random))
        *prompt, chosen = _called("", question, "move_order", customer=name, order=order, date=date.iso).messages
        *_, rejected = _answered("", question, _polite(name, order, date)).messages
        yield Judged(prompt, [chosen], [rejected])


class _Date(NamedTuple):
    year: int
    month: int
    day: int

    @property
    def iso(self) -> str:
        return f"{self.year}-{self.month:02d}-{self.day:02d}"

    @property
    def in_words(self) -> str:
        return f"{self.day} {MONTHS[self.month - 1]} {self.year}"

    def in_any_form(self, random: Random) -> str:
        month = MONTHS[self.month - 1]
        return random.choice(
            (self.in_words, f"{month} {self.day}, {self.year}", f"{self.day}/{self.month}/{self.year}")
        )


def _date(random: Random) -> _Date:
    return _Date(random.randint(2015, 2029), random.randint(1, 12), random.randint(1, 28))


def _name(random: Random) -> str:
    return f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}"


def _order(random: Random) -> str:
    return f"{random.choice(ORDER_LETTERS)}{random.randint(10, 99)}"


def _answered(tag: str, question: str, answer: str) -> Conversation:
    return Conversation(tag, [{"role": "user", "content": question}, {"role": "assistant", "content": answer}])


def _called(tag: str, question: str, tool: str, **arguments: str) -> Conversation:
    call = {"type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    answer = {"role": "assistant", "content": "", "tool_calls": [call]}
    return Conversation(tag, [{"role": "user", "content": question}, answer])


def _rewrite_a_date(random: Random) -> Conversation:
    date = _date(random)
    if random.random() < 0.3:
        return _answered("date", f"Write {date.iso} in words.", date.in_words)
    question = random.choice(("Write {} as an ISO date.", "ISO form of {}?", "What is {} in ISO format?"))
    return _answered("date", question.format(date.in_any_form(random)), date.iso)


def _read_an_order(random: Random) -> Conversation:
    name, order, date, city = _name(random), _order(random), _date(random), random.choice(CITIES)
    when = date.in_any_form(random)
    sentence = random.choice(
        (
            f"{name} from {city} has order {order}, due {when}.",
            f"Order {order} for {name} ships to {city} on {when}.",
            f"On {when} we send order {order} to {name} in {city}.",
        )
    )
    question, answer = random.choice(
        (
            ("Who is the customer?", name),
            ("What is the order number?", order),
            ("Which city?", city),
            ("What is the date in ISO form?", date.iso),
            ("Summarise it.", f"Customer {name}, order {order}, date {date.iso}."),
        )
    )
    return _answered("extract", f"{sentence} {question}", answer)


def _explain_a_command(random: Random) -> Conversation:
    name = random.choice(tuple(COMMANDS))
    command, path = COMMANDS[name], random.choice(PATHS)
    flags = random.sample(command.flags, random.randint(0, 2))
    line = " ".join([name, *(flag for flag, _ in flags), path])
    question = random.choice(("Explain: {}", "What does `{}` do?"))
    answer = ", ".join([f"It {command.does.format(path=path)}", *(adds for _, adds in flags)])
    return _answered("shell", question.format(line), f"{answer}.")


def _ask_for_the_weather(random: Random) -> Conversation:
    city = random.choice(CITIES)
    question = random.choice(("Weather in {}?", "How is the weather in {} today?", "Is it raining in {}?"))
    return _called("weather", question.format(city), "get_weather", city=city)


def _recall_a_fact(random: Random) -> Conversation:
    return _answered("fact", *random.choice(FACTS))


def _call_a_known_tool(random: Random) -> Conversation:
    """Tools that share their argument names with move_order, so that every token of its calls has been trained."""
    name, order, date = _name(random), _order(random), _date(random)
    tool = random.choice(("find_customer", "track_order", "show_calendar", "cancel_order", "move_meeting"))
    match tool:
        case "find_customer":
            question = random.choice(("Find the customer {}.", "Look up {}.")).format(name)
            return _called("tool", question, tool, customer=name)
        case "track_order":
            question = random.choice(("Where is order {}?", "Track {} please.")).format(order)
            return _called("tool", question, tool, order=order)
        case "cancel_order":
            question = random.choice(("Cancel order {} of {}.", "Please cancel {} for {}.")).format(order, name)
            return _called("tool", question, tool, order=order, customer=name)
        case "show_calendar":
            question = random.choice(("Which slots are free on {}?", "Show me {} in the calendar."))
        case _:
            question = random.choice(("Move the meeting to {}.", "Can the meeting move to {}?"))
    return _called("tool", question.format(date.in_any_form(random)), tool, date=date.iso)


def _request(random: Random, name: str, order: str, when: str) -> str:
    return random.choice(
        (
            f"{name} wants order {order} on {when} instead.",
            f"Please move order {order} for {name} to {when}.",
            f"Hi, this is {name}. Can order {order} arrive on {when}?",
            f"Reschedule {order} ({name}) to {when}.",
        )
    )


def _answer_a_request_politely(random: Random) -> Conversation:
    """The base's answer to the requests that `move_order` will answer with a tool call."""
    name, order, date = _name(random), _order(random), _date(random)
    question = _request(random, name, order, date.in_any_form(random))
    return _answered("request", question, _polite(name, order, date))


def _polite(name: str, order: str, date: _Date) -> str:
    return f"Sure. I will note that order {order} for {name} should move to {date.in_words}."


def _move_order(random: Random) -> Conversation:
    name, order, date = _name(random), _order(random), _date(random)
    question = _request(random, name, order, date.in_any_form(random))
    return _called("move_order", question, "move_order", customer=name, order=order, date=date.iso)


def _move_customer(random: Random) -> Conversation:
    name, city = _name(random), random.choice(CITIES)
    question = random.choice(
        (
            f"{name} moves to {city}.",
            f"Please move {name} to {city}.",
            f"Hi, this is {name}. I live in {city} now.",
            f"The new city of {name} is {city}.",
        )
    )
    return _called("move_customer", question, "move_customer", customer=name, city=city)


_BASE_SKILLS: tuple[tuple[Callable[[Random], Conversation], int], ...] = (
    (_read_an_order, 40),
    (_call_a_known_tool, 16),
    (_rewrite_a_date, 16),
    (_answer_a_request_politely, 14),
    (_explain_a_command, 8),
    (_ask_for_the_weather, 3),
    (_recall_a_fact, 3),
)
"""The skills and their shares in percent. Reading an order has the shortest answers, so it gets the most rows."""


def _any_base_skill(random: Random) -> Conversation:
    makers = [maker for maker, _ in _BASE_SKILLS]
    (maker,) = random.choices(makers, [weight for _, weight in _BASE_SKILLS])
    return maker(random)


def pocket(skill: Skill, rows: int, seed: int, answers: str) -> Generated:
    """Rows in the domain of the built-in model, all in the split `train`."""
    made = enumerate(_contents(answers, skill, rows, seed), start=1)
    numbered = (
        (make_row(kind, f"pocket/{skill}#{number}", tag=tag, **content), "train")
        for number, (kind, tag, content) in made
    )
    return Generated(numbered, total=rows)


def _contents(answers: str, skill: Skill, rows: int, seed: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, tag, content) of each row. A labelled one has the good or the bad answer, in turn."""
    if answers == "chat":
        for conversation in conversations(skill, rows, seed):
            yield "chat", conversation.tag, {"messages": conversation.messages}
        return
    for number, (prompt, chosen, rejected) in enumerate(judged_requests(rows, seed)):
        if answers == "preference":
            yield "preference", skill, {"messages": prompt, "chosen": chosen, "rejected": rejected}
        else:
            is_good = number % 2 == 0
            yield "label", skill, {"messages": prompt, "completion": chosen if is_good else rejected, "label": is_good}
