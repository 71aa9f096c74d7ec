"""The built-in rubrics of `judge`."""

from typing import Any

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.specs.evals.rubrics import LANGUAGES, RUBRICS


def rubric_names() -> list[str]:
    """The names of all rubrics."""
    return list(RUBRICS)


def rubric(name: str, language: str = "en") -> list[dict[str, Any]]:
    """The criteria of a rubric, as settings. Errors: AskError `ask.wrong-value` for an unknown name or language."""
    if name not in RUBRICS:
        raise AskError("ask.wrong-value", f"there is no rubric '{name}'", nearest(name, RUBRICS))
    if language not in LANGUAGES:
        raise AskError("ask.wrong-value", f"there is no rubric in '{language}'", f"use {' or '.join(LANGUAGES)}")
    return RUBRICS[name][language]
