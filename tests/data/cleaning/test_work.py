"""Rows are exact duplicates where they say the same, in the same form."""

from itertools import combinations

from burnish.data.cleaning.work import _hash


def test_rows_that_say_different_things_have_different_hashes():
    said = ["a", ["a"], '["a"]', '{"text":["a"]}', {"text": ["a"]}, "", [], None, 1, "1", 1.5, 2**70, str(2**70)]
    for one, other in combinations(said, 2):
        for columns in (("text",), ("text", "title")):
            assert _hash({"text": one}, columns) != _hash({"text": other}, columns)


def test_other_columns_and_the_order_of_keys_do_not_count():
    assert _hash({"text": "a", "id": 1}, ("text",)) == _hash({"id": 2, "text": "a"}, ("text",))
    assert _hash({"text": "a", "title": "b"}, ("text", "title")) == _hash(
        {"title": "b", "text": "a"}, ("title", "text")
    )
    assert _hash({"text": None}, ("text",)) == _hash({}, ("text",))
