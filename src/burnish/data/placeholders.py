"""Texts with placeholders in braces, such as requests to a language model."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping

_PLACEHOLDER = re.compile(r"\{([\w.-]+)\}")


def names_in(template: str) -> list[str]:
    """The names of the placeholders, each once, in their order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(template)))


def fill(template: str, value: Callable[[str], str | None]) -> str:
    """A template with the values of its placeholders; one without a value, and other braces, are kept.

    One pass, so that a placeholder in a value is not replaced.
    """

    def text(found: re.Match[str]) -> str:
        given = value(found[1])
        return found[0] if given is None else given

    return _PLACEHOLDER.sub(text, template)


def mark_of(template: str, values: Mapping[str, str]) -> str:
    """A word that depends on all values, so that none of them can hold it: headings with it cannot be forged."""
    return hashlib.sha256(json.dumps([template, dict(values)]).encode()).hexdigest()[:8]
