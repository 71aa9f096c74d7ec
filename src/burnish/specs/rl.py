"""Settings of reinforcement learning from rewards: grpo and ppo."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from burnish.specs.base import ModelRef, Spec, Takes, is_a_reference
from burnish.specs.rewards import Reward
from burnish.specs.train import MAX_COUNT, LoraSpec, Method, TrainSpec

ReferenceRef = Annotated[str, Takes(("model", "adapter")), AfterValidator(is_a_reference)]


class SamplingSpec(Spec):
    """How completions are sampled."""

    max_new_tokens: int = Field(default=256, ge=1, le=MAX_COUNT)
    """Maximum length of a completion."""
    temperature: float = Field(default=1.0, gt=0.0)
    """Temperature of sampling; the log-probabilities of the loss are taken at it, too."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Sample from the most likely tokens with this total probability."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample from this many most likely tokens."""
    batch_size: int = Field(default=64, ge=1)
    """Number of completions generated at once."""


class RolloutSpec(TrainSpec):
    """Settings shared by all trainings on sampled completions."""

    base: ModelRef
    """The model to train."""
    method: Method = LoraSpec()
    """Which weights are trained."""
    rewards: list[Reward] = Field(min_length=1)
    """What completions are rewarded for; the reward of a completion is their weighted sum."""
    answer: str | None = None
    """The column with the reference answer that rewards compare with; by default the last turn of the assistant."""
    batch_size: int | None = Field(default=8, ge=1, le=MAX_COUNT)
    """Prompts per rollout."""
    group_size: int = Field(default=1, ge=1, le=MAX_COUNT)
    """Completions of each prompt."""
    mini_batches: int = Field(default=1, ge=1, le=MAX_COUNT)
    """Optimizer steps into which the completions of a rollout are split."""
    passes: int = Field(default=1, ge=1, le=MAX_COUNT)
    """Number of times that the completions of a rollout are used."""
    generation: SamplingSpec = SamplingSpec()
    """How completions are sampled."""
    eval_temperature: float = Field(default=0.0, ge=0.0)
    """Temperature of the completions of validation prompts; 0 always selects the most likely token."""
    clip_low: float = Field(default=0.2, gt=0.0, le=1.0)
    """The ratio of new to old probability is clipped at 1 − clip_low."""
    clip_high: float = Field(default=0.2, gt=0.0)
    """The ratio is clipped at 1 + clip_high; 0.28 in DAPO (clip-higher)."""
    kl_coefficient: float = Field(default=0.0, ge=0.0)
    """Weight of the KL divergence from the reference; 0 needs no reference."""
    reference: Literal["base"] | ReferenceRef = "base"
    """The reference of the KL divergence: `base`, the model before training, or another model."""
    mask_truncated: bool = False
    """Leave completions that reached max_new_tokens out of the loss (overlong filtering of DAPO)."""
    max_engine_ratio: float | None = Field(default=2.0, gt=0.0)
    """Each token's loss is multiplied by its probability in training over that in generation, at most this; null
    disables the correction. It does not correct for top_p and top_k: both probabilities are those before them."""
    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak learning rate."""
    eval_every: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Steps between evaluations: the mean reward of completions of the validation prompts. By default before the first
    step and at the end or, with early_stop, about every tenth of the run."""
    keep_best: bool = True
    """Keep the weights with the highest validation reward instead of the last ones; needs validation rows."""

    @model_validator(mode="after")
    def one_process_generates(self) -> "RolloutSpec":
        if (processes := self.__dict__["launch"].__dict__["processes"]) > 1:
            raise ValueError(f"launch.processes {processes}: completions are sampled in one process: set it to 1")
        return self

    @model_validator(mode="after")
    def a_reference_is_read(self) -> "RolloutSpec":
        if "reference" in self.__pydantic_fields_set__ and not self.__dict__["kl_coefficient"]:
            raise ValueError("reference without kl_coefficient: set it above 0, or remove reference")
        return self

    @model_validator(mode="after")
    def a_reward_has_a_weight(self) -> "RolloutSpec":
        if not any(reward.__dict__["weight"] for reward in self.__dict__["rewards"]):
            raise ValueError("every reward has weight 0, which only records it: give one of the rewards another weight")
        return self

    @model_validator(mode="after")
    def batches_are_prompts(self) -> "RolloutSpec":
        values = self.__dict__
        if values["batch_tokens"] is not None or values["batch_size"] is None:
            raise ValueError("batch_tokens is not supported here: set batch_size, the prompts of a rollout")
        if values["mini_batches"] > values["batch_size"]:
            raise ValueError(
                f"mini_batches {values['mini_batches']} exceeds batch_size {values['batch_size']}: a mini-batch has at "
                "least one prompt"
            )
        return self


class GrpoSpec(RolloutSpec):
    """Train on rewards of completions that the model samples (GRPO)."""

    group_size: int = Field(default=8, ge=2, le=MAX_COUNT)
    """Completions of each prompt."""
    baseline: Literal["group_mean", "leave_one_out"] = "group_mean"
    """What is subtracted from a reward: the mean of the group, or that of its other completions (RLOO)."""
    advantage_scale: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the standard deviation of the group's rewards, that of all rewards of the
    rollout, or nothing (Dr. GRPO)."""
    normalisation: Literal["token", "sequence", "constant"] = "token"
    """The loss is a mean over the tokens of an optimizer step (DAPO), over its completions, each a mean over its tokens
    (GRPO), or a sum over tokens, divided by completions and max_new_tokens (Dr. GRPO)."""
    importance: Literal["token", "sequence"] = "token"
    """Ratios of probabilities of tokens, or the geometric mean over a completion (GSPO; clip at about 3e-4)."""
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    """With d = log π − log π_ref of a token: d (k1), d²/2 (k2) or exp(−d) + d − 1 (k3)."""
    kl_in: Literal["loss", "reward"] = "loss"
    """Whether the KL divergence is added to the loss of each token, or subtracted from the reward of a completion."""
    unbiased_kl: bool = True
    """Multiply k1 and k3 in the loss by the ratio of probabilities of the token, so that their gradient is that of the
    divergence (arXiv 2512.02556); that of k2 is so without it."""
    drop_equal_groups: bool = False
    """Leave groups with equal rewards out of a step, unless all are; they are counted in any case."""

    @model_validator(mode="after")
    def settings_of_the_kl_have_an_effect(self) -> "GrpoSpec":
        values, given = self.__dict__, self.__pydantic_fields_set__
        unread = [name for name in ("kl_estimator", "kl_in", "unbiased_kl") if name in given]
        if unread and not values["kl_coefficient"]:
            raise ValueError(
                f"{', '.join(unread)} without kl_coefficient: set it above 0, or remove {', '.join(unread)}"
            )
        if "unbiased_kl" in unread and values["kl_in"] == "reward":
            raise ValueError("unbiased_kl has no meaning for kl_in: reward: remove it")
        if "unbiased_kl" in unread and values["kl_estimator"] == "k2":
            raise ValueError("unbiased_kl has no meaning for kl_estimator: k2: remove it, or use k1 or k3")
        return self

    @model_validator(mode="after")
    def kl_has_a_gradient(self) -> "GrpoSpec":
        values = self.__dict__
        if values["kl_estimator"] == "k1" and values["kl_in"] == "loss" and not values["unbiased_kl"]:
            raise ValueError(
                "kl_estimator: k1 has a gradient in the loss that is zero on average: use k3, k2 without "
                "unbiased_kl, unbiased_kl: true, or kl_in: reward without it"
            )
        return self


