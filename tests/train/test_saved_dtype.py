"""The dtype of saved weights and the share that rounding loses, on a few numbers."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from burnish.specs.train import AdamWSpec
from burnish.train import precision
from burnish.train.optim.optimizers import Optimizer
from burnish.train.precision import Start, _dtypes, _Named, _share_lost, give_whole_model, plain_name
from families import build

HALF = torch.bfloat16


def shares(*moved, base=torch.float32):
    """The share lost in bfloat16 by weights that were 1 and are 1 + moved, in two weights."""
    middle = len(moved) // 2
    parts = {"a": torch.tensor(moved[:middle]), "b": torch.tensor(moved[middle:])}
    optimizer = SimpleNamespace(masters={name: (1 + part).requires_grad_() for name, part in parts.items()})
    before = {name: torch.ones(len(part), dtype=base) for name, part in parts.items()}
    return _share_lost(optimizer, {"a": HALF, "b": HALF}, before)


STEP = 2.0**-7  # between bfloat16 numbers above 1


@pytest.mark.parametrize(
    ("moved", "lost"),
    [
        ((0.0, 0.0), 0.0),
        ((STEP, 3 * STEP), 0.0),
        ((STEP / 4, STEP / 4), 1.0),
        ((STEP / 4, *[STEP] * 15), (1 / 241) ** 0.5),
        ((*[STEP / 4] * 16, *[STEP] * 15), 0.25),
        ((5 * STEP / 4, 0.0), 0.2),
        ((2.0**-20, 2.0**-20), 1.0),
    ],
)
def test_the_share_lost_is_the_norm_of_the_rounding_over_that_of_the_update(moved, lost):
    assert shares(*moved) == pytest.approx(lost, abs=1e-7)


def test_what_was_not_changed_and_is_rounded_is_lost_whole():
    """As a float32 base that was not trained and is saved in bfloat16."""
    weight = torch.tensor([1.0, 1 + 2.0**-12])
    optimizer = SimpleNamespace(masters={"a": weight})
    assert _share_lost(optimizer, {"a": HALF}, {"a": weight.clone()}) == 1.0
    assert _share_lost(optimizer, {"a": torch.float32}, {"a": weight.clone()}) == 0.0


def test_an_update_is_measured_from_a_base_of_any_dtype():
    base = torch.tensor([1.0, 0.1]).half()
    optimizer = SimpleNamespace(masters={"a": base.float() + 2.0**-13})
    exact = base.float() + 2.0**-13
    expected = float((exact - exact.bfloat16().float()).norm()) / (2 * 2.0**-26) ** 0.5
    assert _share_lost(optimizer, {"a": HALF}, {"a": base}) == pytest.approx(expected, rel=1e-5)


# requested, dtype of the base, share lost: saved dtype, share in the measures, words of the reason or the warning
SAVED = [
    ("auto", None, None, "float32", 0.0, "there is no base, and it loses nothing", None),
    ("auto", torch.float32, None, "float32", 0.0, "that of the base, where 0.0% is lost", None),
    ("auto", HALF, 0.07196, "bfloat16", 0.072, "that of the base, where 7.2% is lost", None),
    ("auto", HALF, 0.1, "bfloat16", 0.1, "that of the base, where 10.0% is lost", None),
    ("auto", HALF, 0.12, "float32", 0.0, "rounding to the base's bfloat16 would lose 12% of what was learned", None),
    ("auto", torch.float16, 0.12345, "float32", 0.0, "rounding to the base's float16 would lose 12%", None),
    ("base", HALF, 0.12346, "bfloat16", 0.1235, None, "rounding to bfloat16 lost 12% of what was learned"),
    ("base", HALF, 0.1, "bfloat16", 0.1, None, None),
    ("base", None, None, "float32", 0.0, None, None),
    ("float16", HALF, 0.5, "float16", 0.5, None, "rounding to float16 lost 50% of what was learned"),
    ("float16", HALF, 0.07, "float16", 0.07, None, None),
    ("float32", HALF, None, "float32", 0.0, None, None),
]


@pytest.mark.parametrize(("requested", "base", "lost", "saved", "measured", "reason", "warning"), SAVED)
def test_the_saved_dtype_follows_the_request_the_base_and_what_is_lost(
    monkeypatch, requested, base, lost, saved, measured, reason, warning
):
    model = build("qwen3").bfloat16().requires_grad_(True)
    optimizer, events, given = Optimizer(model, AdamWSpec()), [], {"weights": torch.ones(1)}

    def share(found, dtypes, before):
        assert found is optimizer
        assert before is given
        requested_dtype = base if requested in ("auto", "base") else getattr(torch, requested)
        assert set(dtypes) == set(optimizer.masters)
        assert set(dtypes.values()) == {requested_dtype}
        assert lost is not None
        return lost

    monkeypatch.setattr(precision, "_share_lost", share)
    start = Start(lambda: given, base, is_rounded=True)
    found = give_whole_model(model, optimizer, requested, start, events.append)
    assert found == {"saved_dtype": saved, "rounded": measured}
    assert {weight.dtype for weight in model.parameters()} == {getattr(torch, saved)}
    if reason is None and warning is None:
        assert events == []
        return
    [event] = events
    if reason is not None:
        assert (event.field, event.value) == ("method.save_dtype", saved)
        assert event.reason.startswith(reason)
    else:
        assert event.level == "warning"
        assert event.text.startswith(warning)


@pytest.mark.parametrize("requested", ["auto", "base", "bfloat16"])
def test_a_model_without_a_start_is_saved_as_requested(requested):
    model = build("qwen3").requires_grad_(True)
    events, optimizer = [], Optimizer(model, AdamWSpec())
    found = give_whole_model(model, optimizer, requested, None, events.append)
    saved = "bfloat16" if requested == "bfloat16" else "float32"
    assert found == {"saved_dtype": saved, "rounded": 0.0}
    assert [event.value for event in events] == (["float32"] if requested == "auto" else [])


@pytest.mark.parametrize(
    ("kept", "exact"),
    [(None, []), (["norm"], ["norm"]), (["mlp", "nowhere"], ["mlp"]), (["mlp", "norm"], ["mlp", "norm"])],
)
def test_weights_that_a_family_keeps_in_float32_stay_in_it(monkeypatch, kept, exact):
    model = build("qwen3")
    monkeypatch.setattr(model, "_keep_in_fp32_modules_strict", kept)
    assert _dtypes(model, torch.float32) == {}
    for dtype in (HALF, torch.float16):
        expected = {
            name: torch.float32 if any(part in name for part in exact) else dtype
            for name, _ in model.named_parameters()
        }
        assert _dtypes(model, dtype) == expected


def test_names_in_a_wrapped_model_are_those_of_the_base():
    for name, plain in (
        ("base_model.model.model.norm.weight", "model.norm.weight"),
        ("base_model.model.lm_head.modules_to_save.default.weight", "lm_head.weight"),
        ("model.norm.weight", "model.norm.weight"),
        ("x.base_model.model.", "x.base_model.model."),
    ):
        assert plain_name(name) == plain


def test_exact_values_are_given_by_other_names_each_with_its_own_memory():
    tied = torch.full((2, 2), 0.1).half().requires_grad_()
    float_ = torch.full((3,), 0.1)
    weights = {"head": float_, "embed": float_, "half": tied, "unused": float_}
    named = _Named(weights, {"a": "head", "b": "embed", "c": "half", "d": "missing"})
    assert (list(named), len(named)) == (["a", "b", "c"], 3)
    a, b, c = (named[name] for name in "abc")
    assert torch.equal(a, float_)
    assert torch.equal(b, float_)
    assert a.data_ptr() == float_.data_ptr()  # not copied
    assert b.data_ptr() != float_.data_ptr()
    assert c.dtype == torch.float32
    assert not c.requires_grad
    assert torch.equal(c, tied.float())


class Small(nn.Module):
    def __init__(self, names):
        super().__init__()
        for name, trained in names.items():
            self.register_module(name, nn.Linear(1, 1, bias=False).requires_grad_(trained))


def test_masters_are_read_where_weights_were_rounded_and_not_for_adapters_alone():
    weights = {"a.weight": torch.ones(1), "frozen.weight": torch.ones(1)}
    start = Start(lambda: weights, torch.float32, is_rounded=True)
    assert list(start.masters(Small({"a": True, "frozen": False}))) == ["a.weight"]
    assert Start(lambda: weights, torch.float32, is_rounded=False).masters(Small({"a": True})) == {}
    lora, whole = "x", "a"
    model = Small({lora: True, whole: True, "frozen": False})
    model.x.lora_A = model.x.weight
    del model.x.weight
    assert list(start.masters(model)) == ["a.weight"]
    model.a.requires_grad_(False)
    never = Start(lambda: pytest.fail("read"), torch.float32, is_rounded=True)
    assert never.masters(model) == {}
