"""Settings of `export`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from burnish.specs.base import RUNTIME, ModelRef, Spec, Takes, is_a_reference

ScoreRef = Annotated[str, Takes(("evaluation",)), AfterValidator(is_a_reference)]
"""An artifact of `evaluate` or `judge`."""
_TARGET = re.compile(r"hub:\w[\w.-]*/\w[\w.-]*(?<![.-])(@\w[\w./-]*(?<![./]))?")


class ExportSpec(Spec):
    """Write a folder that other tools read, with a model card.

    An adapter is merged into its base. `push_to` uploads the folder to a hub.
    """

    model: ModelRef
    """The model or adapter."""
    form: Literal["model", "adapter"] = "model"
    """A whole model; or an adapter alone, as PEFT reads it."""
    dtype: Literal["auto", "keep", "float32", "bfloat16", "float16"] = "auto"
    """The dtype of the weights; `keep` is that of the model, or of the adapter's base. `auto`: that too, unless
    rounding to it would lose more than a tenth of the adapter's change: then float32."""
    max_shard_bytes: int = Field(default=4_000_000_000, ge=1_000)
    """Maximum size of one weights file, in bytes."""
    title: str | None = Field(default=None, min_length=1, max_length=96, pattern=r"^[^\x00-\x1f\x7f]+$")
    """The title of the model card; by default the name of the model."""
    evaluations: dict[str, ScoreRef] = {}
    """Evaluations whose scores the card shows, by name. By default all that the workspace has of this model when it is
    exported."""
    certify: bool = True
    """Compare the folder with the model, and keep it only if it is the same up to rounding. Off: no certificate."""

    push_to: Annotated[str | None, RUNTIME] = None
    """Upload the folder to a hub: `hub:owner/name`, or `hub:owner/name@branch`. Only if the certificate holds. The
    token is read from HF_TOKEN or from `hf auth login`; HF_ENDPOINT names another hub."""
    private: Annotated[bool, RUNTIME] = True
    """Create a private repository. One that exists must be private too, unless this is false."""
    commit_message: Annotated[str | None, RUNTIME] = Field(default=None, min_length=1, max_length=500)
    """The message of the commit; by default it names this model and the version of burnish."""

    def besides(self, *, is_reused: bool) -> str:
        values = self.__dict__
        if values["push_to"] is None:
            return ""
        which = "a private repository" if values["private"] else "a repository that may be public"
        return f"uploads the folder to {values['push_to']}, {which}"

    @field_validator("push_to")
    @classmethod
    def names_a_repository(cls, value: str | None) -> str | None:
        if value is not None and (_TARGET.fullmatch(value) is None or ".." in value or "--" in value):
            raise ValueError(f"'{value}' is no repository of a hub: write hub:owner/name, or hub:owner/name@branch")
        return value

    @model_validator(mode="after")
    def settings_fit(self) -> "ExportSpec":
        values, given = self.__dict__, self.__pydantic_fields_set__
        if values["form"] == "adapter":
            for field in ("dtype", "max_shard_bytes"):
                if field in given:
                    raise ValueError(f"{field} has no effect with form: adapter: its file is copied as it is")
        if values["push_to"] is None:
            for field in ("private", "commit_message"):
                if field in given:
                    raise ValueError(f"{field} has no effect without push_to: set push_to: hub:owner/name")
        return self