class PpoSpec(RolloutSpec):
    """Train on rewards of completions, with a value head (PPO)."""

    passes: int = Field(default=4, ge=1, le=MAX_COUNT)
    """Number of times that the completions of a rollout are used."""
    kl_coefficient: float = Field(default=0.05, ge=0.0)
    """Weight of the KL divergence from the reference, which is subtracted from the reward of each token as
    log π − log π_ref (k1); 0 needs no reference."""
    gamma: float = Field(default=1.0, gt=0.0, le=1.0)
    """Discount of the rewards of later tokens."""
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    """λ of generalized advantage estimation: 1 compares the rewards that follow a token with its value, 0 only its
    value with the next one (arXiv 1506.02438)."""
    value_coefficient: float = Field(default=0.1, gt=0.0)
    """Weight of the loss of the values."""
    clip_value: float | None = Field(default=0.2, gt=0.0)
    """A value is learned up to this distance from that before the first step on a rollout; null disables it."""
    value_head: Literal["base", "zeros"] = "base"
    """What the value head starts from: that of the base, if an earlier ppo saved one with it, or `zeros`."""
    whiten_rewards: bool = False
    """Divide the rewards of tokens by their standard deviation over the rollout."""
    whiten_advantages: bool = True
    """Shift and scale the advantages of tokens to mean 0 and variance 1 over the rollout."""
    missing_end_penalty: float = Field(default=0.0, ge=0.0)
    """Subtracted from the reward of a completion that reached max_new_tokens without an end."""

    @model_validator(mode="after")
    def the_penalty_has_an_effect(self) -> "PpoSpec":
        values = self.__dict__
        if values["missing_end_penalty"] and values["mask_truncated"]:
            raise ValueError(
                "missing_end_penalty has no effect with mask_truncated, which leaves these completions out: remove one"
            )
        return self
