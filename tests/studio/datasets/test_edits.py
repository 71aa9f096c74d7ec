"""A row is edited in a new version of its file; never in another file than the one that was looked at."""

import json

import pytest

from burnish.core.errors import BurnishError
from burnish.studio.datasets import changing, dataset, delete, edit_row, upload
from burnish.studio.datasets.names import newest_version
from uploaded import lines, put


def test_an_edited_row_makes_a_new_version_and_the_old_one_stays(workspace):
    content = lines(range(1000)) + b"broken\r\n" + lines([7])
    put(workspace, "rows.jsonl", content)
    root = {"workspace": workspace.root}
    made = edit_row("rows.jsonl", 1000, {"prompt": "fixed", "response": "né"}, **root)
    assert (made["name"], made["edited_from"]) == ("rows.v2.jsonl", "rows.jsonl")
    expected = lines(range(1000)) + '{"prompt": "fixed", "response": "né"}\r\n'.encode() + lines([7])
    assert (workspace.uploads / "rows.v2.jsonl").read_bytes() == expected
    assert (workspace.uploads / "rows.jsonl").read_bytes() == content
    edit_row("rows.v2.jsonl", 0, None, **root)
    assert (workspace.uploads / "rows.v3.jsonl").read_bytes() == expected.partition(b"\n")[2]
    last = edit_row("rows.v3.jsonl", 1000, {"prompt": "p", "response": "r"}, **root)
    assert last["name"] == "rows.v4.jsonl"


def by_hand(path):
    path.write_bytes(lines(range(100, 104)))


def deleted_and_sent_anew(path):
    workspace = path.parents[2]
    delete(path.name, workspace=workspace)
    upload(path.name, [lines([9], lambda n: {"prompt": "long" * 50, "response": "x"}) * 8], workspace=workspace)


def gone(path):
    path.unlink()


@pytest.mark.parametrize("change", [by_hand, deleted_and_sent_anew, gone])
@pytest.mark.parametrize("moment", ["after it was found", "while it is copied"])
def test_an_edit_of_a_file_that_is_another_one_by_now_writes_nothing(workspace, monkeypatch, change, moment):
    put(workspace, "rows.jsonl", lines(range(100, 200)))
    path, asked = workspace.uploads / "rows.jsonl", changing.ask_viewing

    def then_changed(*given, **more):
        found = asked(*given, **more)
        change(path)
        return found

    def copied_then_changed(file, *given):
        yield from edited(file, *given)
        change(path)

    if moment == "after it was found":
        monkeypatch.setattr(changing, "ask_viewing", then_changed)
    else:
        edited = changing._edited
        monkeypatch.setattr(changing, "_edited", copied_then_changed)
    with pytest.raises(BurnishError, match="changed or replaced since you looked") as caught:
        edit_row("rows.jsonl", 2, {"prompt": "p", "response": "r"}, workspace=workspace.root)
    assert caught.value.code == "run.input-changed"
    assert sorted(file.name for file in workspace.uploads.glob("rows*")) == ["rows.jsonl"] * (change is not gone)


def test_of_two_people_who_edit_one_file_the_second_hears_of_the_first(workspace):
    root = {"workspace": workspace.root}
    put(workspace, "rows.jsonl", lines(range(4)))
    seen = {key: dataset("rows.jsonl", **root)[key] for key in ("sha256", "newest")}
    assert seen["newest"] == "rows.jsonl"
    assert edit_row("rows.jsonl", 0, None, **seen, **root)["name"] == "rows.v2.jsonl"
    with pytest.raises(BurnishError, match=r"the newest version of rows\.jsonl is rows\.v2\.jsonl now") as caught:
        edit_row("rows.jsonl", 1, None, **seen, **root)
    assert caught.value.code == "ask.name-taken"
    assert dataset("rows.jsonl", **root)["newest"] == "rows.v2.jsonl"
    assert edit_row("rows.jsonl", 1, None, newest="rows.v2.jsonl", **root)["name"] == "rows.v3.jsonl"
    with pytest.raises(BurnishError, match="changed or replaced"):
        edit_row("rows.jsonl", 1, None, sha256="0" * 64, **root)
    for taken in (set(), {"rows.v2.jsonl"}, {"rows.v9.jsonl", "rows.v10.jsonl", "rows.v11.csv", "other.v12.jsonl"}):
        newest = max(
            {"rows.jsonl", *(name for name in taken if name.startswith("rows.v") and name.endswith("l"))}, key=len
        )
        assert newest_version("rows.jsonl", {"rows.jsonl", *taken}) == newest


