"""prepare and splits: no held-out row asks what a training row learns, and what is missed is explained."""

import json

import pytest

from burnish.core.errors import DataError
from burnish.data.dataset import read_counted, read_rows
from burnish.specs.data import PrepareSpec, SourceSpec, SplitSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context, tiny_tokenizer


def test_splits_are_written_and_the_same_again(prepare, qa):
    settings = {"split": SplitSpec(validation=0.1, test=0.2)}
    _, stats, _, out = prepare(qa(400), **settings)
    first = {split: [row["id"] for row in read_rows(out, split)] for split in stats["splits"]}
    assert {split: len(ids) for split, ids in first.items()} == stats["splits"]
    assert abs(stats["splits"]["test"] - 80) < 30
    _, _, _, out = prepare(qa(400, start=200) + qa(400), **settings)
    for split, ids in first.items():
        assert set(ids) <= {row["id"] for row in read_rows(out, split)}


def test_an_empty_split_is_said(prepare, qa):
    _, stats, events, out = prepare(qa(2) * 3, split=SplitSpec(test=0.001))
    (warning,) = (event.text for event in events if event.kind == "note" and event.level == "warning")
    assert "'test' has no rows: rows are placed by their question, and 2 different ones were too few" in warning
    assert stats["splits"] == {"train": 6, "test": 0}
    with pytest.raises(DataError, match=r"'test' of .* is empty: it has train") as caught:
        list(read_rows(out, "test"))
    assert "another `split.seed`" in caught.value.fix
    with pytest.raises(DataError, match="has no split 'validation': it has train"):
        list(read_rows(out, "validation"))


def test_a_prepared_dataset_can_be_prepared_again(prepare, tmp_path, qa):
    _, first, _, out = prepare(qa(50), split=SplitSpec(test=0.3))
    out.rename(tmp_path / "first")
    context, _ = temporary_context(tmp_path / "again", {"source": tmp_path / "first"})
    run(PrepareSpec(source="step:first"), context)
    again = json.loads((context.out / "stats.json").read_text())
    assert again["splits"] == first["splits"]


def test_a_source_with_splits_of_its_own_keeps_them(tmp_path, qa):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text(qa(20))
    (folder / "test.jsonl").write_text(qa(5, start=18))
    context, events = temporary_context(tmp_path / "run", {"source": folder})
    run(PrepareSpec(source="file:set"), context)
    stats = json.loads((context.out / "stats.json").read_text())
    assert stats["splits"] == {"train": 20, "test": 5}
    assert stats["leaks"] == 2
    assert any(
        event.kind == "note" and "2 held-out rows repeat the question and context" in event.text for event in events
    )


def conversation(*contents: str) -> dict:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]}


def test_no_turn_of_a_conversation_leaks_into_another_split(prepare):
    rows = [conversation(f"Hi {i // 4}", "Hello", f"question {i}?", "Yes") for i in range(400)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    _, stats, _, out = prepare(lines, split=SplitSpec(validation=0.2, test=0.2))
    openings = {split: {row["messages"][0]["content"] for row in read_rows(out, split)} for split in stats["splits"]}
    assert all(count > 20 for count in stats["splits"].values())
    assert sum(map(len, openings.values())) == 100, "two splits share an opening"
    assert stats["leaks"] == 0


def test_rows_that_learn_their_last_answer_only_are_placed_by_it(prepare, tmp_path):
    tiny_tokenizer(tmp_path / "tokenizer")
    lines = "".join(json.dumps(conversation("Hi", "Hello", f"{i}?", "Yes")) + "\n" for i in range(60))
    split, render = SplitSpec(test=0.3), RenderSpec(train_on="completion")
    _, stats, _, out = prepare(lines, tokenizer=tmp_path / "tokenizer", split=split, render=render)
    assert stats["splits"]["test"] > 5
    assert sum(stats["splits"].values()) == stats["kept"] == 60
    counted = [numbers for split in stats["splits"] for _, numbers in read_counted(out, split)]
    assert stats["tokens"]["total"] == sum(numbers["tokens"] for numbers in counted)
    _, stats, events, _ = prepare(lines, split=split)
    assert stats["splits"] in ({"train": 60, "test": 0}, {"test": 60})
    assert any("all 60 rows ask the same question" in event.text for event in events if event.kind == "note")


def test_the_rows_of_a_source_may_all_belong_to_one_split(tmp_path, qa):
    (tmp_path / "a.jsonl").write_text(qa(20))
    (tmp_path / "train.jsonl").write_text(qa(5, start=20) + qa(1))
    sources = [SourceSpec(ref="file:a"), SourceSpec(ref="file:b", split="validation")]
    inputs = {"source.0.ref": tmp_path / "a.jsonl", "source.1.ref": tmp_path / "train.jsonl"}
    context, _ = temporary_context(tmp_path / "out", inputs)
    run(PrepareSpec(source=sources), context)
    stats = json.loads((context.out / "stats.json").read_text())
    assert (stats["splits"], stats["leaks"]) == ({"train": 20, "validation": 6}, 1)
