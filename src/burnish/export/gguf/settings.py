"""The config of a model as an export reads it: unread fields that may change the function are refused."""

from collections.abc import Mapping
from typing import Any

from burnish.core.errors import ModelError

_NO_EFFECT = frozenset(
    (
        *("architectures", "output_hidden_states", "output_attentions", "return_dict", "dtype", "torch_dtype"),
        *("chunk_size_feed_forward", "is_encoder_decoder", "id2label", "label2id", "problem_type", "_name_or_path"),
        *("transformers_version", "model_type", "initializer_range", "use_cache", "auto_map", "is_decoder"),
        *("attention_dropout", "resid_pdrop", "embd_pdrop", "output_router_logits", "router_aux_loss_coef"),
        *("router_jitter_noise", "pad_token_id", "bos_token_id", "eos_token_id", "pretraining_tp"),
    )
)
"""Fields without an effect on the scores of a model that is not trained, of all mapped families."""


class Settings:
    """Reads a config, and remembers which fields were read.

    `pretraining_tp` and dropouts have no effect outside of training.
    """

    def __init__(self, family: str, values: Mapping[str, Any]):
        """`values` are those of transformers' config object, its defaults included."""
        self.family, self._values = family, values
        self._read: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field."""
        self._read.add(name)
        value = self._values.get(name)
        return default if value is None else value

    def number(self, name: str) -> Any:
        """The value of a field that must be a number."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelError(
                "model.broken",
                f"config.json: {name} is {value!r}, and a number is needed",
                "download or export the model again",
            )
        return value

    def expect(self, name: str, *allowed: Any) -> None:
        """Refuse a value that llama.cpp cannot express. A field that the family lacks is fine."""
        self._read.add(name)
        if name in self._values and self._values[name] not in allowed:
            self.refuse(name, f"llama.cpp computes this family with {_either(allowed)} only")

    def refuse(self, name: str, why: str) -> None:
        """Errors: ModelError `model.unsupported` that names the field and its value."""
        raise ModelError(
            "model.unsupported",
            f"config.json: {name} is {self._values.get(name)!r}, and a GGUF file of {self.family} cannot say so: {why}",
            "serve the safetensors model with another engine, or use llama.cpp's own converter and compare its "
            "file with burnish certify",
        )

    def refuse_unread(self) -> None:
        """Refuse fields that nothing read and that may have an effect."""
        for name, value in self._values.items():
            if name not in self._read and name not in _NO_EFFECT and value is not None:
                self.refuse(name, "the export does not know this field")


def _either(values: tuple[Any, ...]) -> str:
    return " or ".join(repr(value) for value in values)
