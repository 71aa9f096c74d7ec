"""What a Scorer asks a model before it packs, question by question, with answers that are made up."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LlamaConfig

from burnish.core.errors import AskError, ModelError
from burnish.models.probing import has_experts, off_by
from burnish.train import scoring as module
from burnish.train.kernels import attention as per_sequence
from burnish.train.kernels.attention import UnsupportedAttentionError
from burnish.train.kernels.lora import FusedLora
from burnish.train.scoring import Scorer, _refusal

CPU = torch.device("cpu")


class Causal(nn.Module):
    """A causal model of one matrix and an embedding of positions, in which each token sees itself only."""

    def __init__(self, *, first_position=0, keeps_logits=True, scale=1.0, names_trunk=True, softcap=None, noise=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.config = LlamaConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
        self.config._attn_implementation = "sdpa"
        self.config.logit_scale, self.config.final_logit_softcapping = scale, softcap
        self.trunk, self.head = nn.Embedding(30, 8), nn.Linear(8, 30)
        self.trunk.requires_grad_(True)
        self.first_position, self.keeps_logits, self.names_trunk = first_position, keeps_logits, names_trunk
        self.noise, self.asked, self.attentions = noise, [], []
        self.trunk.forward = self.states
        self.device, self.dtype, self.base_model = CPU, torch.float32, self

    def states(self, input_ids, position_ids=None, **others):
        self.asked.append({"position_ids": position_ids} | others)
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1])[None] + self.first_position
        hidden = nn.functional.embedding(input_ids, self.trunk.weight) + position_ids[..., None] / 10
        routing = (hidden[0, :, :2],) if others.get("output_router_logits") else None
        found = SimpleNamespace(last_hidden_state=hidden, router_logits=routing)
        found.get = lambda name: getattr(found, name)
        return found

    def forward(self, input_ids, logits_to_keep=None, **others):
        found = self.states(input_ids, **others)
        logits = self.head(found.last_hidden_state) * self.config.logit_scale
        if self.config.final_logit_softcapping:
            cap = self.config.final_logit_softcapping
            logits = cap * torch.tanh(logits / cap)
        logits = logits + self.noise * torch.rand(())
        if logits_to_keep is not None and self.keeps_logits:
            logits = logits[:, logits_to_keep]
        found.logits = logits
        return found

    def get_output_embeddings(self):
        return self.head

    def get_decoder(self):
        return self.trunk if self.names_trunk else None

    def set_attn_implementation(self, name):
        if name == "unknown":
            raise ValueError("no such attention")
        self.attentions.append(name)

    def num_parameters(self):
        return 1000


def bare(causal=None, **attributes) -> Scorer:
    """A Scorer that has asked nothing yet."""
    scorer = Scorer.__new__(Scorer)
    causal = causal or Causal()
    usual = {"model": causal, "causal": causal, "head": causal.head, "packs": False, "reason": "", "kernel_reason": ""}
    usual |= {"_trusts_kernel": True, "_flash": None, "_trunk": causal.trunk, "_scale": 1.0, "_softcap": None}
    usual |= {"_sends_positions": True, "_keeps_logits": True, "keeps_routing": False, "routing": None}
    usual |= {"_closed_form": True, "_attention": "sdpa", "rounding": lambda: 0.0, "_packed_attention": "packed"}
    usual |= {"fused": FusedLora(nn.Module())}
    vars(scorer).update(usual | attributes)
    return scorer


def two_sequences():
    ids = [np.array([3, 4, 5, 6], np.int32), np.array([7, 8, 9], np.int32)]
    rows = module.TokenisedRows.of((str(n), row, np.ones(len(row), np.float32)) for n, row in enumerate(ids))
    return module.make_batch(rows, np.array([0, 1]))


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("kernel", [False, True])
def test_the_inputs_of_a_model_are_those_that_it_was_found_to_need(packs, positions, routing, kernel):
    batch = two_sequences()
    found = bare(packs=packs, _sends_positions=positions, keeps_routing=routing, _trusts_kernel=kernel)._inputs(batch)
    expected = {"input_ids": batch.input_ids, "use_cache": False}
    expected |= {"position_ids": batch.position_ids} if positions else {}
    expected |= {"output_router_logits": True} if routing else {}
    expected |= {"sequence_bounds": (0, 4, 7)} if packs else {}
    expected |= {"cu_seq_lens_q": batch.cu_seqlens} if packs and kernel else {}
    assert found == expected


@pytest.mark.parametrize("own_head", [False, True])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize(("scale", "softcap"), [(1.0, None), (2.0, None), (0.5, 3.0), (2.0, 3.0)])
def test_a_batch_is_scored_alike_on_every_path(own_head, closed, keeps, scale, softcap):
    causal = Causal(scale=scale, softcap=softcap, keeps_logits=keeps)
    scorer = bare(causal, _trunk=None if own_head else causal.trunk, _scale=scale, _softcap=softcap)
    vars(scorer).update(_keeps_logits=keeps, _closed_form=closed and softcap is None, keeps_routing=True)
    batch = two_sequences()
    loss, losses = scorer(batch, 4.0)
    logits = causal(batch.input_ids, position_ids=batch.position_ids).logits[0, batch.positions].double()
    expected = logits.logsumexp(-1) - logits[torch.arange(len(logits)), batch.targets]
    torch.testing.assert_close(losses.double(), expected.detach(), rtol=1e-5, atol=1e-5)
    assert not losses.requires_grad
    torch.testing.assert_close(loss.double(), (expected * batch.weights).sum() / 4.0, rtol=1e-5, atol=1e-5)
    weights = [causal.head.weight, causal.head.bias, causal.trunk.weight]
    for ours, theirs in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(expected.sum() / 4, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-6)
    assert scorer.routed() is scorer.routing
    assert len(scorer.route(batch)) == 1
    assert [name in asked for asked in causal.asked[-1:] for name in ("output_router_logits", "use_cache")] == [
        True,
        True,
    ]


def test_only_the_trained_tensors_of_a_head_get_gradients():
    causal = Causal(softcap=3.0)
    causal.head.weight.requires_grad_(False)
    loss, _ = bare(causal, _softcap=3.0, _closed_form=False)(two_sequences(), 1.0)
    loss.backward()
    assert causal.head.weight.grad is None
    assert causal.head.bias.grad.abs().sum() > 0


def test_a_model_without_router_logits_is_refused_where_they_are_needed():
    for routing in (None, ()):
        with pytest.raises(ModelError, match="it returns no router logits in training") as caught:
            bare(routing=routing).routed()
        assert caught.value.code == "model.unsupported"
        assert caught.value.what.startswith("this llama model cannot be trained or measured here: ")


def test_a_question_is_rows_of_random_tokens_of_which_every_second_may_be_changed():
    scorer = bare()
    rows, batches = scorer._question([4, 6, 3, 5, 2])
    changed, _ = scorer._question([4, 6, 3, 5, 2], changed=1)
    again, _ = scorer._question([4, 6, 3, 5, 2])
    other, _ = scorer._question([4, 6, 3, 5, 2], changed=2)
    assert rows.lengths.tolist() == [4, 6, 3, 5, 2]
    assert np.array_equal(rows.ids, again.ids)
    for row in range(5):
        same = [np.array_equal(rows.ids[rows.span(row)], one.ids[one.span(row)]) for one in (changed, other)]
        assert same == [row % 2 == 1] * 2
    assert not np.array_equal(changed.ids, other.ids)
    assert [batch.input_ids[0].tolist() for batch in batches] == [rows.ids[rows.span(row)].tolist() for row in range(5)]
    assert all((rows.weights[rows.span(row)][1:] == 1).all() for row in range(5))


# the model, then: sends positions, keeps logits, uses its own head
FORWARDS = [
    ({}, (True, True, False)),
    ({"first_position": 2}, (False, True, False)),
    ({"keeps_logits": False}, (True, False, False)),
    ({"names_trunk": False}, (True, True, True)),
    ({"scale": 0.5}, (True, True, True)),
]


@pytest.mark.parametrize(("given", "expected"), FORWARDS)
def test_the_forward_of_a_model_is_learned_by_its_own_logits(given, expected):
    scorer = bare(Causal(**given))
    scorer._learn_the_forward()
    assert (scorer._sends_positions, scorer._keeps_logits, scorer.uses_own_head) == expected
    assert not torch.is_grad_enabled() or scorer._trunk is None or scorer._trunk is scorer.causal.trunk


def test_a_model_whose_forward_is_no_use_is_refused():
    with pytest.raises(ModelError, match="its logits differ between two forward passes of the same row"):
        bare(Causal(noise=5.0))._learn_the_forward()
    broken = Causal()
    broken.forward = lambda **_: (_ for _ in ()).throw(KeyError("x"))
    with pytest.raises(ModelError, match="its own forward pass fails: KeyError: 'x'"):
        bare(broken)._learn_the_forward()
    for place in (0, 6):
        causal = Causal()
        usual = causal.forward

        def poisoned(*args, place=place, usual=usual, **named):
            found = usual(*args, **named)
            found.logits = found.logits.clone()
            found.logits[0, place] = float("nan")
            return found

        causal.forward = poisoned
        with pytest.raises(ModelError, match="its logits are NaN or infinite"):
            bare(causal)._learn_the_forward()


def test_a_single_logit_may_be_infinite():
    """As those of tokens that a model never gives."""
    causal = Causal()
    with torch.no_grad():
        causal.head.bias[3] = float("-inf")
    with pytest.raises(ModelError, match="differ between two forward passes"):  # no distance, but no NaN either
        bare(causal)._learn_the_forward()


@pytest.mark.parametrize("flash", [None, object()])
@pytest.mark.parametrize(
    ("answers", "packs", "reason", "trusts", "kernel"),
    [
        ([""], True, "", True, ""),
        (["reads across"], False, "reads across", True, ""),
        (["with kernel", ""], True, "", False, "with it with kernel"),
        (["with kernel", "without"], False, "without", False, ""),
    ],
)
def test_a_kernel_that_is_wrong_is_not_held_against_the_model(flash, answers, packs, reason, trusts, kernel):
    if (flash is None) is (len(answers) == 2):
        answers = answers if flash else answers[:1]
    if flash is not None and answers == ["reads across"]:
        answers, trusts = ["reads across"] * 2, False
    if flash is None and answers == ["with kernel"]:
        packs, reason, trusts, kernel = False, "with kernel", True, ""
    scorer, asked = bare(_flash=flash), []

    def why(plain, longest):
        asked.append((plain, longest, scorer._trusts_kernel))
        return answers[len(asked) - 1]

    scorer._why_no_packing = why
    scorer._learn_to_pack("sdpa", 77)
    assert (scorer.packs, scorer.reason, scorer._trusts_kernel, scorer.kernel_reason) == (packs, reason, trusts, kernel)
    assert asked == [("sdpa", 77, True), ("sdpa", 77, False)][: len(answers)]
    assert scorer.one_by_one is not packs


def test_positions_that_do_not_count_from_0_end_the_questions():
    scorer = bare(_sends_positions=False)
    scorer._why_no_packing = lambda *_: pytest.fail("asked")
    scorer._learn_to_pack("sdpa", None)
    assert (scorer.packs, scorer.reason.startswith("its positions do not count from 0")) == (False, True)


def test_the_result_of_a_question_is_its_answer_or_its_error():
    def fails(error):
        raise error

    assert _refusal(lambda: "") == ""
    assert _refusal(lambda: "because") == "because"
    assert _refusal(lambda: fails(UnsupportedAttentionError("no bounds"))) == "no bounds"
    assert _refusal(lambda: fails(TypeError("'Sight' object is not subscriptable"))) == (
        "its layers modify their masks in place"
    )
    assert _refusal(lambda: fails(ValueError("other"))) == "ValueError: other"
    with pytest.raises(torch.OutOfMemoryError):
        _refusal(lambda: fails(torch.OutOfMemoryError("CUDA out of memory")))


@pytest.mark.parametrize(
    ("dtype", "of_states", "of_gradients"),
    [
        (torch.float32, 1e-4, 1e-3),
        (torch.bfloat16, 3e-2, 0.1),
        (torch.float16, 1e-2, 0.05),
        (torch.float64, 1e-4, 1e-4),
    ],
)
def test_results_agree_up_to_a_tolerance_or_what_rounding_explains(dtype, of_states, of_gradients):
    for least, table in ((of_states, module._TOLERANCE), (of_gradients, module._GRADIENT_TOLERANCE)):
        theirs = torch.ones(1000, dtype=dtype)

        def told(share, rounding, table=table, theirs=theirs):
            return off_by(theirs.float() * (1 + share), theirs, table, rounding)

        never = lambda: pytest.fail("measured")  # noqa: E731
        assert told(least * 0.9, never) == ""
        assert told(least * 1.1, lambda: 0.0).startswith("off by ")
        assert told(least * 1.1, lambda least=least: least * 0.3) == ""  # four times what it rounds
        assert told(least * 1.1, lambda least=least: least * 0.26).startswith("off by ")
        assert told(0.49, lambda: 9.0) == ""
        assert told(0.51, lambda: 9.0) == "off by 0.51, where rounding explains 0.5"
        assert told(float("nan"), lambda: 9.0).startswith("off by inf")


@pytest.mark.parametrize(
    ("dtype", "device", "exact"),
    [(torch.float32, "cpu", True), (torch.bfloat16, "cpu", False), (torch.float32, "cuda", False)],
)
def test_rounding_is_measured_where_it_can_hide_something(dtype, device, exact):
    causal = Causal()
    causal.dtype, causal.device = dtype, torch.device(device)
    scorer = bare(causal, _attention="packed")
    assert scorer._is_exact is exact
    alone = torch.ones(4)
    found = scorer._rounding_of(lambda: alone * 1.25, alone)
    assert found == (0.0 if exact else pytest.approx(0.25))
    assert causal.attentions == ([] if exact else ["eager", "packed"])
    if not exact:
        assert scorer._rounding_of(lambda: alone * 9, alone) == 0.5
        assert scorer._rounding_of(lambda: (_ for _ in ()).throw(ValueError("no eager")), alone) == 0.0
        assert scorer._attention == "packed"


def test_the_rounding_of_states_compares_copies_with_rows_alone():
    causal = Causal()
    causal.dtype = torch.bfloat16
    shapes, usual = [], causal.forward

    def counted(input_ids, **named):
        shapes.append(tuple(input_ids.shape))
        found = usual(input_ids, **named)
        if input_ids.shape[0] > 1:
            found.logits = torch.stack([found.logits[0] * 1.5, found.logits[1] * 1.1, found.logits[2] * 1.5])
        return found

    causal.forward = counted
    scorer = bare(causal, _attention="packed")
    assert scorer._rounding_of_states("sdpa") == pytest.approx(0.1, rel=1e-3)
    assert shapes == [(1, 19), (1, 23), (3, 19), (3, 23)]
    assert causal.attentions == ["sdpa", "eager", "sdpa", "packed"]


def test_experts_are_known_by_the_paths_of_modules():
    assert has_experts(Causal()) is False
    causal = Causal()
    causal.expert_of_one = nn.Identity()
    assert has_experts(causal) is True


def test_an_attention_that_a_model_lacks_is_refused_by_name():
    scorer = bare()
    scorer._set_attention("eager")
    assert (scorer._attention, scorer.causal.attentions) == ("eager", ["eager"])
    with pytest.raises(AskError, match="this llama model has no attention 'unknown'") as caught:
        scorer._set_attention("unknown")
    assert (caught.value.code, caught.value.fix) == ("ask.wrong-value", "set attention: auto")
    scorer._usual_attention = "sdpa"
    scorer.restore_attention()
    assert scorer.causal.attentions[-1] == "sdpa"
    assert per_sequence.NAME not in scorer.causal.attentions
