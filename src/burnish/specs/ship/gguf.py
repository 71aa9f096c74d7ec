"""Settings of `gguf`."""

from typing import Literal

from pydantic import Field, model_validator

from burnish.specs.base import DataRef, FileRef, ModelRef, Spec, Threads

LongTypes = Literal["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0"]
ShortTypes = Literal["Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"]
GgufType = Literal[LongTypes, ShortTypes]

_WITHOUT_IMPORTANCE = ("F32", "F16", "BF16", "Q8_0")


class GgufSpec(Spec):
    """Write a model, or an adapter on its base, as one GGUF file.

    An adapter is merged weight by weight as the file is written.
    """

    model: ModelRef
    """The model or adapter."""
    type: GgufType = "Q4_K_M"
    """How weights are stored; the types with K are llama.cpp's mixes of several."""
    form: Literal["model", "lora"] = "model"
    """A whole model; or an adapter alone, in float32, for a base that is a GGUF file too (llama.cpp's `--lora`)."""
    converter: FileRef | None = None
    """llama.cpp's `convert_hf_to_gguf.py`, such as `file:llama.cpp/convert_hf_to_gguf.py`: it writes models of a shape
    that burnish does not map, as F32, F16, BF16 or Q8_0. It runs with your rights."""
    name: str | None = Field(default=None, max_length=100, pattern=r"^[\w][\w.-]*$")
    """The name of the file, before its type; by default that of the model."""
    prove_strings: int = Field(default=10_000, ge=100)
    """Strings on which llama.cpp's tokens are compared with the tokenizer's, besides the golden conversations."""
    importance: DataRef | None = None
    """Rows on which the importance of each column of a weight is measured, for the types of fewer bits: a prepared
    dataset, whose rows to train on are used, or a file."""
    importance_rows: int = Field(default=256, ge=1)
    """Use the first rows only."""
    importance_length: int = Field(default=512, ge=8)
    """Tokens of each row that are used; the rest is left out."""
    data: DataRef | None = None
    """Held-out rows for the certificate. By default those of the model's training; where there are none, perplexity is
    compared on texts that the model samples."""
    certify: bool = True
    """Compare the file with the model, and keep it only within the limits of its type. Off: no certificate."""
    threads: Threads = "auto"
    """Number of CPU threads."""

    @model_validator(mode="after")
    def settings_fit_the_form(self) -> "GgufSpec":
        values, given = self.__dict__, self.__pydantic_fields_set__
        if values["form"] == "lora":
            for field in ("type", "prove_strings", "importance", "converter"):
                if field in given:
                    raise ValueError(f"{field} has no effect with form: lora: it is float32, without tokenizer")
        if values["importance"] is not None and values["type"] in _WITHOUT_IMPORTANCE:
            raise ValueError(f"importance has no effect with type: {values['type']}: remove it, or use another type")
        for field in ("importance_rows", "importance_length"):
            if field in given and values["importance"] is None:
                raise ValueError(f"{field} is of the rows of importance: set importance, or remove it")
        return self
