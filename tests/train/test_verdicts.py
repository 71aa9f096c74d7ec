"""What a Scorer concludes from its tests: packing, the cheapest attention, gradients, and the path that is left."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from burnish.core.errors import ModelError
from burnish.train import scoring as module
from burnish.train.kernels import attention as per_sequence
from burnish.train.kernels.attention import Sight
from burnish.train.kernels.lora import FusedLora
from burnish.train.scoring import Scorer

KERNEL = "the kernel has no window"


class Causal(nn.Module):
    """As much of a model as a Scorer looks at before it asks."""

    def __init__(self, implementation="sdpa", softcap=None, dropout=0.0, head=None):
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.ones(3)), head or nn.Linear(2, 2)
        settings = {"attention_dropout": dropout, "final_logit_softcapping": softcap, "logit_scale": 3.0}
        self.config = SimpleNamespace(**settings, _attn_implementation=implementation, model_type="toy")
        self.config.to_dict = lambda: settings
        self.config.get_text_config = lambda: self.config
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.attentions = []

    def get_output_embeddings(self):
        return self.head

    def set_attn_implementation(self, name):
        self.attentions.append(name)


class Asked(Scorer):
    """Notes what is asked, with answers that are given."""

    packs_at_last, trunk, refusals, reason_of_kernel, loses = True, "trunk", (), "", False

    def _learn_the_forward(self):
        self.asked = ["forward", self.model.training]
        self._trunk = self.trunk

    def _learn_to_pack(self, plain, longest):
        self.asked += [("pack", plain, longest)]
        self.packs, self.kernel_reason = self.packs_at_last, self.reason_of_kernel
        if self._flash is not None:
            self._flash.refusals.update(self.refusals)

    def _cheapest_attention(self):
        self.asked += ["cheapest"]
        return "cheap"

    def _check_gradients(self, plain):
        self.asked += [("gradients", plain, self.causal.attentions[-1])]
        if self.loses:
            self.packs = False


def asked(monkeypatch, flash=None, **answers):
    monkeypatch.setattr(per_sequence, "flash_on", lambda device: flash)
    for name, value in answers.items():
        monkeypatch.setattr(Asked, name, value)
    return Asked


@pytest.mark.parametrize(
    ("attention", "own", "plain"),
    [("auto", "eager", "eager"), ("varlen", "sdpa", "sdpa"), ("auto", None, "eager"), ("sdpa", "eager", "sdpa"),
     ("eager", "sdpa", "eager")],
)  # fmt: skip
@pytest.mark.parametrize("packs", [True, False])
def test_questions_are_asked_in_order_and_only_where_packing_is_wanted(monkeypatch, attention, own, plain, packs):
    model = Causal(own).train()
    scorer = asked(monkeypatch, packs_at_last=packs)(model, attention, 88)
    asks = attention in ("auto", "varlen")
    used = "cheap" if asks and packs else plain
    expected = ["forward", False] + ([("pack", plain, 88)] if asks else []) + (["cheapest"] if asks and packs else [])
    assert scorer.asked == [*expected, ("gradients", plain, used)]
    assert model.attentions == [plain, used]
    assert (scorer.packs, scorer.one_by_one) == (asks and packs, not (asks and packs))
    assert model.training
    assert not scorer.keeps_routing
    assert scorer.routing is None
    assert scorer._usual_attention == (own or "eager")


@pytest.mark.parametrize(
    ("head", "softcap", "closed"), [("linear", None, True), ("linear", 5.0, False), ("other", None, False)]
)
def test_a_plain_linear_head_without_a_soft_cap_has_a_closed_form(monkeypatch, head, softcap, closed):
    kind = nn.Linear if head == "linear" else type("Head", (nn.Linear,), {})
    scorer = asked(monkeypatch)(Causal(softcap=softcap, head=kind(2, 2)))
    assert (scorer._closed_form, scorer._scale, scorer._softcap) == (closed, 3.0, softcap)
    assert not scorer.uses_own_head
    assert asked(monkeypatch, trunk=None)(Causal()).uses_own_head


@pytest.mark.parametrize(
    ("answers", "dropout", "reason"),
    [
        ({}, 0.0, ""),
        ({"refusals": ("b", "a")}, 0.0, "a; b"),
        ({}, 0.1, "it has no dropout"),
        ({"refusals": ("z", "a")}, 0.1, "a; it has no dropout; z"),
        ({"reason_of_kernel": KERNEL, "refusals": ("a",)}, 0.1, KERNEL),
        ({"packs_at_last": False, "refusals": ("a",)}, 0.1, ""),
        ({"loses": True, "refusals": ("a",)}, 0.1, ""),
    ],
)
def test_why_the_kernel_is_not_used_is_told_of_a_model_that_packs(monkeypatch, answers, dropout, reason):
    flash = SimpleNamespace(refusals={"of an earlier model"})
    scorer = asked(monkeypatch, flash, **answers)(Causal(dropout=dropout))
    assert scorer.kernel_reason == reason
    assert flash.refusals == set(answers.get("refusals", ()))
    assert asked(monkeypatch, None, **answers)(Causal(dropout=dropout)).kernel_reason == answers.get(
        "reason_of_kernel", ""
    )


def bare(causal=None, **attributes) -> Scorer:
    scorer, causal = Scorer.__new__(Scorer), causal or Causal()
    usual = {"model": causal, "causal": causal, "packs": False, "reason": "", "kernel_reason": "", "_trunk": "trunk"}
    usual |= {"_trusts_kernel": True, "_flash": None, "_attention": "sdpa", "_packed_attention": "packed"}
    usual |= {"rounding": lambda: 0.0, "fused": FusedLora(nn.Module())}
    vars(scorer).update(usual | attributes)
    scorer._question = lambda lengths, changed=0: (list(lengths), [SimpleNamespace(rows=[n]) for n in lengths])
    return scorer


@pytest.fixture
def batches(monkeypatch):
    """Batches are their lengths; a packed one has bounds."""

    def make(rows, every, device):
        ends = torch.tensor([0, *rows]).cumsum(0).tolist()
        return SimpleNamespace(rows=list(rows), bounds=tuple(ends), device=device, targets=torch.zeros(1))

    monkeypatch.setattr(module, "make_batch", make)
    monkeypatch.setattr(per_sequence, "register", lambda: "registered")


def packing(scorer, states, own_head=False):
    scorer._trunk = None if own_head else "trunk"
    setattr(scorer, "_own_logits" if own_head else "hidden", states)
    setattr(scorer, "hidden" if own_head else "_own_logits", lambda batch: pytest.fail("the other path"))
    return scorer._why_packing_fails("eager", [2, 3, 2, 1])


@pytest.mark.parametrize("own_head", [False, True])
@pytest.mark.parametrize(("share", "reads"), [(0.0, False), (0.9e-4, False), (1.1e-4, True), (1.0, True)])
def test_a_model_packs_if_its_states_are_those_of_each_row_alone(batches, own_head, share, reads):
    scorer, seen = bare(), []

    def states(batch):
        seen.append((batch.rows, scorer.packs, scorer.causal.attentions[-1]))
        return torch.ones(sum(batch.rows), 4) * (1 + share * (len(batch.rows) > 1))

    why = packing(scorer, states, own_head)
    assert why == ("layers of this model read across packed sequences" if reads else "")
    alone = [([n], False, "eager") for n in (2, 3, 2, 1)]
    assert seen == [*alone, ([2, 3, 2, 1], True, "registered")]
    assert scorer.packs


@pytest.mark.parametrize(
    ("changed", "rounding", "reads"),
    [
        (0.0, 0.0, False),
        (0.0, 0.5, False),
        (0.9e-4, 0.0, False),
        (1.1e-4, 0.0, True),
        (0.9e-2, 0.1, False),
        (1.1e-2, 0.1, True),
    ],
)
@pytest.mark.parametrize("experts", [False, True])
def test_in_bfloat16_what_a_row_changes_in_another_is_compared_with_rounding(
    batches, changed, rounding, reads, experts
):
    causal = Causal()
    causal.dtype = torch.bfloat16
    if experts:
        causal.experts = nn.Identity()
    scorer, questions = bare(causal, rounding=lambda: rounding), []
    usual = scorer._question

    def question(lengths, changed=0):
        questions.append((list(lengths), changed))
        return [n + 10 * changed for n in usual(lengths)[0]] if changed else usual(lengths)[0], usual(lengths)[1]

    scorer._question = question

    def states(batch):
        is_changed = batch.rows[0] > 10
        found = torch.ones(8, 4) if len(batch.rows) > 1 else torch.ones(batch.rows[0], 4)
        if is_changed:
            found[:2] = found[5:7] = 7.0  # the rows that were changed themselves
            found[2:5] *= 1 + changed
            found[7:] *= 1 + changed
        return found

    why = packing(scorer, states)
    assert bool(why) is (reads and not experts)
    assert questions == [([2, 3, 2, 1], 0)] + ([] if experts else [([2, 3, 2, 1], 1)])


def test_a_model_that_fails_alone_is_refused_and_one_that_fails_packed_does_not_pack(batches):
    def fails(only_packed):
        def states(batch):
            if len(batch.rows) > 1 or not only_packed:
                raise ValueError("no such size")
            return torch.ones(batch.rows[0], 4)

        return states

    with pytest.raises(ModelError, match="its own forward pass fails for 3 tokens: ValueError: no such size"):
        packing(bare(), fails(False))
    assert packing(bare(), fails(True)) == "ValueError: no such size"


@pytest.mark.parametrize("own_head", [False, True])
@pytest.mark.parametrize("kind", ["causal", "none", "another", "differs", "fails"])
def test_masks_are_left_out_where_all_are_causal_and_nothing_changes(batches, kind, own_head):
    from transformers.masking_utils import causal_mask_function

    scorer, seen = bare(packs=True), []
    scorer._question = lambda lengths: ([1, 2], [SimpleNamespace(rows=[1], bounds=(0, 1))] * 2)

    def states(batch):
        attention = scorer.causal.attentions[-1]
        seen.append((len(batch.rows), attention))
        if Sight.functions is not None and kind != "none":
            Sight.functions.add(causal_mask_function)
            Sight.functions |= {len} if kind == "another" else set()
        if attention == per_sequence.WITHOUT_MASKS and kind == "fails":
            raise ValueError("it needs a mask")
        return torch.ones(3) * (2.0 if attention == per_sequence.WITHOUT_MASKS and kind == "differs" else 1.0)

    scorer._trunk = None if own_head else "trunk"
    setattr(scorer, "_own_logits" if own_head else "hidden", states)
    found = scorer._cheapest_attention()
    assert found == (per_sequence.WITHOUT_MASKS if kind in ("causal", "none") else per_sequence.NAME)
    expected = [(2, per_sequence.NAME), (1, per_sequence.NAME), (2, per_sequence.WITHOUT_MASKS)]
    assert seen == (expected[:2] if kind == "another" else expected)
    assert Sight.functions is None


class Judged(Scorer):
    """Its gradient is right on the paths that are given."""

    right = ()

    def path(self):
        head = "own" if self.uses_own_head else "trunk"
        return f"packed {head}{' kernel' if self._trusts_kernel else ''}" if self.packs else f"alone {head}"

    def _question(self, lengths, changed=0):
        ids = torch.zeros(1, 2, dtype=torch.long)
        batch = SimpleNamespace(input_ids=ids, positions=torch.tensor([0]), targets=torch.zeros(2, dtype=torch.long))
        return list(lengths), [batch, batch]


@pytest.mark.parametrize("flash", [None, object()])
@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("right", ["packed trunk kernel", "packed trunk", "alone trunk", "alone own", "nothing"])
def test_the_next_path_is_taken_until_the_gradient_is_right(monkeypatch, batches, flash, packs, right):
    causal = Causal()
    scorer, tried = Judged.__new__(Judged), []
    vars(scorer).update(vars(bare(causal, packs=packs, _flash=flash)))
    del scorer._question
    made = SimpleNamespace(targets=torch.zeros(2, dtype=torch.long))
    monkeypatch.setattr(module, "make_batch", lambda *_: made)

    def forward(input_ids, use_cache):
        return SimpleNamespace(logits=causal.weight[0] * torch.ones(*input_ids.shape, 3))

    causal.forward = forward
    monkeypatch.setattr(
        Judged, "__call__", lambda self, batch, normaliser: (tried.append((batch is made, normaliser)), None)
    )
    asked = []

    def gradient(loss, weights):
        assert [weight is own for weight, own in zip(weights, [causal.weight], strict=False)] == [True]
        if scorer.causal.attentions[-1] == "sdpa" and loss.__name__ == "own":
            return torch.ones(3)
        asked.append((scorer.path(), scorer.causal.attentions[-1]))
        return torch.ones(3) * (1.0 if scorer.path() == right else 2.0)

    monkeypatch.setattr(module, "gradient", gradient)
    paths = ["packed trunk kernel", *(["packed trunk"] if flash else [])] if packs else []
    paths += ["alone trunk", "alone own"]
    ends = paths.index(right) + 1 if right in paths else len(paths)
    if right in paths:
        scorer._check_gradients("sdpa")
        assert scorer.path() == right
    else:
        with pytest.raises(ModelError, match="its gradient differs from that of its own loss \\(off by 1"):
            scorer._check_gradients("sdpa")
    assert [path for path, _ in asked] == paths[:ends]
    assert [used for _, used in asked] == ["packed" if path.startswith("packed") else "sdpa" for path in paths[:ends]]
    if packs and flash is not None and ends > 1:
        assert scorer.kernel_reason.startswith("with it a packed batch has another gradient (off by 1")
    else:
        assert scorer.kernel_reason == ""
    assert scorer.reason.startswith("a packed batch has another gradient (off by 1") is (packs and not scorer.packs)


def test_a_model_without_trained_weights_is_asked_for_no_gradient(monkeypatch):
    monkeypatch.setattr(module, "gradient", lambda *_: pytest.fail("asked"))
    bare(Causal().requires_grad_(False))._check_gradients("sdpa")


def test_a_loss_without_a_gradient_is_refused(monkeypatch, batches):
    scorer = bare()
    monkeypatch.setattr(module, "gradient", lambda *_: (_ for _ in ()).throw(RuntimeError("no graph")))
    with pytest.raises(ModelError, match="its own loss has no gradient: RuntimeError: no graph"):
        scorer._check_gradients("sdpa")
    assert scorer.causal.attentions == ["sdpa"]


def test_the_models_own_loss_is_that_of_its_rows_in_float32(monkeypatch, batches):
    causal = Causal()
    scorer, found = Judged.__new__(Judged), []
    vars(scorer).update(vars(bare(causal)))
    del scorer._question
    targets = torch.tensor([1, 0])
    monkeypatch.setattr(module, "make_batch", lambda *_: SimpleNamespace(targets=targets))
    logits = torch.tensor([[0.5, 1.0, -1.0], [2.0, 0.25, 0.0]]).bfloat16()
    causal.forward = lambda input_ids, use_cache: SimpleNamespace(logits=logits.expand(len(input_ids), 2, 3))

    def gradient(loss, weights):
        found.append(loss())
        return torch.ones(3)

    monkeypatch.setattr(module, "gradient", gradient)
    monkeypatch.setattr(Judged, "__call__", lambda *_: (torch.zeros(()), None))
    scorer._check_gradients("sdpa")
    rows = logits[0].double()
    expected = 2 * rows.logsumexp(-1) - rows[1] - rows[0]
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0].double(), expected, rtol=1e-6, atol=1e-6)
