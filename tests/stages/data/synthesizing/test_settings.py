"""Settings of rows by a model that contradict each other are refused before anything runs."""

import pytest
from pydantic import ValidationError

from burnish.specs.data import ModelSpec

ENDPOINT = {"url": "http://127.0.0.1:1/v1", "model": "m"}
WRONG = {
    "neither endpoint nor model": ({"endpoint": None}, "give either endpoint or model"),
    "both": ({"model": "builtin:pocket"}, "give either endpoint or model"),
    "evolved from nothing": ({"make": "evolved"}, "needs given"),
    "answers to nothing": ({"make": "answers"}, "needs given"),
    "magpie without a template": ({"make": "magpie"}, "set tokenizer"),
    "subtopics of nothing": ({"subtopics": 3}, "set topics"),
    "an empty topic": ({"topics": ["a", " "]}, "a topic is empty"),
    "a language twice": ({"languages": ["en", "en"]}, "names one twice"),
    "an odd number of turns": ({"make": "conversation", "turns": 5}, "multiple of 2"),
    "turns of an instruction": ({"turns": 6}, "turns has no effect with make: instruction, only with conversation"),
    "tools of a conversation": ({"make": "conversation", "tools": "file:t.json"}, "only with tools"),
    "topics of answers": ({"make": "answers", "given": "file:a", "topics": ["x"]}, "topics has no effect"),
    "a split of nothing": ({"split": "test"}, "are those of given"),
    "a format of a local model": (
        {"endpoint": None, "model": "builtin:pocket", "response_format": "none"},
        "has no response_format",
    ),
    "a device of an endpoint": ({"device": "cpu"}, "those of a local model"),
    "a date that nothing prints": ({"date": "2026-01-01"}, "printed by the template"),
    "a threshold above one": ({"judge": {"threshold": 1.5}}, "less than or equal to 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_contradicts_itself_is_refused_with_its_fix(case):
    settings, said = WRONG[case]
    with pytest.raises(ValidationError, match=said):
        ModelSpec.model_validate({"kind": "model", "endpoint": ENDPOINT, **settings})
