"""A question and its answer in two columns: `input`/`output`, `question`/`answer`, `prompt`/`completion`."""

from typing import Any

from burnish.data.document import Message, Row, make_row
from burnish.data.formats.format import Format, Raw, is_text, rest_of, tag_of, text_of
from burnish.data.formats.turns import decoded, list_of, system_of, tools_of, turns, with_system


def _of_texts(asks: str, answers: str, without: tuple[str, ...] = ()) -> Format:
    """A format whose two columns are plain texts."""

    def fits(raw: Raw) -> str:
        found = is_text(raw, asks, answers) and not any(key in raw for key in without)
        return f"{asks} and {answers}" if found else ""

    def read(raw: Raw, source: str) -> Row:
        messages: list[Message] = [
            {"role": "user", "content": text_of(raw, asks)},
            {"role": "assistant", "content": text_of(raw, answers)},
        ]
        extra = rest_of(raw, asks, answers, "system", "tools", "tag")
        tools = tools_of(raw.get("tools"))
        return make_row(
            "chat", source, messages=with_system(system_of(raw), messages), tools=tools, tag=tag_of(raw), extra=extra
        )

    return Format(f"{asks}_{answers}", (asks, answers), fits, read)


def _fits_completion(raw: Raw) -> str:
    found = is_said(raw.get("prompt")) and is_said(raw.get("completion"))
    return "prompt and completion" if found and "label" not in raw and "kto_tag" not in raw else ""


def _read_completion(raw: Raw, source: str) -> Row:
    extra = rest_of(raw, "prompt", "completion", "system", "tools", "tag")
    messages = [*said(raw, "prompt", "user", extra), *said(raw, "completion", "assistant", extra)]
    tools = tools_of(raw.get("tools"))
    return make_row(
        "chat", source, messages=with_system(system_of(raw), messages), tools=tools, tag=tag_of(raw), extra=extra
    )


def is_said(value: Any) -> bool:
    """A text, or a list of turns."""
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def said(raw: Raw, column: str, role: str, extra: dict[str, Any]) -> list[Message]:
    """The turns of a column that holds either a text, said by `role`, or a list of turns."""
    value = raw.get(column)
    if isinstance(value, str) and value.lstrip().startswith("[{") and '"role"' in value:
        value = decoded(value, column)  # a CSV spells lists as JSON
    if isinstance(value, list | dict):
        return turns(list_of({column: value}, column), column, extra)
    return [{"role": role, "content": text_of(raw, column)}]


INPUT_OUTPUT = _of_texts("input", "output", without=("instruction",))
QUESTION_ANSWER = _of_texts("question", "answer")
PROMPT_COMPLETION = Format("prompt_completion", ("prompt", "completion"), _fits_completion, _read_completion)
