"""The generator of Pocket's world: seeded, tagged, and with nothing of the new skill in the base."""

import hashlib
import json
import re
from collections import Counter
from datetime import date, datetime

import pytest

from burnish.data.synthesize.pocket import conversations


def digest(skill: str) -> str:
    rows = [conversation._asdict() for conversation in conversations(skill, 100, seed=1)]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize(
    ("skill", "expected"),
    [
        ("base", "5fc670fce537e79878c36efc7d418d5adb4d54738591d5dc72bf6409932d301e"),
        ("move_order", "4f493eb627add30187d4362397c383121571155668bfde4c5b4ef6525bca6a79"),
        ("move_customer", "824566bd984e03961f5f809da51f740164d19b411838fde4c03b1879d2e7ee75"),
    ],
)
def test_the_first_hundred_rows_never_change(skill, expected):
    assert digest(skill) == expected, "the shipped model and its scores belong to the old rows: train it again"


def test_a_longer_run_begins_with_the_rows_of_a_shorter_one():
    assert list(conversations("base", 300, seed=4))[:50] == list(conversations("base", 50, seed=4))


def test_another_seed_gives_other_rows():
    assert list(conversations("base", 50, seed=1)) != list(conversations("base", 50, seed=2))


def test_every_base_skill_comes_in_about_its_share():
    tags = Counter(conversation.tag for conversation in conversations("base", 10_000, seed=3))
    shares = {"extract": 40, "tool": 16, "date": 16, "request": 14, "shell": 8, "weather": 3, "fact": 3}
    assert set(tags) == set(shares)
    for tag, share in shares.items():
        assert tags[tag] / 10_000 == pytest.approx(share / 100, abs=0.015)


@pytest.mark.parametrize("tool", ["move_order", "move_customer"])
def test_the_base_never_sees_the_new_tool(tool):
    assert all(tool not in json.dumps(row.messages) for row in conversations("base", 20_000, seed=1))


def test_the_called_customer_and_city_are_those_of_the_request():
    for row in conversations("move_customer", 300, seed=6):
        call = row.messages[1]["tool_calls"][0]["function"]
        assert (row.tag, call["name"]) == ("move_customer", "move_customer")
        arguments = json.loads(call["arguments"])
        assert arguments.keys() == {"customer", "city"}
        assert all(value in row.messages[0]["content"] for value in arguments.values())


def test_the_arguments_of_the_new_tool_are_known_to_the_base():
    known = {
        name
        for row in conversations("base", 1_000, seed=1)
        for call in row.messages[-1].get("tool_calls", ())
        for name in json.loads(call["function"]["arguments"])
    }
    assert {"customer", "order", "date"} <= known


def test_requests_of_both_skills_have_the_same_forms():
    def forms(skill, tag):
        asked = (row.messages[0]["content"] for row in conversations(skill, 3_000, seed=5) if row.tag == tag)
        return {re.split(r"\W", text)[0] for text in asked if text.startswith(("Please", "Hi", "Reschedule"))}

    assert forms("base", "request") == forms("move_order", "move_order") == {"Please", "Hi", "Reschedule"}


def test_the_called_date_is_the_requested_date():
    """Read the date back out of the sentence with a parser of its own, and compare."""
    for row in conversations("move_order", 300, seed=6):
        arguments = json.loads(row.messages[1]["tool_calls"][0]["function"]["arguments"])
        question = row.messages[0]["content"]
        assert arguments["customer"] in question
        assert arguments["order"] in question
        assert date.fromisoformat(arguments["date"]) == _date_in(question)


def _date_in(text: str) -> date:
    for pattern, layout in (
        (r"\d+/\d+/\d{4}", "%d/%m/%Y"),
        (r"\d+ [A-Z][a-z]+ \d{4}", "%d %B %Y"),
        (r"[A-Z][a-z]+ \d+, \d{4}", "%B %d, %Y"),
    ):
        found = re.search(pattern, text)
        if found:
            return datetime.strptime(found[0], layout).date()
    raise AssertionError(f"no date in {text!r}")
