"""Golden conversations: short ones that together use what templates and tokenizers can get wrong."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

Message = Mapping[str, Any]
_REFUSED = "refused: "

_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Its name."},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}
_CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Zürich", "unit": "celsius"}'},
}
_CODE = """Write it in Python:
```python
def mean(values: list[float]) -> float:
\treturn sum(values) / len(values)  # no check
```
"""
_LONG = " ".join(
    f"Entry {number}: on day {number * 7 % 31 + 1} the northern buoy drifted {number * 13 % 97} metres."
    for number in range(1, 31)
)


def _turns(*contents: str, system: str | None = None) -> list[Message]:
    """Turns of user and assistant in turn, after a system message if there is one."""
    turns: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    return turns + [{"role": roles[place % 2], "content": text} for place, text in enumerate(contents)]


class Golden:
    """A conversation with its name, and the tools that it is given."""

    def __init__(self, name: str, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None):
        self.name, self.messages, self.tools = name, messages, tools

    @property
    def text(self) -> str:
        """All its text, for models without a chat template."""
        return "\n".join(str(message.get("content") or "") for message in self.messages)


GOLDEN = (
    Golden("question", _turns("What is the capital of France?", "Paris.")),
    Golden("system prompt", _turns("Who are you?", "A librarian.", system="You are a librarian. Answer in one line.")),
    Golden("empty system prompt", _turns("Hello", "Hi!", system="")),
    Golden(
        "several turns",
        _turns("Name a colour.", "Blue.", "Another one.", "Green.", "And a third.", "Red.", system="Be brief."),
    ),
    Golden("Chinese", _turns("请用一句话介绍长江。", "长江是中国最长的河流,全长约6300公里。")),
    Golden("emoji", _turns("Say it with emoji 👩‍👩‍👧‍👦🏳️‍🌈", "Sure 🙂👍🏽 — done ✅")),
    Golden("other scripts", _turns("Übersetze: naïve café — «да»", "مرحبا नमस्ते สวัสดี ✓ e\u0301 é")),
    Golden("code", _turns(_CODE, "    if not values:\n        raise ValueError\n\n\nDone.\n")),
    Golden("numbers", _turns("Compute 12345678 * 0.001 - 3e-7", "12345.678 - 0.0000003 = 12345.6779997")),
    Golden("white space", _turns("  leading and trailing  \n\n\t", "a  b   c\r\n \u00a0d\u200b")),
    Golden(
        "special tokens as text",
        _turns("What do <|im_end|>, </s>, <|eot_id|>, <end_of_turn>, [INST] and <think> mean?", "Markers of turns."),
    ),
    Golden("JSON", _turns('Give {"a": [1, 2, {"b": null}]} back.', '{"a": [1, 2, {"b": null}]}')),
    Golden("tools offered", _turns("Is it warm in Zürich?", "I can look that up."), [_WEATHER]),
    Golden(
        "tool call",
        [
            {"role": "user", "content": "Is it warm in Zürich?"},
            {"role": "assistant", "content": "", "tool_calls": [_CALL]},
            {"role": "tool", "content": '{"temperature": 21}', "name": "get_weather", "tool_call_id": "call00001"},
            {"role": "assistant", "content": "Yes, 21 °C."},
        ],
        [_WEATHER],
    ),
    Golden("long text", _turns(f"Summarise: {_LONG}", "The buoy drifts a few metres each day.")),
    Golden("empty answer", _turns("Say nothing.", "")),
)
"""Every one ends with a turn of the assistant."""


def name_of(golden: Golden, prompt: bool) -> str:
    """The name of a rendering: whole, or up to the generation prompt."""
    return f"{golden.name} (prompt)" if prompt else golden.name


def digest_of(ids: Sequence[int]) -> str:
    """What a certificate records of the ids of a conversation."""
    return sha256(json.dumps([int(token) for token in ids]).encode()).hexdigest()


def refusal_of(code: str) -> str:
    """What a certificate records of a conversation that the template refuses with this error code."""
    return f"{_REFUSED}{code}"


def is_refusal(recorded: str) -> bool:
    """Whether a certificate recorded a refusal, not a digest."""
    return recorded.startswith(_REFUSED)
