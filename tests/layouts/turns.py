"""The turns that the examples of layouts are made of."""

from typing import Any

Expected = dict[str, Any]
Examples = dict[str, tuple[dict[str, Any], Expected]]
USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
BAH = {"role": "assistant", "content": "Bah"}
SYSTEM = {"role": "system", "content": "Be kind"}
TOOL = {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": TOOL}]
CALL = {"type": "function", "function": {"name": "now", "arguments": '{"zone": "UTC"}'}}
ARGUMENTS = {"zone": "UTC"}
HUMAN, GPT = {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def bot(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def result(text: str = "12:00", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "content": text, **more}


def chat(*messages: dict[str, Any], **more: Any) -> Expected:
    return {"kind": "chat", "messages": list(messages), **more}


def prefers(*prompt: dict[str, Any], **more: Any) -> Expected:
    return {"kind": "preference", "messages": list(prompt), "chosen": [BOT], "rejected": [BAH], **more}


def labelled(label: bool = True, **more: Any) -> Expected:
    return {"kind": "label", "messages": [USER], "completion": [BOT], "label": label, **more}
