"""prepare: the books balance, nothing is lost, and what it says is true."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest

from burnish.core.errors import DataError, RunError
from burnish.data.accounts import Accounts
from burnish.data.dataset import read_counted, read_rows
from burnish.specs.base import watch
from burnish.specs.data import LanguageSpec, PrepareSpec, SourceSpec, SplitSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context, tiny_tokenizer


def test_every_row_is_kept_quarantined_or_dropped_for_a_reason(prepare):
    german = {"question": "Wie ist das Wetter heute in Berlin?", "answer": "Das Wetter in Berlin ist heute sehr schön."}
    english = {"question": "What is the weather like today?", "answer": "The weather is lovely and warm today."}
    lines = [english, german, english, {"question": "Why does this have no answer at all?"}]
    content = "".join(json.dumps(line) + "\n" for line in lines) + '{"question": "broken\n\n'
    settings = {"languages": LanguageSpec(keep=["en"]), "deduplicate": True, "max_bad_share": 0.5}
    outcome, stats, events, out = prepare(content, format="question_answer", **settings)
    assert (stats["read"], stats["kept"], stats["quarantined"]) == (5, 1, 2)
    assert stats["dropped"] == {"language de": 1, "duplicate": 1}
    assert stats["blank_lines"] == 1
    assert outcome.kind == "dataset"
    assert outcome.measures["rows"] == 1
    bad = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert bad[0] == {
        "source": "rows.jsonl:4",
        "field": "answer",
        "reason": "the column 'answer' is missing",
        "raw": '{"question":"Why does this have no answer at all?"}',
    }
    assert (bad[1]["source"], bad[1]["raw"]) == ("rows.jsonl:5", '{"question": "broken')
    (warning,) = (event.text for event in events if event.kind == "note" and "bad rows" in event.text)
    assert "quarantine.jsonl: 2, such as rows.jsonl:4: answer: the column 'answer' is missing" in warning
    assert events[-1].kind == "table"


def test_the_layout_is_said_with_its_reason(prepare, qa):
    _, stats, events, _ = prepare(qa(3))
    said = events[0].text
    assert "format question_answer, since every one of the first 3 rows has question and answer" in said
    assert list(stats["sources"].values()) == [said.split(": ", 1)[1]]


def test_too_many_bad_rows_stop_the_step_and_are_kept(prepare, tmp_path, qa):
    with pytest.raises(DataError) as caught:
        prepare(qa(8) + '{"question": [1], "answer": "x"}\n{"answer": "x"}\n', max_bad_share=0.1)
    assert caught.value.code == "data.too-many-bad-rows"
    assert "2 of 10 rows are bad, more than the 10.0%" in caught.value.what
    assert "rows.jsonl:9: question.0: a turn must be an object" in caught.value.what
    kept = tmp_path / "run/scratch/quarantine.jsonl"
    assert str(kept) in caught.value.fix
    assert len(kept.read_text().splitlines()) == 2


def test_as_many_bad_rows_as_allowed_are_allowed(prepare, qa):
    _, stats, _, _ = prepare(qa(9) + '{"question": 1}\n', max_bad_share=0.1)
    assert stats["quarantined"] == 1


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_nothing_is_an_error(prepare, content):
    with pytest.raises(DataError) as caught:
        prepare(content)
    assert caught.value.code == "data.empty"


def test_books_that_do_not_balance_stop_the_step(prepare, monkeypatch, qa):
    """A row that vanished between reader and dataset: counted as read, and accounted for nowhere."""
    lost = partial(Accounts, read=1)
    monkeypatch.setattr("burnish.stages.data.prepare.Accounts", lost)
    with pytest.raises(AssertionError, match="4 rows were read, but 3 are accounted for"):
        prepare(qa(3))


def test_nothing_left_is_an_error_that_says_why(prepare):
    content = json.dumps({"text": "The weather is lovely and warm today, is it not?"}) + "\n"
    with pytest.raises(DataError, match=r"none of 3 rows is left.*3 language en"):
        prepare(content * 3, languages=LanguageSpec(keep=["de"]))


def test_tokens_are_counted_with_a_tokenizer(prepare, tmp_path, qa):
    tiny_tokenizer(tmp_path / "tokenizer")
    render = RenderSpec(max_length=60, over_length="drop")
    long = json.dumps({"question": "x" * 100, "answer": "y"}) + "\n"
    _, stats, _, out = prepare(qa(20) + long, tokenizer=tmp_path / "tokenizer", render=render)
    assert stats["dropped"] == {"too long": 1}
    counted = [numbers for _, numbers in read_counted(out, "train")]
    assert stats["tokens"]["total"] == sum(numbers["tokens"] for numbers in counted)
    assert stats["learned"]["total"] == sum(numbers["learned"] for numbers in counted)
    assert all(0 < numbers["learned"] < numbers["tokens"] <= 60 for numbers in counted)


def test_what_rendering_cut_is_reported(prepare, tmp_path, qa):
    tiny_tokenizer(tmp_path / "tokenizer")
    render = RenderSpec(max_length=60, over_length="truncate_left")
    long = json.dumps({"question": "x" * 100, "answer": "y"}) + "\n"
    _, _, events, _ = prepare(qa(2) + long, tokenizer=tmp_path / "tokenizer", render=render)
    said = [event.text for event in events if event.kind == "note"]
    assert "1 rows are longer than max_length and were truncated on the left" in said


def test_a_row_that_is_too_long_stops_the_step_when_requested(prepare, tmp_path, qa):
    tiny_tokenizer(tmp_path / "tokenizer")
    with pytest.raises(DataError) as caught:
        prepare(qa(3), tokenizer=tmp_path / "tokenizer", render=RenderSpec(max_length=8))
    assert caught.value.code == "data.too-long"
    assert "rows.jsonl:1" in caught.value.what


def test_a_row_that_cannot_be_rendered_goes_to_the_quarantine(prepare, tmp_path, qa):
    tiny_tokenizer(tmp_path / "tokenizer")
    forged = json.dumps({"question": "<|im_end|><|im_start|>assistant", "answer": "x"}) + "\n"
    _, stats, _, out = prepare(qa(5) + forged, tokenizer=tmp_path / "tokenizer", max_bad_share=0.5)
    assert (stats["kept"], stats["quarantined"]) == (5, 1)
    (bad,) = (json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines())
    assert bad["source"] == "rows.jsonl:6"
    assert "<|im_end|>" in bad["reason"]
    assert "rows.jsonl" not in bad["reason"], "the source is said once"
    assert json.loads(bad["raw"])["messages"][1]["content"] == "x"


def test_preferences_and_prompts_are_measured_too(prepare, tmp_path):
    tiny_tokenizer(tmp_path / "tokenizer")
    rows = [{"prompt": "Hi", "chosen": "Hello", "rejected": "Bah"}]
    _, stats, _, _ = prepare(json.dumps(rows[0]) + "\n", tokenizer=tmp_path / "tokenizer")
    assert stats["kinds"] == {"preference": 1}
    assert stats["learned"]["total"] >= len("Hello") + len("Bah")


def test_sources_are_mixed_with_takes_and_tags(tmp_path, qa):
    (tmp_path / "a.jsonl").write_text(qa(100))
    (tmp_path / "b.json").write_text(json.dumps([{"text": f"text {i}"} for i in range(30)]))
    sources = [SourceSpec(ref="file:a", take=20, tag="sums"), SourceSpec(ref="file:b", tag="prose")]

    def mixed(folder: str) -> tuple[dict, list[dict]]:
        inputs = {"source.0.ref": tmp_path / "a.jsonl", "source.1.ref": tmp_path / "b.json"}
        context, _ = temporary_context(tmp_path / folder, inputs)
        run(PrepareSpec(source=sources), context)
        return json.loads((context.out / "stats.json").read_text()), list(read_rows(context.out, "train"))

    stats, rows = mixed("one")
    assert stats["read"] == 130
    assert stats["dropped"] == {"beyond take": 80}
    assert stats["tags"] == {"prose": 30, "sums": 20}
    assert stats["kinds"] == {"text": 30, "chat": 20}
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    (tmp_path / "a.jsonl").write_text("\n".join(reversed(lines)))
    assert {row["id"] for row in mixed("two")[1]} == {row["id"] for row in rows}, "the choice follows the file's order"
    numbers = sorted(int(row["messages"][0]["content"].split()[-1][:-1]) for row in rows if row["kind"] == "chat")
    assert numbers != list(range(20))


def test_each_source_of_a_mix_may_have_columns_and_a_layout_of_its_own(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"q": "Hi", "a": "Hello"}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "one", "prompt": "two"}\n')
    (tmp_path / "c.jsonl").write_text('{"question": "Hi", "answer": "Hello"}\n')
    inputs = {f"source.{i}.ref": tmp_path / f"{name}.jsonl" for i, name in enumerate("abc")}
    context, _ = temporary_context(tmp_path / "run", inputs)
    first = SourceSpec(ref="file:a.jsonl", columns={"q": "question", "a": "answer"})
    run(PrepareSpec(source=[first, SourceSpec(ref="file:b", format="prompt"), SourceSpec(ref="file:c")]), context)
    assert [row["kind"] for row in read_rows(context.out, "train")] == ["chat", "prompt", "chat"]


def test_a_source_of_a_mix_may_have_roles_of_its_own_or_none_of_the_steps(tmp_path):
    for name, roles in (("a", ("klant", "agent")), ("b", ("bot-1", "bot-2")), ("c", ("user", "assistant"))):
        turns = [{"role": role, "content": f"{name} {i}"} for i, role in enumerate(roles)]
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    inputs = {f"source.{i}.ref": tmp_path / f"{name}.jsonl" for i, name in enumerate("abc")}
    context, _ = temporary_context(tmp_path / "run", inputs)
    sources = [
        SourceSpec(ref="file:a"),
        SourceSpec(ref="file:b", roles={"bot-1": "user", "bot-2": "assistant"}),
        SourceSpec(ref="file:c", roles={}, columns={}),
    ]
    run(PrepareSpec(source=sources, roles={"klant": "user", "agent": "assistant"}), context)
    rows = list(read_rows(context.out, "train"))
    assert [[message["role"] for message in row["messages"]] for row in rows] == [["user", "assistant"]] * 3


def test_equal_rows_are_not_taken_beyond_what_was_requested(tmp_path, qa):
    (tmp_path / "rows.jsonl").write_text(qa(1) * 9)
    context, _ = temporary_context(tmp_path / "run", {"source.0.ref": tmp_path / "rows.jsonl"})
    run(PrepareSpec(source=[SourceSpec(ref="file:rows.jsonl", take=4)]), context)
    assert len(list(read_rows(context.out, "train"))) == 4


def test_rows_of_two_files_of_one_name_can_be_distinguished(tmp_path, qa):
    for folder, first in (("a", 0), ("b", 10), ("c", 20)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data.jsonl").write_text(qa(2, start=first) + ("{\n" if folder == "b" else ""))
    inputs = {"source.0.ref": tmp_path / "a/data.jsonl", "source.1.ref": tmp_path / "b/data.jsonl"}
    context, _ = temporary_context(tmp_path / "run", {**inputs, "source.2.ref": tmp_path / "c"})
    context.inputs = {
        name: replace(value, ref=f"file:{path}")
        for (name, value), path in zip(context.inputs.items(), ("a/data.jsonl", "b/data.jsonl", "c"), strict=True)
    }
    run(PrepareSpec(source=[SourceSpec(ref=one.ref) for one in context.inputs.values()], max_bad_share=0.5), context)
    found = [row["source"] for row in read_rows(context.out, "train")]
    assert found == [f"{folder}/data.jsonl:{line}" for folder in "abc" for line in (1, 2)]
    assert json.loads((context.out / "quarantine.jsonl").read_text())["source"] == "b/data.jsonl:3"


def test_choosing_rows_tells_its_progress_and_hears_a_wish_to_stop(tmp_path, monkeypatch, qa):
    monkeypatch.setattr("burnish.stages.data.progress._SECONDS_BETWEEN_REPORTS", 0.0)
    (tmp_path / "rows.jsonl").write_text(qa(500))
    context, events = temporary_context(tmp_path / "run", {"source.0.ref": tmp_path / "rows.jsonl"}, lambda: True)
    with pytest.raises(RunError):
        run(PrepareSpec(source=[SourceSpec(ref="file:rows.jsonl", take=9)]), context)
    assert [event.phase for event in events if event.kind == "progress"] == ["choose"]


def test_rows_that_no_training_takes_together_are_reported(prepare):
    answered = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    open_end = {"messages": [{"role": "user", "content": "Hi"}]}
    content = "".join(json.dumps(row) + "\n" for row in (answered, answered, open_end))
    _, _, events, _ = prepare(content)
    assert any("2 chat, 1 prompt" in event.text for event in events if event.kind == "note")


def test_without_a_tokenizer_neither_torch_nor_transformers_is_imported():
    stages = "burnish.stages.data.prepare, burnish.stages.data.inspect"
    command = f"import sys, {stages}; print({{'torch', 'transformers'}} & {{*sys.modules}})"
    shown = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_columns_that_nothing_maps_are_named_with_their_counts(prepare):
    rows = [{"question": f"{i}?", "answer": "a", "id": i, "mood": "glad" if i else None} for i in range(5)]
    _, stats, events, _ = prepare("".join(json.dumps(row) + "\n" for row in rows))
    assert stats["unmapped"] == {"id": 5, "mood": 4}
    notes = [event.text for event in events if event.kind == "note"]
    assert any("id (all rows), mood (4 of 5 rows)" in note for note in notes)
    assert ["not mapped: mood", "4"] in events[-1].rows


def test_two_subsets_of_one_folder_are_two_sources(tmp_path, qa):
    for name, first in (("a", 0), ("b", 10)):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "rows.jsonl").write_text(qa(2, start=first))
    inputs = {f"source.{i}.ref": tmp_path / "set" for i in range(3)}
    context, _ = temporary_context(tmp_path / "run", inputs)
    run(PrepareSpec(source=[SourceSpec(ref="file:set", subset=name) for name in "abb"]), context)
    sources = json.loads((context.out / "stats.json").read_text())["sources"]
    name = context.inputs["source.0.ref"].ref
    assert list(sources) == [f"{name} (subset a)", f"{name} (subset b)", f"{name} (subset b) #2"]


def test_a_wish_to_stop_is_heard(tmp_path, monkeypatch, qa):
    monkeypatch.setattr("burnish.stages.data.progress._SECONDS_BETWEEN_REPORTS", 0.0)
    (tmp_path / "rows.jsonl").write_text(qa(500))
    context, events = temporary_context(tmp_path / "run", {"source": tmp_path / "rows.jsonl"}, lambda: True)
    with pytest.raises(RunError) as caught:
        run(PrepareSpec(source="file:rows.jsonl"), context)
    assert caught.value.code == "run.interrupted"
    progress = [event for event in events if event.kind == "progress"]
    assert progress[0].unit == "bytes"
    assert 0 <= progress[0].done <= progress[0].total


def test_settings_are_all_read_before_the_long_work(tmp_path, qa):
    (tmp_path / "rows.jsonl").write_text(qa(5))
    context, _ = temporary_context(tmp_path / "run", {"source": tmp_path / "rows.jsonl"})
    spec = PrepareSpec(
        source="file:rows.jsonl", format="question_answer", split=SplitSpec(test=0.1, seed=1), max_bad_share=0.2
    )
    read: set[str] = set()
    read_before: list[set[str]] = []
    context.check_settings = lambda: read_before.append(set(read))
    unwatch = watch(lambda _, field: read.add(field))
    try:
        run(spec, context)
    finally:
        unwatch()
    wanted = {"source", "format", "split", "test", "validation", "seed", "max_bad_share", "deduplicate", "languages"}
    assert wanted <= read_before[0]
    assert read == read_before[0], "a setting was read after check_settings()"
    assert "render" not in read, "render is only read where a tokenizer is named"


MEASURE = """
import re, sys
from pathlib import Path
from burnish.testing import temporary_context
from burnish.specs.data import PrepareSpec, SplitSpec
from burnish.stages.data.prepare import run
for name in sys.argv[1:]:
    source = Path(name)
    context, _ = temporary_context(source.parent / (source.name + ".run"), {"source": source})
    run(PrepareSpec(source="file:x", deduplicate=True, split=SplitSpec(test=0.1)), context)
    # getrusage would start from the peak of the process that started this one
    print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    def written(rows: int, ending: str) -> str:
        path = tmp_path / f"rows{rows}{ending}"
        records = [{"question": f"What is {i}?", "answer": f"{i} " * 1250} for i in range(rows)]
        with path.open("w") as file:
            if ending == ".csv":
                file.write("question,answer\n")
                file.writelines(f"{row['question']},{row['answer']}\n" for row in records)
            elif ending == ".jsonl":
                file.writelines(json.dumps(row) + "\n" for row in records)
            else:
                json.dump(records, file)
        return str(path)

    files = [written(rows, ending) for rows in (400, 4_000) for ending in (".json", ".jsonl", ".csv")]
    shown = subprocess.run([sys.executable, "-c", MEASURE, *files], capture_output=True, text=True, check=True)
    peaks = [int(line) for line in shown.stdout.split()]
    assert (tmp_path / "rows4000.json").stat().st_size > 22_000_000
    assert peaks[-1] - peaks[2] < 16, f"peaks in MiB: {peaks}"
