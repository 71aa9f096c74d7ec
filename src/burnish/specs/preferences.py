"""Settings of training on judged answers: dpo, kto, orpo, simpo and reward, and of the stage `reference`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from burnish.specs.base import DataRef, Device, ModelRef, Spec, Takes, Threads, is_a_reference
from burnish.specs.tokens import RenderSpec
from burnish.specs.train import MAX_COUNT, LoraSpec, Method, TrainSpec

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

    @model_validator(mode="after")
    def answers_are_not_split(self) -> "PreferenceSpec":
        _refuse_split(self)
        return self


class ReferencedSpec(PreferenceSpec):
    """Settings shared by trainings relative to a reference model."""

    beta: float = Field(default=0.1, gt=0)
    """How far the model may move from the reference: larger is closer. For ipo, the paper's τ."""
    reference: Literal["base"] | ReferenceRef = "base"
    """The reference: `base`, the model before training, another model, or log-probabilities of the stage
    `reference`."""
    reference_log_probs: Literal["cached", "each_step"] = "cached"
    """`cached` computes the reference's log-probabilities once, before training; `each_step` at each step, with the
    adapter switched off."""

    @model_validator(mode="after")
    def each_step_needs_an_adapter(self) -> "ReferencedSpec":
        values = self.__dict__
        if values["reference_log_probs"] == "each_step":
            if values["reference"] != "base":
                raise ValueError("reference_log_probs: each_step needs reference: base; use cached for another model")
            if values["method"].kind not in ("lora", "qlora"):
                raise ValueError("reference_log_probs: each_step switches an adapter off: use method: lora, or cached")
        return self


class DpoSpec(ReferencedSpec):
    """Train a model to prefer the chosen answer of each pair (DPO)."""

    loss: Literal["sigmoid", "ipo", "hinge", "robust"] = "sigmoid"
    """sigmoid (DPO), ipo (on log-probabilities per token), hinge (SLiC), or robust, which expects a share of
    label_smoothing flipped labels and needs it."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Share of pairs whose label is expected to be wrong, for sigmoid (conservative DPO) and robust."""
    length_normalised: bool = False
    """Use log-probabilities per token instead of those of whole answers; always so for ipo."""
    sft_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the cross-entropy of the chosen answers, which is added to the loss (RPO)."""

    @model_validator(mode="after")
    def settings_belong_to_the_loss(self) -> "DpoSpec":
        _refuse_smoothing(self, ("sigmoid", "robust"))
        values, given = self.__dict__, self.__pydantic_fields_set__
        if values["loss"] == "robust" and not values["label_smoothing"]:
            raise ValueError(
                "loss: robust without label_smoothing is loss: sigmoid: set label_smoothing to the share of wrong "
                "labels, above 0"
            )
        if values["loss"] == "ipo" and "length_normalised" in given and not values["length_normalised"]:
            raise ValueError("loss: ipo is per token: remove length_normalised")
        return self


class KtoSpec(ReferencedSpec):
    """Train on single answers labelled good or bad (KTO)."""

    loss: Literal["kto", "apo_zero_unpaired"] = "kto"
    """kto compares each answer with the KL divergence of the step; apo_zero_unpaired does not."""
    desirable_weight: float = Field(default=1.0, gt=0.0)
    """Weight of rows with label true in the loss."""
    undesirable_weight: float = Field(default=1.0, gt=0.0)
    """Weight of rows with label false in the loss. Choose both so that weight × rows are about equal."""

    @model_validator(mode="after")
    def the_divergence_needs_two_rows(self) -> "KtoSpec":
        values = self.__dict__
        if values["loss"] == "kto" and values["batch_size"] == 1:
            raise ValueError("loss: kto pairs prompts and answers of different rows: set batch_size to 2 or more")
        return self


class OrpoSpec(PreferenceSpec):
    """Fine-tune on chosen answers, penalise rejected ones (ORPO)."""

    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak learning rate."""
    beta: float = Field(default=0.1, gt=0)
    """Weight of the odds ratio beside the cross-entropy of the chosen answers; the paper's λ."""


class SimpoSpec(PreferenceSpec):
    """Prefer chosen answers by a margin, without reference (SimPO)."""

    loss: Literal["simpo", "sigmoid", "hinge", "ipo"] = "simpo"
    """simpo, or those of contrastive preference optimization (CPO): sigmoid, hinge, ipo. simpo and ipo use
    log-probabilities per token."""
    beta: float | None = Field(default=None, gt=0)
    """Scale of the log-probabilities; by default 2 for simpo, 0.1 for the others."""
    gamma: float = Field(default=1.0, ge=0.0)
    """simpo: the margin by which the chosen answer's reward must be larger."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Share of pairs whose label is expected to be wrong, for simpo and sigmoid."""
    sft_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the cross-entropy of the chosen answers, which is added to the loss (CPO's alpha)."""

    @model_validator(mode="after")
    def settings_belong_to_the_loss(self) -> "SimpoSpec":
        _refuse_smoothing(self, ("simpo", "sigmoid"))
        if "gamma" in self.__pydantic_fields_set__ and self.__dict__["loss"] != "simpo":
            raise ValueError(f"gamma has no meaning for loss: {self.__dict__['loss']}; use simpo")
        return self


class RewardSpec(PreferenceSpec):
    """Train a reward model on pairs of answers."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate."""
    margin: bool = True
    """Use the column `margin` of rows that have one: the score of the chosen answer must be larger by it."""
    center_coefficient: float = Field(default=0.0, ge=0.0)
    """Weight of the squared sum of both scores, which centres them at 0 (arXiv 2312.09244); 0.01 is usual."""

    @model_validator(mode="after")
    def no_tokens_are_added(self) -> "RewardSpec":
        method = self.__dict__["method"].__dict__
        if method.get("new_tokens") or method.get("new_special_tokens"):
            raise ValueError(
                "method.new_tokens cannot be combined with the stage reward, whose classifier has no output head: "
                "train them with sft first"
            )
        return self


class ReferenceSpec(Spec):
    """Compute a reference's log-probabilities, for dpo and kto."""

    data: DataRef
    """A prepared dataset, or a file, of preference or label rows."""
    model: ModelRef
    """The reference model."""
    render: RenderSpec = RenderSpec()
    """How rows are rendered to tokens: the same as in the training."""
    micro_batch_tokens: Annotated[int, Field(ge=1, le=MAX_COUNT)] | Literal["auto"] = "auto"
    """Tokens per forward pass."""
    attention: Literal["auto", "varlen", "sdpa", "eager"] = "auto"
    """`varlen` runs attention per sequence of a packed batch; the others run one sequence at a time."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """The dtype of the forward pass: the same as in the training."""
    device: Device = "auto"
    """The device to compute on."""
    threads: Threads = "auto"
    """Number of CPU threads."""

    @model_validator(mode="after")
    def answers_are_not_split(self) -> "ReferenceSpec":
        _refuse_split(self)
        return self


def _refuse_split(spec: PreferenceSpec | ReferenceSpec) -> None:
    if spec.__dict__["render"].over_length == "split":
        raise ValueError("render.over_length: split would part an answer from its prompt: use drop or truncate_left")


def _refuse_smoothing(spec: DpoSpec | SimpoSpec, losses: tuple[str, ...]) -> None:
    values = spec.__dict__
    if values["label_smoothing"] and values["loss"] not in losses:
        choice = " or ".join(losses)
        raise ValueError(f"label_smoothing has no meaning for loss: {values['loss']}; use {choice}")
