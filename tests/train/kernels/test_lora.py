"""The fused LoRA layer against its plain twin, PEFT's own forward."""

import pytest
import torch
from torch import nn

from burnish.core.events import Note
from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model
from burnish.train import fit as fitting
from burnish.train.kernels.lora import FusedLora, _LoraLinear
from burnish.train.scoring import Scorer

IDS = torch.arange(40)[None] * 7 % 250 + 3
LINEAR_LAYERS = 14


def adapted(base, dtype=torch.float32, **settings):
    """A model whose adapters are not zero any more."""
    torch.manual_seed(0)
    model = attach_lora(load_model(base, dtype=dtype), LoraSpec(rank=4, **settings)).train()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.data = (torch.randn_like(weight) * 0.2 if "lora_B" in name else weight.data).to(dtype)
    return model


def loss_and_gradients(model):
    logits = model(input_ids=IDS).logits[0].float()
    loss = nn.functional.cross_entropy(logits[:-1], IDS[0, 1:])
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return loss.detach(), {name: grad for name, grad in zip(weights, found, strict=True) if grad is not None}


def calls(monkeypatch):
    """Each call of the fused layer."""
    made, apply = [], _LoraLinear.apply
    monkeypatch.setattr(_LoraLinear, "apply", lambda *inputs: made.append(inputs) or apply(*inputs))
    return made


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("settings", [{}, {"alpha": 3.0}, {"rslora": True}], ids=str)
def test_loss_and_gradients_are_those_of_peft(monkeypatch, tmp_path, settings, bias):
    base = tiny_model(tmp_path / "base", "qwen3", attention_bias=bias, initializer_range=0.2)
    model = adapted(base, **settings)
    expected, expected_gradients = loss_and_gradients(model)
    made = calls(monkeypatch)
    assert len(FusedLora(model).layers) == LINEAR_LAYERS
    loss, gradients = loss_and_gradients(model)
    assert len(made) == LINEAR_LAYERS
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["olmo", "olmoe"])
def test_a_model_may_change_the_output_in_place(monkeypatch, tmp_path, family):
    model = adapted(tiny_model(tmp_path / "base", family, clip_qkv=0.1, initializer_range=0.2))
    expected, expected_gradients = loss_and_gradients(model)
    made = calls(monkeypatch)
    FusedLora(model)
    loss, gradients = loss_and_gradients(model)
    assert made
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-6)


def test_a_layer_whose_bias_is_trained_keeps_the_forward_of_peft(tmp_path):
    model = adapted(tiny_model(tmp_path / "base", "qwen3", attention_bias=True))
    for name, weight in model.named_parameters():
        weight.requires_grad_(weight.requires_grad or name.endswith("q_proj.base_layer.bias"))
    assert len(FusedLora(model).layers) == LINEAR_LAYERS - 2
    assert any(name.endswith("q_proj.base_layer.bias") for name in loss_and_gradients(model)[1])


def test_in_bfloat16_its_gradients_are_as_near_to_exact_ones_as_those_of_peft(base):
    exact = loss_and_gradients(adapted(base))[1]
    model = adapted(base, torch.bfloat16)
    peft = loss_and_gradients(model)[1]
    FusedLora(model)
    ours = loss_and_gradients(model)[1]

    def distance(found):
        together = torch.cat([(found[name].float() - exact[name]).flatten() for name in exact])
        return together.norm() / torch.cat([gradient.flatten() for gradient in exact.values()]).norm()

    assert distance(ours) < 1.2 * distance(peft) < 0.2


@pytest.mark.parametrize(
    ("family", "settings", "fused"),
    [
        ("qwen3", {"dropout": 0.1}, 0),
        ("qwen3", {"dora": True}, 0),
        ("qwen3", {"train_fully": ["lm_head"], "targets": ["q_proj"]}, 2),
        ("qwen3", {"targets": ["q_proj", "embed_tokens"]}, 2),
        ("gpt2", {}, 0),
    ],
    ids=str,
)
def test_layers_of_any_other_kind_keep_the_forward_of_peft(tmp_path, family, settings, fused):
    model = adapted(tiny_model(tmp_path / "base", family, tie_word_embeddings=False), **settings)
    torch.manual_seed(1)
    expected, _ = loss_and_gradients(model)
    assert len(FusedLora(model).layers) == fused
    torch.manual_seed(1)
    torch.testing.assert_close(loss_and_gradients(model)[0], expected, rtol=1e-6, atol=1e-6)


