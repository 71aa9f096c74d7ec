"""Prompts computed once: the losses, states and gradients are those of every sequence by itself, for every family."""

import numpy as np
import pytest
import torch
from torch import nn

from burnish.models.adapters.attach import attach_lora
from burnish.models.probing import drops_attention
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import LoraSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import make_batch
from burnish.train.dropout import TokenDropout
from burnish.train.kernels import attention
from burnish.train.kernels.lora import FusedLora
from burnish.train.scoring import Scorer
from families import BUILDABLE, build, token_ids
from family_table import PAGE

torch.set_num_threads(1)

PACKED = [
    line.split(" | ")[0][2:] for line in PAGE.read_text("utf-8").splitlines() if line.split(" | ")[4:5] == ["yes"]
]
OWN_ATTENTION = ("codegen", "gptj")
"""Their attention is their own, with a packed mask: a prompt that is laid out once is hidden from the second answer."""
PROMPTS, ANSWERS = (6, 1, 23, 12), ((3, 5, 1), (1, 1, 2), (20, 4, 7), (2, 9, 3))
EVERY = np.arange(len(PROMPTS))


def rows_of(width: int = 2) -> TokenisedRows:
    """Rows of `width` answers after a prompt; the third row shares a token of its answers, which is learned."""
    groups = []
    for row, (prompt, lengths) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        asked = token_ids(1, prompt, seed=row)[0]
        answers = [token_ids(1, length, seed=10 * row + place)[0] for place, length in enumerate(lengths[:width])]
        if row == 2:
            answers = [torch.cat([answers[0][:1], answer[1:]]) for answer in answers]
        whole = [torch.cat([asked, answer]).numpy() for answer in answers]
        groups.append((str(row), [(ids, (np.arange(len(ids)) >= prompt).astype(np.float32)) for ids in whole]))
    return TokenisedRows.of_groups(groups, width)


def pair_loss(losses: torch.Tensor, batch) -> torch.Tensor:
    """A loss of rows, in which the gradient of a token depends on the other tokens of its row."""
    sums = batch.sums(losses).unflatten(0, (-1, batch.width))
    return nn.functional.softplus(0.1 * (sums[:, 0] - sums[:, 1:].sum(1))).sum() + 0.1 * losses.square().mean()


def plain_losses(model, rows: TokenisedRows) -> torch.Tensor:
    """ce [K] by transformers' own forward, one sequence after the other."""
    found = []
    for batch in make_batch(rows, EVERY).alone():
        logits = model(input_ids=batch.input_ids, use_cache=False).logits[0, batch.positions].float()
        found.append(nn.functional.cross_entropy(logits, batch.targets, reduction="none"))
    return torch.cat(found)


def gradient(model, loss: torch.Tensor) -> torch.Tensor:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for w, g in zip(weights, found, strict=True)])


def far(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).detach().norm() / other.detach().norm())


def may_share(scorer: Scorer) -> bool:
    """Sequences are kept apart by our attention without masks, and it is not dropped."""
    without_masks = scorer.packs and scorer._packed_attention == attention.WITHOUT_MASKS
    config = scorer.causal.config
    return without_masks and not drops_attention(config.get_text_config()) and config.model_type not in OWN_ATTENTION


def test_most_families_pack():
    assert len(PACKED) > 90
    assert set(PACKED) < set(BUILDABLE)


def assert_scored_as_alone(model, plain, width: int = 2) -> Scorer:
    """Losses, states and all gradients of rows are those of transformers' own forward of each sequence."""
    scorer = Scorer(model, fused=FusedLora(model), width=width)
    rows = rows_of(width)
    whole, shared = make_batch(rows, EVERY), make_batch(rows, EVERY, share_prompts=scorer.shares_prompts)
    losses, expected = scorer.token_losses(shared), plain_losses(plain, rows)
    assert far(losses, expected) < 1e-4
    assert far(gradient(model, pair_loss(losses, shared)), gradient(plain, pair_loss(expected, whole))) < 1e-3
    assert (shared.tokens < whole.tokens) == scorer.shares_prompts
    if scorer.shares_prompts and not scorer.uses_own_head:
        with torch.no_grad():
            assert far(scorer.hidden(shared)[shared.gather], scorer.hidden(whole)) < 1e-4
    return scorer


