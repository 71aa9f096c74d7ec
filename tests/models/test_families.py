"""Acceptance: the folder of a Qwen, a Llama, a Mistral or a Gemma loads, trains, saves, reloads and merges."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from burnish.core.events import Metric
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import describe, load_model
from burnish.specs.evals import GenerationSpec
from burnish.specs.models import MergeSpec
from burnish.specs.train import SftSpec
from burnish.stages.models import merge
from burnish.stages.train import run as training_run
from burnish.stages.train import sft
from burnish.testing import temporary_context
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer
from family_folders import FAMILIES, WHOLE

CHATS = [
    ("What is the weather in Zürich?", "Fine. 天气很好 🙂"),
    ("And in Berlin?", "It rains all day."),
    ("Say one word.", "Word"),
    ("Say two.", "Two words"),
]


@pytest.fixture
def chats(tmp_path) -> Path:
    path = tmp_path / "chats.jsonl"
    rows = [[{"role": "user", "content": ask}, {"role": "assistant", "content": say}] for ask, say in CHATS]
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("family", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.torture) for name in WHOLE)])
def test_a_family_loads_trains_saves_reloads_and_merges(tmp_path, chats, family, monkeypatch):
    (tmp_path / "base").mkdir()
    base = (FAMILIES | WHOLE)[family](tmp_path / "base")
    assert describe(base).family == {"gemma3": "gemma3_text", "whole-qwen3": "qwen3"}.get(family, family)

    # the real template, through the one renderer
    renderer = Renderer(load_tokenizer(base))
    _, prompt = renderer.prompt([{"role": "user", "content": CHATS[0][0]}])
    ids = torch.tensor([prompt])
    before = load_model(base)(ids).logits

    # trains
    trained: list[torch.Tensor] = []
    save = training_run.save

    def save_and_remember(model, *others):
        with torch.no_grad():
            trained.append(model.eval()(ids).logits)
        return save(model, *others)

    monkeypatch.setattr(training_run, "save", save_and_remember)
    ctx, events = temporary_context(tmp_path / "sft", {"base": base, "data": chats})
    method = {"kind": "lora", "rank": 4}
    settings = {
        "max_steps": 4,
        "batch_size": 4,
        "learning_rate": 2e-2,
        "dtype": "float32",
        "device": "cpu",
        "prove": "off",
    }
    outcome = sft.run(SftSpec(base="file:b", data="file:d", method=method, threads=1, **settings), ctx)
    assert outcome.kind == "adapter"
    losses = [event.values["loss"] for event in events if isinstance(event, Metric) and "loss" in event.values]
    assert losses[-1] < losses[0] - 0.01
    assert (trained[0] - before).abs().max() > 1e-3

    # saves, and reloads to the same bits
    assert torch.equal(load_model(ctx.out)(ids).logits, trained[0])

    # merges, to the bits of PEFT's own merge
    merging, _ = temporary_context(tmp_path / "merge", {"model": ctx.out})
    merge.run(MergeSpec(model="file:a", max_shard_bytes=3_000_000), merging)
    merged = load_model(merging.out)
    assert torch.equal(merged(ids).logits, load_model(ctx.out).merge_and_unload()(ids).logits)
    torch.testing.assert_close(merged(ids).logits, trained[0], atol=1e-4, rtol=1e-4)
    of_base = {name for file in base.glob("*.safetensors") for name in load_file(file)}
    assert {name for file in merging.out.glob("*.safetensors") for name in load_file(file)} == of_base

    # answers, with the tokenizer that the merge took along
    tokenizer = load_tokenizer(merging.out)
    assert Renderer(tokenizer).prompt([{"role": "user", "content": CHATS[0][0]}])[1] == prompt
    engine = TransformersEngine(merged, tokenizer)
    [answer] = engine.generate([prompt], GenerationSpec(max_new_tokens=4), renderer.stop_ids)
    assert "".join(engine.stream(prompt, GenerationSpec(max_new_tokens=4), renderer.stop_ids)) == answer.text


def test_the_ends_of_a_turn_are_known(tmp_path):
    """A model that is asked must stop where its family stops."""
    ends = {"llama": "<|eot_id|>", "mistral": "</s>", "gemma2": "<end_of_turn>", "gemma3": "<end_of_turn>"}
    for family, end in ends.items():
        (tmp_path / family).mkdir()
        tokenizer = load_tokenizer(FAMILIES[family](tmp_path / family))
        assert tokenizer.convert_tokens_to_ids(end) in Renderer(tokenizer).stop_ids
