"""Rows without an answer: a `text` to continue, a transcript in a `text`, or a `prompt` without an answer."""

from typing import Any

from burnish.data.formats.columns import Columns, Raw, is_content
from burnish.data.formats.conversation import conversation
from burnish.data.formats.format import WEAK, Format
from burnish.data.formats.transcript import is_transcript, transcribed

ANSWERS = ("response", "output", "completion", "completions", "chosen", "reply", "answers", "solution", "target")


def _fits_text(raw: Raw) -> str:
    return "a text column" if isinstance(raw.get("text"), str) else ""


def _map_text(columns: Columns) -> dict[str, Any]:
    return {"kind": "text", "text": columns.text("text")}


def _fits_transcript(raw: Raw) -> str:
    return "a text of 'Human:' and 'Assistant:'" if is_transcript(raw.get("text")) else ""


def _map_transcript(columns: Columns) -> dict[str, Any]:
    return conversation(transcribed(columns.text("text"), "text"))


def _fits_prompt(raw: Raw) -> str:
    """A column that looks like the answer makes it another layout, which only the user can name."""
    found = is_content(raw.get("prompt")) and not any(key in raw for key in ANSWERS)
    return "a prompt and no answer" if found else ""


def _map_prompt(columns: Columns) -> dict[str, Any]:
    return {"kind": "prompt", "messages": columns.turns_from("prompt", "user")}


TEXT = Format("text", (("text",),), _fits_text, _map_text, rank=WEAK)
TRANSCRIPT = Format("transcript", (("text",),), _fits_transcript, _map_transcript)
PROMPT = Format("prompt", (("prompt",),), _fits_prompt, _map_prompt, rank=WEAK)