def test_of_two_edits_at_once_one_is_refused(workspace, monkeypatch):
    put(workspace, "rows.jsonl", lines(range(4)))
    asked, names = changing.ask_viewing, []

    def meanwhile(*given, **more):
        monkeypatch.setattr(changing, "ask_viewing", asked)
        names.append(edit_row("rows.jsonl", 0, None, newest="rows.jsonl", workspace=workspace.root)["name"])
        return asked(*given, **more)

    monkeypatch.setattr(changing, "ask_viewing", meanwhile)
    with pytest.raises(BurnishError, match=r"rows\.v2\.jsonl was made just now, by another edit"):
        edit_row("rows.jsonl", 1, None, newest="rows.jsonl", workspace=workspace.root)
    assert names == ["rows.v2.jsonl"]
    assert sorted(path.name for path in workspace.uploads.glob("*.jsonl")) == ["rows.jsonl", "rows.v2.jsonl"]


def test_an_edit_that_cannot_be_a_row_names_file_line_and_field(workspace):
    put(workspace, "chat.jsonl", lines(range(4), lambda n: {"messages": [{"role": "user", "content": str(n)}]}))
    put(workspace, "table.csv", b"prompt,response\na,b\n")
    (workspace.data / "mine.jsonl").write_bytes(lines([0]))
    root = {"workspace": workspace.root}
    with pytest.raises(BurnishError, match=r"chat\.jsonl:3: messages\.0\.role") as caught:
        edit_row("chat.jsonl", 2, {"messages": [{"role": "wizard", "content": "x"}]}, **root)
    assert caught.value.fix
    for name, row, value, code in [
        ("chat.jsonl", 4, {"messages": []}, "ask.bad-reference"),
        ("chat.jsonl", -1, {"messages": []}, "ask.wrong-value"),
        ("chat.jsonl", 0, {}, "ask.wrong-value"),
        ("table.csv", 0, {"prompt": "a", "response": "b"}, "ask.wrong-value"),
        ("data/mine.jsonl", 0, {"prompt": "a", "response": "b"}, "ask.wrong-value"),
        ("none.jsonl", 0, {"prompt": "a"}, "ask.bad-reference"),
    ]:
        with pytest.raises(BurnishError) as caught:
            edit_row(name, row, value, **root)
        assert (caught.value.code, name) == (code, name)
    assert sorted(path.name for path in workspace.uploads.glob("*.*")) == [".records", "chat.jsonl", "table.csv"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_an_edit_with_a_number_that_json_lacks_names_its_column(workspace, number):
    put(workspace, "rows.jsonl", lines(range(2)))
    with pytest.raises(BurnishError, match=r"value\.response: a number is NaN or infinite") as caught:
        edit_row("rows.jsonl", 0, {"prompt": "a", "response": [{"x": number}]}, workspace=workspace.root)
    assert caught.value.code == "ask.wrong-value"
    assert sorted(path.name for path in workspace.uploads.glob("*.jsonl")) == ["rows.jsonl"]


@pytest.mark.parametrize("value", [{"a\ud800": "b"}, {"a": ["b\ud800"]}])
def test_an_edit_with_half_of_a_character_is_refused(workspace, value):
    put(workspace, "rows.jsonl", lines(range(2)))
    with pytest.raises(BurnishError, match=r"value\.a.*half of a surrogate pair") as caught:
        edit_row("rows.jsonl", 0, value, workspace=workspace.root)
    assert json.dumps(caught.value.as_dict(), ensure_ascii=False).encode()
    assert caught.value.code == "ask.wrong-value"
