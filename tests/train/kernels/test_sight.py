"""What tokens see, token by token: every mask that differs in one place is refused; attention by its definition."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from burnish.train.kernels import attention, flash
from burnish.train.kernels.attention import Sight, UnsupportedAttentionError, _softcapped, _window, attend
from flash_stand_in import FlashStandIn, use_flash

BOUNDS = (0, 9, 10, 14, 25)
SIZE = 4
PARTS = list(itertools.pairwise(BOUNDS))


def first_seen(kind, start, token):
    return {
        "causal": start,
        "window": max(start, token - SIZE + 1),
        "chunk": start + (token - start) // SIZE * SIZE,
    }[kind]


def matrix(kind):
    """True where a token [T] sees another [T], in its own sequence only."""
    sees = torch.zeros(BOUNDS[-1], BOUNDS[-1], dtype=torch.bool)
    for start, end in PARTS:
        for token in range(start, end):
            sees[token, first_seen(kind, start, token) : token + 1] = True
    return sees


def sight(sees, size=None, **others) -> Sight:
    def function(batch, head, query, key):
        assert not batch.any()
        assert not head.any()
        return sees[query, key]

    shape = {"batch_size": 1, "q_length": BOUNDS[-1], "kv_length": BOUNDS[-1], "q_offset": 0, "kv_offset": 0}
    return Sight(**shape, mask_function=function, local_size=size, **others)


def size_of(kind):
    return None if kind == "causal" else SIZE


KINDS = ["causal", "window", "chunk"]


@pytest.fixture(autouse=True)
def no_sizes():
    Sight.sizes.clear()
    yield
    Sight.sizes.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_is_known_by_what_each_token_sees(kind):
    made = sight(matrix(kind), size_of(kind))
    expected = (kind, 0 if kind == "causal" else SIZE)
    assert made.kind(BOUNDS) == made.kind(BOUNDS) == expected
    assert Sight.sizes == (set() if kind == "causal" else {SIZE})


@pytest.mark.parametrize("kind", KINDS)
def test_one_token_that_sees_one_too_many_or_too_few_is_found(kind):
    for start, end in PARTS:
        for token in range(start, end):
            first = first_seen(kind, start, token)
            places = {first, (first + token) // 2, token}
            places |= {first - 1} if first > start else set()
            places |= {token + 1} if token + 1 < end else set()
            for place in places:
                sees = matrix(kind)
                sees[token, place] = not sees[token, place]
                with pytest.raises(UnsupportedAttentionError, match="something other than a window"):
                    sight(sees, size_of(kind)).kind(BOUNDS)
    assert Sight.sizes == set()


@pytest.mark.parametrize("kind", KINDS)
def test_what_tokens_see_of_other_sequences_does_not_matter(kind):
    sees = matrix(kind)
    for start, end in PARTS:
        sees[start:end, :start] = sees[start:end, end:] = True
    assert sight(sees, size_of(kind)).kind(BOUNDS)[0] == kind


def test_a_mask_may_have_a_size_that_it_does_not_use():
    assert sight(matrix("causal"), SIZE).kind(BOUNDS) == ("causal", SIZE)
    assert Sight.sizes == set()
    assert sight(matrix("causal"), 11).kind(BOUNDS) == ("window", 11)
    assert Sight.sizes == {11}


def test_chunks_are_sequences_by_themselves():
    made = sight(matrix("chunk"), SIZE)
    cut, tensor = made.chunks(BOUNDS)
    assert cut == (0, 4, 8, 9, 10, 14, 18, 22, 25)
    assert tensor.tolist() == list(cut)
    assert tensor.dtype == torch.int32
    assert made.chunks(BOUNDS)[1] is tensor
    assert sight(matrix("chunk"), SIZE, device="meta").chunks(BOUNDS)[1].device.type == "meta"


def test_mask_functions_are_collected_where_somebody_asks_for_them():
    assert Sight.functions is None
    try:
        Sight.functions = found = set()
        function = sight(matrix("causal"))._function
    finally:
        Sight.functions = None
    assert found == {function}
    sight(matrix("window"))
    assert found == {function}


class Made(TorchFunctionMode):
    """The devices of the tensors that are made."""

    def __init__(self):
        super().__init__()
        self.devices = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.tensor, torch.arange):
            self.devices.append((kwargs or {}).get("device"))
        return function(*args, **(kwargs or {}))


def test_a_mask_is_evaluated_on_its_own_device():
    device = torch.device("cpu")
    made = sight(matrix("chunk"), SIZE, device=device)
    with Made() as seen:
        made.kind(BOUNDS)
    assert len(seen.devices) >= 4
    assert set(seen.devices) == {device}


def states(heads=4, keys=2, size=8, dtype=torch.float32):
    random = torch.Generator().manual_seed(0)
    total = BOUNDS[-1]
    return [torch.randn(1, n, total, size, generator=random).to(dtype).requires_grad_() for n in (heads, keys, keys)]


def by_definition(parts, sees, scaling=None, softcap=None):
    query, key, value = (part.detach().double().requires_grad_() for part in parts)
    groups = query.shape[1] // key.shape[1]
    k, v = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ k.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    out = (scores.masked_fill(~sees, float("-inf")).softmax(-1) @ v).transpose(1, 2)
    outer = torch.linspace(-1, 1, out.numel(), dtype=torch.double).view_as(out)
    return out.detach(), torch.autograd.grad((out * outer).sum(), [query, key, value])


@pytest.mark.parametrize("heads", [(4, 2), (4, 1), (3, 3)])
@pytest.mark.parametrize("softcap", [None, 0.7])
@pytest.mark.parametrize("scaling", [None, 0.6])
@pytest.mark.parametrize("kind", KINDS)
def test_attention_and_gradients_are_those_of_the_definition(kind, scaling, softcap, heads):
    parts = states(*heads)
    out, weights = attend(
        torch.nn.Module(), *parts, sight(matrix(kind), size_of(kind)), sequence_bounds=BOUNDS, scaling=scaling,
        softcap=softcap,
    )  # fmt: skip
    expected, gradients = by_definition(parts, matrix(kind), scaling, softcap)
    assert weights is None
    assert out.is_contiguous()
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)
    outer = torch.linspace(-1, 1, out.numel(), dtype=torch.double).view_as(out)
    for ours, theirs in zip(torch.autograd.grad((out * outer).sum(), parts), gradients, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("softcap", [None, 0.7])
def test_on_a_cpu_attention_in_bfloat16_is_that_of_float32_rounded_once(softcap):
    parts = states(dtype=torch.bfloat16)
    found = attend(torch.nn.Module(), *parts, None, sequence_bounds=BOUNDS, softcap=softcap)[0]
    exact = attend(torch.nn.Module(), *(p.float() for p in parts), None, sequence_bounds=BOUNDS, softcap=softcap)[0]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())


def test_adjacent_sequences_of_one_length_share_a_call(monkeypatch):
    calls, sdpa = [], attention.scaled_dot_product_attention

    def counted(query, *others, **named):
        calls.append(tuple(query.shape))
        return sdpa(query, *others, **named)

    monkeypatch.setattr(attention, "scaled_dot_product_attention", counted)
    attend(torch.nn.Module(), *states(), None, sequence_bounds=(0, 3, 6, 9, 14, 17, 25))
    assert calls == [(3, 4, 3, 8), (1, 4, 5, 8), (1, 4, 3, 8), (1, 4, 8, 8)]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("softcap", [None, 50.0])
def test_shares_are_dropped_only_where_it_is_requested(dropout, softcap):
    parts = states()
    torch.manual_seed(0)
    given = {"dropout": dropout} if dropout else {}
    found = attend(torch.nn.Module(), *parts, None, sequence_bounds=BOUNDS, softcap=softcap, **given)[0]
    expected = by_definition(parts, matrix("causal"), softcap=softcap)[0]
    is_same = (found.double() - expected).abs().max() < 1e-3
    assert bool(is_same) is (dropout == 0.0)


class Other(torch.nn.Module):
    def __init__(self, is_causal):
        super().__init__()
        self.is_causal = is_causal


CAUSAL = sight(matrix("causal"))
REFUSED = {
    "the model does not pass the bounds": (torch.nn.Module(), CAUSAL, {"sequence_bounds": None}),
    "Module needs its own mask, bias or sinks": (torch.nn.Module(), torch.ones(1), {}),
    "needs its own mask, bias or sinks": (torch.nn.Module(), CAUSAL, {"s_aux": torch.ones(4)}),
    "own mask, bias or sinks": (torch.nn.Module(), CAUSAL, {"position_bias": torch.ones(4)}),
    "Module is not causal": (torch.nn.Module(), CAUSAL, {"is_causal": False}),
    "Other is not causal": (Other(False), CAUSAL, {}),
    "is not causal": (Other(True), CAUSAL, {"is_causal": False}),
    "Module has a window, but its model builds no mask": (torch.nn.Module(), None, {"sliding_window": 3}),
}
TAKEN = [
    (torch.nn.Module(), CAUSAL, {"s_aux": None, "position_bias": None}),
    (torch.nn.Module(), CAUSAL, {"is_causal": True}),
    (torch.nn.Module(), CAUSAL, {"is_causal": None}),
    (Other(True), CAUSAL, {}),
    (Other(None), None, {}),
    (torch.nn.Module(), CAUSAL, {"sliding_window": 3}),
    (torch.nn.Module(), None, {"unknown": 3}),
]


@pytest.mark.parametrize("why", REFUSED)
def test_a_layer_that_needs_something_else_is_refused(why):
    module, mask, others = REFUSED[why]
    with pytest.raises(UnsupportedAttentionError, match=why):
        attend(module, *states(), mask, **({"sequence_bounds": BOUNDS} | others))


@pytest.mark.parametrize("case", range(len(TAKEN)))
def test_a_layer_that_needs_nothing_else_is_computed(case):
    module, mask, others = TAKEN[case]
    parts = states()
    found = attend(module, *parts, mask, sequence_bounds=BOUNDS, **others)[0]
    torch.testing.assert_close(found.double(), by_definition(parts, matrix("causal"))[0], rtol=1e-5, atol=1e-5)


class Recorded(FlashStandIn):
    def __call__(
        self, query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None,
        window_size=(-1, -1), enable_gqa=False, seqused_k=None, block_table=None, num_splits=None,
    ):  # fmt: skip
        self.asked = (cu_seq_q.tolist(), cu_seq_k.tolist(), max_q, max_k, window_size, scale, enable_gqa)
        return super().__call__(
            query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size,
            enable_gqa=enable_gqa,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "bounds", "longest", "window"),
    [
        ("causal", BOUNDS, 11, (-1, 0)),
        ("window", BOUNDS, 11, (3, 0)),
        ("chunk", (0, 4, 8, 9, 10, 14, 18, 22, 25), 4, (-1, 0)),
    ],
)
@pytest.mark.parametrize("keys", [2, 4])
def test_the_kernel_is_given_the_sequences_or_chunks_and_the_longest(monkeypatch, kind, bounds, longest, window, keys):
    stand_in = use_flash(monkeypatch, Recorded())
    parts, ends = states(keys=keys, dtype=torch.bfloat16), torch.tensor(BOUNDS, dtype=torch.int32)
    given = {"sequence_bounds": BOUNDS, "scaling": 0.6}
    mask = sight(matrix(kind), size_of(kind))
    found = attend(torch.nn.Module(), *parts, mask, cu_seq_lens_q=ends, **given)[0]
    assert stand_in.asked == (list(bounds), list(bounds), longest, longest, window, 0.6, keys == 2)
    calls = stand_in.calls
    plain = attend(torch.nn.Module(), *parts, mask, **given)[0]
    assert stand_in.calls == calls  # without the bounds on the device, one sequence after the other
    assert (found.float() - plain.float()).norm() < 0.01 * plain.float().norm()


@pytest.mark.parametrize(("most", "is_served"), [(3, False), (4, True), (5, True)])
def test_the_kernel_is_asked_for_the_number_of_sequences(monkeypatch, most, is_served):
    stand_in = use_flash(monkeypatch)
    monkeypatch.setattr(flash, "_MOST_SEQUENCES", most)
    ends = torch.tensor(BOUNDS, dtype=torch.int32)
    attend(torch.nn.Module(), *states(dtype=torch.bfloat16), None, sequence_bounds=BOUNDS, cu_seq_lens_q=ends)
    assert bool(stand_in.calls) is is_served


def test_a_window_is_the_last_tokens_up_to_a_token_itself():
    for length, window in itertools.product(range(1, 6), range(1, 7)):
        expected = [[row - window < column <= row for column in range(length)] for row in range(length)]
        assert _window(length, window, torch.device("cpu")).tolist() == expected
    assert _window(3, 2, torch.device("meta")).device.type == "meta"


def test_a_soft_cap_without_a_mask_is_causal():
    query, key, value = (part.detach() for part in states(2, 2))
    found = _softcapped(query, key, value, None, 0.5, None, 0.0)
    with_mask = _softcapped(query, key, value, _window(25, 25, query.device), 0.5, 8**-0.5, 0.0)
    torch.testing.assert_close(found, with_mask)
    narrow = _softcapped(query, key, value, _window(25, 1, query.device), 0.5, None, 0.0)
    torch.testing.assert_close(narrow, value)


def test_attention_is_registered_under_both_names_and_its_mask_under_one():
    interface, masks = AttentionInterface._global_mapping, AttentionMaskInterface._global_mapping
    for name in (attention.NAME, attention.WITHOUT_MASKS):
        interface.pop(name, None)
        masks.pop(name, None)
    assert attention.register() == "burnish_varlen"
    assert interface["burnish_varlen"] is interface["burnish_varlen_causal"] is attend
    assert masks["burnish_varlen"] is Sight
    assert "burnish_varlen_causal" not in masks


@pytest.mark.parametrize("given", [{"sliding_window": 5}, {}])
def test_the_kind_that_a_mask_reports_decides(given):
    window = SimpleNamespace(kind=lambda bounds: ("window", SIZE))
    parts = states()
    found = attend(torch.nn.Module(), *parts, window, sequence_bounds=BOUNDS, **given)[0]
    torch.testing.assert_close(found.double(), by_definition(parts, matrix("window"))[0], rtol=1e-5, atol=1e-5)
