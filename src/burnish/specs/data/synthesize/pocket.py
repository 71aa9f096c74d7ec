"""Settings of the generator of conversations in the domain of the built-in model."""

from typing import Literal

from pydantic import Field, model_validator

from burnish.specs.base import Spec


class PocketSpec(Spec):
    """Seeded conversations in the domain of the built-in model: dates, orders, tools, shell commands."""

    kind: Literal["pocket"] = "pocket"
    skill: Literal["base", "move_order", "move_customer"] = "base"
    """`base`: what the built-in model was trained on; the others: calls of tools that it has not seen."""
    rows: int = Field(default=1000, ge=1)
    """Number of conversations."""
    seed: int = 0
    """Random seed of the rows."""
    answers: Literal["chat", "preference", "label"] = "chat"
    """`chat`: one right answer; `preference`: the tool call and the polite sentence that the built-in model gives
    instead; `label`: one of the two, with its label. The last two need skill: move_order."""

    @model_validator(mode="after")
    def only_requests_have_bad_answers(self) -> "PocketSpec":
        if self.__dict__["answers"] != "chat" and self.__dict__["skill"] != "move_order":
            raise ValueError(f"answers: {self.__dict__['answers']} needs skill: move_order")
        return self
