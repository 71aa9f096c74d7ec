"""Settings of training on judged answers: dpo."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from burnish.specs.base import ModelRef, Takes, is_a_reference
from burnish.specs.train import LoraSpec, Method, TrainSpec

ReferenceRef = Annotated[str, Takes(("model", "adapter", "log-probabilities")), AfterValidator(is_a_reference)]
"""A reference model, or the log-probabilities that the stage `reference` computed with one."""


class PreferenceSpec(TrainSpec):
    """Settings shared by all trainings on judged answers."""

    base: ModelRef
    """The model to train."""
    method: Method = LoraSpec()
    """Which weights are trained."""
    learning_rate: float = Field(default=2e-5, gt=0)
    """Peak learning rate."""


class DpoSpec(PreferenceSpec):
    """Direct preference optimization: prefer the chosen answer of a pair, relative to a reference model."""

    loss: Literal["sigmoid", "ipo", "hinge", "robust"] = "sigmoid"
    """sigmoid (DPO), ipo (on log-probabilities per token), hinge (SLiC), or robust, which expects a share of
    label_smoothing flipped labels."""
    beta: float = Field(default=0.1, gt=0)
    """How far the model may move from the reference: larger is closer. For ipo, the paper's τ."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Share of pairs whose label is expected to be wrong, for sigmoid (conservative DPO) and robust."""
    length_normalised: bool = False
    """Use log-probabilities per token instead of those of whole answers; always so for ipo."""
    sft_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the cross-entropy of the chosen answers, which is added to the loss (RPO)."""
    reference: Literal["base"] | ReferenceRef = "base"
    """The reference: `base`, the model before training, another model, or log-probabilities of the stage
    `reference`."""
    reference_log_probs: Literal["cached", "each_step"] = "cached"
    """`cached` computes the reference's log-probabilities once, before training; `each_step` at each step, with the
    adapter switched off."""

    @model_validator(mode="after")
    def settings_belong_together(self) -> "DpoSpec":
        values = self.__dict__
        if values["label_smoothing"] and values["loss"] not in ("sigmoid", "robust"):
            raise ValueError(f"label_smoothing has no meaning for loss: {values['loss']}; use sigmoid or robust")
        if values["reference_log_probs"] == "each_step":
            if values["reference"] != "base":
                raise ValueError("reference_log_probs: each_step needs reference: base; use cached for another model")
            if values["method"].kind not in ("lora", "qlora"):
                raise ValueError("reference_log_probs: each_step switches an adapter off: use method: lora, or cached")
        return self
