"""Settings of `quantize`."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from burnish.specs.base import RUNTIME, DataRef, Device, LocalPath, ModelRef, Spec, Threads

QuantizeMethod = Literal["gptq", "awq", "smoothquant", "rtn", "nf4"]
Scheme = Literal["W4A16", "W4A16_ASYM", "W8A16", "W8A8", "FP8_DYNAMIC"]
SCHEMES: dict[str, tuple[Scheme, ...]] = {
    "gptq": ("W4A16", "W4A16_ASYM", "W8A16", "W8A8"),
    "awq": ("W4A16_ASYM", "W4A16"),
    "smoothquant": ("W8A8",),
    "rtn": ("FP8_DYNAMIC", "W8A8", "W8A16", "W4A16"),
    "nf4": (),
}
"""What each method can write; the first is its default."""
IN_GROUPS = ("W4A16", "W4A16_ASYM")
_OF_METHODS = {
    "data": ("gptq", "awq", "smoothquant"),
    "split": ("gptq", "awq", "smoothquant"),
    "samples": ("gptq", "awq", "smoothquant"),
    "max_length": ("gptq", "awq", "smoothquant"),
    "seed": ("gptq", "awq", "smoothquant"),
    "damping": ("gptq", "smoothquant"),
    "act_order": ("gptq",),
    "grid": ("awq",),
    "duo_scaling": ("awq",),
    "smoothing": ("smoothquant",),
    "double": ("nf4",),
    "environment": ("gptq", "awq", "smoothquant", "rtn"),
    "timeout": ("gptq", "awq", "smoothquant", "rtn"),
    "install_timeout": ("gptq", "awq", "smoothquant", "rtn"),
}


class QuantizeSpec(Spec):
    """Quantize a model, or an adapter on its base, to 4 or 8 bits."""

    model: ModelRef
    """The model or adapter. An adapter is merged first."""
    method: QuantizeMethod = "gptq"
    """How weights are rounded. `gptq` and `awq` calibrate on data; `smoothquant`, for W8A8, moves outliers of
    activations into the weights, and rounds by GPTQ; `rtn` rounds to nearest, without data. These four are
    llm-compressor's, in an environment of its own. `nf4` is bitsandbytes' 4 bits, in this process and without data."""
    scheme: Literal["auto"] | Scheme = "auto"
    """What is stored: bits of weights (W) and activations (A); W4A16_ASYM has zero points. `auto`: W4A16 for gptq,
    W4A16_ASYM for awq, W8A8 for smoothquant, FP8_DYNAMIC for rtn."""
    group_size: Literal["auto", 32, 64, 128] = "auto"
    """Weights that share a scale, for 4 bits. `auto`: the largest by which the columns of all layers can be divided."""
    ignore: list[str] = []
    """Modules that are not quantized, besides the head and the routers of experts: their names, or `re:` and a regular
    expression."""
    data: DataRef | None = None
    """Calibration rows. By default those of the model's training."""
    split: str = "train"
    """The split of a prepared dataset. A file is used as a whole."""
    samples: int = Field(default=512, ge=1)
    """Rows to calibrate on, drawn at random."""
    max_length: int = Field(default=2048, ge=8)
    """Tokens of a row that are used; the rest is left out."""
    seed: int = 0
    """Random seed of the draw."""
    damping: float = Field(default=0.01, gt=0.0, le=1.0)
    """GPTQ: what is added to the diagonal of the Hessian, relative to its mean."""
    act_order: bool = True
    """GPTQ: round the columns with the largest activations first."""
    grid: int = Field(default=20, ge=2)
    """AWQ: scales that are tried for each layer."""
    duo_scaling: bool = True
    """AWQ: scale by weights and activations, not by activations alone."""
    smoothing: float = Field(default=0.5, ge=0.0, le=1.0)
    """SmoothQuant: how much of the outliers is moved into the weights."""
    double: bool = True
    """NF4: quantize the scales, too."""
    environment: Annotated[str, RUNTIME, LocalPath()] = "auto"
    """Where llm-compressor runs. `auto`: in an environment that is made once, in the user's cache folder. A path: in
    that Python, which has it. `container`: in the `quantize` container."""
    timeout: Annotated[float | None, RUNTIME] = Field(default=None, gt=0)
    """Seconds after which the quantizer is ended; no limit by default."""
    install_timeout: Annotated[float, RUNTIME] = Field(default=3600.0, gt=0)
    """Seconds after which each run of pip is ended, when the environment is made."""
    certify: bool = True
    """Compare the result with the model, and keep it only within the limits of its kind. Off: no certificate."""
    device: Device = "auto"
    """The device to quantize on."""
    threads: Threads = "auto"
    """Number of CPU threads."""

    def besides(self, *, is_reused: bool) -> str:
        if is_reused or self.__dict__["method"] == "nf4" or self.__dict__["environment"] != "auto":
            return ""
        return "llm-compressor runs in an environment of its own; the first time, it is made: 2 GB or more, minutes"

    @field_validator("ignore")
    @classmethod
    def patterns_can_be_read(cls, names: list[str]) -> list[str]:
        for name in names:
            try:
                re.compile(name.removeprefix("re:") if name.startswith("re:") else "")
            except re.error as error:
                raise ValueError(f"'{name}' is no regular expression: {error}") from error
        return names

    @model_validator(mode="after")
    def settings_fit_the_method(self) -> "QuantizeSpec":
        values, given = self.__dict__, self.__pydantic_fields_set__
        method, scheme = values["method"], values["scheme"]
        if scheme != "auto" and scheme not in SCHEMES[method]:
            if not SCHEMES[method]:
                raise ValueError(f"method: {method} takes no scheme: remove scheme: {scheme}")
            raise ValueError(f"method: {method} writes {', '.join(SCHEMES[method])}, not {scheme}")
        for field, methods in _OF_METHODS.items():
            if field in given and method not in methods:
                raise ValueError(f"{field} has no effect with method: {method}: remove it")
        if "group_size" in given and written(method, scheme) not in IN_GROUPS:
            raise ValueError(f"group_size is of 4-bit schemes, not of {written(method, scheme)}: remove it")
        return self


def written(method: str, scheme: str) -> str:
    """The scheme that a method writes; that of `auto` is its first, NF4 has none."""
    return scheme if scheme != "auto" else next(iter(SCHEMES[method]), method.upper())
