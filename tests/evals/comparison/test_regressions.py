"""Regression sets: read in every form, refused by line, written by a comparison, checked row by row."""

import json
from pathlib import Path

import pytest

from burnish.core.errors import DataError
from burnish.evals.comparison.regressions import Required, check, read_set, set_lines
from burnish.evals.comparison.table import Candidate, Rows
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Score, Unscored


def test_ids_and_lines_of_json_are_read(tmp_path: Path) -> None:
    path = tmp_path / "core.jsonl"
    path.write_text('00ff\n\n{"id": "01ff"}\n{"id": "02ff", "scores": {"s": 1, "t": 0.5}, "prompt": "x"}\n')
    found = read_set(path)
    assert [(each.id, dict(each.scores)) for each in found] == [
        ("00ff", {}),
        ("01ff", {}),
        ("02ff", {"s": 1.0, "t": 0.5}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "two words",
        '"quoted"',
        "[1]",
        "{",
        '{"row": 1}',
        '{"id": 3}',
        '{"id": "a", "scores": {"s": "high"}}',
        '{"id": "a", "scores": {"s": NaN}}',
        '{"id": "a", "scores": {"s": -Infinity}}',
    ],
)
def test_a_line_that_names_no_row_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "core.jsonl"
    path.write_text(f"00ff\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_set(path)
    assert caught.value.what.startswith(f"{path}:2: ")


def test_a_line_with_ends_of_lines_of_unicode_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "core.jsonl"
    path.write_text('{"id": "00ff", "prompt": "one\u2028two\u0085three"}\r\n01ff\r\n', encoding="utf-8")
    assert [each.id for each in read_set(path)] == ["00ff", "01ff"]


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "core.txt"
    path.write_text("\n")
    with pytest.raises(DataError, match="has no rows") as caught:
        read_set(path)
    assert caught.value.code == "data.empty"


def test_a_comparison_writes_the_rows_that_its_baseline_gets_right(tmp_path: Path) -> None:
    items = [
        Item("p", "r", "a", scores={"s": Score(1.0), "t": Score(0.4)}),
        Item(scores={"s": Score(0.0)}),
        None,
    ]
    rows = Rows(["0", "1", "2"], ["f:1", "f:2", "f:3"], [None] * 3, [None] * 3, [None] * 3)
    lines = set_lines(rows, Candidate("base", "", "model", "", items))
    assert lines == [{"id": "0", "source": "f:1", "scores": {"s": 1.0}, "prompt": "p", "reference": "r", "answer": "a"}]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [(each.id, dict(each.scores)) for each in read_set(path)] == [("0", {"s": 1.0})]


def candidate(*scores: dict[str, Score | Unscored]) -> Candidate:
    return Candidate("a", "", "model", "", [Item(scores=each) for each in scores])


def test_a_row_whose_record_lacks_the_score_of_a_rule_requires_nothing_of_it(tmp_path: Path) -> None:
    rows = Rows([*"012"], [*"012"], [None] * 3, [None] * 3, [None] * 3)
    base = candidate(
        {"contains": Score(1.0), "exact_match": Score(0.0)},
        {"contains": Score(1.0), "exact_match": Score(1.0)},
        {"contains": Score(1.0), "exact_match": Unscored("no reference")},
    )
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in set_lines(rows, base)))
    required = read_set(path)
    found = check(required, rows, base, base, "exact_match")
    assert (found.rows, found.worse, found.undecided, found.not_required) == (1, [], 0, 2)
    worse = candidate(*[{"contains": Score(1.0), "exact_match": Score(0.0)}] * 3)
    assert [each.id for each in check(required, rows, base, worse, "exact_match").worse] == ["1"]
    assert check(required, rows, base, base, None).rows == 3
    path.write_text("2\n")
    found = check(read_set(path), rows, base, base, "exact_match")
    assert (found.rows, found.undecided, found.not_required) == (1, 1, 0)


def test_a_score_that_is_not_a_number_got_worse() -> None:
    rows = Rows(["0"], ["0"], [None], [None], [None])
    base, broken = candidate({"s": Score(0.0)}), candidate({"s": Score(float("nan"))})
    found = check(read_required(rows), rows, base, broken, None)
    assert [each.id for each in found.worse] == ["0"]


def read_required(rows: Rows) -> list[Required]:
    return [Required(row, {}) for row in rows.ids]


@pytest.mark.parametrize("worse", [0, 1])
def test_every_row_with_an_id_must_have_what_is_required(worse: int) -> None:
    rows = Rows(["a", "a"], ["f:1", "f:2"], [None] * 2, [None] * 2, [None] * 2)
    base = candidate({"s": Score(1.0)}, {"s": Score(1.0)})
    other = candidate(*({"s": Score(float(place != worse))} for place in (0, 1)))
    for required in (Required("a", {}), Required("a", {"s": 1.0})):
        assert [each.id for each in check([required], rows, base, other, None).worse] == ["a"]
