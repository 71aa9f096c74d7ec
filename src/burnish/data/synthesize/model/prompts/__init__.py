"""The requests to the model: a file for each kind and language, which a file of the user's can replace."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from burnish.core.errors import AskError
from burnish.data.placeholders import fill, mark_of, names_in

LANGUAGES = {"en": "English", "zh": "中文"}
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Prompt:
    """The text of a request with placeholders. `name` is that of its file."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """The hash of the text, as rows record it."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with its values; {mark} is a word that none of them holds."""
        return fill(self.text, {**values, "mark": mark_of(self.text, values)}.get)


def built_in(name: str, language: str) -> Prompt:
    """The file `<language>/<name>.md` beside this module."""
    file = files(__name__) / language / f"{name}.md"
    return Prompt(f"{language}/{name}.md", file.read_text(encoding="utf-8"))


def read_prompt(path: Path, known: Collection[str]) -> Prompt:
    """A file of the user's with the placeholders `known`.

    Errors: AskError `ask.wrong-value` for a file that is empty, no UTF-8 text, or has other placeholders.
    """
    try:
        text = path.read_bytes()[:_MOST_BYTES].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AskError("ask.wrong-value", f"the prompt {path} is not a UTF-8 text", "save it as UTF-8") from None
    if not text.strip():
        raise AskError("ask.wrong-value", f"the prompt {path} is empty", "write the request to the model into it")
    unknown = [name for name in names_in(text) if name not in known and name != "mark"]
    if unknown:
        listed = ", ".join(f"{{{name}}}" for name in (*sorted(known), "mark"))
        fix = f"it may have {listed}; put a space inside braces that are meant as they are"
        raise AskError("ask.wrong-value", f"the prompt {path} has the unknown placeholder {{{unknown[0]}}}", fix)
    return Prompt(path.name, text)
