"""Settings of `serve`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from burnish.specs.base import RUNTIME, Takes, Threads, Trailing, is_a_reference
from burnish.specs.ship.gguf import GgufType
from burnish.specs.ship.server import ServerSpec
from burnish.specs.ship.vllm import arguments_of_vllm

ServedRef = Annotated[str, Takes(("model", "adapter", "gguf")), AfterValidator(is_a_reference)]
"""A model, an adapter, or a GGUF file."""
ServedAdapterRef = Annotated[str, Takes(("adapter", "gguf-adapter")), AfterValidator(is_a_reference)]
"""An adapter, as PEFT saves it or as `burnish gguf --form lora` writes it."""
VllmArguments = Annotated[list[str], Trailing(), AfterValidator(arguments_of_vllm)]
VLLM_ONLY = ("vllm_args", "dtype", "tensor_parallel")
_NAME = r"^\w[\w./-]{0,99}$"


class ServeSpec(ServerSpec):
    """Serve a model over HTTP, as OpenAI's API."""

    model: ServedRef
    """The model, adapter or GGUF file. An adapter is served on its base, merged."""
    adapters: dict[str, ServedAdapterRef] = Field(default_factory=dict[str, str])
    """Further adapters of the same base, by the name that requests use as `model`."""
    name: str | None = Field(default=None, pattern=_NAME)
    """The name of the model in requests; by default that of its reference."""
    engine: Literal["auto", "llama", "vllm", "transformers"] = "auto"
    """What computes the answers. `auto`: vLLM where there is a GPU and vLLM is installed, else llama.cpp."""
    context: int | None = Field(default=None, ge=8)
    """Most tokens of a prompt with its answer; by default the model's, and at most 8,192."""
    parallel: Annotated[int, RUNTIME, Field(ge=1, le=256)] = 8
    """Requests that llama.cpp answers at a time; each has the whole context. Others wait in order."""
    gguf_type: GgufType = "Q8_0"
    """For llama.cpp: how weights are stored in the file that is made, once, of a model that is no GGUF file."""
    certify: bool = True
    """Compare that file with the model when it is made, and refuse it beyond the limits of its type."""
    start_seconds: Annotated[float, RUNTIME, Field(gt=0)] = 300.0
    """How long the engine may take to load the model."""
    threads: Threads = "auto"
    """Number of CPU threads."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """For vLLM: the type of the weights and of the computation. `auto`: as the model was saved, 16 bits for float32."""
    tensor_parallel: int = Field(default=1, ge=1)
    """For vLLM: the number of GPUs that each layer is split over."""
    vllm_args: VllmArguments = Field(default_factory=list[str])
    """Further arguments of `vllm serve`, such as `--gpu-memory-utilization=0.8`; on the command line after `--`."""

    def besides(self, *, is_reused: bool) -> str:
        return f"answers at {self.__dict__['host']}:{self.__dict__['port'] or 'a free port'} until it is stopped"

    @model_validator(mode="after")
    def names_differ(self) -> "ServeSpec":
        adapters = self.__dict__["adapters"]
        for name in adapters:
            if not re.match(_NAME, name):
                raise ValueError(f"adapters: '{name}' is no name: use letters, digits, '.', '_', '/' and '-'")
        if self.__dict__["name"] in adapters:
            raise ValueError(f"the model and an adapter have the name '{self.__dict__['name']}': rename one")
        return self

    @model_validator(mode="after")
    def settings_fit_the_engine(self) -> "ServeSpec":
        values, given = self.__dict__, self.__pydantic_fields_set__
        engines = dict.fromkeys(VLLM_ONLY, "vllm") | dict.fromkeys(("gguf_type", "certify"), "llama")
        for field, engine in engines.items():
            if field in given and values["engine"] not in ("auto", engine):
                raise ValueError(f"{field} has no effect with engine: {values['engine']}: remove it")
        return self
