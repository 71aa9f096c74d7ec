"""Which choice is right: labels, texts, letters and indices, decided by the column."""

from typing import Any

import pytest

from burnish.core.errors import AskError
from burnish.evals.tasks.gold import choices_in, right_of


def places(*rows: tuple[Any, Any]) -> list[int | str]:
    """Of the (answer, choices) of a column's rows."""
    asked = [(answer, choices_in(given)) for answer, given in rows]
    return right_of([(answer, choices) for answer, choices in asked if choices], "the column 'key'")


def arc(*labels: str) -> dict[str, Any]:
    return {"text": [f"a{number}" for number in range(len(labels))], "label": list(labels)}


@pytest.mark.parametrize(
    ("answer", "given", "place"),
    [
        (1, ["blue", "red", "green"], 1),
        (1.0, ["blue", "red", "green"], 1),
        ("1", ["blue", "red", "green"], 1),
        ("b", ["blue", "red", "green"], 1),
        ("B", ["blue", "red", "green"], 1),
        ("blue", ["blue", "red", "green"], 0),
        (" blue ", ["blue", "red", "green"], 0),
        ("1", arc("1", "2", "3", "4"), 0),
        ("C", arc("A", "B", "C", "D"), 2),
        ("1", {"1": "blue", "2": "red"}, 0),
        ("A", {"B": "red", "A": "blue"}, 1),
        ("a", {"B": "red", "A": "blue"}, 1),
        ("red", {"B": "red", "A": "blue"}, 0),
        (2, [1, 2, 3, 4], 1),
        (2, [1.0, 2.0, 3.5], 1),
        (3.5, [1.0, 2.0, 3.5], 2),
        (1, ["2", "4", "8", "1"], 1),  # an index, as in MMLU: the choices are texts
        ("1", ["2", "4", "8", "1"], 3),
        (1, [10, 20], 1),
    ],
)
def test_an_answer_is_a_label_a_text_a_letter_or_an_index(answer: Any, given: Any, place: int) -> None:
    assert places((answer, given)) == [place]


@pytest.mark.parametrize("answer", [4, True, "D", "x", -1, 0.5])
def test_another_answer_is_none_of_the_choices(answer: Any) -> None:
    assert places((answer, ["blue", "red", "green"])) == [f"the answer {answer!r} is none of the choices"]


def test_labels_are_those_of_each_row() -> None:
    """ARC has rows with 1 to 4 among those with A to D."""
    rows = [("A", arc("A", "B", "C", "D")), ("1", arc("1", "2", "3", "4")), ("4", arc("1", "2", "3", "4"))]
    assert places(*rows) == [0, 0, 3]
    assert "none of the choices" in str(places(("E", arc("A", "B", "C", "D")))[0])


def test_the_rows_of_a_column_decide_what_a_digit_is() -> None:
    colours, numbers = ["blue", "red", "green"], ["2", "1", "0"]
    assert places(("0", numbers), ("2", colours), ("0", colours)) == [0, 2, 0]  # indices: only one of them is a text
    assert places(("0", numbers), ("red", colours), ("blue", colours)) == [2, 1, 0]
    found = places(("A", colours), ("C", colours), ("1", colours))
    assert found[:2] == [0, 2]
    assert "'1' is not a letter, as most answers of the column are" in str(found[2])


@pytest.mark.parametrize("answers", [("1", "2", "1"), (1, 2, 2)])
def test_indices_that_start_at_1_are_refused(answers: tuple[Any, ...]) -> None:
    with pytest.raises(AskError, match="start at 1") as caught:
        places(*((answer, ["blue", "red"]) for answer in answers))
    assert "subtract 1" in caught.value.fix


def test_labels_that_do_not_name_each_choice_are_no_choices() -> None:
    assert choices_in({"text": ["a", "b"], "label": ["A"]}) is None
    assert choices_in({"text": ["a", "b"], "label": ["A", "A"]}) is None
    assert choices_in({"text": ["a", "b"]}) is not None
    assert choices_in(["a", None]) is None
