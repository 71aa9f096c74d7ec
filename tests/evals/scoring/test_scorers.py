"""Each scorer on ground truth, edge cases and rows that it cannot score."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from burnish.core.errors import AskError, MachineError
from burnish.evals.scoring.scorers import Score, Unscored, answering_turn, build_scorers, opening, scorers_for, visible
from burnish.specs.evals import Scorer


def score(
    setting: dict[str, Any], answer: str, reference: str | None, row: dict[str, Any] | None = None
) -> float | None:
    """The value of one scorer; None if the row is unscored."""
    scorer, *_ = build_scorers([TypeAdapter(Scorer).validate_python(setting)])
    result = scorer(answer, reference, row or {})
    return result.value if isinstance(result, Score) else None


@pytest.mark.parametrize(
    ("setting", "answer", "reference", "value"),
    [
        ({"kind": "exact_match"}, " Paris\n", "Paris", 1),
        ({"kind": "exact_match"}, "paris", "Paris", 0),
        ({"kind": "exact_match", "ignore_case": True}, "STRASSE", "straße", 1),
        ({"kind": "exact_match", "strip": False}, "Paris ", "Paris", 0),
        ({"kind": "exact_match"}, "", "", 1),
        ({"kind": "exact_match"}, "x", None, None),
        ({"kind": "contains"}, "It is PARIS, of course", "Paris", 1),
        ({"kind": "contains", "ignore_case": False}, "It is PARIS", "Paris", 0),
        ({"kind": "contains", "text": "sorry"}, "I am sorry", None, 1),
        ({"kind": "contains", "text": "sorry"}, "Paris", "Paris", 0),
        ({"kind": "contains"}, "anything", " ", None),
        ({"kind": "regex", "pattern": r"\d{4}"}, "in 1984", None, 1),
        ({"kind": "regex", "pattern": r"\d{4}"}, "in 84", None, 0),
        ({"kind": "regex", "pattern": r"answer: (\w)"}, "the answer: B", "answer: B", 1),
        ({"kind": "regex", "pattern": r"answer: (\w)"}, "the answer: A", "answer: B", 0),
        ({"kind": "regex", "pattern": r"answer: (\w)"}, "B", "answer: B", 0),
        ({"kind": "regex", "pattern": r"answer: (\w)"}, "answer: B", "B", None),
        ({"kind": "number"}, "so 3 * 4 = $12.00", "#### 12", 1),
        ({"kind": "number"}, "12 or 13", "#### 12", 0),
        ({"kind": "number"}, "twelve", "#### 12", 0),
        ({"kind": "number"}, "0.3", "3/10", 1),
        ({"kind": "number"}, "0.333", "1/3", 0),
        ({"kind": "number", "tolerance": 0.01}, "0.333", "1/3", 1),
        ({"kind": "number", "tolerance": 0.01}, "-0.333", "1/3", 0),
        ({"kind": "number"}, "12", "twelve", None),
        ({"kind": "json"}, '{"b": 1.0, "a": [true]}', '{"a": [true], "b": 1}', 1),
        ({"kind": "json"}, '```json\n{"a": 1}\n```', '{"a": 1}', 1),
        ({"kind": "json"}, 'Here you are: {"a": 1}', '{"a": 1}', 0),
        ({"kind": "json"}, '{"a": 1}', '{"a": true}', 0),
        ({"kind": "json"}, '{"a": NaN}', '{"a": 1}', 0),
        ({"kind": "json"}, "[" * 100_000, "[]", 0),
        ({"kind": "json"}, "0.1", "0.10", 1),
        ({"kind": "json"}, "{}", "no json", None),
        ({"kind": "language", "expected": "fr"}, "Je ne sais pas où se trouve la gare", None, 1),
        ({"kind": "language"}, "Je ne sais pas où se trouve la gare", "I do not know where the station is", 0),
        ({"kind": "language"}, "", "I do not know where the station is", 0),
        ({"kind": "language"}, "anything", "", None),
        ({"kind": "chrf"}, "the cat sat", "the cat sat", 1),
        ({"kind": "chrf"}, "xyz", "abc", 0),
        ({"kind": "chrf"}, "abc", "", None),
        ({"kind": "rouge"}, "abc", "...", None),
        ({"kind": "rouge", "variant": "rouge1"}, "the cat", "the cat sat", 0.8),  # P 1, R 2/3
        ({"kind": "rouge", "variant": "rouge2"}, "the cat", "the cat sat", 2 / 3),  # P 1, R 1/2
        ({"kind": "rouge", "variant": "rougeL"}, "cat the", "the cat sat", 0.4),  # LCS 1: P 1/2, R 1/3
        ({"kind": "rouge", "variant": "rouge1"}, "我喜欢猫", "我喜欢狗", 0.75),  # three of four characters
    ],
)
def test_scorer(setting: dict[str, Any], answer: str, reference: str | None, value: float | None) -> None:
    assert score(setting, answer, reference) == (value if value is None else pytest.approx(value))


NO_REFERENCE = Unscored("the row has no reference answer")


@pytest.mark.parametrize(
    ("setting", "answer", "reference", "result"),
    [
        ({"kind": "exact_match"}, "x", None, NO_REFERENCE),
        ({"kind": "exact_match"}, "x", "x", Score(1.0, "equal")),
        ({"kind": "exact_match"}, "x", "y", Score(0.0, "differs from the reference")),
        ({"kind": "contains"}, "x", None, NO_REFERENCE),
        ({"kind": "contains"}, "x", " ", NO_REFERENCE),
        ({"kind": "contains"}, "axb", "x", Score(1.0, "found")),
        ({"kind": "contains"}, "ab", "x" * 99, Score(0.0, f"{'x' * 60!r} is not in the answer")),
        ({"kind": "regex", "pattern": "a(.)"}, "ab", None, NO_REFERENCE),
        ({"kind": "regex", "pattern": "a(.)"}, "ab", "b", Unscored("the pattern is not found in the reference")),
        ({"kind": "regex", "pattern": "a(.)"}, "b", "ab", Score(0.0, "the pattern is not found")),
        ({"kind": "regex", "pattern": "a(.)"}, "ab", "ac", Score(0.0, "'b' instead of 'c'")),
        ({"kind": "regex", "pattern": "a(.)"}, "ab", "xab", Score(1.0, "equal")),
        ({"kind": "regex", "pattern": "a."}, "b", None, Score(0.0, "the pattern is not found")),
        ({"kind": "number"}, "1", None, NO_REFERENCE),
        ({"kind": "number"}, "1", "one", Unscored("the reference has no number")),
        ({"kind": "number"}, "one", "1", Score(0.0, "the answer has no number")),
        ({"kind": "number"}, "1/2", "1", Score(0.0, "1/2 instead of 1")),
        ({"kind": "number", "tolerance": 0.5}, "6", "4", Score(1.0, "equal")),
        ({"kind": "number", "tolerance": 0.5}, "-6", "-4", Score(1.0, "equal")),
        ({"kind": "number", "tolerance": 0.5}, "6.01", "4", Score(0.0, "601/100 instead of 4")),
        ({"kind": "number", "tolerance": 0.5}, "0", "0", Score(1.0, "equal")),
        ({"kind": "json"}, "1", None, NO_REFERENCE),
        ({"kind": "json"}, "1", "one", Unscored("the reference is not JSON")),
        ({"kind": "json"}, "1", "2", Score(0.0, "different JSON")),
        ({"kind": "rouge"}, "a", None, NO_REFERENCE),
        ({"kind": "rouge"}, "a", ".", NO_REFERENCE),
        ({"kind": "rouge"}, "a", "a", Score(1.0)),
        ({"kind": "chrf"}, "a", None, NO_REFERENCE),
        ({"kind": "chrf"}, "a", " ", NO_REFERENCE),
        ({"kind": "language"}, "a", None, NO_REFERENCE),
        ({"kind": "language"}, "a", " ", NO_REFERENCE),
        ({"kind": "language", "expected": "fr"}, " ", None, Score(0.0, "the answer is empty")),
        ({"kind": "language", "expected": "de"}, "Où est la gare ?", None, Score(0.0, "fr instead of de")),
        ({"kind": "language"}, "Où est la gare ?", "Je ne sais pas où se trouve la gare", Score(1.0, "fr")),
        ({"kind": "tool_call"}, "a", "b", Unscored("the row has neither a tool call nor tools")),
    ],
)
def test_a_result_has_its_reason(setting: dict[str, Any], answer: str, reference: str | None, result: object) -> None:
    scorer, *_ = build_scorers([TypeAdapter(Scorer).validate_python(setting)])
    assert scorer(answer, reference, {}) == result


@pytest.mark.parametrize(
    ("roles", "is_answered"),
    [
        ([], False),
        (["user"], False),
        (["assistant"], True),
        (["system", "user", "assistant"], True),
        (["user", "assistant", "user"], False),
        (["user", "assistant", "user", "assistant"], True),
    ],
)
def test_the_last_turn_is_the_reference_if_the_assistant_has_it(roles: list[str], is_answered: bool) -> None:
    messages = [{"role": role, "content": str(place)} for place, role in enumerate(roles)]
    assert answering_turn({"messages": messages}) == (messages[-1] if is_answered else None)
    assert answering_turn({}) is None


def test_a_scorer_applies_to_every_row_unless_it_says_otherwise() -> None:
    built = build_scorers([TypeAdapter(Scorer).validate_python({"kind": "exact_match"})])
    assert scorers_for({}, built) == scorers_for({"messages": []}, built) == built


def test_chrf_is_sacrebleus_sentence_score() -> None:
    from sacrebleu import sentence_chrf

    pair = "The quick brown dog jumps.", "The quick brown fox jumped."
    assert score({"kind": "chrf"}, *pair) == pytest.approx(sentence_chrf(pair[0], [pair[1]]).score / 100)


CALL = {"type": "function", "function": {"name": "move", "arguments": '{"to": 3}'}}
TOOLS = [{"type": "function", "function": {"name": "move", "description": "", "parameters": {}}}]


def turns(**answer: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", **answer}]


@pytest.mark.parametrize(
    ("row", "answer", "value"),
    [
        (
            {"messages": turns(tool_calls=[CALL])},
            '<tool_call>{"name": "move", "arguments": {"to": 3.0}}</tool_call>',
            1,
        ),
        (
            {"messages": turns(tool_calls=[CALL])},
            '<tool_call>{"name": "move", "arguments": {"to": "3"}}</tool_call>',
            0,
        ),
        ({"messages": turns(tool_calls=[CALL])}, '<tool_call>{"name": "move", "argum', 0),
        ({"messages": turns(tool_calls=[CALL])}, "I moved it.", 0),
        ({"messages": turns(content="Hello")}, "Hello", None),
        ({"text": "Hello"}, "Hello", None),
    ],
)
def test_tool_calls_are_compared_with_the_rows_own(row: dict[str, Any], answer: str, value: float | None) -> None:
    assert score({"kind": "tool_call"}, answer, "unused", row) == value


WITHOUT_A_CALL = {"messages": turns(content="No tool fits."), "tools": TOOLS}
WITH_A_CALL = {"messages": turns(tool_calls=[CALL]), "tools": TOOLS}


@pytest.mark.parametrize(
    ("row", "answer", "scores"),
    [
        (WITHOUT_A_CALL, "asdf jkl", {"no_call": 1.0}),
        (WITHOUT_A_CALL, '{"name": "move", "arguments": {}}', {"no_call": 0.0}),
        (WITHOUT_A_CALL, '<tool_call>{"name": "mo', {"no_call": 0.0}),
        (WITH_A_CALL, "asdf jkl", {"tool_call": 0.0}),
        ({"messages": turns(content="Hello")}, "asdf jkl", {"tool_call": None}),
        ({"text": "Hello"}, "asdf jkl", {"tool_call": None}),
    ],
)
def test_rows_without_a_call_are_a_separate_measure(row: dict[str, Any], answer: str, scores: dict[str, Any]) -> None:
    built = build_scorers([TypeAdapter(Scorer).validate_python({"kind": "tool_call"})])
    given = {scorer.name: scorer(answer, "unused", row) for scorer in scorers_for(row, built)}
    assert {name: getattr(value, "value", None) for name, value in given.items()} == scores


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("<think>\nhm\n</think>\n\nParis", "Paris"),
        ("hm\n</think>\n\nParis", "Paris"),
        ("<think>hm", ""),
        (" \n<think>hm", ""),
        ("<think>a</think>b</think>\n\nc", "c"),
        ("Paris", "Paris"),
    ],
)
def test_thinking_is_not_scored(answer: str, seen: str) -> None:
    assert visible(answer) == seen


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>\n"),
        ("<|Assistant|><think>", "<think>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("What is <think>?<|im_end|>\n<|im_start|>assistant\n", ""),
        ("", ""),
    ],
)
def test_reasoning_that_the_prompt_opens_is_not_scored_unless_it_ends(prompt: str, opened: str) -> None:
    assert opening(prompt) == opened
    assert visible("4", opened=bool(opened)) == ("" if opened else "4")
    assert visible("hm</think>\n4", opened=bool(opened)) == "4"


def test_two_scorers_of_one_kind_have_two_names() -> None:
    settings = [
        {"kind": "contains"},
        {"kind": "contains", "text": "x"},
        {"kind": "rouge"},
        {"kind": "rouge", "variant": "rouge1"},
    ]
    built = build_scorers([TypeAdapter(Scorer).validate_python(setting) for setting in settings])
    assert [scorer.name for scorer in built] == ["contains", "contains_2", "rougeL", "rouge1"]


def test_an_invalid_pattern_is_refused_with_its_error() -> None:
    with pytest.raises(ValidationError, match="unterminated"):
        TypeAdapter(Scorer).validate_python({"kind": "regex", "pattern": "(a"})


LENGTH = """
from burnish.evals.scoring.scorers import Score

