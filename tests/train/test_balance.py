"""The load-balancing loss of a mixture of experts: transformers' own numbers, however a step is split."""

from pathlib import Path

import pytest
import torch
import transformers
from transformers.models.auto.configuration_auto import model_type_to_module_name

from burnish.core.errors import AskError, ModelError
from burnish.testing import tiny_model
from burnish.train import scoring
from burnish.train.batches import make_batch
from burnish.train.objectives.balance import Balance, balance_of
from burnish.train.scoring import Scorer
from families import BUILDABLE, build

SIZES = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}


@pytest.fixture(scope="session")
def mixture(tmp_path_factory):
    return tiny_model(
        tmp_path_factory.mktemp("mixture"), "qwen3_moe", initializer_range=0.2, router_aux_loss_coef=0.05, **SIZES
    )


def has_own_loss(family: str) -> bool:
    """True when transformers has a load-balancing loss beside the family's model; no family is imported for it."""
    folder = Path(transformers.__file__).parent / "models" / model_type_to_module_name(family).replace(".", "/")
    return any("load_balancing_loss_func" in file.read_text("utf-8") for file in folder.glob("modeling_*.py"))


DENSE = ("doge", "flint")
"""Families whose tiny model has no experts."""


@torch.no_grad()
@pytest.mark.parametrize("family", [family for family in BUILDABLE if has_own_loss(family)])
def test_every_family_with_a_load_balancing_loss_has_it_here(family):
    model = build(family)
    balance, told = balance_of(model, "auto")
    if family in DENSE:
        assert (balance, told) == (None, None)
        return
    ids = torch.arange(3, 40)[None]
    own = model(input_ids=ids, labels=ids, output_router_logits=True, use_cache=False)
    without = model(input_ids=ids, labels=ids, output_router_logits=False, use_cache=False)
    added = float(own.loss - without.loss)
    ours = balance.part_of_loss(own.router_logits, balance.counts(own.router_logits), ids.shape[1])
    assert float(ours) == pytest.approx(float(own.aux_loss), rel=1e-4)
    assert balance.coefficient * float(ours) == pytest.approx(added, rel=1e-2, abs=1e-5)
    assert told.value == balance.coefficient


@pytest.mark.parametrize("family", ["deepseek_v2", "glm4_moe", "llama4_text"])
def test_a_mixture_without_such_a_loss_is_reported(family):
    balance, told = balance_of(build(family), "auto")
    assert balance is None
    assert "no load-balancing loss is added" in told.text
    with pytest.raises(AskError, match="has no load-balancing loss"):
        balance_of(build(family), 0.01)


def test_a_loss_of_another_kind_is_reported_and_not_added():
    balance, told = balance_of(build("doge", is_moe=True, num_experts=16), "auto")
    assert balance is None
    assert "load-balancing loss" in told.text


def test_a_dense_model_is_left_alone():
    assert balance_of(build("qwen3"), "auto") == (None, None)
    assert balance_of(build("qwen3"), 0) == (None, None)
    with pytest.raises(AskError, match="router_aux_loss_coef"):
        balance_of(build("qwen3"), 0.01)


def test_the_coefficient_is_the_models_own_unless_one_is_given(mixture):
    from burnish.models.load import load_model

    model = load_model(mixture)
    assert balance_of(model, "auto")[0] == Balance(4, 2, 0.05)
    assert balance_of(model, 0.5) == (Balance(4, 2, 0.5), None)
    assert balance_of(model, 0) == (None, None)


@torch.no_grad()
def test_packed_rows_have_the_loss_of_transformers_on_padded_ones(mixture, random_rows):
    from burnish.models.load import load_model

    model, rows = load_model(mixture), random_rows(5)
    scorer = Scorer(model)
    scorer.keeps_routing = True
    assert scorer.packs
    every = torch.arange(5).numpy()
    scorer(make_batch(rows, every), 1.0)
    balance = Balance(4, 2, 0.05)
    ours = balance.part_of_loss(scorer.routing, balance.counts(scorer.routing), int(rows.lengths.sum()))
    scorer.restore_attention()
    longest = int(rows.lengths.max())
    ids, mask = torch.zeros(5, longest, dtype=torch.long), torch.zeros(5, longest, dtype=torch.long)
    for row in range(5):
        length = int(rows.lengths[row])
        ids[row, :length], mask[row, :length] = torch.from_numpy(rows.ids[rows.span(row)].astype("int64")), 1
    theirs = model(input_ids=ids, attention_mask=mask, output_router_logits=True).aux_loss
    assert float(ours) == pytest.approx(float(theirs), rel=1e-4)


