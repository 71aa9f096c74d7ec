"""Settings of the filters and rewritings of `clean`: each is a spec of its own, and null switches it off."""

from typing import Literal

from pydantic import Field, model_validator

from burnish.specs.base import Spec


class LengthSpec(Spec):
    """Drop texts that are too short or too long."""

    min_characters: int = Field(default=1, ge=0)
    """The fewest characters."""
    max_characters: int | None = Field(default=None, ge=1)
    """The most characters."""
    min_words: int | Literal["auto"] = "auto"
    """The fewest words; a Chinese, Japanese or Thai character is one. `auto`: 5 in documents, 0 in conversations."""
    max_words: int | None = Field(default=100_000, ge=1)
    """The most words."""

    @model_validator(mode="after")
    def least_is_not_above_most(self) -> "LengthSpec":
        given = self.__dict__
        for unit in ("characters", "words"):
            least, most = given[f"min_{unit}"], given[f"max_{unit}"]
            if isinstance(least, int) and most is not None and least > most:
                raise ValueError(f"min_{unit} {least} is above max_{unit} {most}: no text would be kept")
        return self


class FiltersSpec(Spec):
    """What is dropped. Null switches a filter off."""

    length: LengthSpec | None = LengthSpec()
    """Texts that are too short or too long."""


class NormalizeSpec(Spec):
    """Make equal what looks equal: Unicode in its composed form, no invisible characters, line ends as line feeds."""

    unicode: Literal["NFC", "NFKC"] | None = "NFC"
    """The Unicode form; NFKC also replaces full-width and other compatibility characters."""


class RewritingSpec(Spec):
    """What is rewritten in the texts that are kept. Null switches a rewriting off."""

    normalize: NormalizeSpec | None = NormalizeSpec()
    """Unicode and white space."""
