"""torch's flash attention behind its conditions, with a stand-in that refuses what the CUDA kernel refuses."""

import itertools
from functools import wraps
from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention import varlen

from burnish.models.load import quiet_transformers
from burnish.train.batches import TokenisedRows, make_batch
from burnish.train.kernels import attention
from burnish.train.kernels import flash as flash_module
from burnish.train.kernels.attention import UnsupportedAttentionError, attend
from burnish.train.kernels.flash import Flash, flash_on
from families import BUILDABLE, WINDOW, build, thinned, token_ids
from flash_stand_in import FlashStandIn, OlderFlashStandIn, signature_of, use_flash

BOUNDS = (0, 1, 20, 53, 70)
SERVED = {
    "one key for each head": (4, 4, 16, None),
    "grouped keys": (8, 2, 16, None),
    "one key for all heads": (6, 1, 24, None),
    "the smallest head": (2, 2, 8, None),
    "the largest head": (2, 1, 256, None),
    "a head that is no power of two": (2, 1, 80, None),
    "a window": (4, 2, 16, 7),
    "a window of one token": (4, 2, 16, 1),
    "a window as long as the longest sequence": (4, 2, 16, 33),
    "a window shorter by one": (4, 2, 16, 32),
    "a window longer than all": (4, 4, 16, 99),
}
# heads, keys, head size, size of values, dtype, capability, other arguments: the reason
REFUSED = {
    "it needs compute capability 8.0, and this GPU has 7.5": (4, 2, 16, 16, torch.float16, (7, 5), {}),
    "it supports float16 or bfloat16, not float32": (4, 2, 16, 16, torch.float32, (9, 0), {}),
    "values of size 8 differ from keys of size 16": (4, 2, 16, 8, torch.bfloat16, (9, 0), {}),
    "a head size of 20 is not a multiple of 8 up to 256": (4, 2, 20, 20, torch.bfloat16, (9, 0), {}),
    "a head size of 264 is not a multiple of 8 up to 256": (1, 1, 264, 264, torch.bfloat16, (9, 0), {}),
    "it has no gradient for a head size of 224 on compute capability 8.9": (1, 1, 224, 224, torch.bfloat16, (8, 9), {}),
    "it has no gradient for a head size of 200 on compute capability 12.0": (
        1,
        1,
        200,
        200,
        torch.float16,
        (12, 0),
        {},
    ),
    "it has no soft cap of the scores": (4, 2, 16, 16, torch.bfloat16, (9, 0), {"softcap": 5.0}),
}

MUST_BE_SERVED = {"llama", "qwen2", "qwen3", "qwen3_moe", "mistral", "mixtral", "gemma3_text", "phi3", "gpt2", "olmo2"}
MUST_BE_SERVED |= {"llama4_text", "glm4", "granite", "cohere2", "smollm3", "starcoder2"}


def states(heads, keys, size, of_values=None, dtype=torch.bfloat16, total=BOUNDS[-1]):
    random = torch.Generator().manual_seed(heads * size)
    shapes = [(heads, size), (keys, size), (keys, of_values or size)]
    return [torch.randn(1, count, total, width, generator=random).to(dtype).requires_grad_() for count, width in shapes]


def far(one, other):
    """How far two tensors are apart, as a share of the second, where that is not zero."""
    return float((one.double() - other.double()).norm() / other.double().norm().clamp(min=1.0))


def sees(window):
    """In place of a Sight: the window is known."""
    return None if window is None else SimpleNamespace(kind=lambda bounds: ("window", window))


def run(parts, window=None, *, kernel=True, bounds=BOUNDS, **others):
    """Output and gradients of attention, by the kernel or one sequence after the other."""
    ends = torch.tensor(bounds, dtype=torch.int32) if kernel else None
    module = torch.nn.Module()
    out = attend(module, *parts, sees(window), sequence_bounds=bounds, cu_seq_lens_q=ends, **others)[0]
    outer = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, parts, outer)]


def by_definition(parts, window):
    """Attention of each sequence in float64, with a mask written out."""
    query, key, value = (part.detach().double().requires_grad_() for part in parts)
    groups, found = query.shape[1] // key.shape[1], []
    for start, end in itertools.pairwise(BOUNDS):
        q, k, v = query[:, :, start:end], key[:, :, start:end], value[:, :, start:end]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = q @ k.mT / query.shape[-1] ** 0.5
        for i, j in itertools.product(range(end - start), repeat=2):
            if j > i or (window is not None and j <= i - window):
                scores[..., i, j] = float("-inf")
        found.append((scores.softmax(-1) @ v).transpose(1, 2))
    out = torch.cat(found, 1)
    outer = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(parts[0].dtype)
    return [out.detach(), *torch.autograd.grad(out, [query, key, value], outer.double())]


