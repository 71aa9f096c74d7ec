"""Settings of training: method, optimizer, schedule, batches, checkpoints, evaluation."""

import re
from typing import Annotated, Any, Literal, cast

from pydantic import Field, Tag, ValidationInfo, field_validator, model_validator

from burnish.specs.base import RUNTIME, DataRef, Device, ModelRef, Runtime, Spec, Threads, TokenizerRef, by_kind
from burnish.specs.launch import LaunchSpec
from burnish.specs.tokens import RenderSpec

MAX_COUNT = 2**31 - 1
"""Upper bound of all counts: the row ledger stores steps in four bytes."""

Tracker = Literal["tensorboard", "wandb", "swanlab", "trackio", "mlflow"]


_ALL_OF_OTHER_TOOLS = ("all", "all_linear")
"""What other tools call `targets: all-linear`."""


def _one_name_each(given: Any) -> Any:
    """One or several names of modules. ValueError for a list of names that is written as one."""
    for name in cast(list[Any], given) if isinstance(given, list) else [given]:
        words = [word for word in re.split(r"[,\s]+", name) if word] if isinstance(name, str) else []
        if len(words) > 1:
            raise ValueError(f"'{name}' is more than one name: write [{', '.join(words)}]")
    return given  # pyright: ignore[reportUnknownVariableType]


class LoraSpec(Spec):
    """LoRA: train two small matrices next to each frozen weight."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(default=16, ge=1)
    """Inner dimension of the two matrices."""
    alpha: float | None = Field(default=None, gt=0)
    """Scaling factor; twice the rank by default."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout on the adapter's input."""
    targets: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    """Linear layers to adapt: all but the output head, or module names; naming a stacked expert weight adapts the
    experts."""
    experts: bool = False
    """Also adapt the experts of a mixture-of-experts model that are stacked in one weight; rank and alpha are per
    expert. Requires dropout 0 and no dora."""
    rslora: bool = False
    """Scale by alpha/√rank instead of alpha/rank (rank-stabilized LoRA)."""
    dora: bool = False
    """Learn the magnitude and the direction of each weight separately (DoRA)."""
    train_fully: list[str] = []
    """Modules to train fully and save with the adapter, such as lm_head."""
    new_tokens: list[str] = []
    """Tokens to add to the tokenizer. Their rows in embedding and head start at the mean of all others, are trained
    and saved with the adapter. A token that the tokenizer has already is trained from its own row."""
    new_special_tokens: list[str] = []
    """As new_tokens, for special tokens: they structure conversations, and are no part of a decoded text."""
    init: Literal["default", "gaussian", "orthogonal", "pissa", "pissa_niter", "olora"] = "default"
    """Initial values of the two matrices: A uniform or gaussian and B zero; both random and orthogonal to each other;
    or taken from the base's weights by singular values (pissa, arXiv 2404.02948; pissa_niter: a faster approximation)
    or a QR decomposition (olora, arXiv 2406.01775). The outputs of the model are unchanged in each case."""
    lora_plus: float | None = Field(default=None, ge=1.0)
    """Learning rate of B, and of DoRA's magnitudes, as a multiple of learning_rate (LoRA+, arXiv 2402.12354; 16 is
    common). Adapters of embeddings and fully trained modules keep learning_rate. Requires AdamW."""

    @field_validator("targets", "train_fully", mode="before")
    @classmethod
    def each_name_is_one_module(cls, given: Any, info: ValidationInfo) -> Any:
        for name in _ALL_OF_OTHER_TOOLS if info.field_name == "targets" else ():
            if given == name or (isinstance(given, list) and name in given):
                raise ValueError(f"'{name}' is written all-linear")
        return _one_name_each(given)

    @model_validator(mode="after")
    def experts_take_plain_lora(self) -> "LoraSpec":
        values = self.__dict__
        for field in ("dropout", "dora"):
            if values["experts"] and values[field]:
                raise ValueError(
                    f"experts: true cannot be combined with {field}: remove {field}, or set experts: false"
                )
        return self

    @field_validator("new_tokens", "new_special_tokens")
    @classmethod
    def tokens_are_visible(cls, tokens: list[str]) -> list[str]:
        if len(set(tokens)) < len(tokens):
            raise ValueError("a token is named twice: name each once")
        if any(not token or token != token.strip() for token in tokens):
            raise ValueError("a token is empty, or has spaces at an end")
        return tokens

    @model_validator(mode="after")
    def a_token_is_plain_or_special(self) -> "LoraSpec":
        both = sorted(set(self.__dict__["new_tokens"]) & set(self.__dict__["new_special_tokens"]))
        if both:
            raise ValueError(f"new_tokens and new_special_tokens both name {both[0]}: remove it from one")
        return self

    @model_validator(mode="after")
    def init_fits_the_other_settings(self) -> "LoraSpec":
        values, init = self.__dict__, self.__dict__["init"]
        if init == "orthogonal" and values["rank"] % 2:
            raise ValueError(f"init: orthogonal needs an even rank, not {values['rank']}")
        if init not in ("default", "gaussian") and values["experts"]:
            raise ValueError(
                f"experts: true cannot be combined with init: {init}, which is for single matrices: set init: gaussian "
                "or remove it"
            )
        if init not in ("default", "gaussian") and values["kind"] != "lora":
            raise ValueError(f"init: {init} cannot be combined with method: {values['kind']}: remove one of them")
        if init in ("pissa", "pissa_niter", "olora"):
            reasons = {
                "dora": "the magnitudes would be those of the initial adapter",
                "dropout": "it would drop parts of the base's own weights",
            }
            for field, reason in reasons.items():
                if values[field]:
                    raise ValueError(f"init: {init} cannot be combined with {field}: {reason}; remove one of them")
        return self


