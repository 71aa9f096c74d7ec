"""Over random rows of every layout: each text is in the mapped row, in `extra` under its column, or the row is refused.

The rows are the examples of the layouts with their texts replaced by random ones and with random keys put in anywhere.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.formats import COLUMNS, FORMATS
from burnish.data.record import RowError
from layouts import EXAMPLES

_VERDICTS = ("winner", "winner_model_a", "winner_model_b", "label", "kto_tag")
_STRUCTURE = ("role", "from", "type", "schemaVersion", *_VERDICTS)
"""Keys whose values say how a row is to be read: the row says the same in its own words."""
_KEYS = (
    *("content", "value", "text", "message", "parts", "name", "tool_call_id", "tool_calls", "function_call", "train"),
    *("reasoning_content", "reasoning", "thinking", "thought", "refusal", "id", "index", "arguments", "parameters"),
    *("args", "input", "output", "description", "strict", "cache_control", "signature", "is_error", "citations", "tag"),
    *("function", "response", "model", "score", "images", "human", "assistant", "toolUseId", "call_id", "mood", "note"),
    *("training", "train_detail", "weight", "loss_weight"),
)
_SPEAKER = re.compile(r"(?:### )?(?:Human|Assistant):")
Path = tuple[str | int, ...]


def texts_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text with its path; a text that spells JSON gives the texts within it."""
    if isinstance(value, str):
        inner = spelled(value)
        yield from texts_of(inner, path) if inner is not None else [(path, value)]
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from texts_of(child, (*path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from texts_of(child, (*path, i))


def spelled(text: str) -> Any:
    if not text.startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def altered(value: Any, alter: Any, path: Path = ()) -> Any:
    """A copy in which `alter(path, value)` has replaced texts and objects; texts of JSON are altered within."""
    if isinstance(value, str):
        inner = spelled(value)
        return alter(path, value) if inner is None else json.dumps(altered(inner, alter, path))
    if isinstance(value, list):
        return [altered(child, alter, (*path, i)) for i, child in enumerate(value)]
    if isinstance(value, dict):
        return alter(path, {key: altered(child, alter, (*path, key)) for key, child in value.items()})
    return value


@st.composite
def rows(draw: Any) -> tuple[str, dict[str, Any]]:
    """(the name of a format, a row of it), each text with a mark of its own."""
    name = draw(st.sampled_from(sorted(EXAMPLES)))
    words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
    made = 0

    def text() -> str:
        nonlocal made
        made += 1
        return f"§{made}§{draw(words)}§"

    def alter(path: Path, value: Any) -> Any:
        if isinstance(value, str):
            if any(key in _STRUCTURE for key in path) or draw(st.integers(0, 3)) == 0:
                return value
            return value.replace("Hi", text()) if "Human:" in value else text()
        if draw(st.integers(0, 5)) == 0:
            key = draw(st.sampled_from(_KEYS if path else sorted({*COLUMNS, "tag", "topic"})))
            given = draw(st.sampled_from(["text", "list", "object"]))
            made_of = {"text": text(), "list": [text()], "object": {draw(st.sampled_from(_KEYS)): text()}}
            return {key: made_of[given]} | value
        return value

    return name.split(" ")[0], altered(copy.deepcopy(EXAMPLES[name][0]), alter)


def missing(raw: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """The texts of a raw row that are neither in the mapped row nor in `extra` under their column."""
    mapped = [text for _, text in texts_of({key: value for key, value in row.items() if key != "extra"})]
    extra = [(path, text) for path, text in texts_of(row.get("extra", {}))]
    lost = []
    for path, text in texts_of(raw):
        if any(key in _STRUCTURE for key in path) and "§" not in text:
            continue
        kept = [other for (name, *_), other in extra if str(name).split(".")[0] == path[0]]
        for part in _SPEAKER.split(text):  # a transcript is cut into its turns
            if not any(part.strip() in other for other in (*mapped, *kept)):
                lost.append(f"{'.'.join(map(str, path))}: {part}")
    return lost


@settings(max_examples=600, deadline=None)
@given(rows())
def test_every_text_of_a_row_is_kept_or_the_row_is_refused(made):
    format, raw = made
    before = json.dumps(raw)
    try:
        row, _ = FORMATS[format].read(raw, "x:1")
    except RowError:
        return
    assert not missing(raw, row)
    assert json.dumps(raw) == before


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_text_of_an_example_is_kept(name):
    raw, _ = EXAMPLES[name]
    row, _ = FORMATS[name.split(" ")[0]].read(raw, "x:1")
    assert not missing(raw, row)