@pytest.mark.some(every=3)
@pytest.mark.parametrize("family", PACKED)
def test_sequences_with_a_common_prompt_are_scored_as_alone(family):
    with quiet_transformers():
        scorer = assert_scored_as_alone(*(build(family).requires_grad_(True) for _ in range(2)))
    assert scorer.shares_prompts == may_share(scorer)


@pytest.mark.parametrize("family", ["mamba", "qwen3_next", "gpt_oss", "xlnet"])
def test_the_sequences_of_a_row_are_run_one_by_one_where_a_model_cannot_pack(family):
    with quiet_transformers():
        scorer = assert_scored_as_alone(*(build(family).requires_grad_(True) for _ in range(2)))
    assert (scorer.packs, scorer.shares_prompts) == (False, False)


@pytest.mark.parametrize("family", ["llama", "qwen3", "granite", "gpt_neox", "opt"])
@pytest.mark.parametrize("width", [2, 3])
def test_adapters_get_the_gradients_of_sequences_alone(family, width):
    def adapted():
        torch.manual_seed(0)
        model = attach_lora(build(family), LoraSpec(rank=2)).eval()
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(weight, std=0.1)  # at its start an adapter's A gets no gradient
        return model

    with quiet_transformers():
        assert assert_scored_as_alone(adapted(), adapted(), width).shares_prompts


@pytest.mark.parametrize(
    ("family", "settings"),
    [("mistral", {}), ("gemma3_text", {}), ("gemma2", {}), ("llama4_text", {}), ("qwen3", {"attention_dropout": 0.1})],
    ids=lambda value: str(value),
)
def test_windows_chunks_and_dropped_attention_get_whole_sequences(family, settings):
    with quiet_transformers():
        scorer = Scorer(build(family, **settings).requires_grad_(True), width=2)
    assert scorer.packs
    assert not scorer.shares_prompts


def test_rows_of_one_sequence_have_nothing_to_share():
    with quiet_transformers():
        assert not Scorer(build("qwen3")).shares_prompts


def test_the_masks_of_dropout_are_the_same_however_rows_with_shared_prompts_are_split():
    with quiet_transformers():
        torch.manual_seed(0)
        model = attach_lora(build("qwen3"), LoraSpec(rank=2, dropout=0.4))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(weight, std=0.1)
        scorer = Scorer(model, fused=FusedLora(model), width=2)
    assert scorer.shares_prompts
    rows, dropout = rows_of(), TokenDropout(model.train(), 3)

    def found(parts, step=5) -> torch.Tensor:
        total = torch.zeros(())
        for part in parts:
            batch = make_batch(rows, np.array(part), share_prompts=True)
            dropout.begin(step, batch)
            losses = scorer.token_losses(batch)
            total = total + gradient(model, batch.sums(losses).square().sum())
        return total

    whole = found([[0, 1, 2, 3]])
    for parts in ([[3, 0, 2, 1]], [[2], [0], [3], [1]], [[1, 3], [2, 0]]):
        assert far(found(parts), whole) < 1e-4
    assert far(found([[0, 1, 2, 3]], step=6), whole) > 0.1


def test_the_routing_of_a_shared_prompt_counts_for_each_of_its_sequences():
    with quiet_transformers():
        scorer = Scorer(build("qwen3_moe").requires_grad_(True), width=2)
    assert scorer.shares_prompts
    scorer.keeps_routing = True
    rows = rows_of()
    with torch.no_grad():
        whole = scorer.route(make_batch(rows, EVERY))
        shared = scorer.route(make_batch(rows, EVERY, share_prompts=True))
    assert len(whole) == len(shared) > 0
    for one, other in zip(shared, whole, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