class QloraSpec(LoraSpec):
    """QLoRA: LoRA on a base whose linear layers are held in 4 bits (arXiv 2305.14314)."""

    kind: Literal["qlora"] = "qlora"  # pyright: ignore[reportIncompatibleVariableOverride]
    quantization: Literal["nf4", "fp4"] = "nf4"
    """The 16 values of a 4-bit weight: those of a normal distribution, or floating-point numbers."""
    double_quantization: bool = True
    """Also quantize the scales of the blocks of 64 weights, to 8 bits: saves 0.4 bits for each weight."""


class WholeModelSpec(Spec):
    """What methods share whose result is a whole model."""

    save_dtype: Literal["auto", "base", "float32", "bfloat16", "float16"] = "auto"
    """The dtype of the saved weights; `auto` is the base's, or float32 if rounding to that would lose more than a tenth
    of the update, measured as ‖rounding‖ / ‖update‖."""


class FullSpec(WholeModelSpec):
    """Full fine-tuning: train all weights."""

    kind: Literal["full"] = "full"


class FreezeSpec(WholeModelSpec):
    """Freeze fine-tuning: train the last layers, or named modules; the rest stays as it is."""

    kind: Literal["freeze"] = "freeze"
    layers: int | None = Field(default=None, ge=1)
    """Train so many of the last transformer layers."""
    modules: list[str] = []
    """Train the modules whose paths end with these names, such as layers.3.mlp, v_proj or norm."""
    train_head: bool = False
    """Also train the output head; a head that shares its weight with the embedding trains both."""
    train_embeddings: bool = False
    """Also train the input embedding."""

    _each_name_is_one_module = field_validator("modules", mode="before")(_one_name_each)

    @model_validator(mode="after")
    def something_is_trained_and_named_once(self) -> "FreezeSpec":
        values = self.__dict__
        if values["layers"] is not None and values["modules"]:
            raise ValueError("layers and modules exclude each other: name the layers in modules, such as layers.3.mlp")
        if not any(values[name] for name in ("layers", "modules", "train_head", "train_embeddings")):
            raise ValueError("kind: freeze trains nothing: set layers, modules, train_head or train_embeddings")
        return self


Method = Annotated[
    Annotated[LoraSpec, Tag("lora")]
    | Annotated[QloraSpec, Tag("qlora")]
    | Annotated[FullSpec, Tag("full")]
    | Annotated[FreezeSpec, Tag("freeze")],
    by_kind("lora"),
]


class AdamWSpec(Spec):
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    kind: Literal["adamw"] = "adamw"
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Decay rate of the mean of gradients."""
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Decay rate of the mean of squared gradients."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """Decoupled weight decay of matrices; vectors are not decayed."""


class AdamW8bitSpec(AdamWSpec):
    """AdamW with its two states in 8 bits (arXiv 2110.02861), as bitsandbytes computes it: 2 bytes for each trained
    weight instead of 8. States of weights with fewer than 4,096 elements stay in 32 bits."""

    kind: Literal["adamw8bit"] = "adamw8bit"  # pyright: ignore[reportIncompatibleVariableOverride]


class MuonSpec(Spec):
    """Muon: orthogonalized momentum for matrices, AdamW for the rest (Jordan et al. 2024)."""

    kind: Literal["muon"] = "muon"
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0)
    """Momentum of the matrices."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Decoupled weight decay of the matrices."""
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    """AdamW's, for the rest."""
    beta2: float = Field(default=0.98, ge=0.0, lt=1.0)
    """AdamW's, for the rest."""


