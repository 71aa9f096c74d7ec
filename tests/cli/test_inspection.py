"""What a person is told about rows."""

import io

from rich.console import Console

from burnish.cli.inspection import print_inspection


def shown(**found):
    screen = io.StringIO()
    nothing = {"format": "text", "reason": "so", "rows": 900, "bad": 1, "blank": 0, "stats": {}, "unrendered": {}}
    print_inspection(Console(file=screen, width=100), {**nothing, "first_bad": [], "notes": [], "shown": [], **found})
    return screen.getvalue()


def test_languages_say_how_many_rows_were_looked_at():
    assert "languages: en 300 (of 300 rows looked at)" in shown(
        stats={"languages": {"sample": 300, "rows": {"en": 300}}}
    )
    assert "looked at" not in shown(stats={"languages": {"sample": 900, "rows": {"en": 900}}})


def test_a_bad_row_without_a_field_is_named_by_its_line():
    torn = {"source": "a.jsonl:2", "field": "", "reason": "no JSON"}
    assert "bad: a.jsonl:2: no JSON" in shown(first_bad=[torn])
    assert "bad: a.jsonl:2: answer: no JSON" in shown(first_bad=[{**torn, "field": "answer"}])
