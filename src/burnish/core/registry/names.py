"""Names in the registry: of entries and tags, the stages of a version, and references such as `support@3`."""

import re
from typing import Literal

from burnish.core.errors import AskError
from burnish.core.naming import nearest

Stage = Literal["retired", "candidate", "staging", "production"]
STAGES: tuple[Stage, ...] = ("retired", "candidate", "staging", "production")
"""The lowest first: `promote` moves up, `demote` moves down."""
KINDS = ("adapter", "model")
"""The kinds of artifacts that the registry holds."""
LATEST = "latest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def with_article(kind: str) -> str:
    """`an adapter`, `a model`."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def check_name(text: str) -> str:
    """A name of the registry. AskError `ask.wrong-value` for one that is no plain folder name or contains a dot."""
    if not is_name(text):
        raise AskError(
            "ask.wrong-value",
            f"'{text}' is not a valid name in the registry",
            "use up to 64 letters, digits, '-' and '_', starting with a letter or digit; `recipe.step@3` has the dot",
        )
    return text


def check_tag(text: str) -> str:
    """A tag. AskError `ask.wrong-value` for one that is a stage, a number or `latest`, which have a meaning."""
    if not _TAG.fullmatch(text) or text.isdigit() or text.lower() in (*STAGES, LATEST):
        reserved = ", ".join((LATEST, *STAGES))
        raise AskError(
            "ask.wrong-value",
            f"'{text}' cannot be a tag",
            f"use up to 64 letters, digits, '.', '-' and '_', not only digits, and not {reserved}",
        )
    return text


def check_stage(text: str) -> Stage:
    """A stage of a version. AskError `ask.wrong-value` that suggests the nearest."""
    if text not in STAGES:
        short = [stage for stage in STAGES if text and stage.startswith(text.lower())]
        hint = f"did you mean '{short[0]}'?" if len(short) == 1 else nearest(text, STAGES)
        raise AskError("ask.wrong-value", f"there is no stage '{text}'", hint)
    return text


def number_of(text: str) -> int | None:
    """The number of a version, as it is in a reference and in the name of a file; None for other text."""
    return int(text) if _NUMBER.fullmatch(text) else None


def split_reference(ref: str) -> tuple[str, str]:
    """`support@3` → (support, 3); a name alone means its latest version. Errors: those of `check_name`."""
    name, at, version = ref.partition("@")
    if at and not version:
        raise AskError("ask.wrong-value", f"'{ref}' lacks the version", f"write {name}@latest or {name}@3")
    return check_name(name), version or LATEST
