"""The limits of the flash kernel from both sides, and how it is called and tested; with the stand-in."""

import itertools
import sys

import pytest
import torch

from burnish.train.kernels import flash as module
from burnish.train.kernels.flash import Flash, _aligned, _plain, flash_on
from flash_stand_in import FlashStandIn

HALF = torch.bfloat16
CAPABILITIES = [(8, 0), (8, 5), (8, 6), (8, 7), (8, 9), (8, 10), (9, 0), (10, 0), (11, 0), (12, 0), (12, 1), (13, 0)]


def states(heads=2, keys=2, size=16, of_values=None, of_keys=None, dtypes=(HALF, HALF, HALF), learned=(0, 0, 0)):
    of_keys = of_keys or size
    shapes = [(1, heads, 5, size), (1, keys, 5, of_keys), (1, keys, 5, of_values or of_keys)]
    made = [torch.empty(shape, dtype=dtype, device="meta") for shape, dtype in zip(shapes, dtypes, strict=True)]
    return [part.requires_grad_(bool(needs)) for part, needs in zip(made, learned, strict=True)]


def refusal(capability=(9, 0), **others):
    options = {name: others.pop(name) for name in ("sequences", "dropout", "softcap") if name in others}
    return Flash(FlashStandIn(), capability).refusal(*states(**others), **options)


def test_an_ordinary_call_is_supported(monkeypatch):
    assert refusal() == refusal(capability=(8, 0)) == refusal(heads=6, keys=3) == ""
    monkeypatch.setattr(module, "_MOST_SEQUENCES", 1)
    assert refusal() == ""


REFUSED = [
    ({"capability": (7, 9)}, "it needs compute capability 8.0, and this GPU has 7.9"),
    ({"dtypes": [torch.float32] * 3}, "it supports float16 or bfloat16, not float32"),
    ({"dtypes": [torch.float16, HALF, HALF]}, "it supports float16 or bfloat16, not bfloat16 with float16"),
    ({"dtypes": [HALF, torch.float16, HALF]}, "it supports float16 or bfloat16, not bfloat16 with float16"),
    (
        {"dtypes": [torch.float32, torch.float16, HALF]},
        "it supports float16 or bfloat16, not bfloat16 with float16 with float32",
    ),
    ({"of_values": 8}, "values of size 8 differ from keys of size 16"),
    ({"of_keys": 24}, "a head size of 16 is not a multiple of 8 up to 256"),
    ({"size": 12}, "a head size of 12 is not a multiple of 8 up to 256"),
    ({"size": 264}, "a head size of 264 is not a multiple of 8 up to 256"),
    ({"heads": 5, "keys": 2}, "5 heads cannot share 2 keys"),
    ({"sequences": 65_536}, "it supports 65535 sequences at most"),
    ({"dropout": 0.5}, "it has no dropout"),
    ({"dropout": 1e-6}, "it has no dropout"),
    ({"softcap": 0.0}, "it has no soft cap of the scores"),
]
TAKEN = [{"size": 8}, {"size": 256}, {"dtypes": [torch.float16] * 3}, {"sequences": 65_535}, {"heads": 4, "keys": 1}]


@pytest.mark.parametrize(("given", "why"), REFUSED)
def test_a_call_beyond_a_limit_is_refused_with_its_reason(given, why):
    assert refusal(**given) == why


@pytest.mark.parametrize("given", TAKEN)
def test_a_call_at_a_limit_is_supported(given):
    assert refusal(**given) == ""


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("size", [192, 200, 224, 232])
def test_gradients_of_some_head_sizes_are_missing_on_gpus_with_little_shared_memory(capability, size):
    lacks = size in (200, 224) and capability in {(8, 6), (8, 7), (8, 9), (12, 0), (12, 1)}
    major, minor = capability
    why = f"it has no gradient for a head size of {size} on compute capability {major}.{minor}" if lacks else ""
    for learned in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):
        assert refusal(capability, size=size, learned=learned) == why
    assert refusal(capability, size=size) == ""
    with torch.no_grad():
        assert refusal(capability, size=size, learned=(1, 1, 1)) == ""


def test_a_kernel_is_tested_once_for_a_shape_and_reasons_are_collected():
    stand_in = FlashStandIn()
    flash = Flash(stand_in, (9, 0))

    def serves(heads, keys, size, dtype, **others):
        shapes = [(1, heads, 5, size), (1, keys, 5, size), (1, keys, 5, size)]
        options = {"sequences": 1, "dropout": 0.0, "softcap": None} | others
        return flash.serves(*(torch.zeros(shape, dtype=dtype) for shape in shapes), **options)

    for number, shape in enumerate([(2, 2, 8), (4, 2, 8), (4, 4, 8), (2, 2, 16)], start=1):
        for _ in range(2):
            assert serves(*shape, HALF)
            assert stand_in.calls == 2 * number  # causal and with a window
    assert serves(2, 2, 8, torch.float16)
    assert stand_in.calls == 10
    assert flash.refusals == set()
    assert not serves(2, 2, 8, HALF, dropout=0.1)
    assert not serves(2, 2, 12, HALF)
    assert flash.refusals == {"it has no dropout", "a head size of 12 is not a multiple of 8 up to 256"}


