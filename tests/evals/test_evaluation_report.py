"""The report of an evaluation: scores, tags, what is left out, and rows to read."""

from pathlib import Path

import pytest

from burnish.evals.evaluation.document import document
from burnish.evals.measure import Item
from burnish.evals.perplexity import Likelihood
from burnish.evals.report import Sample, metrics
from burnish.evals.scoring.scorers import Score, Unscored
from burnish.reports.blocks import Figure, Heading, Table, Text
from burnish.reports.document import write


def row(number: int, tag: str) -> dict:
    return {"id": f"{number:04x}", "source": f"rows.jsonl:{number}", "kind": "chat", "tag": tag, "messages": []}


def item(value: float | None, answer: str = "yes", prompt: str = "is it so") -> Item:
    score = Unscored("the row has no reference") if value is None else Score(value)
    return Item(prompt, "yes", answer, scores={"exact_match": score}, likelihood=Likelihood(2.0, 3.0, 4.0))


ROWS = [row(number, "even" if number % 2 == 0 else "odd") for number in range(40)]


@pytest.fixture
def sample() -> Sample:
    ours = [item(None if number == 39 else float(number % 5 != 0), f"answer {number}") for number in range(40)]
    theirs = [item(0.0, "no") for _ in range(40)]
    return Sample(ROWS, ours, theirs, 0.95, 0)


def blocks_of(sample: Sample, kind: type) -> list:
    return [
        block
        for block in document("tuned against base", metrics(sample), sample, "base").blocks
        if isinstance(block, kind)
    ]


def test_scores_tags_and_verdicts_are_tables_and_plots(sample: Sample) -> None:
    headings = [block.text for block in blocks_of(sample, Heading)]
    assert headings == ["Scores", "By tag", "Rows left out", "Lowest scores", "Sample of the other rows"]
    figures = [figure.title for figure in blocks_of(sample, Figure)]
    assert figures == ["Scores with intervals", "Bits per byte with interval", "exact_match by tag, with intervals"]
    [verdict] = [cell for cell in blocks_of(sample, Table)[0].rows[0] if isinstance(cell, Text)]
    assert (verdict.text, verdict.level) == ("better", "good")


def test_the_worst_rows_come_first_and_what_is_left_out_is_counted(sample: Sample) -> None:
    worst, others = blocks_of(sample, Table)[-2:]
    assert [line[0].split("\n")[0] for line in worst.rows] == [f"rows.jsonl:{number}" for number in range(0, 40, 5)]
    assert all(line[3].startswith("answer ") and line[4] == "no" for line in worst.rows)
    assert len(others.rows) == 5
    [left] = [text for text in blocks_of(sample, Text) if text.level == "warning" and "not scored" in text.text]
    assert left.text == "exact_match: 1 of 40 rows not scored: the row has no reference"


def test_a_report_of_one_model_has_no_column_of_another(sample: Sample) -> None:
    alone = Sample(sample.rows, sample.model, None, 0.95, 0)
    assert "answer" in blocks_of(alone, Table)[-1].columns
    assert not any("verdict" in table.columns for table in blocks_of(alone, Table))


def test_texts_of_rows_are_shortened_and_shown_as_they_are(tmp_path: Path, sample: Sample) -> None:
    hostile = "<script>alert(1)</script> | \u202e" + "x" * 5000
    rows = Sample(ROWS[:3], [item(0.0, hostile, hostile)] * 3, None, 0.95, 0)
    write(document("t", metrics(rows), rows, "base"), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "\u202e" not in page
    assert "x" * 1000 not in page


def test_an_evaluation_without_answers_has_a_report(tmp_path: Path) -> None:
    rows = Sample(ROWS[:2], [Item(likelihood=Likelihood(2.0, 3.0, 4.0)), Item()], None, 0.95, 0)
    write(document("t", metrics(rows), rows, "base"), tmp_path)
    assert "bits_per_byte" in (tmp_path / "report.md").read_text()
