"""The commands `datasets …`: the datasets of the workspace, as the page has them."""

import json

import pytest

from burnish import run_stage
from burnish.studio.datasets.reading import _VIEWING

ROWS = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": f"Number {number}!"}]}
    for number in range(6)
]


@pytest.fixture(autouse=True)
def _no_kept_child():
    """A child process that stays works in the folder in which it was started: that of this test."""
    yield
    _VIEWING.close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def said(burnish):
    """The JSON of a command."""
    return lambda *words: json.loads(burnish("--json", "datasets", *words).out)


def test_a_file_is_added_listed_shown_changed_and_removed(burnish, said, file):
    assert burnish("datasets", "list").out.startswith("there is no dataset; add a file")
    assert "file:data/uploads/rows.jsonl" in burnish("datasets", "add", str(file)).out
    assert said("add", str(file), "--version")["name"] == "rows.v2.jsonl"
    assert said("add", str(file), "--name", "mine.jsonl")["name"] == "mine.jsonl"
    assert {row["name"] for row in said("list")["datasets"]} == {"rows.jsonl", "rows.v2.jsonl", "mine.jsonl"}
    assert "mine.jsonl" in burnish("datasets", "list").out
    assert said("show", "rows.jsonl")["rows"] == 6
    assert "messages" in burnish("datasets", "show", "rows.jsonl").out
    assert [row["row"] for row in said("rows", "rows.jsonl", "--from", "4", "--most", "5")["rows"]] == [4, 5]
    assert "Number 3!" in burnish("datasets", "rows", "rows.jsonl").out
    assert said("edit", "rows.jsonl", "0", "--leave-out")["name"] == "rows.v3.jsonl"
    changed = json.dumps({**ROWS[0], "tag": "changed"})
    assert "rows.v4.jsonl" in burnish("datasets", "edit", "rows.jsonl", "0", "--value", changed).out
    assert said("rows", "rows.v4.jsonl", "--most", "1")["rows"][0]["value"]["tag"] == "changed"
    assert burnish("datasets", "remove", "mine.jsonl").out == "removed mine.jsonl\n"
    assert "mine.jsonl" not in burnish("datasets", "list").out


def test_rows_are_shown_as_a_training_reads_them(burnish, said, file):
    burnish("datasets", "add", str(file))
    assert said("preview", "rows.jsonl", "--most", "1")["rows"][0]["value"]["kind"] == "chat"
    shown = burnish("datasets", "preview", "rows.jsonl", "--tokenizer", "builtin:pocket", "--most", "1").out
    assert "[Number" in shown.replace("\n", "")


def test_what_a_step_made_has_a_quarantine_and_a_profile(burnish, said, file, workspace):
    file.write_text(file.read_text() + '{"messages": \n')
    run_stage("prepare", workspace=workspace.root, source=f"file:{file}", max_bad_share=1.0)
    name = "prepare.prepare@1"
    assert said("quarantine", name)["rows"][0]["source"].startswith("rows.jsonl:7")
    assert "invalid JSON" in burnish("datasets", "quarantine", name).out
    assert "--queue" in burnish("datasets", "profile", name).out
    assert said("profile", name, "--queue")["state"] == "queued"
    burnish("worker", "--until-idle")
    assert "exact duplicates" in burnish("datasets", "profile", name).out
    assert said("profile", name)["profile"]["rows"] == 6


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("show", "none.jsonl"), "upload a file"),
        (("rows", "../x"), ""),
        (("add", "/nonexistent/file"), "path"),
        (("edit", "rows.jsonl", "0"), "--value"),
        (("edit", "rows.jsonl", "0", "--value", "{"), "row"),
        (("remove", "none.jsonl"), ""),
        (("quarantine", "none.jsonl"), ""),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_wrong_requests_are_refused_with_a_hint(burnish, words, hint):
    found = burnish("datasets", *words)
    assert found.status == 2
    assert found.err.startswith("error: ")
    assert hint in found.err.partition("hint:")[2]
    assert "internal" not in found.err
