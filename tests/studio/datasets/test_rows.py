"""Pages of rows of any file that the readers know, from anywhere in it; previews with the learned tokens."""

import gzip
import io
import json
import os
import shutil
import time
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import burnish
from burnish.core import fingerprint
from burnish.core.errors import BurnishError
from burnish.core.runs.workspace import Workspace
from burnish.data.paging import index as paging
from burnish.studio.datasets import dataset, datasets, delete, preview, quarantine, rows
from burnish.studio.kept_workrooms import KeptWorkroom
from uploaded import lines, pair, put

COUNT = 3000


def as_csv():
    return b"prompt,response\n" + b"".join(f"question {n} {'x' * 300},answer {n}\n".encode() for n in range(COUNT))


def as_parquet():
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([pair(n) for n in range(COUNT)]), stream, row_group_size=700)
    return stream.getvalue()


def as_arrow():
    table, stream = pa.Table.from_pylist([pair(n) for n in range(COUNT)]), io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)
    return stream.getvalue()


def as_zip():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("part.jsonl", lines(range(COUNT)))
    return stream.getvalue()


FILES = {
    "rows.jsonl": lambda: lines(range(COUNT)),
    "rows.json": lambda: json.dumps([pair(n) for n in range(COUNT)]).encode(),
    "rows.csv": as_csv,
    "rows.parquet": as_parquet,
    "rows.arrow": as_arrow,
    "rows.jsonl.gz": lambda: gzip.compress(lines(range(COUNT))),
    "rows.zip": as_zip,
    "marked.jsonl": lambda: b"\xef\xbb\xbf" + lines(range(COUNT)),
    "utf16.jsonl": lambda: lines(range(COUNT)).decode().encode("utf-16"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_page_has_the_rows_of_its_place(workspace, name):
    put(workspace, name, FILES[name]())
    root = {"workspace": workspace.root}
    found = dataset(name, **root)
    assert (found["rows"], found["bad"], found["splits"]) == (COUNT, 0, {"train": {"rows": COUNT, "bad": 0}})
    assert [column["name"] for column in found["columns"]] == ["prompt", "response"]
    assert found["layout"]["format"] == "prompt_response"
    for offset, limit in [(0, 3), (1, 1), (699, 3), (1400, 500), (COUNT - 2, 10), (COUNT, 5)]:
        page = rows(name, offset=offset, limit=limit, **root)
        numbers = list(range(offset, min(COUNT, offset + limit)))
        assert [row["row"] for row in page["rows"]] == numbers
        assert [row["value"]["response"] for row in page["rows"]] == [f"answer {number}" for number in numbers]
        assert page["total"] == COUNT


def test_bad_rows_have_their_place_on_the_page_with_line_field_and_reason(workspace):
    content = (
        lines([0]) + b"\n" + b'{"prompt": 1\n' + b'{"prompt": "\xe9t\xe9", "response": "x"}\n' + lines([1]) + b"[1]\n"
    )
    put(workspace, "odd.jsonl", content)
    root = {"workspace": workspace.root}
    found = dataset("odd.jsonl", **root)
    assert (found["rows"], found["bad"], found["blank_lines"]) == (5, 3, 1)
    page = rows("odd.jsonl", **root)["rows"]
    assert [row["source"] for row in page] == [f"odd.jsonl:{line}" for line in (1, 3, 4, 5, 6)]
    assert [bool(row["bad"]) for row in page] == [False, True, True, False, True]
    assert "not UTF-8" in page[2]["bad"]["reason"]
    assert page[1]["bad"]["text"] == '{"prompt": 1'
    shown = preview("odd.jsonl", **root)["rows"]
    assert [row["error"] is None for row in shown] == [True, False, False, True, False]


def test_a_line_of_60_mb_is_one_bad_row_and_the_others_are_read(workspace):
    huge = b'{"prompt": "' + b"x" * (60 << 20) + b'", "response": "y"}\n'
    put(workspace, "huge.jsonl", lines([0]) + huge + lines([1]))
    page = rows("huge.jsonl", limit=5, workspace=workspace.root)
    assert [bool(row["bad"]) for row in page["rows"]] == [False, True, False]
    assert "more than" in page["rows"][1]["bad"]["reason"]
    assert len(json.dumps(page)) < 100_000


def test_a_long_row_is_cut_and_says_so_and_is_whole_alone(workspace):
    put(workspace, "long.jsonl", json.dumps({"prompt": "x" * 400_000, "response": "y"}).encode())
    root = {"workspace": workspace.root}
    (row,) = rows("long.jsonl", **root)["rows"]
    assert row["cut"]
    assert "characters more" in row["value"]["prompt"]
    (row,) = rows("long.jsonl", limit=1, whole=True, **root)["rows"]
    assert (row["cut"], len(row["value"]["prompt"])) == (False, 400_000)


def test_a_page_of_many_long_rows_stays_small(workspace):
    put(workspace, "wide.jsonl", (json.dumps({"prompt": "x" * 150_000, "response": "y"}) + "\n").encode() * 60)
    page = rows("wide.jsonl", limit=60, workspace=workspace.root)
    assert len(json.dumps(page)) < 5_000_000
    assert [row["cut"] for row in page["rows"]] == sorted(row["cut"] for row in page["rows"])
    assert page["rows"][-1]["cut"]
    assert not page["rows"][0]["cut"]
    shown = preview("wide.jsonl", limit=60, workspace=workspace.root)
    assert len(json.dumps(shown)) < 5_000_000


def test_files_that_are_not_named_in_unicode_are_counted_and_break_no_answer(workspace):
    folder = workspace.data / "odd"
    folder.mkdir(parents=True)
    for name in (b"\xff.jsonl", b"fine.jsonl"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(lines([0]))
    root = {"workspace": workspace.root}
    listed = datasets(**root)
    assert [row["name"] for row in listed["datasets"]] == ["data/odd/fine.jsonl"]
    assert listed["not_listed"] == 1
    json.dumps([listed, rows("data/odd", **root)]).encode()


def test_the_first_rows_of_a_large_file_come_before_all_are_counted(workspace):
    put(workspace, "large.jsonl", lines(range(16_000)))
    root = {"workspace": workspace.root}
    first = rows("large.jsonl", **root)
    assert (first["total"], len(first["rows"])) == (None, 50)
    assert rows("large.jsonl", offset=15_000, limit=2, **root)["total"] == 16_000
    assert rows("large.jsonl", **root)["total"] == 16_000
    began = time.monotonic()
    assert rows("large.jsonl", offset=14_400, limit=100, **root)["rows"][0]["source"] == "large.jsonl:14401"
    assert time.monotonic() - began < 0.5


def test_a_file_that_changes_is_indexed_again(workspace):
    path = workspace.data / "mine.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines(range(10)))
    root = {"workspace": workspace.root}
    assert rows("data/mine.jsonl", **root)["total"] == 10
    path.write_bytes(lines(range(7)))
    assert rows("data/mine.jsonl", **root)["total"] == 7
    (workspace.cache / "pages").joinpath("index.json").write_text("")
    for file in (workspace.cache / "pages").rglob("index.json"):
        file.write_text('{"splits": ')
    assert rows("data/mine.jsonl", **root)["total"] == 7


def test_the_splits_of_a_folder_have_pages_of_their_own(workspace):
    folder = workspace.data / "both"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(lines(range(5)))
    (folder / "validation.jsonl").write_bytes(lines(range(5, 8)))
    root = {"workspace": workspace.root}
    page = rows("data/both", split="validation", offset=1, **root)
    assert [row["value"]["response"] for row in page["rows"]] == ["answer 6", "answer 7"]
    assert (page["total"], page["splits"]) == (3, ["train", "validation"])
    with pytest.raises(BurnishError, match="no split 'tests'"):
        rows("data/both", split="tests", **root)


def test_a_preview_shows_the_tokens_that_would_be_learned(workspace):
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no", "weight": 0}]
    chat += [{"role": "user", "content": "so?"}, {"role": "assistant", "content": "yes"}]
    put(workspace, "chat.jsonl", json.dumps({"messages": chat}).encode() + b"\n" + json.dumps({"messages": 1}).encode())
    root = {"workspace": workspace.root}
    good, bad = preview("chat.jsonl", tokenizer="builtin:pocket", **root)["rows"]
    (piece,) = good["pieces"]
    assert "".join(text for text, weight in piece if weight).startswith("yes")
    assert "no" not in "".join(text for text, weight in piece if weight)
    assert (good["tokens"], good["learned"]) == (len(piece), sum(weight > 0 for _, weight in piece))
    assert bad["error"].startswith("chat.jsonl:2: messages")
    began = time.monotonic()
    preview("chat.jsonl", tokenizer="builtin:pocket", limit=1, **root)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("encoding", ["zlib_codec", "rot13", "none", "a\0b", "\ud800", "undefined"])
def test_an_encoding_that_is_not_of_text_is_refused(workspace, encoding):
    put(workspace, "rows.jsonl", lines(range(2)))
    for read in (rows, preview):
        with pytest.raises(BurnishError, match="encoding: ") as caught:
            read("rows.jsonl", encoding=encoding, workspace=workspace.root)
        assert caught.value.code == "ask.wrong-value"


def test_only_uploads_are_deleted(workspace):
    put(workspace, "rows.jsonl", lines([0]))
    (workspace.data / "mine.jsonl").write_bytes(lines([0]))
    root = {"workspace": workspace.root}
    with pytest.raises(BurnishError, match="only uploads are deleted"):
        delete("data/mine.jsonl", **root)
    assert delete("rows.jsonl", **root) == {"name": "rows.jsonl", "deleted": True}
    assert list((workspace.uploads / ".records").iterdir()) == []
    with pytest.raises(BurnishError, match="there is no dataset"):
        delete("rows.jsonl", **root)


@pytest.mark.parametrize(
    "name",
    [
        *("data/../burnish.yaml", "data/uploads/../../x", "../x", "/etc/passwd", "data//etc/passwd", "data/", "data"),
        *("data/.hidden", "data/uploads/.records/rows.jsonl.json", "x\0y", "data/x\0", "a@b@c", "r.s@1", "@", "r.@1"),
        *("data/link.jsonl", "data/inside/link", "recipe.step@../../x", "..@1", "data\\..\\x"),
    ],
)
def test_names_lead_nowhere_else(workspace, name):
    (workspace.data / "inside").mkdir(parents=True)
    (workspace.data / ".hidden").write_text("x")
    (workspace.root / "burnish.yaml").write_text("x")
    (workspace.data / "link.jsonl").symlink_to("/etc/passwd")
    (workspace.data / "inside" / "link").symlink_to(workspace.root)
    put(workspace, "rows.jsonl", lines([0]))
    for verb in (dataset, rows, preview, quarantine, delete):
        with pytest.raises(BurnishError) as caught:
            verb(name, workspace=workspace.root)
        assert caught.value.code == "ask.bad-reference"


def test_a_prepared_dataset_has_pages_a_preview_and_a_quarantine(workspace, tmp_path, monkeypatch):
    put(workspace, "rows.jsonl", lines(range(40)) + b"broken\n" + lines([3]))
    result = burnish.run(
        {
            "name": "made",
            "steps": {
                "data": {
                    "stage": "prepare",
                    "source": "file:data/uploads/rows.jsonl",
                    "split": {"validation": 0.2},
                    "deduplicate": True,
                    "tokenizer": "builtin:pocket",
                }
            },
        },
        workspace=workspace.root,
    )
    root = {"workspace": workspace.root}
    listed = {row["name"]: row for row in datasets(**root)["datasets"]}
    assert (listed["made.data@1"]["rows"], listed["made.data@1"]["stats"]["read"]) == (40, 42)
    found = dataset("made.data@1", **root)
    assert (found["layout"]["format"], found["layout"]["stage"]) == ("prepared", "sft")
    assert found["splits"] == {
        name: {"rows": count, "bad": 0} for name, count in result["data"].metrics["splits"].items()
    }
    page = rows("made.data@1", split="validation", offset=1, limit=2, **root)
    assert len(page["rows"]) == 2
    assert page["rows"][0]["tokens"] > page["rows"][0]["learned"] > 0
    shown = preview("made.data@1", tokenizer="builtin:pocket", limit=1, **root)["rows"][0]
    assert shown["learned"] > 0
    bad = quarantine("made.data@1", **root)
    assert (bad["read"], bad["kept"], bad["quarantined"], bad["total"]) == (42, 40, 1, 1)
    assert bad["dropped"] == {"duplicate": 1}
    assert bad["rows"][0]["source"] == "rows.jsonl:41"
    assert list(bad["reasons"].values()) == [1]
    with pytest.raises(BurnishError, match="is a file"):
        quarantine("rows.jsonl", **root)
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", 0)
    copied = Workspace(tmp_path / "copied")
    shutil.copytree(workspace.root, copied.root, copy_function=shutil.copyfile)
    copied.hash_file.unlink(missing_ok=True)
    assert quarantine("made.data@1", workspace=copied.root) == bad
    out = copied.run("made", 1, "data").out
    assert set(copied.hashes()) == {str(path) for path in out.rglob("*") if path.is_file()}  # not hashed each time


def test_archives_that_are_packed_to_do_harm_are_not_unpacked(workspace, monkeypatch):
    for name in ("_MOST_COPIED", "_MOST_WITHOUT_ROW"):
        monkeypatch.setattr(paging, name, 4 << 20)
    bomb = gzip.compress(lines([0]) * 100_000)
    path = Path(workspace.root) / "bomb.jsonl.gz"
    path.write_bytes(bomb)
    with pytest.raises(BurnishError) as caught:
        paging.open_index(path, workspace.cache)
    assert caught.value.code == "data.unsafe-archive"
    path.write_bytes(gzip.compress(b"x" * (64 << 20)))
    with pytest.raises(BurnishError) as caught:
        paging.open_index(path, workspace.cache)
    assert caught.value.code == "data.unreadable"
    assert list((workspace.cache / "pages").iterdir()) == []


def test_a_child_that_breaks_or_hangs_is_an_error_and_the_next_request_has_another(tmp_path, monkeypatch, caplog):
    (tmp_path / "odd_room.py").write_text(
        "import os, sys, time\n"
        "from burnish.stages.answer import answer_each\n"
        "def answer(request):\n"
        "    print('noise')\n"
        "    if request['do'] == 'die':\n        print('last words', file=sys.stderr, flush=True); os._exit(3)\n"
        "    if request['do'] == 'hang':\n        time.sleep(60)\n"
        "    if request['do'] == 'fail':\n        raise KeyError('/a/path of this machine')\n"
        "    return {'pid': os.getpid()}\n"
        "answer_each(answer)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    room = KeptWorkroom("odd_room", most=1)
    first = room.ask({"do": "work"})["pid"]
    assert room.ask({"do": "work"})["pid"] == first
    with pytest.raises(BurnishError, match="status 3") as caught:
        room.ask({"do": "die"})
    reference = caught.value.fix.rpartition(" ")[2]
    assert "last words" not in str(caught.value)
    assert any(reference in said and "last words" in said for said in caplog.messages)
    second = room.ask({"do": "work"})["pid"]
    assert second != first
    with pytest.raises(BurnishError, match=r"within 0\.2 s"):
        room.ask({"do": "hang"}, seconds=0.2)
    assert room.ask({"do": "work"})["pid"] != second
    with pytest.raises(BurnishError, match=r"failed unexpectedly \(KeyError\)") as caught:
        room.ask({"do": "fail"})
    reference = caught.value.fix.rpartition(" ")[2]
    assert "/a/path" not in str(caught.value)
    (logged,) = [record.getMessage() for record in caplog.records if reference in record.getMessage()]
    assert "Traceback" in logged
    assert "KeyError: '/a/path of this machine'" in logged
    os.kill(room.ask({"do": "work"})["pid"], 9)
    assert room.ask({"do": "work"})["pid"]
    room.close()


CHOSEN = {"prompt": "Hi", "chosen": "Hello!", "rejected": "No."}
LABELLED = {"prompt": "Hi", "completion": "Hello!", "label": True}


@pytest.mark.parametrize(("row", "stage", "recipe"), [(CHOSEN, "dpo", "dpo"), (LABELLED, "kto", "kto")])
def test_a_dataset_says_what_learns_from_its_rows(workspace, row, stage, recipe):
    put(workspace, "rows.jsonl", (json.dumps(row) + "\n").encode() * 3)
    layout = dataset("rows.jsonl", workspace=workspace.root)["layout"]
    assert (layout["stage"], layout["recipe"]) == (stage, recipe)
