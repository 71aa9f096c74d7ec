"""clean: every row is accounted for, what is kept keeps its fields, and the result does not depend on how it is cut."""

import hashlib
import json
import random
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError, RunError
from burnish.core.events import Note
from burnish.core.inputs.references import check_kind
from burnish.data.cleaning import chunks as chunks_module
from burnish.data.cleaning.encoding import encoded
from burnish.data.cleaning.work import Rewritten, batches
from burnish.data.native.compiling import LIBRARY
from burnish.data.native.library import loaded
from burnish.data.reader import read
from burnish.data.readers.json_document import read_json
from burnish.data.record import Bad, ReadReport, Record
from burnish.data.shards.manifest import read_manifest
from burnish.data.shards.writer import ShardWriter
from burnish.data.sources.listing import SourceFile
from burnish.specs.base import Takes, marks_of
from burnish.specs.data import CleanSpec, DecontaminateSpec, NearDedupSpec
from burnish.stages.data.clean import run
from burnish.testing import temporary_context

SENTENCES = {
    "en": ["The harbour was quiet at dawn.", "Nobody had opened the shop yet.", "A cat slept on the warm stones."],
    "zh": ["清晨的港口十分安静。", "商店还没有开门营业。", "一只猫睡在温暖的石头上。"],
}


