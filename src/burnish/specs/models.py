"""Settings of stages that use a trained model: `merge`, `combine` and `generate`."""

import math
from typing import Literal

from pydantic import Field, model_validator

from burnish.specs.base import DataRef, Device, ModelRef, PrintedDate, RunnableRef, Spec, Threads
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals import GenerationSpec

Method = Literal[
    "linear",
    "cat",
    "svd",
    "linear_factors",
    "ties",
    "ties_svd",
    "dare_linear",
    "dare_linear_svd",
    "dare_ties",
    "dare_ties_svd",
    "magnitude_prune",
    "magnitude_prune_svd",
]
LARGEST_WEIGHT = 1e6
"""Of an adapter: the square of its change's norm must not overflow."""


class MergeSpec(Spec):
    """Merge an adapter into its base, shard by shard."""

    model: ModelRef
    """The adapter."""
    base: ModelRef | None = None
    """The base to merge into, if the adapter does not name it."""
    other_base: bool = False
    """Allow a base with other weights than those the adapter was trained on."""
    dtype: Literal["auto", "keep", "float32", "bfloat16", "float16"] = "auto"
    """The dtype of the merged weights; `keep` is the base's. `auto`: the base's, unless rounding to it would lose more
    than a tenth of the adapter's change: then float32."""
    into: Literal["original", "dequantized"] = "original"
    """For an adapter of QLoRA: merge it into the base's weights as they are in its files, or into the values that they
    had in 4 bits during the training. How far the merged model is from the trained one is measured and reported."""
    max_shard_bytes: int = Field(default=4_000_000_000, ge=1_000)
    """Maximum size of one weights file, in bytes."""
    certify: bool = True
    """Compare the merged model with base and adapter, and keep it only if it is the same up to rounding. Off: no
    certificate."""


class WeightedAdapter(Spec):
    """One of the adapters to combine."""

    adapter: ModelRef
    """The adapter."""
    weight: float
    """The factor of its change; negative removes what it learned. Weights are used as they are, not normalised."""
    name: str | None = Field(default=None, pattern=r"^\w[\w.-]*$")
    """Its name in the report; by default that of its reference."""


class CombineSpec(Spec):
    """Combine several adapters of one base into one adapter."""

    adapters: list[WeightedAdapter] = Field(min_length=2)
    """The adapters, each with its weight."""
    method: Method = "linear"
    """How their changes are combined. `linear`: the weighted sum, exact, at the smallest rank that holds it. `cat`: the
    same, with the matrices side by side. `svd`: the weighted sum, cut to `rank`. The others first remove a part of each
    change: `ties` and `magnitude_prune` keep the largest values, `dare_linear` and `dare_ties` random ones; the `ties`
    also drop values whose sign the majority does not share. With `_svd` they work on whole changes, otherwise on the
    two matrices of each apart, as PEFT does; `linear_factors` is PEFT's `linear`, and not the weighted sum."""
    density: float = Field(default=0.5, gt=0.0, le=1.0)
    """The share of values that the methods ties, dare and magnitude_prune keep of each adapter."""
    majority_sign: Literal["total", "frequency"] = "total"
    """For ties: the majority by the sum of the values, or by their number."""
    rank: int | None = Field(default=None, ge=1)
    """The rank of the result of an svd method; by default the highest of the adapters."""
    seed: int = 0
    """Random seed of the dare methods."""
    base: ModelRef | None = None
    """The base of the adapters, if they do not name it."""
    into: Literal["adapter", "base"] = "adapter"
    """Write an adapter, or merge it into the base and write a plain model."""
    dtype: Literal["auto", "keep", "float32", "bfloat16", "float16"] = "auto"
    """With into: base, the dtype of the merged weights, as in `merge`."""
    max_shard_bytes: int = Field(default=4_000_000_000, ge=1_000)
    """With into: base, the maximum size of one weights file, in bytes."""
    certify: bool = True
    """With into: base, compare the merged model with base and adapter, and keep it only if it is the same up to
    rounding."""

    @model_validator(mode="after")
    def settings_fit_the_method(self) -> "CombineSpec":
        values = self.__dict__
        weights = [adapter.__dict__["weight"] for adapter in values["adapters"]]
        if not any(weights):
            raise ValueError("all weights are 0: the result would be the base")
        if not all(math.isfinite(weight) and abs(weight) <= LARGEST_WEIGHT for weight in weights):
            raise ValueError(f"a weight is beyond {LARGEST_WEIGHT:g}: use weights such as 0.7 and 0.3")
        names = [adapter.__dict__["name"] for adapter in values["adapters"] if adapter.__dict__["name"]]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two adapters have the name '{twice}': give each its own")
        method, given = values["method"], self.__pydantic_fields_set__
        for field, fits in (
            ("density", method not in ("linear", "linear_factors", "cat", "svd")),
            ("majority_sign", "ties" in method),
            ("rank", method.endswith("svd")),
        ):
            if field in given and not fits:
                raise ValueError(f"{field} has no effect with method: {method}: remove it, or use another method")
        for field in ("dtype", "max_shard_bytes", "certify"):
            if field in given and values["into"] != "base":
                raise ValueError(f"{field} is of merged weights: set into: base, or remove it")
        return self


class GenerateSpec(Spec):
    """Generate an answer to every prompt of a file or dataset."""

    model: RunnableRef | None = None
    """The model, adapter or GGUF file that answers."""
    endpoint: EndpointSpec | None = None
    """The model that answers, if it is behind an OpenAI-compatible endpoint. Its temperature and length are those of
    `generation`, unless they are set."""
    data: DataRef
    """Prompts: rows of any known format; a final answer is removed."""
    split: str = "test"
    """The split of a prepared dataset."""
    compare_with: RunnableRef | None = None
    """A second model that answers the same prompts."""
    generation: GenerationSpec = GenerationSpec()
    """How answers are generated."""
    max_rows: int | None = Field(default=None, ge=1)
    """Answer the first rows only."""
    date: PrintedDate = "auto"
    """The date that the chat template prints, YYYY-MM-DD. `auto`: the date used in the model's training, else in an
    earlier run of the same step, else today. Part of the fingerprint if the template prints a date."""
    device: Device = "auto"
    """The device to run on."""
    threads: Threads = "auto"
    """Number of CPU threads."""

    @model_validator(mode="after")
    def one_model_answers(self) -> "GenerateSpec":
        values = self.__dict__
        if (values["model"] is None) == (values["endpoint"] is None):
            raise ValueError("give either model or endpoint")
        return self
