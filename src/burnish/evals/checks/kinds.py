"""The kinds of checks: a function of an answer and what is set, which says what fails."""

import re
from collections.abc import Callable
from typing import Any

from burnish.evals.scoring.json_values import parse_json
from burnish.evals.scoring.refusals import refusal
from burnish.evals.scoring.repetition import repeated
from burnish.evals.scoring.rouge import words
from burnish.evals.scoring.scorers import Contains, ExactMatch, Language, Row, Score, Unscored
from burnish.specs.evals import AnswerChecksSpec, ContainsSpec, ExactMatchSpec, LanguageScoreSpec

EMPTY = "the answer is empty"
_GRAM, _SHOWN = 4, 60


def failures(answer: str, checks: AnswerChecksSpec) -> dict[str, str]:
    """For each check that is set, what fails; "" if it passes. `answer` is without reasoning."""
    given = checks.given()
    if not answer.strip():
        return dict.fromkeys(given, EMPTY)
    return {kind: KINDS[kind](answer, wanted) for kind, wanted in given.items()}


def described(checks: AnswerChecksSpec) -> str:
    """The checks as text, one on a line: two prompts with other checks have other texts."""
    return "\n".join(f"{kind}: {_plain(wanted)}" for kind, wanted in checks.given().items())


class PromptChecks:
    """The scorer `checks`: 1 if all checks of the row pass, which it has under `checks`."""

    name = "checks"

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        failed = [f"{kind}: {why}" for kind, why in failures(answer, row["checks"]).items() if why]
        return Score(0.0, "; ".join(failed)) if failed else Score(1.0, "all checks pass")


def _plain(wanted: Any) -> str:
    if isinstance(wanted, list):
        return ", ".join(map(repr, wanted))
    return str(wanted).lower() if isinstance(wanted, bool) else repr(wanted)


def _has(answer: str, text: str) -> bool:
    found = Contains(ContainsSpec(text=text))(answer, None, {})
    return isinstance(found, Score) and found.value == 1


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _contains(answer: str, wanted: list[str]) -> str:
    missing = [_short(text) for text in wanted if not _has(answer, text)]
    return f"{', '.join(missing)} not in the answer" if missing else ""


def _not_contains(answer: str, wanted: list[str]) -> str:
    found = [_short(text) for text in wanted if _has(answer, text)]
    return f"{', '.join(found)} in the answer" if found else ""


def _any_of(answer: str, wanted: list[str]) -> str:
    return "" if any(_has(answer, text) for text in wanted) else f"none of {', '.join(map(_short, wanted))}"


def _regex(answer: str, wanted: list[str]) -> str:
    missing = [_short(pattern) for pattern in wanted if not re.search(pattern, answer)]
    return f"{', '.join(missing)} not found" if missing else ""


def _not_regex(answer: str, wanted: list[str]) -> str:
    found = [(pattern, match[0]) for pattern in wanted if (match := re.search(pattern, answer))]
    return "; ".join(f"{_short(pattern)} finds {_short(text)}" for pattern, text in found)


def _equals(answer: str, wanted: str) -> str:
    return _failed(ExactMatch(ExactMatchSpec())(answer, wanted, {}))


def _language(answer: str, wanted: str) -> str:
    return _failed(Language(LanguageScoreSpec(expected=wanted))(answer, None, {}))


def _refusal(answer: str, wanted: bool) -> str:
    found = refusal(answer)
    if wanted:
        return "" if found else "the answer does not refuse"
    return f"the answer refuses: {_short(found)}" if found else ""


def _json(answer: str, wanted: bool) -> str:
    try:
        parse_json(answer)
    except ValueError as error:
        return f"the answer is not JSON: {error}"
    return ""


def _max_words(answer: str, wanted: int) -> str:
    count = len(words(answer))
    return f"{count} words, more than {wanted}" if count > wanted else ""


def _min_words(answer: str, wanted: int) -> str:
    count = len(words(answer))
    return f"{count} words, fewer than {wanted}" if count < wanted else ""


def _max_repetition(answer: str, wanted: float) -> str:
    again, grams = repeated(words(answer), _GRAM)
    is_over = bool(grams) and again / grams > wanted
    return f"{again} of {grams} 4-grams repeat, {again / grams:.2f}, more than {wanted}" if is_over else ""


def _failed(found: Score | Unscored) -> str:
    return "" if isinstance(found, Score) and found.value == 1 else found.why


KINDS: dict[str, Callable[[str, Any], str]] = {
    "contains": _contains,
    "not_contains": _not_contains,
    "any_of": _any_of,
    "regex": _regex,
    "not_regex": _not_regex,
    "equals": _equals,
    "language": _language,
    "refusal": _refusal,
    "json": _json,
    "max_words": _max_words,
    "min_words": _min_words,
    "max_repetition": _max_repetition,
}
"""The functions by the names of `AnswerChecksSpec`."""