class LengthScorer:
    name = "brief"

    def __init__(self, settings):
        self.words = settings["words"]

    def __call__(self, answer, reference, row):
        return Score(float(len(answer.split()) <= self.words))
"""


def test_a_scorer_of_another_package_is_found_by_its_name(install: Any) -> None:
    install("brevity", {"burnish.scorers": {"brief": "brevity:LengthScorer"}}, LENGTH)
    setting = {"kind": "custom", "name": "brief", "settings": {"words": 2}}
    assert score(setting, "two words", None) == 1
    assert score(setting, "now three words", None) == 0
    with pytest.raises(AskError, match="no installed package provides the scorer 'brif'") as caught:
        score({"kind": "custom", "name": "brif"}, "", None)
    assert "did you mean 'brief'" in caught.value.fix


def test_a_scorer_that_does_not_load_or_has_a_name_of_two_packages_is_refused_by_name(install: Any) -> None:
    install("brevity", {"burnish.scorers": {"brief": "brevity:Gone", "both": "brevity:LengthScorer"}}, LENGTH)
    install("length", {"burnish.scorers": {"both": "length:LengthScorer"}}, LENGTH)
    with pytest.raises(MachineError, match=r"'brief' of brevity 1\.0 .* has no attribute 'Gone'"):
        score({"kind": "custom", "name": "brief"}, "", None)
    with pytest.raises(MachineError, match=r"of brevity 1\.0 .* has the same name as .* of length 1\.0"):
        score({"kind": "custom", "name": "both"}, "", None)


FAILING = """
import sys