def lines(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def story(language, seed, count=40):
    """A text of so many sentences that share their words, in an order of its own."""
    r = random.Random(seed)
    parts = [f"{r.choice(SENTENCES[language])}{r.randrange(1000)}" for _ in range(count)]
    return " ".join(parts)


def test_rows_keep_every_field_and_their_order(clean):
    rows = [
        {"text": "the first text has words enough", "url": "https://a", "meta": {"b": [1, None, 2.5]}, "n": 1 << 70},
        {"text": "the second text has words enough", "tags": []},
    ]
    for form in ("jsonl", "parquet"):
        outcome, kept, stats, _, folder = clean(rows, form=form, folder=form)
        assert [row for row, _ in kept] == rows
        assert (outcome.kind, outcome.measures["rows"], stats["kept"]) == ("rows", 2, 2)
        manifest = read_manifest(folder)
        assert (manifest.rows, manifest.about["source"]) == (2, f"file:{folder.parent.parent / 'rows.jsonl'}")


def test_every_row_is_kept_dropped_for_a_reason_or_quarantined(clean):
    good = {"text": "a text with a few good words"}
    content = "\n".join([json.dumps(good), '{"text": "broken', "", json.dumps({"text": "  "}), json.dumps(good)])
    _, kept, stats, events, folder = clean(content, max_bad_share=0.5, keep_removed=True)
    assert [row for row, _ in kept] == [good]
    assert (stats["read"], stats["kept"], stats["quarantined"], stats["blank_lines"]) == (4, 1, 1, 1)
    assert stats["dropped"] == {"no text": 1, "duplicate": 1}
    assert lines(folder, "quarantine.jsonl")[0]["source"] == "rows.jsonl:2"
    assert lines(folder, "removed.jsonl") == [
        {"source": "rows.jsonl:4", "split": "train", "reason": "no text", "row": {"text": ""}},
        {"source": "rows.jsonl:5", "split": "train", "reason": "duplicate", "kept": "rows.jsonl:1", "row": good},
    ]
    assert any("bad rows, written to quarantine.jsonl: 1" in e.text for e in events if e.kind == "note")
    assert events[-1].kind == "table"


def test_the_page_shows_what_was_dropped_and_hostile_text_is_text(clean):
    rows = [{"text": "<script>alert(1)</script> some words of a row"}] * 2 + [{"text": "other words that are kept"}]
    _, _, stats, _, folder = clean(rows)
    page = (folder / "report.html").read_text()
    assert stats["examples"]["duplicate"][0]["kept"] == "rows.jsonl:1"
    assert "Examples of what was dropped" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


@pytest.fixture
def kernels_as_before():
    """A test may change which are loaded."""
    yield
    loaded.cache_clear()


@pytest.mark.usefixtures("kernels_as_before")
def test_without_kernels_the_result_is_the_same_to_the_byte_and_a_note_says_so(clean, monkeypatch):
    rows = [
        {"text": story(language, seed // 2) + " end" * (seed % 2)} for seed in range(30) for language in ("en", "zh")
    ]
    junk = [{"text": text} for text in ("so so " * 40, "aB3" * 40, "Ã¤Ã¶Ã¼ " * 9, "home about contact " * 9)]
    made = {}
    for value in ("", "numpy"):
        monkeypatch.setenv("BURNISH_KERNELS", value)
        loaded.cache_clear()
        *_, events, out = clean([*rows, *junk], folder=f"run{value}", near_dedup=True, form="jsonl", keep_removed=True)
        made[value] = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert any(event.text.startswith("kernels: ") for event in events if isinstance(event, Note)) == (
            value == "numpy" or not LIBRARY.exists()
        )
    assert made[""] == made["numpy"]
    assert b"near duplicate" in made[""]["removed.jsonl"]


def test_too_many_bad_rows_stop_the_step(clean, tmp_path):
    with pytest.raises(DataError) as caught:
        clean('{"text": "good words of a row here"}\n{"text": \n')
    assert caught.value.code == "data.too-many-bad-rows"
    assert "rows.jsonl:2" in caught.value.what


def test_nothing_left_is_an_error_that_names_the_reasons(clean):
    with pytest.raises(DataError) as caught:
        clean([{"text": ""}, {"text": "  "}])
    assert (caught.value.code, "2 no text" in caught.value.what) == ("data.empty", True)
    with pytest.raises(DataError, match="has no rows"):
        clean("", text=["body"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_near_duplicates_are_dropped_and_the_first_one_is_kept(clean, language):
    base = [story(language, seed) for seed in range(6)]
    rows = [{"text": text, "id": i} for i, text in enumerate(base)]
    rows += [{"text": f"{text} {SENTENCES[language][0]}", "id": 10 + i} for i, text in enumerate(base[:3])]
    _, kept, stats, _, _ = clean(rows, near_dedup=True, filters=None)
    assert [row["id"] for row, _ in kept] == [0, 1, 2, 3, 4, 5]
    assert stats["dropped"] == {"near duplicate": 3}
    _, kept, stats, _, _ = clean(rows, folder="off", filters=None)
    assert (len(kept), stats["dropped"]) == (9, {})


@pytest.mark.parametrize(("keep", "expected"), [("first", [0, 3]), ("longest", [2, 3]), ("ranked", [1, 3])])
def test_which_row_of_a_group_is_kept_is_a_setting(clean, keep, expected):
    text = story("en", 1)
    rows = [
        {"text": text},
        {"text": f"{text} More.", "score": 5},
        {"text": f"{text} Much more."},
        {"text": "a b c d e"},
    ]
    settings_of_keep = {"keep": keep} | ({"rank_by": "score"} if keep == "ranked" else {})
    _, kept, _, _, _ = clean(rows, near_dedup=True, filters=None, **settings_of_keep)
    assert [rows.index(row) for row, _ in kept] == expected


@pytest.mark.parametrize("keep", ["first", "longest", "ranked"])
def test_how_many_rows_equal_another_one_does_not_depend_on_which_is_kept(clean, keep):
    """Also where the one of them that stays is dropped for a near duplicate."""
    text = story("en", 1)
    rows = [{"text": text, "n": 1}, {"text": f"{text} Much more.", "n": 2}, {"text": text, "n": 3}, {"text": text}]
    settings_of_keep = {"keep": keep} | ({"rank_by": "n"} if keep == "ranked" else {})
    _, kept, stats, _, folder = clean(rows, near_dedup=True, filters=None, keep_removed=True, **settings_of_keep)
    assert stats["dropped"] == {"duplicate": 2, "near duplicate": 1}
    assert len(kept) == 1
    assert {row["kept"] for row in lines(folder, "removed.jsonl")} == {
        {"first": "rows.jsonl:1", "longest": "rows.jsonl:2", "ranked": "rows.jsonl:3"}[keep]
    }


def test_of_equal_rows_the_one_with_the_greatest_rank_is_kept_without_near_duplicates_too(clean):
    rows = [{"text": "the same words in each row", "score": score} for score in (1, 3, "9", None, 3.0, True)]
    _, kept, stats, _, _ = clean(rows, keep="ranked", rank_by="score")
    assert ([row["score"] for row, _ in kept], stats["dropped"]) == ([3], {"duplicate": 5})


def test_duplicates_are_kept_where_that_is_asked(clean):
    rows = [{"text": "the same words in each row"}] * 3
    assert len(clean(rows, exact_dedup=False)[1]) == 3
    assert len(clean(rows, exact_dedup=False, near_dedup=True, folder="near")[1]) == 1


def test_a_turn_is_never_cut_out_of_a_conversation(clean):
    turns = [
        {"role": "user", "content": "What is this\u200b?  \r\n"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "look", "arguments": "{}\r\n"}}]},
        {"role": "tool", "content": "a result\r\n", "name": "look"},
        {"role": "assistant", "content": "It is a test, of course."},
    ]
    emptied = [{"role": "user", "content": "\u200b\u0001"}, {"role": "assistant", "content": "An answer to nothing."}]
    rows = [{"messages": turns, "tools": [{"name": "look", "description": "x\r\n"}]}, {"messages": emptied}]
    _, kept, stats, _, _ = clean(rows)
    ((row, _),) = kept
    assert [turn["role"] for turn in row["messages"]] == [turn["role"] for turn in turns]
    assert row["messages"][1]["tool_calls"] == turns[1]["tool_calls"]
    assert row["tools"] == rows[0]["tools"]
    assert row["messages"][0]["content"].startswith("What is this?")
    assert "\r" not in row["messages"][2]["content"]
    assert stats["dropped"] == {"a turn without text after rewriting": 1}


def test_the_columns_of_the_text_can_be_named(clean):
    rows = [{"title": "A title of a page", "body": "the body of the page has words", "url": "https://x.example"}]
    with pytest.raises(DataError) as caught:
        clean(rows)
    assert caught.value.fix.startswith("name the columns of the text: `text: [COLUMN]`")
    assert clean(rows, text=["title", "body"])[2]["kept"] == 1
    with pytest.raises(DataError, match="'titel', which none of the first rows"):
        clean(rows, text=["titel"])


def test_splits_of_a_folder_are_kept(clean, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/test.jsonl").write_text('{"text": "held out words of this row"}\n')
    context, _ = temporary_context(tmp_path / "run", {"source": tmp_path / "data"})
    (tmp_path / "data/train.jsonl").write_text('{"text": "words of a row to train on"}\n')
    run(CleanSpec(source="file:data"), context)
    assert read_manifest(context.out).splits == {"test": 1, "train": 1}


WORDS = st.sampled_from(["alpha", "beta", "gamma", "你好", "世界", "\u200b", "<b>", "  ", "\n"])
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)
ODD = st.sampled_from(["", "{", "[1]", "{}", '{"text": 5}', "null", '{"text": "a", "text": "b"}', '{"text":"\\ud800"}'])
LINES = st.lists(TEXTS.map(lambda text: json.dumps({"text": text, "extra": len(text)})) | ODD, min_size=1, max_size=30)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    LINES,
    st.booleans(),
    st.sampled_from([False, True, NearDedupSpec(threshold=0.3, size=2, bands=30, rows=2)]),
    st.sampled_from(["first", "longest"]),
    st.booleans(),
    st.sampled_from([40, 200, 1 << 20]),
)
def test_counts_add_up_over_random_pipelines(clean, tmp_path_factory, rows, exact, near, keep, has_filters, size):
    """Each row of the source is in one place: kept, removed or in quarantine. The cut into chunks changes nothing."""
    content = "\n".join(rows)
    given_settings = {"exact_dedup": exact, "near_dedup": near, "keep": keep} | (
        {} if has_filters else {"filters": None}
    )
    given_settings |= {"text": ["text"], "keep_removed": True, "max_bad_share": 1.0, "form": "jsonl"}
    found = []
    for cut in (size, chunks_module.CHUNK_BYTES):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks_module, "CHUNK_BYTES", cut)
            folder = tmp_path_factory.mktemp("clean")
            try:
                _, kept, stats, _, out = clean(content, folder=folder, **given_settings)
            except DataError as error:
                found.append(error.what)
                continue
            removed, bad = lines(out, "removed.jsonl"), lines(out, "quarantine.jsonl")
            sources = [row["source"] for row in [*removed, *bad]]
            total = sum(1 for line in rows if line.strip())
            assert stats["read"] == total == len(kept) + len(sources)
            assert len(set(sources)) == len(sources)
            assert stats["read"] == stats["kept"] + stats["quarantined"] + sum(stats["dropped"].values())
            found.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.rglob("*")) if p.is_file()])
    assert found[0] == found[1]


