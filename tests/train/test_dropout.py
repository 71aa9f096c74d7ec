"""A mask of dropout belongs to its token: however the batch is made up, and whatever was drawn before."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from burnish.testing import tiny_model
from burnish.train import dropout as dropout_module
from burnish.train.batches import make_batch
from burnish.train.dropout import TokenDropout, _hash, _word, generator_states
from burnish.train.passes import Passes

LORA = {"kind": "lora", "rank": 4, "dropout": 0.3}


def masks(random_rows, rows, *, seed=0, step=0, p=0.3, width=64, places=2):
    """For each row its masks [places, T, width], 1 where a number stays."""
    model = nn.Sequential(*(nn.Dropout(p) for _ in range(places)))
    dropout = TokenDropout(model, seed)
    data = random_rows(30)
    batch = make_batch(data, np.array(rows))
    dropout.begin(step, batch)
    states = torch.ones(1, batch.tokens, width)
    kept = torch.stack([module(states)[0] for module in model]) * (1 - p)
    found = dict(zip(rows, kept.split(data.lengths[rows].tolist(), 1), strict=True))
    dropout.remove()
    return found


def test_a_token_has_its_mask_in_every_batch(random_rows):
    alone, together = masks(random_rows, [4]), masks(random_rows, [9, 4, 2])
    assert torch.equal(alone[4], together[4])


def test_seed_step_row_position_layer_and_feature_each_change_the_mask(random_rows):
    mask = masks(random_rows, [4])[4]
    others = [masks(random_rows, [4], seed=1)[4], masks(random_rows, [4], step=1)[4]]
    shortest = min(mask.shape[1], (row := masks(random_rows, [5])[5]).shape[1])
    pairs = [(mask, other) for other in others]
    pairs += [(mask[:, :shortest], row[:, :shortest]), (mask[:, 1:], mask[:, :-1]), (mask[0], mask[1])]
    pairs += [(mask[..., 1:], mask[..., :-1])]
    for one, other in pairs:
        agree = float((one == other).float().mean())
        assert agree == pytest.approx(0.3**2 + 0.7**2, abs=0.08)


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_is_that_which_was_asked_for(random_rows, p):
    found = torch.cat([mask.flatten() for mask in masks(random_rows, list(range(30)), p=p, width=256).values()])
    spread = math.sqrt(p * (1 - p) / len(found))
    assert float((found == 0).float().mean()) == pytest.approx(p, abs=5 * spread)
    assert found[found > 0].unique().tolist() == pytest.approx([1.0])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_with_dropout_too_the_gradient_does_not_depend_on_how_a_step_is_split(run_fit, checkpointing):
    settings = {"method": LORA, "max_steps": 3, "gradient_checkpointing": checkpointing}
    whole = run_fit("whole", micro_batch_tokens=10_000, **settings)
    split = run_fit("split", micro_batch_tokens=30, **settings)
    assert split.metrics("grad_norm") == pytest.approx(whole.metrics("grad_norm"), rel=1e-4)
    assert split.metrics("loss") == pytest.approx(whole.metrics("loss"), rel=1e-5)
    other = run_fit("other", micro_batch_tokens=10_000, **(settings | {"method": LORA | {"dropout": 0.0}}))
    assert other.metrics("loss")[1:] != pytest.approx(whole.metrics("loss")[1:], rel=1e-4)


def out_of_memory_once(monkeypatch):
    accumulate, failures = Passes._accumulate, []

    def fails_once(self, *asked):
        if self.state.step == 1 and not failures:
            failures.append(1)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return accumulate(self, *asked)

    monkeypatch.setattr(Passes, "_accumulate", fails_once)


def test_a_repeated_step_with_dropout_has_the_gradient_that_its_note_promises(run_fit, monkeypatch):
    settings = {"method": LORA, "max_steps": 3, "micro_batch_tokens": 10_000}
    plain = run_fit("plain", **settings)
    out_of_memory_once(monkeypatch)
    repeated = run_fit("repeated", **settings)
    assert repeated.metrics("grad_norm") == pytest.approx(plain.metrics("grad_norm"), rel=1e-4)
    assert "step 2 was repeated in smaller parts, with the same gradient up to rounding" in repeated.notes("info")


def test_a_model_that_draws_dropout_of_its_own_is_told_so_when_a_step_is_repeated(run_fit, monkeypatch, tmp_path):
    base = tiny_model(tmp_path / "gpt2", "gpt2", attn_pdrop=0.3, resid_pdrop=0.0, embd_pdrop=0.0)
    out_of_memory_once(monkeypatch)
    ran = run_fit("ran", base=base, method={"kind": "full"}, max_steps=3, micro_batch_tokens=10_000)
    assert any("the model draws its own dropout" in note for note in ran.notes("warning"))
    assert not any("same gradient" in note for note in ran.notes("info"))


def test_modules_get_their_own_forward_back():
    model = nn.Sequential(nn.Dropout(0.5))
    TokenDropout(model, 0).remove()
    assert "forward" not in vars(model[0])


def finalised(word: int) -> int:
    """The finaliser of MurmurHash3 in plain integers."""
    word ^= word >> 16
    word = word * 0x85EBCA6B & 0xFFFFFFFF
    word ^= word >> 13
    word = word * 0xC2B2AE35 & 0xFFFFFFFF
    return word ^ word >> 16


def test_the_hash_is_that_of_plain_integers():
    words = [0, 1, 2, 255, 65_536, 0x7FFFFFFF, 0x80000000, 0xDEADBEEF, 0xFFFFFFFF]
    found = _hash(torch.tensor([_word(word) for word in words], dtype=torch.int32))
    assert [int(value) & 0xFFFFFFFF for value in found] == [finalised(word) for word in words]


def test_a_number_of_more_than_32_bits_is_folded():
    assert _word(5 << 32 | 3) == 6
    assert _word(1 << 31) == -(1 << 31)
    assert _word((1 << 31) - 1) == (1 << 31) - 1
    assert _word(1 << 64 | 1 << 32 | 1) == 1


def test_a_mask_is_that_of_plain_integers(random_rows):
    """Seed, step, row, position, place and feature enter as they do in every version: a resumed run draws the same."""
    p, width, seed, step, row = 0.3, 8, 11, 5, 4
    found = masks(random_rows, [row], seed=seed, step=step, p=p, width=width, places=2)[row]
    of_row = finalised(finalised(row ^ seed) ^ step)
    for place in range(2):
        golden = (place + 1) * 0x9E3779B9
        columns = [finalised(feature ^ golden % 2**32 ^ golden >> 32) for feature in range(width)]
        for position in range(found.shape[1]):
            key = finalised(of_row ^ finalised(position))
            signed = [(finalised(key ^ column) ^ 0x80000000) / 2**32 for column in columns]
            assert [bool(kept) for kept in found[place, position]] == [value >= p for value in signed]


def test_after_a_run_the_model_has_its_own_dropout_attention_and_mode(run_fit):
    kept = []
    run_fit("run", method=LORA, max_steps=1, prepare=kept.append)
    [model] = kept
    modules = [module for module in model.modules() if type(module) is nn.Dropout]
    assert modules
    assert not any("forward" in vars(module) for module in modules)
    assert model.get_base_model().config._attn_implementation == "sdpa"
    assert not any(module.training for module in model.modules())


def begun(random_rows, model, rows=(4, 7), seed=3, step=2):
    """A model whose next batch has begun, with that batch."""
    dropout, batch = TokenDropout(model, seed), make_batch(random_rows(30), np.array(rows))
    dropout.begin(step, batch)
    return dropout, batch


def keys_of(batch, seed=3, step=2):
    """The key of each token, in plain integers."""
    rows = np.repeat(batch.rows, np.diff(batch.bounds)).tolist()
    places = batch.position_ids[0].tolist()
    return [finalised(finalised(finalised(row ^ seed) ^ step) ^ finalised(at)) for row, at in zip(rows, places)]  # noqa: B905


@pytest.mark.parametrize("outer", [(), (1,), (3,), (2, 3)])
def test_features_are_counted_over_all_dimensions_but_that_of_the_tokens(random_rows, outer):
    model, p, width = nn.Sequential(nn.Dropout(0.4)), 0.4, 5
    _, batch = begun(random_rows, model)
    found = model(torch.full((*outer, batch.tokens, width), 3.0))
    assert found.shape == (*outer, batch.tokens, width)
    columns = [finalised(feature ^ 0x9E3779B9) for feature in range(math.prod(outer) * width)]
    expected = [[(finalised(key ^ c) ^ 0x80000000) / 2**32 >= p for c in columns] for key in keys_of(batch)]
    kept = torch.tensor(expected).view(batch.tokens, *outer, width).movedim(0, -2)
    torch.testing.assert_close(found, torch.where(kept, 5.0, 0.0))


def test_an_element_whose_hash_is_the_share_itself_is_kept(random_rows):
    model = nn.Sequential(nn.Dropout(0.5))
    _, batch = begun(random_rows, model)
    states = torch.ones(batch.tokens, 1)
    value = (finalised(keys_of(batch)[5] ^ finalised(0x9E3779B9)) ^ 0x80000000) / 2**32
    for p, kept in ((value, True), (value + 2**-32, False)):
        model[0].p = p
        assert bool(model(states)[5, 0] > 0) is kept


def test_wide_states_are_hashed_in_parts_that_change_nothing(random_rows, monkeypatch):
    model = nn.Sequential(nn.Dropout(0.5))
    _, batch = begun(random_rows, model)
    states = torch.ones(1, batch.tokens, 8)
    expected = model(states)
    for at_once in (1, 7, 8, 9, 24, 1000):
        monkeypatch.setattr(dropout_module, "_AT_ONCE", {"cpu": at_once})
        assert torch.equal(model(states), expected)


def test_states_are_left_alone_in_evaluation_and_where_nothing_is_to_drop(random_rows):
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0))
    _, batch = begun(random_rows, model)
    states = torch.ones(1, batch.tokens, 4)
    assert model[1](states) is states
    model.eval()
    assert model[0](states) is states


@pytest.mark.parametrize("case", ["no batch yet", "one number a token", "other rows", "tokens elsewhere"])
def test_states_without_one_vector_for_each_token_are_dropped_by_the_generator(random_rows, case):
    model = nn.Sequential(nn.Dropout(0.5))
    dropout, batch = begun(random_rows, model)
    shape = {"one number a token": (batch.tokens,), "other rows": (batch.tokens + 1, 9)}.get(case, (batch.tokens, 9))
    if case == "no batch yet":
        dropout.remove()
        TokenDropout(model, 3)
    if case == "tokens elsewhere":
        shape = (9, batch.tokens)
    states = torch.ones(shape)
    torch.manual_seed(5)
    expected = nn.functional.dropout(states, 0.5)
    torch.manual_seed(5)
    assert torch.equal(model(states), expected)


def test_only_plain_dropout_outside_of_experts_is_replaced():
    class Other(nn.Dropout):
        pass

    model = nn.ModuleDict({"drop": nn.Dropout(0.5), "other": Other(0.5), "layer": nn.Linear(2, 2)})
    model["experts"] = nn.ModuleList([nn.Dropout(0.5)])
    dropout = TokenDropout(model, 0)
    replaced = [path for path, module in model.named_modules() if "forward" in vars(module)]
    assert replaced == ["drop"]
    dropout.remove()
    assert "forward" not in vars(model["drop"])


def test_the_generators_of_a_device_are_that_of_the_cpu_and_its_own(monkeypatch):
    own = torch.arange(3)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: own + device.index)
    assert len(generator_states(torch.device("cpu"))) == 1
    first, second = generator_states(torch.device("cuda", 1))
    assert torch.equal(first, torch.get_rng_state())
    assert second.tolist() == [1, 2, 3]


@pytest.mark.parametrize("number", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x1FFFFFFFF, 0xDEADBEEF12345678, 3**70])
def test_a_word_is_the_exclusive_or_of_all_words_of_a_number(number):
    digits = f"{number:x}".zfill(120)
    expected = 0
    for start in range(0, 120, 8):
        expected ^= int(digits[start : start + 8], 16)
    assert _word(number) == int.from_bytes(expected.to_bytes(4, "big"), "big", signed=True)
