"""Acceptance: of each mapped family a trained model, with an adapter that is merged, as certified GGUF files."""

import json
import random

import pytest
import torch

from burnish.core.events import Note
from burnish.core.inputs.gguf import read_keys
from burnish.export.gguf.shapes import SHAPES
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.specs.ship import GgufSpec
from burnish.specs.tokens import RenderSpec
from burnish.specs.train import LoraSpec
from burnish.stages.ship.gguf import run
from burnish.testing import input_at, temporary_context
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer
from gguf_files import save_fitting

KINDS = ("F32", "F16", "Q8_0", "Q4_K_M")
OF_EXPERTS = ("F32", "F16", "Q8_0")
"""In models of experts as small as these, fewer bits send tokens to other experts: their certificates do not hold."""
SIZES = {"hidden_size": 256, "intermediate_size": 256, "head_dim": 64, "initializer_range": 0.02}
"""Rows of 256 values, so that the types with K are used."""
_OWN = {
    "gemma2": {"query_pre_attn_scalar": 64},
    "gemma3_text": {"query_pre_attn_scalar": 64},
    "qwen3_moe": {"moe_intermediate_size": 256, "head_dim": 64},
}
_WITHOUT_HEAD_SIZE = ("qwen2", "phi3")
SHORT = ("qwen3",)
"""The families of `make test`."""


def chats(seed, count):
    chosen = random.Random(seed)
    names = ("Ada", "Ben", "Cleo", "Dan")
    for _ in range(count):
        name, number, item = chosen.choice(names), chosen.randint(2, 9), chosen.choice(("cups", "pens", "maps"))
        yield f"{name} has {number} {item}. How many?", f"{name} has {number} {item}."


def rendered(base, seed, count, reverse=False):
    renderer = Renderer(load_tokenizer(base), RenderSpec())
    rows = []
    for question, answer in chats(seed, count):
        answer = answer.upper() if reverse else answer
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows += renderer.render({"kind": "chat", "messages": turns, "source": "x"})
    return [row.ids.tolist() for row in rows]


def trained(model, rows, steps, rate):
    """A few steps of AdamW on all tokens."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    chosen = random.Random(0)
    model.train()
    for _ in range(steps):
        batch = chosen.sample(rows, 8)
        longest = max(map(len, batch))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
        labels = torch.tensor([row + [-100] * (longest - len(row)) for row in batch])
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def made(family, folder):
    """The merged model of an adapter on a trained base, and held-out rows."""
    sizes = {name: value for name, value in SIZES.items() if name != "head_dim" or family not in _WITHOUT_HEAD_SIZE}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = save_fitting(family, folder / "base", **{**sizes, **_OWN.get(family, {})})
        model = load_model(base, dtype=torch.float32)
        model.requires_grad_(True)
        assert trained(model, rendered(base, 1, 200), 60, 2e-3) < 1.0
        model.save_pretrained(base)
        tuned = attach_lora(load_model(base, dtype=torch.float32), LoraSpec(rank=8))
        assert trained(tuned, rendered(base, 1, 200, reverse=True), 30, 5e-3) < 1.0
        save_adapter(tuned, folder / "adapter", input_at(base))
    merge_adapter(folder / "adapter", base, folder / "merged")
    for name, seed in (("rows", 2), ("train", 1)):
        lines = [{"prompt": question, "completion": answer.upper()} for question, answer in chats(seed, 64)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "merged", folder / "rows.jsonl"


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name in SHORT else pytest.mark.torture) for name in SHAPES]
)
def merged(request, tmp_path_factory):
    """The merged model of a family, and held-out rows."""
    torch.set_num_threads(1)
    return made(request.param, tmp_path_factory.mktemp(request.param))


def certified(kind, model, rows, folder, **settings):
    ctx, events = temporary_context(folder, {"model": model, "data": rows, "importance": rows.with_name("train.jsonl")})
    spec = GgufSpec(model="file:x", type=kind, name="x", threads=1, prove_strings=200, data="file:d", **settings)
    return run(spec, ctx).certificate, ctx, events


def test_an_adapter_becomes_certified_files(merged, tmp_path):
    has_experts = "num_experts_per_tok" in json.loads((merged[0] / "config.json").read_text())
    for kind in OF_EXPERTS if has_experts else KINDS:
        certificate, _, _ = certified(kind, *merged, tmp_path / kind)
        assert certificate["holds"]
        assert certificate["change"] == kind


def divergence(certificate):
    return float(next(check["found"] for check in certificate["checks"] if check["name"] == "kl").split()[0])


@pytest.mark.parametrize("merged", SHORT, indirect=True)
def test_importance_does_not_make_a_file_much_worse(merged, tmp_path):
    plain, _, _ = certified("Q4_K_M", *merged, tmp_path / "plain")
    weighed, ctx, events = certified("Q4_K_M", *merged, tmp_path / "weighed", importance="file:i", importance_rows=60)
    assert divergence(weighed) <= 1.25 * divergence(plain)  # so small a model has hardly a column that matters
    record = json.loads((ctx.out / "gguf.json").read_text())["importance"]
    assert record["rows"] == 60
    assert record["weights"] >= 8
    texts = [event.text for event in events if isinstance(event, Note)]
    assert any(text.startswith(f"importance of {record['weights']} weights, on ") for text in texts)
    keys = read_keys(ctx.out / "x-Q4_K_M.gguf", ("quantize.imatrix.entries_count",))
    assert keys == {"quantize.imatrix.entries_count": record["weights"]}