class Scaled(FlashStandIn):
    """Off by a share, in the output or in the gradient of one of query, key and value."""

    share, place = 0.0, "output"

    def __call__(
        self, query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None,
        window_size=(-1, -1), enable_gqa=False, seqused_k=None, block_table=None, num_splits=None,
    ):  # fmt: skip
        parts = {"query": query, "key": key, "value": value}
        if self.place in parts:
            part = parts[self.place]  # the same values, with a gradient that is too large
            parts[self.place] = part + self.share * (part - part.detach())
        out = super().__call__(
            *parts.values(), cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size,
            enable_gqa=enable_gqa,
        )  # fmt: skip
        return out * (1 + self.share) if self.place == "output" else out


@pytest.mark.parametrize("place", ["output", "query", "key", "value"])
@pytest.mark.parametrize(
    ("dtype", "share", "passes"),
    [
        (HALF, 0.04, True),
        (HALF, 0.06, False),
        (HALF, -0.06, False),
        (torch.float16, 0.008, True),
        (torch.float16, 0.012, False),
    ],
)
def test_the_test_of_the_kernel_allows_what_rounding_explains(monkeypatch, place, dtype, share, passes):
    monkeypatch.setattr(Scaled, "share", share)
    monkeypatch.setattr(Scaled, "place", place)
    found = Flash(Scaled(), (9, 0))._difference(4, 2, 16, dtype, torch.device("cpu"))
    if passes:
        assert found == ""
    else:
        of = "output" if place == "output" else f"gradient of the {place}"
        words = found.split()
        assert found.startswith(f"its {of} is off by ")
        assert float(words[-1]) == pytest.approx(abs(share), rel=0.25)


def test_the_test_of_the_kernel_runs_on_the_device_of_the_call():
    seen = []

    def kernel(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1)):
        seen.extend([query, key, value, cu_seq_q, cu_seq_k])
        raise RuntimeError("stop here")

    assert Flash(kernel, (9, 0))._difference(2, 2, 8, HALF, torch.device("meta")) == "it raises: stop here"
    assert {tensor.device.type for tensor in seen} == {"meta"}
    assert [tensor.dtype for tensor in seen] == [HALF] * 3 + [torch.int32] * 2
    parts = states()
    assert _plain(*(torch.empty(1, 2, 51, 16, device="meta") for _ in parts), 5).device.type == "meta"


def test_plain_attention_has_a_window_only_where_one_is_given():
    query, key, value = (torch.randn(1, 2, 51, 4, generator=torch.Generator().manual_seed(n)) for n in range(3))
    bounds = module._TEST_BOUNDS
    for window in (None, 1, 3, 60):
        sees = torch.zeros(51, 51, dtype=torch.bool)
        for start, end in itertools.pairwise(bounds):
            for token in range(start, end):
                sees[token, max(start, token + 1 - (window or 99)) : token + 1] = True
        scores = (query.double() @ key.double().mT / 2).masked_fill(~sees, float("-inf"))
        expected = (scores.softmax(-1) @ value.double()).transpose(1, 2)
        torch.testing.assert_close(_plain(query, key, value, window).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "is_copied"),
    [
        (lambda: torch.zeros(4, 2, 8), False),
        (lambda: torch.zeros(4, 2, 16)[..., :8], False),
        (lambda: torch.zeros(4, 2, 16)[..., 8:], False),
        (lambda: torch.zeros(4, 2, 24)[..., 4:12], True),  # begins between multiples of 16 bytes
        (lambda: torch.zeros(4, 2, 12)[..., :8], True),  # every second row does
        (lambda: torch.zeros(4, 20)[:, :16].unflatten(1, (2, 8)), True),  # every second token does
        (lambda: torch.zeros(4, 8, 8).transpose(1, 2), True),
        (lambda: torch.zeros(4, 2, 16)[..., ::2], True),
    ],
)
def test_states_are_copied_exactly_where_the_kernel_could_not_load_them(make, is_copied):
    tensor = make()
    found = _aligned(tensor)
    assert (found is not tensor) is is_copied
    assert torch.equal(found, tensor)
    assert found.stride(-1) == 1


@pytest.fixture
def fresh_flash_on():
    flash_on.cache_clear()
    yield
    flash_on.cache_clear()


def test_the_kernel_is_looked_for_on_cuda_devices_that_are_not_amds(monkeypatch, fresh_flash_on):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, device.index))
    for available in (True, False):
        flash_on.cache_clear()
        monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda it=available: it)
        assert flash_on(torch.device("cpu")) is None
        found = flash_on(torch.device("cuda", 3))
        assert found is flash_on(torch.device("cuda", 3))
        assert found._capability == (9, 3)
        assert ("scale" in found._parameters) is available
        assert (found._varlen_attn is not None) is available
    monkeypatch.setattr(torch.version, "hip", "6.2")
    flash_on.cache_clear()
    assert flash_on(torch.device("cuda", 3)) is None


def test_a_torch_without_the_module_has_no_kernel(monkeypatch, fresh_flash_on):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", None)
    found = flash_on(torch.device("cuda", 0))
    assert found.refusal(*states()).endswith("has no torch.nn.attention.varlen for this device")
    assert found._parameters == frozenset()
