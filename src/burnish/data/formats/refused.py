"""Known layouts that are refused by name, each with an alternative."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from burnish.data.formats.columns import CONVERSATIONS, Raw
from burnish.data.formats.pairs import has_choices


@dataclass(frozen=True)
class Refused:
    """`name` completes "the rows are …", `fix` is the alternative."""

    name: str
    fits: Callable[[Raw], bool]
    fix: str


_TEXT_LISTS = ("data", "dialog", "dialogue", "utterances", "turns", *CONVERSATIONS)


def _is_tree(raw: Raw) -> bool:
    root = raw.get("prompt")
    return isinstance(root, dict) and "replies" in root


def _is_node(raw: Raw) -> bool:
    return {"message_id", "parent_id", "text", "role"} <= raw.keys()


def _is_list_of_texts(raw: Raw) -> bool:
    return any(_texts(raw.get(name)) for name in _TEXT_LISTS)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value)


REFUSED = (
    Refused(
        "the messages of trees (OpenAssistant), one row each: a conversation is spread over many rows",
        _is_node,
        "follow `parent_id` from each last answer to its root, and write a row `{messages: [{role, content}, …]}`",
    ),
    Refused(
        "trees of replies (OpenAssistant), of which each holds many conversations",
        _is_tree,
        "choose a path through the replies, such as the best rank, and write `{messages: [{role, content}, …]}`",
    ),
    Refused(
        "multiple-choice questions, with the choices in their own column",
        has_choices,
        "write the choices into the question and the right one as its answer: `{question, answer}`; or, to evaluate "
        "with `multiple_choice`, prepare them with `format: prompt` and the question's column as `prompt`",
    ),
    Refused(
        "lists of texts without roles",
        _is_list_of_texts,
        "write each turn with its role: `{messages: [{role, content}, …]}`",
    ),
)
