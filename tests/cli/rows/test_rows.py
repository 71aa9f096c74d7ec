"""What a person reads of the rows of a training."""

import io

from rich.console import Console

from burnish.cli.rows.rows import print_rows


def visit(step, loss, **more):
    return {"epoch": 0, "step": step, "loss": loss, "learned_tokens": 5, **more}


def entry(number=1, row="chat", **more):
    turns = [{"role": "user", "content": "Why?\n" * 3}, {"role": "assistant", "content": "Since it\x1b[31m is. " * 40}]
    rows = {
        "chat": {"source": "rows.jsonl:7", "kind": "chat", "messages": turns},
        "long": {"source": "rows.jsonl:8", "kind": "chat", "messages": turns * 6},
        "text": {"source": "a.txt", "kind": "text", "text": "字" * 200},
        None: None,
    }
    visits = [visit(3, 4.25), visit(17, 3.5)]
    entry = {"id": f"{number:016x}", "visits": visits, "first": 4.25, "last": 3.5, "mean": 3.875, "rise": -0.75}
    return {**entry, "row": rows[row], "missing": "" if row else "it is gone", "copies": 1, **more}


def shown(*entries, width=80, full=False, **more):
    screen = io.StringIO()
    found = {
        "run": "r/1/tune",
        "rows": 1200,
        "visits": 2400,
        "step": 225,
        "data": "file:rows.jsonl",
        "sort": "last",
        "at": None,
    }
    found |= {"columns": ["epoch", "step", "loss", "learned_tokens"], "worst": entries, "best": [], "named": []}
    found |= {"at": None, **more}
    print_rows(Console(file=screen, width=width), found, full=full)
    return screen.getvalue().splitlines()


def test_a_row_is_read_at_eighty_columns():
    lines = shown(entry())
    assert lines[:4] == [
        "r/1/tune  1,200 rows, 2,400 visits up to step 225",
        "texts from file:rows.jsonl",
        "highest loss at the last visit " + "─" * 49,
        "  1 0000000000000001  rows.jsonl:7  chat  5 learned tokens",
    ]
    assert lines[4:6] == ["    step     3    17", "    loss  4.25   3.5"]
    assert lines[6] == "    user: Why? Why? Why?"
    assert lines[7].startswith(r"    assistant: Since it\x1b[31m is. Since")
    assert lines[8].endswith(" …")
    assert lines[-1] == "texts are cut: --full shows them whole"
    assert all(len(line) <= 80 for line in lines)


def test_full_shows_whole_texts():
    lines = shown(entry(), full=True)
    assert lines[6:9] == ["    user: Why?", "    Why?", "    Why?"]
    assert "\n".join(lines).count("Since") == 40
    assert not any("cut" in line or "…" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_the_middle_of_a_long_conversation_is_left_out_and_counted():
    text = "\n".join(shown(entry(row="long")))
    assert text.count("user:") + text.count("assistant:") == 6
    assert "… 6 more turns" in text
    text = "\n".join(shown(entry(row="long"), full=True))
    assert text.count("user:") + text.count("assistant:") == 12


def test_wide_characters_stay_within_the_width():
    lines = shown(entry(row="text"))
    assert lines[6].count("字") == 38
    assert lines[7].endswith("字 …")
    assert lines[7].count("字") == 37


def test_a_text_that_is_gone_says_why():
    assert "    no text: it is gone" in shown(entry(row=None))


def test_many_visits_are_wrapped_in_blocks():
    lines = shown(entry(visits=[visit(step, step / 7) for step in range(1, 31)]))
    steps = [line for line in lines if line.startswith("    step")]
    assert len(steps) == 4
    assert " ".join(" ".join(line.split()[1:]) for line in steps) == " ".join(map(str, range(1, 31)))
    assert all(len(line) <= 80 for line in lines)


def test_columns_of_an_objective_get_a_line_each():
    visits = [visit(3, 0.7, margin=0.25, wins=True), visit(9, 0.6, margin=None, wins=False)]
    columns = ["epoch", "step", "loss", "learned_tokens", "margin", "wins"]
    lines = shown(entry(visits=visits), columns=columns)
    assert lines[4:8] == [
        "    step        3      9",
        "    loss      0.7    0.6",
        "    margin   0.25      –",
        "    wins     True  False",
    ]


def test_learned_tokens_that_differ_between_visits_are_shown_at_each():
    lines = shown(entry(visits=[visit(3, 0.7), visit(9, 0.6, learned_tokens=6)]))
    assert "learned tokens" not in lines[3]
    assert "    learned_tokens    5    6" in lines


def test_the_measure_of_the_order_is_shown():
    assert shown(entry(), sort="rise")[3].endswith("  rise -0.75")
    assert shown(entry(), sort="mean")[3].endswith("  mean 3.875")
    assert shown(entry(copies=3))[3].endswith("  3 equal rows")


def test_lists_are_titled():
    titles = [line for line in shown(entry(), best=[entry(2)], named=[entry(3)], sort="mean") if "─" in line]
    assert [title.rstrip(" ─") for title in titles] == ["highest mean loss", "lowest mean loss", "requested rows"]
