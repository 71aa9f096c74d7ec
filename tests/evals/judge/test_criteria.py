"""What is asked of a judge, and what is read from its reply: a table of replies, good and bad."""

import json

import pytest

from burnish.endpoints.client import Reply
from burnish.evals.judge.criteria import criteria_of, described, example_of, read_reply, schema_of
from burnish.evals.judge.reading import UnreadableError
from burnish.specs.evals.judge import JudgeSpec

SCALES = {
    "number": {"low": 1, "high": 5},
    "label": {"labels": {"wrong": 0, "partly": 0.5, "right": 1}},
    "share": {"low": 0, "high": 1, "whole": False},
}
GOOD = {"number": 4, "label": "right", "share": 0.25}


def criteria():
    given = [{"name": name, "description": f"about {name}", "scale": scale} for name, scale in SCALES.items()]
    return criteria_of(JudgeSpec(answers="file:x", judge={"url": "http://host/v1", "model": "m"}, criteria=given))


def read(text, finish_reason="stop", refusal=""):
    return read_reply(Reply(text, finish_reason, refusal=refusal), criteria())


def variants(**changes):
    return json.dumps({"reason": "because", **GOOD, **changes})


READABLE = {
    "plain": variants(),
    "a code fence": f"```json\n{variants()}\n```",
    "a fence without a language": f"```\n{variants()}\n```",
    "reasoning before it": f"<think>5? no</think>\n{variants()}",
    "white space": f"\n\n  {variants()}  \n",
    "other fields": variants(confidence=0.9),
    "no reason": json.dumps(GOOD),
    "a whole number written as 4.0": variants(number=4.0),
    "a label in capitals": variants(label=" RIGHT "),
    "an escaped reason": variants(reason='he said "5"\n'),
}


@pytest.mark.parametrize("name", READABLE)
def test_a_reply_that_follows_the_schema_is_read(name):
    assert read(READABLE[name]) == {"number": 4.0, "label": "right", "share": 0.25}


def generated():
    """(what is wrong, reply, kind of the reason) for every field and every way to get it wrong."""
    values = {
        "wrong type": {"number": ["4", True, None, [4], {"value": 4}], "label": [1, True, None, ["right"]]},
        "off the scale": {"number": [0, 6, -4, 4.5, 1e9], "label": ["great", "", "right!"], "share": [1.01, -0.1]},
    }
    values["wrong type"]["share"] = values["wrong type"]["number"]
    for kind, fields in values.items():
        for name, wrong in fields.items():
            for value in wrong:
                yield f"{name} {value!r}", variants(**{name: value}), kind
    for name in GOOD:
        yield f"no {name}", json.dumps({key: value for key, value in GOOD.items() if key != name}), "other schema"
        for spelled in ("NaN", "Infinity", "-Infinity", "1e999"):
            text = variants(**{name: "@"}).replace('"@"', spelled)
            yield f"{name} {spelled}", text, "not JSON"
    whole = variants()
    for cut in range(1, len(whole), 9):
        yield f"cut after {cut}", whole[:cut], "not JSON"
    yield "somebody else's schema", '{"score": 5, "explanation": "good"}', "other schema"
    yield "a list", f"[{whole}]", "other schema"
    yield "a number", "5", "other schema"
    yield "a text", '"right"', "other schema"
    yield "prose", "I would say 4 of 5.", "not JSON"
    yield "prose before it", f"Here it is: {whole}", "not JSON"
    yield "two objects", f"{whole}\n{whole}", "not JSON"
    yield "two fences", f"```json\n{whole}\n```\n```json\n{whole}\n```", "not JSON"
    yield "a field twice", whole.replace('"number": 4', '"number": 4, "number": 2'), "not JSON"
    yield "single quotes", str(GOOD), "not JSON"
    yield "HTML", "<html>502 Bad Gateway</html>", "not JSON"
    yield "nothing", "", "empty"
    yield "white space", " \n", "empty"
    yield "only reasoning", "<think>4</think>", "empty"
    yield "reasoning without an end", f"<think>{whole}", "empty"
    yield "endless nesting", "[" * 100_000, "not JSON"


BAD = list(generated())


@pytest.mark.parametrize(("text", "kind"), [(text, kind) for _, text, kind in BAD], ids=[name for name, _, _ in BAD])
def test_a_reply_that_does_not_is_missing_as_a_whole(text, kind):
    with pytest.raises(UnreadableError) as caught:
        read(text)
    assert caught.value.kind == kind


def test_a_refusal_and_a_reply_that_was_cut_off_are_told_apart():
    for text, finish_reason, refusal, kind in (
        ("", "stop", "I cannot judge this.", "refusal"),
        (variants()[:30], "length", "", "cut off"),
        ("", "length", "", "cut off"),
    ):
        with pytest.raises(UnreadableError) as caught:
            read(text, finish_reason, refusal)
        assert caught.value.kind == kind
    assert read(variants(), "length")["number"] == 4  # it is whole all the same


def test_the_schema_has_every_verdict_and_the_reason_first():
    schema = schema_of(criteria(), reason=True)
    assert list(schema["properties"]) == schema["required"] == ["reason", "number", "label", "share"]
    assert schema["properties"]["number"] == {"type": "integer", "enum": [1, 2, 3, 4, 5]}
    assert schema["properties"]["label"] == {"type": "string", "enum": ["wrong", "partly", "right"]}
    assert schema["properties"]["share"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert "reason" not in schema_of(criteria(), reason=False)["properties"]
    example = example_of(criteria(), reason=True)
    assert example.startswith(
        '{"reason": "…", "number": <whole number 1 to 5>, "label": <"wrong" | "partly" | "right">'
    )
    assert "- number (whole number 1 to 5): about number" in described(criteria())


@pytest.mark.parametrize(
    ("scale", "verdict", "score"),
    [("1-5", 1, 0.0), ("1-5", 4, 0.75), (["bad", "fair", "good"], "fair", 0.5), ({"low": -1, "high": 1}, 0, 0.5)],
)
def test_scores_are_from_0_to_1(scale, verdict, score):
    given = [{"name": "x", "description": "x", "scale": scale}]
    spec = JudgeSpec(answers="file:x", judge={"url": "http://host/v1", "model": "m"}, criteria=given)
    (criterion,) = criteria_of(spec)
    read = read_reply(Reply(json.dumps({"x": verdict}), "stop"), [criterion])["x"]
    assert criterion.scale.score(read) == pytest.approx(score)
    assert criterion.scale.nearest(score) == read


def test_of_two_equally_near_verdicts_the_better_one_is_nearest():
    scale = criteria()[0].scale
    assert scale.nearest(scale.score(3) + 0.125) == 4