Optimizer = Annotated[
    Annotated[AdamWSpec, Tag("adamw")] | Annotated[AdamW8bitSpec, Tag("adamw8bit")] | Annotated[MuonSpec, Tag("muon")],
    by_kind("adamw"),
]


class ScheduleSpec(Spec):
    """Learning rate schedule: warmup, then decay."""

    kind: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """The shape; wsd is warmup, stable, decay."""
    warmup: float = Field(default=0.03, ge=0.0, le=MAX_COUNT)
    """Warmup steps; below 1, a share of all steps (rounded up). The rate rises from the first step and peaks at step
    `warmup`: one step earlier than in transformers, where the rate of the first step is 0."""
    final: float = Field(default=0.0, ge=0.0, le=1.0)
    """Final learning rate, as a share of the peak, reached one step after the last."""
    decay: float | None = Field(default=None, gt=0.0, le=1.0)
    """wsd: share of steps in the decay phase (default 0.2), which begins at the full rate, as in transformers."""

    @field_validator("warmup")
    @classmethod
    def warmup_is_a_share_or_whole_steps(cls, warmup: float) -> float:
        if warmup >= 1 and warmup != int(warmup):
            raise ValueError("a number of steps is whole, and a share of all steps is below 1")
        return warmup

    @model_validator(mode="after")
    def decay_belongs_to_wsd(self) -> "ScheduleSpec":
        if self.__dict__["decay"] is not None and self.__dict__["kind"] != "wsd":
            raise ValueError("decay is a setting of kind: wsd; remove it or choose wsd")
        return self


class EarlyStopSpec(Spec):
    """Stop when the validation loss no longer improves."""

    patience: int = Field(default=3, ge=1, le=MAX_COUNT)
    """Number of evaluations without improvement before training stops."""
    min_delta: float = Field(default=0.0, ge=0.0)
    """Minimum decrease that counts as an improvement."""


class CheckpointSpec(Spec):
    """When to save the training state, for resuming."""

    every: Annotated[int | None, RUNTIME] = Field(default=None, ge=1, le=MAX_COUNT)
    """Steps between checkpoints; about a tenth of the run by default."""
    keep: Annotated[int, RUNTIME] = Field(default=2, ge=1, le=MAX_COUNT)
    """Number of checkpoints to keep, not counting the best one."""
    archive: Annotated[bool, RUNTIME] = False
    """Keep all checkpoints after the run too, so that `burnish replay` can start from one of them."""


