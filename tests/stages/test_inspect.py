"""inspect: what is shown of rows, and of which rows it is known."""

import pytest

from burnish.core.errors import DataError
from burnish.specs.data import InspectSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.inspect import inspect
from burnish.testing import input_at, tiny_tokenizer


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
    assert "rows.jsonl:1" in seen.shown[0].error
    assert seen.rows == 3


def test_inspect_needs_no_tokenizer(tmp_path, qa):
    (tmp_path / "rows.jsonl").write_text(qa(3))
    seen = inspect(InspectSpec(source="file:rows.jsonl"), input_at(tmp_path / "rows.jsonl"))
    assert [one.pieces for one in seen.shown] == [[], [], []]
    assert "tokens" not in seen.stats


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"rows\.json holds no rows"),
        ("[1,2", r"rows\.json has no row that can be read: \d bad, the first is rows\.json:1: "),
    ],
)
def test_inspect_of_a_file_without_a_readable_row_is_an_error(tmp_path, content, said):
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        inspect(InspectSpec(source="file:rows.json"), input_at(tmp_path / "rows.json"))
    assert caught.value.code == "data.empty"
