"""Conversations in which the assistant looks the documentation up: a call of `lookup_docs`, its result, an answer."""

import json
from collections.abc import Iterator
from typing import Any

from burnish.data.synthesize.docs.items import CALLABLES, Item
from burnish.data.synthesize.docs.templates.draft import (
    LANGUAGES,
    Draft,
    Wording,
    documentation,
    heading,
    joined,
    noun,
    paragraphs,
    signature,
)

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "lookup_docs",
        "description": "Look up the documentation of a name or a section in a library.",
        "parameters": {
            "type": "object",
            "properties": {
                "library": {"type": "string", "description": "The library, package or repository."},
                "name": {"type": "string", "description": "The full name, or the title of the section."},
            },
            "required": ["library", "name"],
        },
    },
}
_ASK = (
    "I want to use `{name}` of {title}. How is it called?",
    "What does `{name}` do, and how is it called?",
    "Look up {noun} `{name}` in {title}.",
    "I want to use `{name}`. What do I have to know?",
)
_ASK_OTHERS = ("What is `{name}` in {title}?", "Look up `{name}` in {title}.")
_SHOWN = 1_200
"""Characters of the documentation in an answer."""
_ASK_SECTION = ("Look up “{name}” in the documentation of {title}.", "What do the docs of {title} say on “{name}”?")


def drafts(item: Item, wording: Wording) -> Iterator[Draft]:
    """One row. The result of the tool has the fields that the source has; the answer stands in the result."""
    sentences = _ASK_SECTION if item.kind == "section" else _ASK if item.kind in CALLABLES else _ASK_OTHERS
    name = heading(item, wording) if item.kind == "section" else item.name
    question = wording.one_of(sentences, item).format(name=name, title=wording.title, noun=noun(item))
    text = documentation(item)
    result = {
        "name": name,
        "kind": item.kind,
        **({"language": LANGUAGES[item.language]} if item.language in LANGUAGES else {}),
        **({"signature": item.signature} if item.signature else {}),
        "documentation": text,
        "source": f"{item.file}:{item.line}",
    }
    arguments = json.dumps({"library": wording.library, "name": name}, ensure_ascii=False)
    call = {"type": "function", "function": {"name": "lookup_docs", "arguments": arguments}}
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "lookup_docs", "content": json.dumps(result, ensure_ascii=False)},
        {"role": "assistant", "content": _answer(item, text)},
    ]
    yield Draft(messages, tools=[TOOL])


def _answer(item: Item, text: str) -> str:
    """The signature and the first paragraphs, with the place of the source."""
    place = f"Source: `{item.file}:{item.line}`."
    shown = "\n\n".join(_first(paragraphs(text))) if item.kind != "section" else text
    return joined(signature(item), shown, place)


def _first(parts: list[str]) -> list[str]:
    """The first paragraphs, none of which announces one that is left out."""
    kept, size = list[str](), 0
    for part in parts:
        if kept and size + len(part) > _SHOWN:
            break
        kept.append(part)
        size += len(part)
    while len(kept) > 1 and len(kept) < len(parts) and kept[-1].rstrip("*").endswith(":"):
        kept.pop()
    return kept
