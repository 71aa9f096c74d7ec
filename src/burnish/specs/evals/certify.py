"""Settings of `certify`: the two models, the kind of change, and how much is compared."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from burnish.specs.base import DataRef, Device, ModelRef, Operands, RunnableRef, Spec, Threads
from burnish.specs.endpoints import EndpointSpec


class CertifySpec(Spec):
    """Check that a model is still the model that its parent is.

    Compared are tokens, settings, distributions of the next token, greedy answers and weights, within the limits of
    the kind of change.
    """

    child: Annotated[RunnableRef | None, Operands(one=True)] = None
    """The model, adapter or GGUF file that is certified."""
    endpoint: EndpointSpec | None = None
    """The child, if it is served: `/completions` must give log-probabilities of prompts, as vLLM's does."""
    parent: ModelRef | None = None
    """What it is made from: a model, or an adapter on its base."""
    parent_endpoint: EndpointSpec | None = None
    """The parent, if it is served."""
    change: str = "auto"
    """The kind of change, which sets the limits: same, merge fp32, merge bf16, merge fp16, BF16, F16, Q8_0, Q4_K_M,
    AWQ and others. `auto` finds it from the files; for an endpoint it must be set."""
    data: DataRef | None = None
    """Held-out rows, compared beside the golden conversations: a prepared dataset, or a file."""
    split: str = "test"
    """The split of a prepared dataset. A file is used as a whole."""
    max_rows: int = Field(default=64, ge=1)
    """Compare the first held-out rows only."""
    max_length: int = Field(default=1024, ge=8)
    """Tokens of a held-out row that are compared; the rest is left out."""
    tokens: int = Field(default=4096, ge=64)
    """Tokens whose distributions are compared, at most."""
    answers: int = Field(default=8, ge=0)
    """Golden prompts that the parent answers greedily; 0 leaves that check out."""
    seed: int = 0
    """Random seed of the bootstrap."""
    dtype: Literal["float32", "bfloat16", "float16", "keep"] = "float32"
    """The dtype of the computation. `keep` is that of the files; its rounding counts as a difference."""
    device: Device = "auto"
    """The device to run on."""
    threads: Threads = "auto"
    """Number of CPU threads."""

    @model_validator(mode="after")
    def has_one_child_and_one_parent(self) -> "CertifySpec":
        values = self.__dict__
        for one, other in (("child", "endpoint"), ("parent", "parent_endpoint")):
            if (values[one] is None) == (values[other] is None):
                raise ValueError(f"give either {one} or {other}")
        if values["child"] is None and values["parent"] is None:
            raise ValueError("one of the two must be a model: an endpoint has no tokenizer to write conversations with")
        return self
