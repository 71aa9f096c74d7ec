"""inspect: what is shown of rows, and of which rows it is known."""

import json
from collections import Counter

import pytest

from burnish.core.errors import AskError, DataError
from burnish.specs.data import InspectSpec, PrepareSpec, SourceSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.data.inspect import _Lengths, inspect
from burnish.stages.data.prepare import run as prepare
from burnish.stages.tokens.rendering import RowRenderer
from burnish.testing import input_at, temporary_context, tiny_tokenizer


def test_inspect_shows_rows_with_their_learned_tokens(tmp_path, qa):
    tiny_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "rows.jsonl").write_text(qa(5) + '{"question": 1}\n')
    spec = InspectSpec(source="file:rows.jsonl", tokenizer="file:tokenizer", rows=2)
    seen = inspect(spec, input_at(tmp_path / "rows.jsonl"), input_at(tmp_path / "tokenizer"))
    assert (seen.format, seen.rows, seen.bad, seen.splits) == ("question_answer", 5, 1, {"train": 5})
    assert seen.first_bad[0].source == "rows.jsonl:6"
    assert len(seen.shown) == 2
    (pieces,) = seen.shown[0].pieces
    assert "".join(text for text, weight in pieces if weight) == "The number 0.<|im_end|>"
    assert seen.stats["tokens"]["count"] == 5


def test_inspect_counts_what_cannot_be_rendered(tmp_path, qa):
    tiny_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "rows.jsonl").write_text(qa(3))
    spec = InspectSpec(source="file:rows.jsonl", tokenizer="file:tokenizer", render=RenderSpec(max_length=8))
    seen = inspect(spec, input_at(tmp_path / "rows.jsonl"), input_at(tmp_path / "tokenizer"))
    assert seen.unrendered == {"data.too-long": 3}
    assert seen.shown[0].error.startswith("the row has ")  # its source stands in the title
    assert seen.rows == 3


def test_inspect_needs_no_tokenizer(tmp_path, qa):
    (tmp_path / "rows.jsonl").write_text(qa(3))
    seen = inspect(InspectSpec(source="file:rows.jsonl"), input_at(tmp_path / "rows.jsonl"))
    assert [one.pieces for one in seen.shown] == [[], [], []]
    assert "tokens" not in seen.stats


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"rows\.json has no rows"),
        ("[1,2", r"rows\.json has no readable row: \d bad, the first is rows\.json:1#1: "),
    ],
)
def test_inspect_of_a_file_without_a_readable_row_is_an_error(tmp_path, content, said):
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        inspect(InspectSpec(source="file:rows.json"), input_at(tmp_path / "rows.json"))
    assert caught.value.code == "data.empty"


def test_inspect_renders_a_sample_of_many_rows(tmp_path, qa, monkeypatch):
    tiny_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "rows.jsonl").write_text(qa(900) + json.dumps({"question": "x" * 99, "answer": "y" * 99}) + "\n")
    rendered: list[str] = []
    original = RowRenderer.pieces
    monkeypatch.setattr(RowRenderer, "pieces", lambda self, row: rendered.append(row["source"]) or original(self, row))
    monkeypatch.setattr("burnish.stages.data.inspect._SAMPLE", 50)
    spec = InspectSpec(source="file:rows.jsonl", tokenizer="file:tokenizer", rows=2)
    seen = inspect(spec, input_at(tmp_path / "rows.jsonl"), input_at(tmp_path / "tokenizer"))
    assert (seen.rows, seen.rendered, seen.stats["tokens"]["count"]) == (901, 50, 50)
    assert len(rendered) < 300
    assert seen.stats["characters"]["count"] == 901
    lines = sorted(int(source.split(":")[1]) for source in rendered)
    assert lines[len(lines) // 2] > 50, "only the first rows were rendered"


def test_every_row_is_in_the_sample_equally_likely():
    counts = Counter[int]()
    for seed in range(2000):
        sample = _Lengths(5)
        sample._random.seed(seed)
        for number in range(20):
            if (place := sample.next_place()) is not None:
                sample.put(place, (number, 0))
        counts.update(length[0] for length in sample.kept)
    assert all(abs(counts[number] - 500) < 100 for number in range(20))


def test_settings_for_raw_rows_are_refused_on_a_prepared_dataset(tmp_path, qa):
    (tmp_path / "rows.jsonl").write_text(qa(3))
    context, _ = temporary_context(tmp_path / "run", {"source": tmp_path / "rows.jsonl"})
    prepare(PrepareSpec(source="file:rows.jsonl"), context)
    settings = {"format": "alpaca", "columns": {"a": "b"}, "subset": "x"}
    for name, value in settings.items():
        with pytest.raises(AskError, match=f"prepared dataset, where {name} has no effect"):
            inspect(InspectSpec(source="step:x", **{name: value}), input_at(context.out))
        again, _ = temporary_context(tmp_path / "again", {"source": context.out})
        with pytest.raises(AskError, match=name):
            prepare(PrepareSpec(source="step:x", **{name: value}), again)
        again, _ = temporary_context(tmp_path / "again", {"source.0.ref": context.out})
        with pytest.raises(AskError, match=name):
            prepare(PrepareSpec(source=[SourceSpec(ref="step:x", **{name: value})]), again)
