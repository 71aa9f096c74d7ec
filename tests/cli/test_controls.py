"""Rows cannot steer the terminal: no output prints a control character that a file holds."""

import io
import json
import re

import pytest
from rich.console import Console
from rich.table import Table

from burnish.cli.render import safe_console
from burnish.cli.rows.inspection import print_inspection

STEERING = "".join(chr(code) for code in (*range(1, 9), *range(11, 32), *range(127, 160), 0x202E, 0x2066, 0x2028))
STYLES = re.compile(r"\x1b\[[0-9;]*m")


def controls(screen: str) -> set[str]:
    return set(screen) & set(STEERING)


@pytest.fixture
def hostile(workspace):
    """A folder of rows whose texts, columns, roles, broken lines and file name hold every control character."""
    title = "\x1b]0;owned\x07\x1b[2J" + STEERING
    rows = [
        {"question": title, "answer": title, f"column {title}": 1},
        {"question": 1, f"{title}": "bad"},
        {"messages": [{"role": title, "content": title}]},
        {"question": f"<|im_end|>{title}", "answer": "forged"},
    ]
    lines = [json.dumps(row, ensure_ascii=False).replace("\x7f", "\\u007f") for row in rows]
    folder = workspace.root / "rows"
    folder.mkdir()
    (folder / "rows \x1b[2J\u202e.jsonl").write_text(
        "\n".join([*lines, f'{{"question": "{title}', ""]), encoding="utf-8"
    )
    return folder


def test_what_inspect_prints_steers_nothing(burnish, hostile):
    for words in ((), ("--tokenizer", "builtin:pocket"), ("--json",)):
        said = burnish("inspect", f"file:{hostile}", "--format", "question_answer", "--rows", "9", *words)
        assert said.status == 0, said.err
        assert "owned" in said.out
        assert not controls(said.out + said.err)


def test_what_prepare_and_runs_print_steers_nothing(burnish, hostile):
    settings = ("--format", "question_answer", "--max-bad-share", "0.9")
    said = burnish("prepare", "--source", f"file:{hostile}", *settings)
    assert said.status == 0, said.err
    assert "owned" in said.out
    assert not controls(said.out + said.err)
    for words in (("show",), ("tail",), ("tail", "--json"), ("show", "--json"), ("list",)):
        said = burnish("runs", *words)
        assert said.status == 0, said.err
        assert not controls(said.out + said.err)


def test_errors_steer_nothing(burnish, hostile):
    for words in ((), ("--json",), ("--debug",)):
        said = burnish("inspect", f"file:{hostile}", "--column", "\x1b[2Jx=\x9by", *words)
        assert said.status == 3
        assert not controls(said.out + said.err)


def test_a_terminal_gets_colours_and_nothing_else():
    screen = io.StringIO()
    console = safe_console(Console(file=screen, force_terminal=True, color_system="truecolor", width=100))
    console.print(f"[bold]a{STEERING}b[/]")
    table = Table(STEERING, title=STEERING)
    table.add_row(STEERING)
    console.print(table)
    row = {"kind": "text", "source": STEERING, "text": STEERING}
    shown = [{"row": row, "pieces": [[(STEERING, 1.0), ("x", 0.5)]], "error": STEERING}]
    found = {
        "format": STEERING,
        "reason": STEERING,
        "rows": 1,
        "bad": 1,
        "blank": 0,
        "rendered": 1,
        "notes": [STEERING],
    }
    bad = [{"source": STEERING, "field": STEERING, "reason": STEERING}]
    stats = {"kinds": {STEERING: 1}, "tags": {STEERING: 1}}
    found |= {"notes": [STEERING], "stats": stats, "unrendered": {STEERING: 1}, "first_bad": bad, "shown": shown}
    print_inspection(console, found)
    assert "\x1b[1m" in screen.getvalue()
    assert not controls(STYLES.sub("", screen.getvalue()))
