"""One answer to a prompt and whether it is desirable: `label` or `kto_tag` beside any of the chat layouts."""

from typing import Any

from burnish.data.formats.columns import CONVERSATIONS, Columns, Raw, is_turns
from burnish.data.formats.format import JUDGED, Format
from burnish.data.formats.labels import UNWANTED, WANTED, label_of
from burnish.data.formats.pairs import pair_in
from burnish.data.record import RowError, kind_of

_COLUMNS = ("kto_tag", "label")


def fits(raw: Raw) -> str:
    marked = next((name for name in _COLUMNS if name in raw), "")
    if not marked or label_of(raw[marked]) is None:
        return ""
    answered = any(is_turns(raw.get(name)) for name in CONVERSATIONS) or pair_in(raw) is not None
    return f"an answer and its {marked}" if answered else ""


def map_row(columns: Columns) -> dict[str, Any]:
    marked = next((name for name in _COLUMNS if name in columns.raw), "label")
    label = label_of(columns.take(marked))
    if label is None:
        known = ", ".join((*WANTED, *UNWANTED))
        raise RowError(marked, f"must be true or false, not {kind_of(columns.raw[marked])} (known: {known})")
    messages = columns.conversation()
    if messages:
        if messages[-1]["role"] != "assistant":
            raise RowError("messages", "the last turn must be the answer that the label judges")
        return {"kind": "label", "messages": messages[:-1], "completion": messages[-1:], "label": label}
    pair = pair_in(columns.raw)
    if pair is None:
        raise RowError("prompt", "there is no answer: neither turns nor columns such as prompt and completion")
    return {
        "kind": "label",
        "messages": pair.question(columns),
        "completion": pair.answer(columns),
        "label": label,
    }


FORMAT = Format("kto", (_COLUMNS,), fits, map_row, rank=JUDGED)
