"""The stages synthesize and tokenizer: rows are made, and a tokenizer is learned from them."""

import json

import pytest
from transformers import AutoTokenizer

from burnish.core.errors import ModelError, RunError
from burnish.data.dataset import read_rows, row_count
from burnish.specs.data import SynthesizeSpec
from burnish.specs.tokens import TokenizerTrainSpec
from burnish.stages.data import synthesize
from burnish.stages.tokens import tokenizer
from burnish.testing import temporary_context, tiny_tokenizer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    ctx, _ = temporary_context(folder)
    synthesize.run(SynthesizeSpec.model_validate({"generator": {"rows": 600, "seed": 3}}), ctx)
    return folder / "out"


def train(folder, data, **settings):
    spec = TokenizerTrainSpec.model_validate({"data": "step:data", "vocabulary": 400, **settings})
    ctx, events = temporary_context(folder, {"data": data})
    return tokenizer.run(spec, ctx), events, ctx.out


def test_made_rows_are_a_dataset_with_tags_and_counts(corpus):
    rows = list(read_rows(corpus, "train"))
    stats = json.loads((corpus / "stats.json").read_text())
    assert stats["read"] == stats["kept"] == len(rows) == 600
    assert sum(stats["tags"].values()) == 600
    called = next(row for row in rows if row["tag"] == "tool")
    assert isinstance(called["messages"][-1]["tool_calls"][0]["function"]["arguments"], str)


def test_equal_seeds_write_equal_rows(corpus, tmp_path):
    ctx, _ = temporary_context(tmp_path)
    synthesize.run(SynthesizeSpec.model_validate({"generator": {"rows": 600, "seed": 3}}), ctx)
    assert [row["id"] for row in read_rows(ctx.out, "train")] == [row["id"] for row in read_rows(corpus, "train")]


def test_a_stopped_synthesis_says_so(tmp_path):
    ctx, _ = temporary_context(tmp_path, stopping=lambda: True)
    with pytest.raises(RunError, match="stopped after"):
        synthesize.run(SynthesizeSpec.model_validate({"generator": {"rows": 20_000}}), ctx)
    assert row_count(ctx.out, "train") < 20_000


def test_a_trained_tokenizer_renders_conversations(corpus, tmp_path):
    outcome, _, out = train(tmp_path, corpus)
    made = AutoTokenizer.from_pretrained(out)
    assert outcome.kind == "tokenizer"
    assert outcome.measures["vocabulary"] == len(made) == 400
    assert outcome.measures["exact_roundtrips"] == 1.0
    row = next(row for row in read_rows(corpus, "train") if row["tag"] == "weather")
    text = made.apply_chat_template(row["messages"], tokenize=False)
    assert '<tool_call>\n{"name": "get_weather"' in text
    ids = made(text, add_special_tokens=False)["input_ids"]
    assert made.decode(ids) == text
    assert ids.count(made.eos_token_id) == len(row["messages"])


def test_more_tokens_take_more_bytes_each(corpus, tmp_path):
    small, _, _ = train(tmp_path / "small", corpus)
    large, _, _ = train(tmp_path / "large", corpus, vocabulary=700)
    assert large.measures["bytes_per_token"] > small.measures["bytes_per_token"] > 1


def test_fewer_rows_are_learned_from_when_requested(corpus, tmp_path):
    few, events, _ = train(tmp_path / "few", corpus, max_rows=5, vocabulary=2_000)
    every, _, _ = train(tmp_path / "every", corpus, vocabulary=2_000)
    assert few.measures["vocabulary"] < every.measures["vocabulary"] / 2
    assert any(event.kind == "note" and event.level == "warning" for event in events)


def test_rows_held_out_are_what_it_is_measured_on(corpus, tmp_path):
    from burnish.data.dataset import DatasetWriter

    rows = list(read_rows(corpus, "train"))
    with DatasetWriter(tmp_path / "split") as dataset:
        for number, row in enumerate(rows):
            dataset.write(row, "test" if number % 10 == 0 else "train")
    (tmp_path / "split" / "stats.json").write_text("{}")
    outcome, events, _ = train(tmp_path, tmp_path / "split")
    assert outcome.measures["measured_on"] == "test"
    assert not [event for event in events if event.kind == "note"]


def test_another_tokenizers_template_can_be_carried_over(corpus, tmp_path):
    template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tiny_tokenizer(tmp_path / "other", template)
    spec = TokenizerTrainSpec.model_validate(
        {"data": "step:data", "vocabulary": 400, "chat_template": f"file:{tmp_path / 'other'}"}
    )
    ctx, _ = temporary_context(tmp_path, {"data": corpus, "chat_template": tmp_path / "other"})
    tokenizer.run(spec, ctx)
    assert AutoTokenizer.from_pretrained(ctx.out).chat_template == template


def test_a_tokenizer_without_a_template_gives_none_to_carry_over(corpus, tmp_path):
    tiny_tokenizer(tmp_path / "other", None)
    spec = TokenizerTrainSpec.model_validate(
        {"data": "step:data", "vocabulary": 400, "chat_template": f"file:{tmp_path / 'other'}"}
    )
    ctx, _ = temporary_context(tmp_path, {"data": corpus, "chat_template": tmp_path / "other"})
    with pytest.raises(ModelError, match="no single chat template"):
        tokenizer.run(spec, ctx)


def test_thoughts_tools_and_every_answer_are_learned_from():
    row = {
        "kind": "preference",
        "tools": [{"type": "function", "function": {"name": "a_tool"}}],
        "messages": [{"role": "user", "content": "asked"}],
        "chosen": [{"role": "assistant", "content": "better", "reasoning_content": "thought"}],
        "rejected": [{"role": "assistant", "content": "worse"}],
    }
    texts = " ".join(tokenizer.texts_of(row))
    for part in ("a_tool", "asked", "better", "thought", "worse"):
        assert part in texts
    assert list(tokenizer.texts_of({"kind": "text", "text": "plain"})) == ["plain"]