@pytest.mark.parametrize(
    "method", [{"kind": "full"}, {"kind": "lora", "rank": 4, "dropout": 0.1}], ids=["full", "lora"]
)
def test_the_loss_and_its_gradient_do_not_depend_on_how_a_step_is_split(run_fit, mixture, method):
    settings = {"base": mixture, "method": method, "max_steps": 2, "router_aux_loss_coef": 5.0}
    if method["kind"] == "lora":
        settings["method"] = method | {"dropout": 0.0}
    whole = run_fit("whole", micro_batch_tokens=10_000, **settings)
    split = run_fit("split", micro_batch_tokens=30, **settings)
    for name in ("loss", "aux_loss", "grad_norm"):
        assert split.metrics(name) == pytest.approx(whole.metrics(name), rel=1e-4), name
    off = run_fit("off", micro_batch_tokens=10_000, **(settings | {"router_aux_loss_coef": 0}))
    assert off.metrics("aux_loss") == []
    assert off.metrics("loss")[0] == pytest.approx(whole.metrics("loss")[0])
    assert off.metrics("grad_norm")[0] != pytest.approx(whole.metrics("grad_norm")[0], rel=1e-3)


@pytest.mark.parametrize("way", ["own head", "checkpointing"])
def test_a_mixture_that_runs_another_way_is_balanced_alike(run_fit, mixture, monkeypatch, way):
    settings = {"base": mixture, "method": {"kind": "full"}, "max_steps": 2, "router_aux_loss_coef": 5.0}
    usual = run_fit("usual", micro_batch_tokens=30, **settings)
    if way == "own head":
        monkeypatch.setattr(scoring, "trunks", lambda causal: [])
    other = run_fit("other", micro_batch_tokens=30, gradient_checkpointing=way == "checkpointing", **settings)
    for name in ("loss", "aux_loss", "grad_norm"):
        assert other.metrics(name) == pytest.approx(usual.metrics(name), rel=1e-4), name


def test_a_mixture_that_gives_no_router_logits_in_training_is_refused(run_fit, mixture, monkeypatch):
    monkeypatch.setattr(Scorer, "hidden", lambda self, batch: self._trunk(**self._inputs(batch)).last_hidden_state[0])
    with pytest.raises(ModelError, match="no router logits"):
        run_fit("silent", base=mixture, method={"kind": "full"}, max_steps=1, micro_batch_tokens=10_000)


def test_a_split_step_with_dropout_resumes_bit_for_bit(run_fit, mixture):
    from burnish.core.errors import RunError

    settings = {"base": mixture, "method": {"kind": "lora", "rank": 4, "dropout": 0.1}, "max_steps": 4}
    whole = run_fit("whole", micro_batch_tokens=30, **settings)
    with pytest.raises(RunError):
        run_fit("cut", micro_batch_tokens=30, stop_before=2, **settings)
    resumed = run_fit("cut", micro_batch_tokens=30, **settings)
    assert all(torch.equal(weight, resumed.weights[name]) for name, weight in whole.weights.items())


@pytest.mark.parametrize("fault", [torch.OutOfMemoryError("CUDA out of memory"), None], ids=["no memory", "NaN"])
def test_a_loss_that_cannot_be_compared_is_not_taken_for_the_models_own(monkeypatch, fault):
    model = build("qwen3_moe")

    def answers(*_, **__):
        if fault is not None:
            raise fault
        output = forward(*_, **__)
        output.aux_loss = output.aux_loss * float("nan")
        return output

    forward = model.forward
    monkeypatch.setattr(model, "forward", answers)
    if fault is not None:
        with pytest.raises(torch.OutOfMemoryError):
            balance_of(model, "auto")
    else:
        assert balance_of(model, "auto")[0] is None
