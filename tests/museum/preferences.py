"""Faults of training on preferences: the reference, the pair, the chosen loss."""

from contextlib import contextmanager
from dataclasses import replace

import torch

from burnish.models.probing import evaluating
from burnish.tokens.rendering import renderer
from burnish.train import forward
from burnish.train.objectives import dpo, pairs
from burnish.train.proofs.objectives import pairs as proofs
from museum.exhibit import Exhibit

EACH_STEP = {"reference_log_probs": "each_step"}


def reference_with_adapter(patch):
    @contextmanager
    def untrained(self):
        with torch.no_grad(), evaluating(self.model):
            yield

    patch.setattr(forward.Forward, "untrained", untrained)


def reference_with_dropout(patch):
    @contextmanager
    def untrained(self):
        with torch.no_grad(), self.model.disable_adapter():
            yield

    patch.setattr(forward.Forward, "untrained", untrained)


def copies_stay_on(patch):
    """PEFT's switch, as it was, left the copies of `modules_to_save` in use."""
    from peft.utils.other import ModulesToSaveWrapper

    patch.setattr(ModulesToSaveWrapper, "enable_adapters", lambda self, enabled: None)


def answers_exchanged(patch):
    patch.setattr(dpo, "CHOSEN", 1)
    patch.setattr(dpo, "REJECTED", 0)


def columns_exchanged(patch):
    render = renderer.Renderer.render_answers
    patch.setattr(renderer.Renderer, "render_answers", lambda self, row, answers: render(self, row, answers)[::-1])


def prompts_differ(patch):
    render = renderer.Renderer.render_answers

    def other(self, row, answers):
        chosen, *rest = render(self, row, answers)
        ids = chosen.ids.copy()
        ids[1] = 70
        return [replace(chosen, ids=ids), *rest]

    patch.setattr(renderer.Renderer, "render_answers", other)


def log_probs_of_other_tokens(patch):
    """Sums of log-probabilities that begin one token late."""

    def late(forward, batch):
        losses = forward.token_losses(batch)
        first = torch.cat([torch.ones(1, dtype=torch.bool), batch.sequences[1:] != batch.sequences[:-1]])
        return -batch.sums(losses.masked_fill(first, 0.0)).view(-1, batch.width)

    patch.setattr(proofs, "log_probs_of", late)
    patch.setattr(pairs, "log_probs_of", late)


def loss_kind_ignored(patch):
    begin = dpo.Dpo.__init__

    def sigmoid(self, spec):
        begin(self, type(spec)(**(spec.model_dump(exclude_unset=True) | {"loss": "sigmoid"})))
        for name in type(spec).model_fields:
            if name != "loss":
                getattr(spec, name)

    patch.setattr(dpo.Dpo, "__init__", sigmoid)


def sums_for_means(patch):
    begin = dpo.Dpo.__init__

    def summed(self, spec):
        begin(self, spec)
        self._per_token = False

    patch.setattr(dpo.Dpo, "__init__", summed)


EXHIBITS = (
    Exhibit(
        "the reference is computed with the adapter on",
        "unslothai/unsloth#2736 huggingface/trl#1500",
        "rewards and margins stay zero",
        "reference",
        reference_with_adapter,
        stage="dpo",
        settings=EACH_STEP,
    ),
    Exhibit(
        "dropout is active in the reference",
        "huggingface/trl#2042 huggingface/trl#5542",
        "margins are noisy, the KL does not start at zero",
        "reference",
        reference_with_dropout,
        stage="dpo",
        settings=EACH_STEP | {"method": {"kind": "lora", "train_fully": ["lm_head"]}},
        config={"attention_dropout": 0.5},
    ),
    Exhibit(
        "a disabled adapter leaves trained copies of modules on",
        "huggingface/peft#493",
        "the reference drifts with the model",
        "adapter off",
        copies_stay_on,
        settings={"method": {"kind": "lora", "train_fully": ["lm_head"]}},
    ),
    Exhibit(
        "chosen and rejected are exchanged in the loss",
        "jingyaogong/minimind#451",
        "the model learns the rejected answers",
        "preferred answer",
        answers_exchanged,
        stage="dpo",
    ),
    Exhibit(
        "chosen and rejected are exchanged in the batch",
        "jingyaogong/minimind#451",
        "the model learns the rejected answers",
        "prompt as served",
        columns_exchanged,
        stage="dpo",
    ),
    Exhibit(
        "the answers of a pair follow different prompt tokens",
        "snowflakedb/ArcticTraining#72",
        "the loss learns the prompt's tokens",
        "shared prompt",
        prompts_differ,
        stage="dpo",
    ),
    Exhibit(
        "log-probabilities are summed over other tokens than the answer's",
        "EleutherAI/gpt-neox#1285 unslothai/unsloth#2736",
        "margins are off by a token",
        "reference",
        log_probs_of_other_tokens,
        stage="dpo",
        settings=EACH_STEP,
    ),
    Exhibit(
        "the requested loss is ignored",
        "modelscope/ms-swift#10167",
        "ipo and hinge train as sigmoid",
        "run.unread-setting",
        loss_kind_ignored,
        stage="dpo",
        settings={"loss": "hinge"},
    ),
    Exhibit(
        "ipo sums log-probabilities instead of averaging them",
        "huggingface/trl#1265 meta-pytorch/torchtune#1291",
        "beta has another meaning for every length",
        "formula",
        sums_for_means,
        stage="dpo",
        settings={"loss": "ipo"},
    ),
)