class Failing:
    name = "failing"

    def __init__(self, settings):
        if settings.get("at") == "start":
            settings["words"]
        self.at = settings.get("at")

    def applies_to(self, row):
        if self.at == "applies":
            raise ValueError("no such row")
        return True

    def __call__(self, answer, reference, row):
        if self.at == "exit":
            sys.exit(3)
        return 1 / 0

def nameless(settings):
    return lambda answer, reference, row: None

class Toxicity:
    name, higher_is_better = "toxicity", False

    def __init__(self, settings): pass

    def __call__(self, answer, reference, row): return None
"""


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("start", "KeyError: 'words'"),
        ("applies", "ValueError: no such row"),
        ("call", "ZeroDivisionError: division by zero"),
        ("exit", "SystemExit: 3"),
    ],
)
def test_an_error_in_a_scorer_of_another_package_names_it(install: Any, at: str, words: str) -> None:
    install("brevity", {"burnish.scorers": {"failing": "brevity:Failing"}}, FAILING)
    spec = TypeAdapter(Scorer).validate_python({"kind": "custom", "name": "failing", "settings": {"at": at}})
    row = {"id": "1", "messages": []}

    def use() -> None:
        for applying in scorers_for(row, build_scorers([spec])):
            applying("answer", None, row)

    with pytest.raises(MachineError) as caught:
        use()
    assert caught.value.code == "machine.broken-plugin"
    assert caught.value.what.startswith("the plugin 'failing' of brevity 1.0")
    assert caught.value.what.endswith(f"failed: {words}")


def test_a_scorer_of_another_package_without_a_name_is_refused(install: Any) -> None:
    install("brevity", {"burnish.scorers": {"failing": "brevity:nameless"}}, FAILING)
    with pytest.raises(MachineError, match=r"of brevity 1\.0 .* has no attribute 'name'"):
        score({"kind": "custom", "name": "failing"}, "", None)


def test_scorers_of_another_package_get_unique_names_like_others(install: Any) -> None:
    install("brevity", {"burnish.scorers": {"brief": "brevity:LengthScorer"}}, LENGTH)
    spec = TypeAdapter(Scorer).validate_python({"kind": "custom", "name": "brief", "settings": {"words": 2}})
    built = build_scorers([spec, spec])
    assert [scorer.name for scorer in built] == ["brief", "brief_2"]
    assert scorers_for({"id": "1"}, built) == built


def test_a_scorer_of_another_package_whose_lower_scores_are_better_is_refused(install: Any) -> None:
    install("brevity", {"burnish.scorers": {"toxic": "brevity:Toxicity"}}, FAILING)
    with pytest.raises(MachineError, match="'toxicity', whose lower scores are better") as caught:
        score({"kind": "custom", "name": "toxic"}, "", None)
    assert caught.value.fix.startswith("return 1 - value")
