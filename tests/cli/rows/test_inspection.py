"""What a person is told about rows."""

import io

from rich.console import Console

from burnish.cli.rows.inspection import print_inspection


def shown(**found):
    screen = io.StringIO()
    nothing = {
        "format": "text",
        "reason": "so",
        "rows": 900,
        "bad": 1,
        "blank": 0,
        "stats": {},
        "unrendered": {},
        "rendered": 0,
    }
    empty = {"unrendered": {}, "first_bad": [], "notes": [], "shown": []}
    print_inspection(Console(file=screen, width=200), {**nothing, **empty, **found})
    return screen.getvalue()


def test_languages_say_how_many_rows_were_looked_at():
    assert "languages: en 300 (in a sample of 300 rows)" in shown(
        stats={"languages": {"sample": 300, "rows": {"en": 300}}}
    )
    assert "looked at" not in shown(stats={"languages": {"sample": 900, "rows": {"en": 900}}})


def test_a_bad_row_without_a_field_is_named_by_its_line():
    torn = {"source": "a.jsonl:2", "field": "", "reason": "no JSON"}
    assert "bad: a.jsonl:2: no JSON" in shown(first_bad=[torn])
    assert "bad: a.jsonl:2: answer: no JSON" in shown(first_bad=[{**torn, "field": "answer"}])


def test_lengths_of_a_sample_are_shown_as_such():
    length = {"count": 300, "total": 3000, "mean": 10.0, "min": 1, "p50": 10, "p90": 10, "p99": 10, "max": 10}
    stats = {"characters": length, "tokens": length, "learned": length | {"total": 1500}}
    said = shown(stats=stats, rendered=300, unrendered={"data.too-long": 2})
    assert "a random sample of 300 rows; all 900 rows: about 9,000 tokens, 4,500 learned" in said
    assert "2 rows (of 300 rendered) cannot be rendered" in said
    said = shown(stats=stats, rendered=900, unrendered={"data.too-long": 2})
    assert "sample" not in said
    assert "2 rows cannot be rendered" in said