class TrainSpec(Spec):
    """Settings shared by all kinds of training."""

    data: DataRef
    """A prepared dataset (its train and validation splits are used), or a file."""
    render: RenderSpec = RenderSpec()
    """How rows are rendered to tokens."""
    epochs: float = Field(default=1.0, gt=0, le=100_000)
    """Number of passes over the training rows; ignored if max_steps is set."""
    max_steps: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Number of optimizer steps; overrides epochs."""
    batch_size: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Rows per optimizer step (16 if neither this nor batch_tokens is set)."""
    batch_tokens: int | None = Field(default=None, ge=8, le=MAX_COUNT)
    """Maximum tokens per optimizer step, instead of batch_size: rows are added while they fit."""
    micro_batch_tokens: Annotated[int, Field(ge=1, le=MAX_COUNT)] | Literal["auto"] = "auto"
    """Tokens per forward pass; a step is split into as many micro-batches as needed."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak learning rate."""
    optimizer: Optimizer = AdamWSpec()
    """The optimizer."""
    schedule: ScheduleSpec = ScheduleSpec()
    """The learning rate schedule."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm; null disables clipping."""
    router_aux_loss_coef: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Mixture of experts: weight of the load-balancing loss, reported as aux_loss; `auto` uses the model's value,
    0 disables it."""
    shuffle: bool = True
    """Shuffle rows in each epoch, depending only on seed and epoch."""
    without_rows: list[str] = []
    """Ids of rows that no step learns; the other rows of a step and the number of steps stay as they are."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Random seed of weights, row order and dropout."""
    eval_every: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Steps between evaluations on the validation split. By default only at the end or, with early_stop, about every
    tenth of the run."""
    eval_rows: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Evaluate on the first validation rows only."""
    keep_best: bool = True
    """Keep the weights with the lowest validation loss instead of the last ones; needs validation rows."""
    early_stop: EarlyStopSpec | None = None
    """Stop when the validation loss no longer improves."""
    checkpoint: CheckpointSpec = CheckpointSpec()
    """When to save the training state."""
    gradient_checkpointing: bool | Literal["auto"] = "auto"
    """Recompute activations in the backward pass, which saves memory and takes time."""
    attention: Literal["auto", "varlen", "sdpa", "eager"] = "auto"
    """`varlen` runs attention per sequence of a packed batch; the others run one sequence at a time."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """The dtype of the forward pass; trained weights and optimizer states are float32."""
    device: Device = "auto"
    """The device to train on."""
    threads: Threads = "auto"
    """Number of CPU threads."""
    launch: LaunchSpec = LaunchSpec()
    """On how many processes to train."""
    resume: Annotated[str, Runtime(("auto", "never"))] = "auto"
    """`auto` resumes from the newest valid checkpoint of the same step, `never` starts from scratch, a path resumes
    from that checkpoint, where settings such as learning_rate may differ."""
    prove: Annotated[Literal["auto", "off", "only"], Runtime(("auto", "off"))] = "auto"
    """`auto` checks the training on a few rows before the first step, and stops if a check fails; `only` ends there."""
    track: Annotated[list[Tracker], RUNTIME] = []
    """Experiment trackers that also receive metrics."""
    log_every: Annotated[int, RUNTIME] = Field(default=1, ge=1, le=MAX_COUNT)
    """Steps between metric events; each has the values of its own step, not a mean."""

    @model_validator(mode="after")
    def one_batch_measure(self) -> "TrainSpec":
        if self.__dict__["batch_size"] is not None and self.__dict__["batch_tokens"] is not None:
            raise ValueError("batch_size and batch_tokens exclude each other: remove one")
        return self

    @model_validator(mode="after")
    def lora_plus_takes_adamw(self) -> "TrainSpec":
        method, optimizer = self.__dict__.get("method"), self.__dict__["optimizer"]
        if method is not None and method.__dict__.get("lora_plus") is not None and optimizer.kind == "muon":
            raise ValueError(
                "method.lora_plus cannot be combined with optimizer: muon, which gives every matrix an update of the "
                "same size: remove lora_plus, or set optimizer: adamw"
            )
        return self

    @field_validator("track")
    @classmethod
    def each_tracker_once(cls, track: list[Tracker]) -> list[Tracker]:
        if len(set(track)) < len(track):
            raise ValueError("a tracker is named twice: name each once")
        return track


class SftSpec(TrainSpec):
    """Supervised fine-tuning of a model on conversations or texts."""

    base: ModelRef
    """The model to fine-tune."""
    method: Method = LoraSpec()
    """Which weights are trained."""
    neftune_alpha: float | None = Field(default=None, gt=0)
    """Add uniform noise of ±alpha/√(length·width) to the embeddings of each row in training (NEFTune, arXiv
    2310.05914; 5 is common)."""


class PretrainSpec(TrainSpec):
    """Pretrain a model, from existing weights or from a config."""

    base: ModelRef | None = None
    """The model to continue from."""
    architecture: dict[str, Any] | None = None
    """A transformers config (`model_type: qwen3, hidden_size: …`), initialized with random weights."""
    tokenizer: TokenizerRef | None = None
    """The tokenizer of a new architecture."""
    method: Method = FullSpec()
    """Which weights are trained."""
    neftune_alpha: float | None = Field(default=None, gt=0)
    """Add uniform noise of ±alpha/√(length·width) to the embeddings of each row in training (NEFTune, arXiv
    2310.05914; 5 is common)."""

    @model_validator(mode="after")
    def one_start(self) -> "PretrainSpec":
        values = self.__dict__
        if (values["base"] is None) == (values["architecture"] is None):
            raise ValueError("set either base (a model to continue from) or architecture (a config)")
        if values["architecture"] is not None and values["tokenizer"] is None:
            raise ValueError("architecture needs a tokenizer: set one")
        kind = values["method"].kind
        if values["architecture"] is not None and kind != "full":
            raise ValueError(
                f"method: {kind} needs a base: it freezes weights, and those of an architecture are random"
            )
        return self
