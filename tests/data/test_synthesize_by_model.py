"""What does not need a model: prompts, slots, schemas, forms."""

import hashlib
from collections import Counter
from itertools import product

import pytest

from burnish.core.catalog import stages
from burnish.data.document import make_row
from burnish.data.placeholders import names_in
from burnish.data.synthesize.model.forms import FORMS, Options
from burnish.data.synthesize.model.prompts import LANGUAGES, built_in
from burnish.data.synthesize.model.requests import KNOWN, values_of
from burnish.data.synthesize.model.schemas import UnusableError, read_tools, value_in
from burnish.data.synthesize.model.script import is_in
from burnish.data.synthesize.model.slots import Series, Slot

TOOLS = read_tools('[{"name": "a", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}]', "t")


def row(text):
    return make_row("prompt", "a:1", messages=[{"role": "user", "content": text}])


@pytest.mark.parametrize(("name", "language"), list(product(KNOWN, LANGUAGES)))
def test_a_built_in_prompt_has_only_known_placeholders_and_asks_for_its_schema(name, language):
    found = names_in(built_in(name, language).text)
    assert set(found) <= {*KNOWN[name], "mark"}
    assert "schema" in found


@pytest.mark.parametrize(("make", "language"), list(product(FORMS, LANGUAGES)))
def test_a_request_has_a_value_for_every_placeholder(make, language):
    slot = Slot(4, language, "", row("Why {topic}?"), [row("Who?")], TOOLS)
    schema = FORMS[make].schema(slot, Options())
    text = built_in(make, language).filled(values_of(slot, schema, turns=4))
    assert not set(names_in(text)) & set(KNOWN[make]) - {"topic"}
    if make == "evolved":
        assert "Why {topic}?" in text, "a placeholder in a row is kept"


def test_a_slot_is_a_function_of_its_number():
    given = [row(str(number)) for number in range(7)]
    series = Series(["en", "zh"], {"en": ["a", "b"], "zh": ["c"]}, given, examples=2, seed=3)
    whole = list(series.slots(0, 24))
    assert [*series.slots(0, 5), *series.slots(5, 19)] == whole
    assert Counter((slot.language, slot.topic) for slot in whole) == {("en", "a"): 6, ("en", "b"): 6, ("zh", "c"): 12}
    assert len({tuple(one["id"] for one in slot.examples) for slot in whole}) > 10
    assert all(len({one["id"] for one in slot.examples}) == 2 for slot in whole)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ('{"a": 1, "a": 2}', "not JSON"),
        ('{"a": "1"}', "other schema"),
        ("[]", "other schema"),
    ],
)
def test_a_reply_that_does_not_fit_has_its_reason(text, reason):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    with pytest.raises(UnusableError) as error:
        value_in(text, schema)
    assert error.value.reason == reason
    assert value_in('{"a": 1}', schema) == {"a": 1}


@pytest.mark.parametrize(
    ("make", "value"),
    [
        ("instruction", {"request": " ", "answer": "a"}),
        ("conversation", {"turns": ["a", ""]}),
        ("preference", {"request": "a", "good": "b", "worse": " b "}),
        ("tools", {"request": "a", "calls": [{"name": "a", "arguments": {}}], "results": ["1", "2"], "answer": "b"}),
    ],
)
def test_a_value_that_fits_its_schema_may_still_be_no_row(make, value):
    with pytest.raises(UnusableError):
        FORMS[make].draft(value, Slot(0, "en", tools=TOOLS), Options())


def test_the_script_of_a_text_tells_english_from_chinese():
    assert is_in("en", "Write a poem.")
    assert is_in("zh", "请用 Python 写一个函数")
    assert is_in("en", "What does 你好 mean in a letter to a friend?")
    assert not is_in("zh", "Write a poem.")
    assert not is_in("en", "请写一首诗")
    assert is_in("zh", "1 + 1 = ?")


def test_who_changes_a_built_in_prompt_raises_the_version_of_synthesize():
    """Runs are reused by the version of their stage and their settings; the built-in prompts are in neither."""
    texts = "".join(built_in(name, language).text for name, language in product(KNOWN, LANGUAGES))
    found = stages()["synthesize"].version, hashlib.sha256(texts.encode()).hexdigest()[:16]
    assert found == (1, "779f67469f888ff7"), "raise the version in core/catalog.py, and write the new pair here"
