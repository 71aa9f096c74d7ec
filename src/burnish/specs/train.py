"""What a training run may be asked: method, optimiser, schedule, batches, checkpoints, evaluation."""

from typing import Annotated, Any, Literal

from pydantic import Field, Tag, model_validator

from burnish.specs.base import RUNTIME, DataRef, Device, ModelRef, Runtime, Spec, Threads, TokenizerRef, by_kind
from burnish.specs.tokens import RenderSpec

MOST = 2**31 - 1
"""Of anything that is counted: the row ledger keeps steps in four bytes."""

Tracker = Literal["tensorboard", "wandb", "swanlab", "trackio", "mlflow"]


class LoraSpec(Spec):
    """Train two small matrices beside each frozen weight."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(default=16, ge=1)
    """Inner dimension of the two matrices."""
    alpha: float | None = Field(default=None, gt=0)
    """Scale; twice the rank when not said."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout on the adapter's input."""
    targets: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    """Which linear layers: all but the head, or module names; a name of a stacked expert weight trains the experts."""
    experts: bool = False
    """Also train the experts of a mixture-of-experts model that lie stacked in one weight: rank and alpha are each
    expert's. Needs dropout 0 and no dora."""
    rslora: bool = False
    """Scale by alpha/√rank in place of alpha/rank (rank-stabilised LoRA)."""
    dora: bool = False
    """Learn the magnitude of each weight apart from its direction (DoRA)."""
    train_fully: list[str] = []
    """Modules that are trained whole and saved with the adapter, such as lm_head."""

    @model_validator(mode="after")
    def experts_take_plain_lora(self) -> "LoraSpec":
        values = self.__dict__
        for field in ("dropout", "dora"):
            if values["experts"] and values[field]:
                raise ValueError(
                    f"experts: true cannot be combined with {field}: remove {field}, or set experts: false"
                )
        return self


