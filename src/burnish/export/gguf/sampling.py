"""How a model is to be sampled, by its generation config: as keys of a GGUF file, and for Ollama."""

from collections.abc import Mapping
from typing import Any

_NAMES = {
    "temperature": ("temp", "temperature"),
    "top_k": ("top_k", "top_k"),
    "top_p": ("top_p", "top_p"),
    "min_p": ("min_p", "min_p"),
    "repetition_penalty": ("penalty_repeat", "repeat_penalty"),
}
"""llama.cpp's and Ollama's names."""
Values = Mapping[str, float]


def recommended(settings: Mapping[str, Any] | None) -> Values:
    """What a generation config says of sampling, by transformers' names; nothing where it switches sampling off."""
    if not settings or settings.get("do_sample") is False:
        return {}
    found = {name: settings.get(name) for name in _NAMES}
    return {name: value if name == "top_k" else float(value) for name, value in found.items() if value is not None}


def sampling_keys(values: Values) -> dict[str, float]:
    """The keys of a GGUF file: llama.cpp's server takes them where a request does not say otherwise."""
    return {f"general.sampling.{_NAMES[name][0]}": value for name, value in values.items()}


def sampling_parameters(values: Values) -> list[str]:
    """The lines of a Modelfile."""
    return [f"PARAMETER {_NAMES[name][1]} {value:g}" for name, value in values.items()]
