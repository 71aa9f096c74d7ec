"""SQuAD's layout: a question about a context, and a list of answers, of which the first is used."""

from typing import Any

from burnish.data.formats.columns import Columns, Raw
from burnish.data.formats.format import Format
from burnish.data.formats.pairs import Pair, has_choices
from burnish.data.formats.rest import keep_rest
from burnish.data.record import RowError

_PAIR = Pair("squad", "question", "answers", above=("context",))


def fits(raw: Raw) -> str:
    found = isinstance(raw.get("question"), str) and _texts(raw.get("answers")) is not None
    return "question and a list of answers" if found and not has_choices(raw) else ""


def map_row(columns: Columns) -> dict[str, Any]:
    value = columns.take("answers")
    texts = _texts(value)
    if texts is None:
        raise RowError("answers", "must be a list of texts, or an object with a list 'text'")
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise RowError("answers", "the question has no answer: leave such rows out, or write what to answer")
    if len(set(texts)) > 1:
        columns.extra["answers.text"] = texts
    if isinstance(value, dict):
        keep_rest(value, {"text"}, "answers", columns.extra)
    answer = {"role": "assistant", "content": texts[0]}
    return {"kind": "chat", "messages": [*_PAIR.question(columns), answer]}


def _texts(value: Any) -> list[str] | None:
    listed = value.get("text") if isinstance(value, dict) else value
    return listed if isinstance(listed, list) and all(isinstance(text, str) for text in listed) else None


FORMAT = Format("squad", (("question",), ("answers",)), fits, map_row)
