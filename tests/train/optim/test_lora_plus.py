"""LoRA+ against PEFT's own optimizer, and what it cannot be combined with."""

import pytest
import torch
from peft.optimizers import create_loraplus_optimizer

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.specs.train import AdamWSpec, LoraSpec, PretrainSpec, SftSpec
from burnish.testing import tiny_model
from burnish.train.optim.optimizers import Optimizer

RATIO, RATE = 16.0, 1e-3
DORA = LoraSpec(rank=4, dora=True, train_fully=["lm_head"])


@pytest.mark.parametrize(("spec", "decay"), [(LoraSpec(rank=4), 0.1), (DORA, 0.0)])  # we do not decay magnitudes
def test_steps_are_those_of_peft(tmp_path, spec, decay):
    base, ids = tiny_model(tmp_path), torch.arange(3, 40)[None]
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(attach_lora(load_model(base), spec))
    ours, theirs = models
    optimizer = Optimizer(ours, AdamWSpec(weight_decay=decay), lora_plus=RATIO)
    peft = create_loraplus_optimizer(
        theirs, torch.optim.AdamW, lr=RATE, loraplus_lr_ratio=RATIO, loraplus_weight_decay=decay, fused=True
    )
    before = {name: weight.detach().clone() for name, weight in ours.named_parameters() if weight.requires_grad}
    for _ in range(2):
        for model in models:
            model(input_ids=ids, labels=ids).loss.backward()
        optimizer.gather()
        optimizer.step(RATE)
        optimizer.zero_grad()
        peft.step()
        peft.zero_grad()
    found, expected = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert all(torch.equal(found[name], expected[name]) for name in before)
    moved = {
        part: max(float((found[name].detach() - before[name]).abs().max()) for name in before if part in name)
        for part in ("lora_A", "lora_B")
    }
    assert moved["lora_B"] > 10 * moved["lora_A"] > 0


def test_an_adapter_of_an_embedding_and_a_norm_keep_the_learning_rate(tmp_path):
    model = attach_lora(load_model(tiny_model(tmp_path)), LoraSpec(targets=["embed_tokens"], train_fully=["norm"]))
    optimizer = Optimizer(model, AdamWSpec(), lora_plus=RATIO)
    before = {name: master.detach().clone() for name, master in optimizer.masters.items()}
    for master in optimizer.masters.values():
        master.grad = torch.ones_like(master)
    optimizer.step(RATE)
    for name, master in optimizer.masters.items():
        torch.testing.assert_close(before[name] - master, torch.full_like(master, RATE), rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("stage", [SftSpec, PretrainSpec])
def test_muon_is_refused_by_name(stage):
    with pytest.raises(ValueError, match=r"method\.lora_plus cannot be combined with optimizer: muon"):
        stage(data="file:d", base="file:b", method={"kind": "lora", "lora_plus": 16}, optimizer={"kind": "muon"})


def test_a_ratio_below_one_is_refused():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        LoraSpec(lora_plus=0.5)


def test_a_run_reads_the_setting(run_fit):
    plain, plus = (
        run_fit(name, max_steps=2, method={"kind": "lora", "rank": 4, **more})
        for name, more in (("plain", {}), ("plus", {"lora_plus": 16}))
    )
    name = next(name for name in plain.weights if "lora_B" in name)
    assert float(plus.weights[name].norm()) > 8 * float(plain.weights[name].norm())
