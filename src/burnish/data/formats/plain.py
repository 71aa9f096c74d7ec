"""Rows without an answer: a `text` to continue, or a `prompt` whose reference lies in other columns."""

from burnish.data.document import Row, make_row
from burnish.data.formats.format import Format, Raw, is_text, rest_of, tag_of, text_of
from burnish.data.formats.pairs import is_said, said
from burnish.data.formats.turns import system_of, tools_of, with_system

ANSWERS = ("response", "output", "completion", "chosen", "reply", "answers")


def _fits_text(raw: Raw) -> str:
    return "a text column" if is_text(raw, "text") else ""


def _read_text(raw: Raw, source: str) -> Row:
    return make_row("text", source, text=text_of(raw, "text"), tag=tag_of(raw), extra=rest_of(raw, "text", "tag"))


def _fits_prompt(raw: Raw) -> str:
    """A column that looks like the answer makes it something else, which only a person can name."""
    found = is_said(raw.get("prompt")) and not any(key in raw for key in ANSWERS)
    return "a prompt and no answer" if found else ""


def _read_prompt(raw: Raw, source: str) -> Row:
    extra = rest_of(raw, "prompt", "system", "tools", "tag")
    messages = with_system(system_of(raw), said(raw, "prompt", "user", extra))
    return make_row("prompt", source, messages=messages, tools=tools_of(raw.get("tools")), tag=tag_of(raw), extra=extra)


TEXT = Format("text", ("text",), _fits_text, _read_text, weak=True)
PROMPT = Format("prompt", ("prompt",), _fits_prompt, _read_prompt, weak=True)