def test_a_second_adapter_or_one_that_is_switched_off_is_left_to_peft(base, monkeypatch):
    from peft import LoraConfig

    model = adapted(base)
    fused = FusedLora(model)
    ours = loss_and_gradients(model)[0]
    made = calls(monkeypatch)
    with model.disable_adapter():
        plain = model(input_ids=IDS).logits
    assert made == []
    torch.testing.assert_close(plain, load_model(base)(input_ids=IDS).logits)
    model.base_model.set_adapter([])
    torch.testing.assert_close(model(input_ids=IDS).logits, plain)
    model.base_model.set_adapter("default")
    model.add_adapter("other", LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    model.base_model.set_adapter(["default", "other"])
    both = loss_and_gradients(model)[0]
    assert not torch.isclose(both, ours, rtol=1e-4)
    fused.remove()
    torch.testing.assert_close(loss_and_gradients(model)[0], both)
    assert all("forward" not in vars(module) for module in model.modules())


@pytest.mark.parametrize("broken", ["forward", "backward"])
def test_layers_that_differ_from_those_of_peft_are_removed_before_the_run(base, monkeypatch, broken):
    model, right = adapted(base), getattr(_LoraLinear, broken)

    def wrong(*given):
        found = right(*given)
        return found * 1.1 if broken == "forward" else (*found[:3], found[3] * 1.5, *found[4:])

    fused = FusedLora(model)
    whole = Scorer(model, fused=fused)
    whole.restore_attention()
    assert len(fused.layers) == LINEAR_LAYERS
    monkeypatch.setattr(_LoraLinear, broken, staticmethod(wrong))
    scorer = Scorer(model, fused=fused)
    assert fused.layers == []
    assert (scorer.packs, scorer.uses_own_head) == (whole.packs, whole.uses_own_head) == (True, False)
    assert all("forward" not in vars(module) for module in model.modules())


def test_a_run_whose_layers_were_removed_says_so(run_fit, monkeypatch):
    monkeypatch.setattr(_LoraLinear, "forward", staticmethod(lambda *given: 1 / 0))
    run = run_fit("plain", method={"kind": "lora", "rank": 4}, max_steps=1)
    assert any("the adapters are computed by PEFT" in event.text for event in run.events if isinstance(event, Note))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_run_with_fused_layers_is_the_run_without(run_fit, monkeypatch, checkpointing):
    settings = {"method": {"kind": "lora", "rank": 4}, "max_steps": 4, "gradient_checkpointing": checkpointing}
    made = calls(monkeypatch)
    fused = run_fit("fused", **settings)
    assert made
    made.clear()
    monkeypatch.setattr(fitting, "FusedLora", lambda model: FusedLora(nn.Module()))
    plain = run_fit("plain", **settings)
    assert made == []
    assert fused.metrics("loss") == pytest.approx(plain.metrics("loss"), rel=1e-5)
    assert fused.metrics("grad_norm") == pytest.approx(plain.metrics("grad_norm"), rel=1e-4)


def test_layers_below_the_lowest_adapter_take_no_part_in_the_backward_pass(base):
    model = adapted(base, targets=["layers.1.mlp.up_proj"])
    FusedLora(model)
    learns = {}
    for name, module in model.named_modules():
        if name.endswith(("layers.0", "layers.1", "layers.1.self_attn", "layers.1.mlp")):
            module.register_forward_hook(
                lambda module, inputs, output, name=name: learns.update(
                    {name: (output if isinstance(output, torch.Tensor) else output[0]).requires_grad}
                )
            )
    loss_and_gradients(model)
    assert [value for _, value in sorted(learns.items())] == [False, True, True, False]  # the last: self_attn
