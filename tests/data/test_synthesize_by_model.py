"""What does not need a model: prompts, slots, schemas, forms."""

import hashlib
import json
from collections import Counter
from itertools import product

import pytest

from burnish.core.catalog import stages
from burnish.core.errors import AskError
from burnish.data.document import make_row
from burnish.data.placeholders import names_in
from burnish.data.synthesize.model.forms import FORMS, Options
from burnish.data.synthesize.model.prompts import LANGUAGES, built_in
from burnish.data.synthesize.model.requests import KNOWN, values_of
from burnish.data.synthesize.model.schemas import UnusableError, parameters_of, read_tools, value_in
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


WORD = {"type": "string", "maxLength": 3}


def tool(parameters):
    return read_tools(json.dumps([{"name": "a", "parameters": parameters}]), "t")


@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": {"x": {"$ref": "#/$defs/w"}}, "$defs": {"w": WORD}},
        {"properties": {"x": {"$ref": "#/definitions/w%20~1"}}, "definitions": {"w /": WORD}},
        {
            "properties": {"x": {"$ref": "#/$defs/v", "description": "d"}},
            "$defs": {"v": {"$ref": "#/$defs/w"}, "w": WORD},
        },
        {"properties": {"x": {"$ref": "#/$defs/w", "type": "string"}}, "$defs": {"w": {"maxLength": 3}}},
        {"properties": {"y": WORD, "x": {"$ref": "#/properties/y"}}},
        {"$ref": "#/$defs/all", "$defs": {"all": {"properties": {"x": WORD}}}},
    ],
)
def test_parameters_may_refer_to_their_own_parts(parameters):
    tools = tool({"type": "object", **parameters})
    assert tools[0]["function"]["parameters"] == {"type": "object", **parameters}, "a row has the tool as it was given"
    schema = FORMS["tools"].schema(Slot(0, "en", "", None, [], tools), Options())
    assert "$ref" not in json.dumps(schema)

    def reply(x):
        calls = [{"name": "a", "arguments": {"x": x}}]
        return json.dumps({"request": "a", "calls": calls, "results": ["1"], "answer": "b"})

    assert value_in(reply("abc"), schema)["calls"][0]["arguments"] == {"x": "abc"}
    with pytest.raises(UnusableError, match="too long"):
        value_in(reply("abcd"), schema)


def test_what_is_no_reference_stays_as_it_is():
    parameters = {
        "type": "object",
        "properties": {"$ref": WORD, "x": {"const": {"$ref": "#/a"}}, "const": {"enum": [1]}},
        "required": ["$ref"],
    }
    assert parameters_of(tool(parameters)[0]) == parameters


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (True, "are an object"),
        ([1], "are an object"),
        ({"type": "object", "allOf": [{"$ref": "#"}]}, "the reference # leads to itself"),
        ({"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "to itself"),
        ({"properties": {"x": {"$ref": "#/$defs/a"}}}, "is not in the schema itself"),
        ({"properties": {"x": {"$ref": "http://127.0.0.1:1/a"}}}, "is not in the schema itself"),
        ({"properties": {"x": {"$dynamicRef": "#a"}}}, "not supported"),
        (
            {
                "properties": {"x": {"$ref": "#/$defs/a0"}},
                "$defs": {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(30)} | {"a30": WORD},
            },
            "too large",
        ),
    ],
)
def test_parameters_that_cannot_stand_in_the_schema_of_a_reply_are_refused_before_the_first_request(parameters, said):
    with pytest.raises(AskError, match=said):
        tool(parameters)


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