def test_what_cannot_be_read_is_what_the_reader_says(clean, tmp_path):
    """Odd rows end in quarantine with the same words as everywhere."""
    content = '{"text": "good words here to keep"}\n' + "\n".join(
        ['{"a": 1, "a": 2}', "[1]", '{"text": NaN}', "\udcff"]
    )
    _, _, _, _, folder = clean(content.encode("utf-8", "surrogateescape"), max_bad_share=1.0)
    expected = [item.as_dict() for item in read(tmp_path / "rows.jsonl", ReadReport()) if isinstance(item, Bad)]
    assert lines(folder, "quarantine.jsonl") == expected
    assert len(expected) == 4


def test_a_stop_leaves_nothing_that_reads_as_rows(clean, tmp_path):
    with pytest.raises(RunError) as caught:
        clean([{"text": "some words of a text"}] * 600, is_stopping=lambda: True)
    assert caught.value.code == "run.interrupted"
    assert not (tmp_path / "run/out/manifest.json").exists()


def test_a_prepared_dataset_is_not_cleaned(tmp_path):
    mark = next(mark for mark in marks_of(CleanSpec.model_fields["source"]) if isinstance(mark, Takes))
    with pytest.raises(AskError) as caught:
        check_kind(Input("step:data", "dataset", tmp_path), mark.kinds, "source")
    assert caught.value.code == "ask.wrong-kind"


