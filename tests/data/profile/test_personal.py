"""Rows with personal data are counted by kind, as clean masks it, and none of it is shown."""

import json

import pytest

from burnish.data.profile.personal import Personal, name_of
from burnish.data.rewriting.personal import SHAPES

PLANTED = {
    "key": "AKIA" + "ABCDEFGH12345678",
    "email": "ann.lee@example.com",
    "ip": "8.8.4.4",
    "iban": "GB82 WEST 1234 5698 7654 32",
    "chinese_id": "11010519491231002X",
    "card": "4111 1111 1111 1111",
    "chinese_mobile": "138-0013-8000",
    "phone": "+49 30 1234567",
}


def test_each_kind_of_the_rewriting_is_planted_here():
    assert PLANTED.keys() == SHAPES.keys()


@pytest.mark.parametrize("kind", PLANTED)
def test_a_row_counts_once_for_each_kind_that_it_has(kind):
    personal = Personal()
    for number in range(5):
        personal.add(f"x:{number}", [f"Write to {PLANTED[kind]} or {PLANTED[kind]} today."])
    personal.add("x:5", ["Nothing of that, only 12 words and version 1.2.3.4 of it."])
    found = personal.as_dict()
    assert found == {
        "rows": 5,
        "share": 0.833333,
        "kinds": {kind: {"rows": 5, "share": 0.833333, "first": ["x:0", "x:1", "x:2"]}},
    }
    assert PLANTED[kind] not in json.dumps(found)
    assert name_of(kind)


def test_what_is_of_one_kind_is_not_counted_as_another():
    personal = Personal()
    personal.add("x:1", ["Call +86 138-0013-8000 today."])
    assert set(personal.as_dict()["kinds"]) == {"chinese_mobile"}


def test_a_row_with_two_kinds_is_one_row():
    personal = Personal()
    personal.add("x:1", [f"{PLANTED['email']} and {PLANTED['phone']}"])
    found = personal.as_dict()
    assert (found["rows"], set(found["kinds"])) == (1, {"email", "phone"})