class FullSpec(Spec):
    """Train every weight."""

    kind: Literal["full"] = "full"
    save_dtype: Literal["auto", "base", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights that are saved; `auto` is the base's, or float32 where rounding to that would lose more than a
    tenth of what was learned, measured as ‖rounding‖ / ‖update‖."""


Method = Annotated[Annotated[LoraSpec, Tag("lora")] | Annotated[FullSpec, Tag("full")], by_kind("lora")]


class AdamWSpec(Spec):
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    kind: Literal["adamw"] = "adamw"
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Decay of the mean of gradients."""
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Decay of the mean of squared gradients."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """Decoupled decay of matrices; vectors are not decayed."""


class MuonSpec(Spec):
    """Orthogonalised momentum on the matrices, AdamW on the rest (Jordan et al. 2024)."""

    kind: Literal["muon"] = "muon"
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0)
    """Of the matrices."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Decoupled decay of the matrices."""
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    """AdamW's, on the rest."""
    beta2: float = Field(default=0.98, ge=0.0, lt=1.0)
    """AdamW's, on the rest."""


Optimizer = Annotated[Annotated[AdamWSpec, Tag("adamw")] | Annotated[MuonSpec, Tag("muon")], by_kind("adamw")]


class ScheduleSpec(Spec):
    """The learning rate over the run: warm-up, then a shape."""

    kind: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """The shape; wsd is warm-up, stable, decay."""
    warmup: float = Field(default=0.03, ge=0.0, le=MOST)
    """Below 1 a share of all steps (rounded up), else a number of steps. The rate rises from the first step and is
    highest at step `warmup`: one step earlier than in transformers, whose first step has a rate of 0."""
    final: float = Field(default=0.0, ge=0.0, le=1.0)
    """Where the learning rate falls to, as a share of the highest: it would get there one step after the last."""
    decay: float | None = Field(default=None, gt=0.0, le=1.0)
    """wsd: share of all steps in which the rate falls (0.2 when not said)."""

    @model_validator(mode="after")
    def decay_belongs_to_wsd(self) -> "ScheduleSpec":
        if self.__dict__["decay"] is not None and self.__dict__["kind"] != "wsd":
            raise ValueError("decay is a setting of kind: wsd; remove it or choose wsd")
        return self


class EarlyStopSpec(Spec):
    """Stop when the validation loss no longer falls."""

    patience: int = Field(default=3, ge=1, le=MOST)
    """Evaluations without a gain before the run stops."""
    min_delta: float = Field(default=0.0, ge=0.0)
    """A smaller fall is no gain."""


class CheckpointSpec(Spec):
    """When the state of the run is saved, so that it can be resumed."""

    every: Annotated[int | None, RUNTIME] = Field(default=None, ge=1, le=MOST)
    """Steps between saves; about every tenth of the run when not said."""
    keep: Annotated[int, RUNTIME] = Field(default=2, ge=1, le=MOST)
    """How many are kept, the best one apart."""


class TrainSpec(Spec):
    """Settings that every kind of training shares."""

    data: DataRef
    """A prepared dataset (its train and validation splits are used), or a file."""
    render: RenderSpec = RenderSpec()
    """How rows become tokens."""
    epochs: float = Field(default=1.0, gt=0, le=100_000)
    """Passes over the training rows; not used when max_steps is given."""
    max_steps: int | None = Field(default=None, ge=1, le=MOST)
    """Optimiser steps, in place of epochs."""
    batch_size: int | None = Field(default=None, ge=1, le=MOST)
    """Rows in an optimiser step (16 when neither this nor batch_tokens is said)."""
    batch_tokens: int | None = Field(default=None, ge=8, le=MOST)
    """Tokens in an optimiser step, in place of batch_size: rows are added until the next would pass it."""
    micro_batch_tokens: Annotated[int, Field(ge=1, le=MOST)] | Literal["auto"] = "auto"
    """Tokens that go through the model at once; a step is split into as many parts as it needs."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """The highest learning rate."""
    optimizer: Optimizer = AdamWSpec()
    """How gradients become updates."""
    schedule: ScheduleSpec = ScheduleSpec()
    """How the learning rate moves."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm; null switches clipping off."""
    router_aux_loss_coef: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Mixture of experts: the weight of the load-balancing loss, which is reported as aux_loss; `auto` takes the
    model's own, 0 switches it off."""
    shuffle: bool = True
    """Another order of rows in each epoch, a function of seed and epoch alone."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Of weights, order and dropout."""
    eval_every: int | None = Field(default=None, ge=1, le=MOST)
    """Steps between evaluations on the validation split; when not said, at the end only, or with early_stop about every
    tenth of the run."""
    eval_rows: int | None = Field(default=None, ge=1, le=MOST)
    """Evaluate on the first validation rows only."""
    keep_best: bool = True
    """Give the weights with the lowest validation loss, not the last ones; needs validation rows."""
    early_stop: EarlyStopSpec | None = None
    """Stop when the validation loss no longer falls."""
    checkpoint: CheckpointSpec = CheckpointSpec()
    """When the state of the run is saved."""
    gradient_checkpointing: bool | Literal["auto"] = "auto"
    """Recompute activations in the backward pass: less memory, more time."""
    attention: Literal["auto", "varlen", "sdpa", "eager"] = "auto"
    """`varlen` runs attention per sequence of a packed batch; the others run one sequence at a time."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass; trained weights and optimiser states are kept in float32."""
    device: Device = "auto"
    """Where to train."""
    threads: Threads = "auto"
    """CPU threads."""
    resume: Annotated[str, Runtime(("auto", "never"))] = "auto"
    """`auto` resumes from the newest valid checkpoint of the same step, `never` starts afresh; a path names a
    checkpoint, and settings such as learning_rate may then differ from those that it was written under."""
    track: Annotated[list[Tracker], RUNTIME] = []
    """Where metrics are also sent."""
    log_every: Annotated[int, RUNTIME] = Field(default=1, ge=1, le=MOST)
    """Steps between metric events."""

    @model_validator(mode="after")
    def one_batch_measure(self) -> "TrainSpec":
        if self.__dict__["batch_size"] is not None and self.__dict__["batch_tokens"] is not None:
            raise ValueError("batch_size and batch_tokens are two measures of one thing: keep one")
        return self


class SftSpec(TrainSpec):
    """Supervised fine-tuning of a model on conversations or texts."""

    base: ModelRef
    """The model to start from."""
    method: Method = LoraSpec()
    """What is trained."""


class PretrainSpec(TrainSpec):
    """Pre-train a model, from its weights or from a config."""

    base: ModelRef | None = None
    """The model to go on from."""
    architecture: dict[str, Any] | None = None
    """A transformers config (`model_type: qwen3, hidden_size: …`), to start from random weights."""
    tokenizer: TokenizerRef | None = None
    """The tokenizer of a new architecture."""
    method: Method = FullSpec()
    """What is trained."""

    @model_validator(mode="after")
    def one_start(self) -> "PretrainSpec":
        values = self.__dict__
        if (values["base"] is None) == (values["architecture"] is None):
            raise ValueError("give either base (a model to go on from) or architecture (a config to start from)")
        if values["architecture"] is not None and values["tokenizer"] is None:
            raise ValueError("architecture needs a tokenizer")
        if values["architecture"] is not None and values["method"].kind == "lora":
            raise ValueError("method: lora needs a base: random weights are of no use when they stay frozen")
        return self