def test_the_stand_in_has_the_signature_of_the_installed_torch():
    assert signature_of(FlashStandIn().__call__) == signature_of(varlen.varlen_attn)


@pytest.mark.some
@pytest.mark.parametrize("older", [False, True], ids=["enable_gqa", "without enable_gqa"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", SERVED)
def test_a_packed_call_gives_the_attention_and_gradients_of_each_sequence_alone(monkeypatch, case, dtype, older):
    heads, keys, size, window = SERVED[case]
    stand_in = use_flash(monkeypatch, (OlderFlashStandIn if older else FlashStandIn)())
    parts = states(heads, keys, size, dtype=dtype)
    ours = run(parts, window)
    assert attention.flash_on(None).refusals == set()
    served = stand_in.calls
    assert served > 2  # two of them are the test of the kernel itself
    for one, other in zip(ours, by_definition(parts, window), strict=True):
        assert far(one, other) < (1e-2 if dtype == torch.bfloat16 else 1e-3)
    for one, other in zip(ours, run(parts, window, kernel=False), strict=True):
        assert far(one, other) < 1e-2
    assert stand_in.calls == served


@pytest.mark.parametrize("why", REFUSED)
def test_a_call_that_the_kernel_refuses_is_served_otherwise_and_the_reason_is_kept(monkeypatch, why):
    heads, keys, size, of_values, dtype, capability, others = REFUSED[why]
    stand_in = use_flash(monkeypatch, FlashStandIn(capability))
    parts = states(heads, keys, size, of_values, dtype)
    ours = run(parts, **others)
    assert attention.flash_on(None).refusals == {why}
    assert stand_in.calls == 0
    for one, other in zip(ours, run(parts, kernel=False, **others), strict=True):
        assert torch.equal(one, other)
    if "softcap" not in others:  # for which the kernel has no argument at all
        flat = [part[0].transpose(0, 1) for part in parts]
        ends = torch.tensor(BOUNDS, dtype=torch.int32)
        with pytest.raises((RuntimeError, ValueError)):  # the kernel itself would have refused
            stand_in(*flat, ends, ends, 33, 33, window_size=(-1, 0), enable_gqa=heads > keys).sum().backward()


def test_dropout_is_not_left_out(monkeypatch):
    stand_in = use_flash(monkeypatch)
    parts = states(4, 2, 16)
    dropped = run(parts, dropout=0.5)[0]
    assert stand_in.calls == 0
    assert (dropped - run(parts)[0]).abs().max() > 0.1
    assert attention.flash_on(None).refusals == {"it has no dropout"}


def test_more_sequences_than_a_grid_has_places_are_not_given_to_the_kernel(monkeypatch):
    use_flash(monkeypatch)
    assert "65535 sequences" in attention.flash_on(None).refusal(*states(1, 1, 8), sequences=65536)


def test_a_scale_is_handed_on(monkeypatch):
    use_flash(monkeypatch)
    parts = states(4, 2, 16)
    for one, other in zip(run(parts, scaling=0.7), run(parts, kernel=False, scaling=0.7), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


def test_slices_that_the_kernel_could_not_load_are_copied(monkeypatch):
    """As of a fused projection whose parts do not lie at multiples of 16 bytes."""
    use_flash(monkeypatch)
    fused = torch.randn(1, 70, 4, 8 + 16 + 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    parts = [fused[..., start : start + 8].transpose(1, 2).requires_grad_() for start in (0, 8, 20)]
    for one, other in zip(run(parts), run(parts, kernel=False), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)
    assert attention.flash_on(None).refusals == set()


@wraps(FlashStandIn.__call__)
def refuses(self, *args, **options):
    raise RuntimeError("CUDA error: no kernel image is available\nCompile with TORCH_USE_CUDA_DSA")


@wraps(FlashStandIn.__call__)
def wider(self, *args, window_size=(-1, -1), **options):
    left, right = window_size
    return FlashStandIn.__call__(self, *args, window_size=(left + 1 if left >= 0 else left, right), **options)


@wraps(FlashStandIn.__call__)
def sees_ahead(self, *args, window_size=(-1, -1), **options):
    return FlashStandIn.__call__(self, *args, window_size=(window_size[0], -1), **options)


@wraps(FlashStandIn.__call__)
def without_gradient(self, query, key, *args, **options):
    return FlashStandIn.__call__(self, query, key.detach(), *args, **options)


WRONG = {
    "it raises: CUDA error: no kernel image is available": refuses,
    "its output is off by": sees_ahead,
    "with a window": wider,
    "appears to not have been used in the graph": without_gradient,
}


@pytest.mark.parametrize("why", WRONG)
def test_a_kernel_that_fails_or_is_wrong_is_found_before_it_is_used(monkeypatch, why):
    kind = type("Wrong", (FlashStandIn,), {"__call__": WRONG[why]})
    use_flash(monkeypatch, kind())
    parts = states(4, 2, 16)
    for one, other in zip(run(parts, 7), run(parts, 7, kernel=False), strict=True):
        assert torch.equal(one, other)
    [found] = attention.flash_on(None).refusals
    assert why in found


def test_memory_that_runs_out_in_the_test_of_the_kernel_is_no_answer(monkeypatch):
    class RunsOut(FlashStandIn):
        @wraps(FlashStandIn.__call__)
        def __call__(self, *args, **options):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    use_flash(monkeypatch, RunsOut())
    with pytest.raises(RuntimeError, match="out of memory"):
        run(states(2, 2, 8))


def test_the_test_of_the_kernel_draws_no_random_number(monkeypatch):
    use_flash(monkeypatch)
    parts, before = states(4, 2, 16), torch.get_rng_state()
    run(parts)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_torch_without_the_kernel_is_no_error():
    assert flash_on(torch.device("cpu")) is None
    assert "no torch.nn.attention.varlen" in Flash(None, (9, 0)).refusal(*states(2, 2, 8))
    before_windows = Flash(lambda query, key, value, is_causal=False: query, (9, 0))
    assert "has no scale and no window_size" in before_windows.refusal(*states(2, 2, 8))


@pytest.mark.some(every=2)
@pytest.mark.parametrize("family", [*sorted(MUST_BE_SERVED), *thinned(set(BUILDABLE) - MUST_BE_SERVED, first=0)])
def test_every_family_that_packs_gives_the_same_states_and_gradients_through_the_kernel(monkeypatch, family):
    """In bfloat16, both ways compute attention in float32 here: what differs is which token sees which."""
    stand_in = use_flash(monkeypatch)
    lengths = (5, 2 * WINDOW + 9, WINDOW + 1, 3)
    ids = [token_ids(1, length, seed=length)[0].numpy() for length in lengths]
    rows = TokenisedRows.of((str(number), row, row * 0 + 1) for number, row in enumerate(ids))
    batch = make_batch(rows, torch.arange(len(rows)).numpy())
    with quiet_transformers():
        model = build(family).bfloat16().requires_grad_(True)

        def found(**more):
            inputs = {"position_ids": batch.position_ids, "sequence_bounds": batch.bounds, **more}
            logits = model(input_ids=batch.input_ids, use_cache=False, **inputs).logits[0].float()
            loss = torch.nn.functional.cross_entropy(logits, batch.input_ids[0])
            gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
            return [logits.detach(), torch.cat([part.flatten().float() for part in gradients if part is not None])]

        try:
            with torch.no_grad():
                alone = torch.cat([model(input_ids=torch.as_tensor(row)[None]).logits[0] for row in ids])
            model.set_attn_implementation(attention.register())
            plain = found()
            packs = far(plain[0], alone) < 0.05
        except Exception:  # this family does not pack; any of them may say so in any way
            packs = False
        assert packs or family not in MUST_BE_SERVED
        if not packs:
            return
        assert stand_in.calls == 0
        packed = found(cu_seq_lens_q=batch.cu_seqlens)
    assert stand_in.calls or family not in MUST_BE_SERVED  # others may have values of another size, or own attention
    for one, other in zip(packed, plain, strict=True):
        assert far(one, other) < 0.02


def test_the_tolerance_of_the_kernels_test_is_far_from_what_a_wrong_window_changes():
    for dtype, tolerance in flash_module._TOLERANCE.items():
        parts = states(4, 2, 16, dtype=dtype, total=flash_module._TEST_BOUNDS[-1])
        exact = flash_module._plain(*(part.float() for part in parts), flash_module._TEST_WINDOW)
        wide = flash_module._plain(*(part.float() for part in parts), flash_module._TEST_WINDOW + 1)
        assert (wide - exact).norm() / exact.norm() > 4 * tolerance
        with pytest.raises(UnsupportedAttentionError):
            attend(torch.nn.Module(), *parts, None)
