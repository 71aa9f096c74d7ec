"""Every kind of check has answers that pass and answers that fail."""

from typing import Any

import pytest

from burnish.evals.checks.kinds import EMPTY, KINDS, PromptChecks, described, failures
from burnish.specs.evals import AnswerChecksSpec

ENGLISH = "The order was moved to the new address on Monday, and the customer was told about it."
GERMAN = "Die Bestellung wurde am Montag an die neue Adresse geschickt, und der Kunde weiß davon."

TABLE: dict[str, list[tuple[Any, list[str], dict[str, str]]]] = {
    "contains": [
        ("Paris", ["It is PARIS.", "paris"], {"Lyon": "'Paris' not in the answer"}),
        (["a", "b"], ["b a"], {"a": "'b' not in the answer", "c": "'a', 'b' not in the answer"}),
    ],
    "not_contains": [(["sorry", "as an AI"], ["fine"], {"I am Sorry": "'sorry' in the answer"})],
    "any_of": [(["yes", "no"], ["Yes.", "no"], {"perhaps": "none of 'yes', 'no'"})],
    "regex": [
        ([r"\b\d{4}\b", "^A"], ["A 2024"], {"a 2024": "'^A' not found"}),
        (r"(a)(b)?", ["xa"], {"b": "not found"}),
    ],
    "not_regex": [(r"\d+", ["none"], {"I have 12": r"'\\d+' finds '12'"})],
    "equals": [("Yes", ["Yes", " Yes\n"], {"yes": "differs", "Yes.": "differs"})],
    "language": [("en", [ENGLISH], {GERMAN: "de instead of en"}), ("de", [GERMAN], {ENGLISH: "en instead of de"})],
    "refusal": [
        (True, ["I can't help with that."], {"Here it is.": "does not refuse"}),
        (False, ["Here it is."], {"I can't help with that.": 'refuses: "i can\'t help"'}),
    ],
    "json": [(True, ['{"a": 1}', "```json\n[1]\n```", "2"], {'So: {"a": 1}': "not JSON", "{a: 1}": "not JSON"})],
    "max_words": [(3, ["one two three", "你好吗"], {"one two three four": "4 words", "你好吗？是": "4 words"})],
    "min_words": [(3, ["one two three"], {"one two": "2 words, fewer than 3"})],
    "max_repetition": [
        (0.5, ["no no no no", "a b c d e f", "a b c d a b c d"], {"go on " * 9: "13 of 15 4-grams repeat, 0.87"}),
        (0.0, ["a b c d e"], {"a b c d a b c d": "1 of 5 4-grams repeat"}),
    ],
}
"""For each kind: what is set, answers that pass, and answers that fail with their reasons."""
CASES = [(kind, *case) for kind, cases in TABLE.items() for case in cases]


def test_every_kind_of_the_spec_has_a_function_and_cases() -> None:
    assert set(AnswerChecksSpec.__pydantic_fields__) == KINDS.keys() == TABLE.keys()


@pytest.mark.parametrize(("kind", "wanted", "right", "wrong"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_a_check_passes_and_fails_with_its_reason(
    kind: str, wanted: Any, right: list[str], wrong: dict[str, str]
) -> None:
    checks = AnswerChecksSpec(**{kind: wanted})
    assert [failures(answer, checks) for answer in right] == [{kind: ""}] * len(right)
    for answer, why in wrong.items():
        assert why in failures(answer, checks)[kind]


@pytest.mark.parametrize(("kind", "wanted", "right", "wrong"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_an_empty_answer_passes_no_check(kind: str, wanted: Any, right: list[str], wrong: dict[str, str]) -> None:
    assert failures(" \n", AnswerChecksSpec(**{kind: wanted})) == {kind: EMPTY}


def test_a_prompt_scores_one_only_if_all_of_its_checks_pass() -> None:
    row = {"checks": AnswerChecksSpec(contains="a", max_words=2, not_regex="z")}
    assert PromptChecks()("a b", None, row).value == 1  # pyright: ignore[reportAttributeAccessIssue]
    found = PromptChecks()("b z z", None, row)
    assert found.value == 0  # pyright: ignore[reportAttributeAccessIssue]
    assert found.why == "contains: 'a' not in the answer; not_regex: 'z' finds 'z'; max_words: 3 words, more than 2"


def test_other_checks_have_another_description() -> None:
    texts = {described(AnswerChecksSpec(**{kind: case[0]})) for kind, cases in TABLE.items() for case in cases}
    assert len(texts) == len(CASES)
