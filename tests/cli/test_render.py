"""Numbers, durations, tables and curves in words; options that may stand anywhere."""

import io
import sys
from collections import Counter

import pytest
from rich.cells import cell_len
from rich.console import Console

from burnish.cli.render import (
    cell,
    duration,
    json_text,
    make_table,
    metrics_summary,
    move_global_options,
    plain,
    program,
    sparkline,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.99, "10 s"),
        (59.7, "1 min 0 s"),
        (60, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.9, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_options_before_a_command_may_stand_anywhere_but_after_two_dashes():
    assert move_global_options(["run", "x", "--json", "--workspace", "w", "--debug"]) == (
        ["--json", "--workspace", "w", "--debug", "run", "x"],
        ["--json", "--workspace", "w", "--debug"],
    )
    assert move_global_options(["chat", "m", "--", "--json"]) == (["chat", "m", "--", "--json"], [])
    assert move_global_options(["--workspace=w", "plan"]) == (["--workspace=w", "plan"], ["--workspace=w"])
    assert move_global_options(["plan", "--workspace"]) == (["plan", "--workspace"], [])


def test_a_curve_keeps_its_shape_and_its_width():
    assert sparkline([3, 2, 1]) == "█▅▁"
    assert sparkline([]) == ""
    assert sparkline([1, 1]) == "▁▁"
    assert sparkline([float("nan"), 1, float("inf"), 2]) == "▁█"
    assert sparkline([float("nan")]) == ""
    for count in (1, 39, 40, 41, 79, 300, 1001):
        assert 0 < len(sparkline(list(range(count)))) <= 40


def test_only_numbers_are_measures_in_short():
    assert metrics_summary({"a": 1, "b": 0.12346, "c": {"d": 1}, "e": "x"}) == "a 1, b 0.1235"


def test_where_a_loss_ended_is_told_before_where_it_began():
    metrics = {"steps": 9, "rows": 8, "first_loss": 4.0, "last_loss": 0.5, "best_eval_loss": 0.25}
    assert metrics_summary(metrics, most=3) == "last_loss 0.5, best_eval_loss 0.25, steps 9"


def test_the_program_is_called_as_the_shell_finds_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env/bin/python"))
    assert program() == "burnish"
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/bin/burnish").touch(mode=0o755)
    assert program() == "env/bin/burnish"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program() == str(tmp_path / "env/bin/burnish")
    monkeypatch.setenv("PATH", str(tmp_path / "env/bin"))
    assert program() == "burnish"


def printed(table, width):
    screen = io.StringIO()
    Console(file=screen, width=width, color_system=None).print(table)
    return screen.getvalue()


def test_a_column_of_numbers_stands_right():
    lines = printed(make_table("t", ("name", "count"), [("a", 1), ("b", 2500.0)]), 80).splitlines()
    assert [line.rstrip() for line in lines[4:6]] == [" a          1", " b      2,500"]


PLAN = ("step", "stage", "action", "why", "last time", "fingerprint")
TABLES = {
    "a plan": (PLAN, [("tune", "sft", "run", "new: r/1/tune (interrupted) is not resumed", "3 min 20 s", "a" * 12)]),
    "runs": (
        ("run", "stage", "state", "when", "took", "measures"),
        [(f"r/{n}/a-long-step", "evaluate", "succeeded", "2026-11-21 20:00", "12 s", "loss 1.25") for n in range(3)],
    ),
    "numbers": (("per row", "min", "mean", "p50", "p90", "p99", "max", "total"), [("tokens", *[123456] * 7)]),
    "pairs": (("", ""), [("stage", "sft"), ("folder", "/a/long/path/" + "x" * 90)]),
    "one column": (("name",), [("x" * 70,)]),
    "no rows": (("run", "stage", "state", "when", "took", "measures"), []),
    "wide letters": (("字段", "意味"), [("数据" * 20, "模型")]),
}


@pytest.mark.parametrize("unbroken", [(), ("step", "run", "stage", "fingerprint")], ids=["any", "unbroken"])
@pytest.mark.parametrize("width", [1, 5, 10, 20, 30, 40, 50, 60, 80, 100, 160])
@pytest.mark.parametrize("name", TABLES)
def test_no_letter_of_a_table_is_lost_at_any_width(name, width, unbroken):
    if (name, width) == ("wide letters", 1):
        return  # no such letter fits into one column
    columns, rows = TABLES[name]
    shown = printed(make_table("A title", columns, rows, unbroken=unbroken), width)
    wanted = Counter("".join(["A title", *columns, *(str(cell(value)) for row in rows for value in row)]))
    missing = wanted - Counter(shown)
    del missing[" "]
    assert not +missing
    assert "…" not in shown
    assert max(map(cell_len, shown.splitlines())) <= width


def test_a_table_that_does_not_fit_has_a_line_for_each_cell():
    columns, rows = ("step", "why"), [("tune", "made by r/1/tune"), ("score", "new")]
    narrow = printed(
        make_table("r", (*columns, "fingerprint"), [(*row, "0" * 12) for row in rows], ("fingerprint",)), 28
    )
    assert narrow.splitlines() == [
        *("r", "step: tune", "why: made by r/1/tune", "fingerprint: 000000000000", ""),
        *("step: score", "why: new", "fingerprint: 000000000000"),
    ]


def test_json_holds_no_number_that_is_none():
    assert json_text({"a": float("nan"), "b": [float("inf")], 1: "é"}) == '{"a":null,"b":[null],"1":"é"}'


def test_text_from_elsewhere_is_shown_with_its_control_characters_written_out():
    assert plain("a\x1b[31mred\x07\r\n\tb\x9b") == r"a\x1b[31mred\x07\x0d" + "\n\tb" + r"\x9b"
