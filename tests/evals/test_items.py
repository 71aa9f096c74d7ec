"""Items of an evaluation are read back as they were written, whatever their texts hold."""

import json
import math

import pytest

from burnish.core.errors import DataError
from burnish.evals.items import read_items

LINE_ENDS = "one\u2028two\u0085three\u000bfour\u001cfive"


def written(folder, *rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "items.jsonl").write_text(text, encoding="utf-8")


def row(**changes):
    return {
        "id": "a",
        "source": "rows.jsonl:1",
        "prompt": "p",
        "answer": "x",
        "scores": {"exact_match": 1.0},
        **changes,
    }


def test_a_text_with_ends_of_lines_of_unicode_is_one_row(tmp_path):
    written(tmp_path, row(answer=LINE_ENDS), row(id="b"))
    assert [(item.id, item.item.answer) for item in read_items(tmp_path)] == [("a", LINE_ENDS), ("b", "x")]


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", "null", '{"id": 1}', '{"id": "a", "scores": []}', '{"id": "a", "scores": {"x": "high"}}', "{"],
    ids=str,
)
def test_a_damaged_line_is_named(line, tmp_path):
    written(tmp_path, row())
    with (tmp_path / "items.jsonl").open("a") as file:
        file.write((line or "\0") + "\n")
    with pytest.raises(DataError, match="not one of an evaluation") as caught:
        read_items(tmp_path)
    assert f"{tmp_path / 'items.jsonl'}:2" in caught.value.what


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '"NaN"', '{"value": NaN}'])
def test_a_score_that_is_not_finite_is_refused(value, tmp_path):
    (tmp_path / "items.jsonl").write_text(f'{{"id": "a", "scores": {{"exact_match": {value}}}}}\n')
    with pytest.raises(DataError, match="the score is ") as caught:
        read_items(tmp_path)
    assert f"{tmp_path / 'items.jsonl'}:1" in caught.value.what


@pytest.mark.parametrize("change", [{"tokens": math.nan}, {"tokens": 0}, {"bytes": -1}, {"bytes": math.inf}])
def test_a_likelihood_of_no_tokens_is_refused(change, tmp_path):
    written(tmp_path, row(**({"nll": math.inf, "tokens": 2, "bytes": 0} | change)))
    with pytest.raises(DataError, match="a likelihood of "):
        read_items(tmp_path)


def test_a_loss_that_is_not_finite_is_read_as_it_was_written(tmp_path):
    written(tmp_path, row(nll="Infinity", tokens=2, bytes=0))
    [found] = read_items(tmp_path)
    assert found.item.likelihood.nats == math.inf
