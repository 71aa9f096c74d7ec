"""Faults in how the model is computed: attention, the head, fused layers, checkpointing."""

import torch

from burnish.train import forward, ready
from burnish.train.kernels import attention, lora
from museum.exhibit import FALLS_BACK, Exhibit

WINDOW = {"sliding_window": 8}
SOFTCAP = {"final_logit_softcapping": 1.0, "query_pre_attn_scalar": 8, "sliding_window": 64}


def packs_leak(patch):
    attend = attention.attend

    def leaks(module, query, key, value, mask, *, sequence_bounds=None, **others):
        everything = None if sequence_bounds is None else (0, sequence_bounds[-1])
        return attend(module, query, key, value, mask, sequence_bounds=everything, **others)

    patch.setattr(attention, "attend", leaks)


def window_ignored(patch):
    patch.setattr(attention.Sight, "kind", lambda self, bounds: ("causal", 0))


def sees_the_future(patch):
    product = attention.scaled_dot_product_attention
    patch.setattr(
        attention,
        "scaled_dot_product_attention",
        lambda *given, **named: product(*given, **(named | {"is_causal": False})),
    )


def tied_head_half(patch):
    linear = forward.linear_cross_entropy
    patch.setattr(forward, "linear_cross_entropy", lambda hidden, weight, *rest: linear(hidden, weight.detach(), *rest))


def softcap_missing(patch):
    patch.setattr(forward, "after_head", lambda config: (1.0, None))


def softcap_wrong(patch):
    def logits(self, hidden):
        found = self.head(hidden)
        return found if self._softcap is None else found * torch.tanh(found / self._softcap)

    patch.setattr(forward.Forward, "_logits", logits)


def adapter_scale_wrong(patch):
    apply = lora._LoraLinear.apply
    patch.setattr(lora._LoraLinear, "apply", lambda *given: apply(*given[:-1], given[-1] * 8))


def unequal_tokens_get_one_gradient(patch):
    """Every token's gradient is scaled by the first token's."""
    from burnish.train.kernels import head

    backward = head._LinearTokens.backward

    def first_only(ctx, gradient):
        return backward(ctx, gradient[:1].expand(len(gradient)))

    patch.setattr(head._LinearTokens, "backward", staticmethod(first_only))


def checkpointing_without_inputs(patch):
    def enable(model):
        model.get_base_model().activation_checkpointing_enable({"use_reentrant": True})
        model.get_base_model().disable_input_require_grads()

    patch.setattr(ready, "recompute_activations", enable)


EXHIBITS = (
    Exhibit(
        "rows packed together see each other",
        "huggingface/trl#1230 huggingface/trl#805",
        "the loss is a little too low; quality falls",
        FALLS_BACK,
        packs_leak,
    ),
    Exhibit(
        "the sliding window is ignored",
        "unslothai/unsloth#8253 huggingface/transformers#28980",
        "nothing; long rows see more in training than when served",
        FALLS_BACK,
        window_ignored,
        family="mistral",
        config=WINDOW,
    ),
    Exhibit(
        "tokens see the future",
        "huggingface/transformers#48745",
        "the loss falls to zero, and generated text is noise",
        FALLS_BACK,
        sees_the_future,
    ),
    Exhibit(
        "a tied head is trained by half",
        "unslothai/unsloth#9331 huggingface/peft#2972",
        "the embedding is learned, and the head is not",
        FALLS_BACK,
        tied_head_half,
        config={"tie_word_embeddings": True},
        settings={"method": {"kind": "full"}},
    ),
    Exhibit(
        "the soft cap of the logits is left out",
        "apple/ml-cross-entropy#48",
        "the loss is wrong for Gemma 2 alone",
        FALLS_BACK,
        softcap_missing,
        family="gemma2",
        config=SOFTCAP,
    ),
    Exhibit(
        "the soft cap multiplies the logits",
        "unslothai/unsloth-zoo#593",
        "log-probabilities of -125 where -31 is right; the KL starts far from zero",
        FALLS_BACK,
        softcap_wrong,
        family="gemma2",
        config=SOFTCAP,
    ),
    Exhibit(
        "the scale of the logits is left out",
        "ServiceNow/Fast-LLM#228",
        "the loss is wrong for Cohere and Granite alone",
        FALLS_BACK,
        softcap_missing,
        family="cohere",
        config={"logit_scale": 0.25},
    ),
    Exhibit(
        "an adapter is scaled by alpha, not by alpha / rank",
        "Blaizzy/mlx-vlm#841",
        "training collapses with default settings",
        FALLS_BACK,
        adapter_scale_wrong,
    ),
    Exhibit(
        "a fused loss gives all tokens the gradient of the first",
        "linkedin/Liger-Kernel#968 linkedin/Liger-Kernel#1298",
        "the loss is right, the gradient is wrong",
        "plain twin",
        unequal_tokens_get_one_gradient,
        stage="dpo",
    ),
    Exhibit(
        "gradient checkpointing cuts the graph of an adapter",
        "huggingface/transformers#42489 huggingface/transformers#25841",
        "an error, or adapters that never change",
        "reached",
        checkpointing_without_inputs,
        settings={"gradient_checkpointing": True},
    ),
)