def test_rows_that_hold_parts_of_an_evaluation_are_dropped_and_its_row_is_named(tmp_path):
    asked = "A train leaves at nine and another one at ten, both at eighty kilometres an hour; when do they meet?"
    rows = [
        {"text": f"Homework. {asked} Write it down."},
        {"text": "A text of its own with no part of any test in it."},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": asked.upper(), "answer": "Never."}) + "\n")
    inputs = {"source": tmp_path / "rows.jsonl", "decontaminate.against.0": tmp_path / "test.jsonl"}
    context, _ = temporary_context(tmp_path / "run", inputs)
    against = DecontaminateSpec(against=["file:test.jsonl"])
    run(CleanSpec(source="file:rows.jsonl", decontaminate=against, keep_removed=True), context)
    (removed,) = lines(context.out, "removed.jsonl")
    assert (removed["source"], removed["reason"]) == ("rows.jsonl:1", "in an evaluation")
    assert removed["evaluation"] == f"file:{tmp_path}/test.jsonl test.jsonl:1"
    assert json.loads((context.out / "stats.json").read_text())["kept"] == 1


def test_conversations_that_differ_in_a_call_a_role_or_a_label_are_no_duplicates(clean):
    def row(name, label=True):
        call = {"function": {"name": name, "arguments": "{}"}}
        turns = [{"role": "user", "content": "Do it."}, {"role": "assistant", "content": "Done.", "tool_calls": [call]}]
        return {"messages": turns, "label": label, "id": name}

    rows = [row("open"), row("close"), row("open", label=False), row("open") | {"id": "again"}]
    _, kept, stats, _, _ = clean(rows)
    assert [(row["id"], row["label"]) for row, _ in kept] == [("open", True), ("close", True), ("open", False)]
    assert stats["dropped"] == {"duplicate": 1}


def test_the_names_of_splits_licence_and_origin_of_fetched_rows_are_kept(tmp_path):
    rows = [{"text": f"words of row number {i} to be kept"} for i in range(4)]
    about = {"source": "hub:a/b", "revision": "c0ffee", "licence": "mit"}
    with ShardWriter(tmp_path / "fetched", about=about) as writer:
        for row, split in zip(rows, ["train_sft", "train_gen", "math", "test"], strict=True):
            writer.write(row, split)
    context, _ = temporary_context(tmp_path / "run", {"source": tmp_path / "fetched"})
    run(CleanSpec(source="file:fetched"), context)
    manifest = read_manifest(context.out)
    assert manifest.splits == {"train_sft": 1, "train_gen": 1, "math": 1, "test": 1}
    assert (manifest.about["licence"], manifest.about["origin"]["revision"]) == ("mit", "c0ffee")


def test_a_rank_beyond_all_floats_is_the_greatest(clean):
    rows = [{"text": "the same words in each row", "score": score} for score in (5, 10**400, -(10**400))]
    _, kept, _, _, _ = clean(rows, keep="ranked", rank_by="score")
    assert kept[0][0]["score"] == 10**400


def test_a_large_source_has_a_bounded_number_of_chunks(monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_BYTES", 10)
    monkeypatch.setattr(chunks_module, "MOST_CHUNKS", 400)
    files = [SourceFile(Path(f"{i}.json"), f"{i}.json", read_json, 1000) for i in range(5000)]
    assert len(list(chunks_module.chunks(files, ReadReport()))) <= 2 * chunks_module.MOST_CHUNKS


def test_looking_for_near_duplicates_can_be_stopped(clean, tmp_path):
    calls = []

    def is_stopping():
        calls.append(1)
        return len(calls) > 3

    with pytest.raises(RunError):
        clean([{"text": story("en", i)} for i in range(30)], is_stopping=is_stopping, near_dedup=True, filters=None)


def test_a_source_of_more_chunks_than_files_may_be_open_is_cleaned(clean, monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_BYTES", 100)
    rows = [{"text": story("en", seed, 10)} for seed in range(150)] * 2
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 40, hard))
    try:
        _, kept, stats, _, _ = clean(rows, near_dedup=True, filters=None, workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [row for row, _ in kept] == rows[:150]
    assert stats["dropped"] == {"duplicate": 150}


def test_rows_of_long_conversations_are_worked_on_a_few_at_a_time():
    """Texts at any depth count: memory does not grow with the length of rows."""
    turns = [{"role": "user", "content": [{"type": "text", "text": "x" * 500_000}]}]
    raw = {"messages": turns, "id": 1}
    rows = [Rewritten(Record(raw, f"rows.jsonl:{i}"), "", "", encoded(raw)) for i in range(20)]
    assert [len(batch) for batch in batches(rows)] == [4] * 5
