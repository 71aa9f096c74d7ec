"""How a program asks a server of models: a command, and a few lines of Python."""

import json
import shlex
from typing import Any

_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Addresses that are every one of this machine → the one that it is asked at."""


def reached_at(url: str) -> str:
    """The address of a server as this machine reaches it."""
    for anywhere, here in _HERE.items():
        url = url.replace(f"//{anywhere}:", f"//{here}:")
    return url


def curl(url: str, model: str, key: str | None, *, chats: bool) -> str:
    """A command that asks the server from this machine; `key`, if one is needed, is a variable of the shell."""
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
    path, asked = ("chat/completions", asked) if chats else ("completions", {"prompt": "Hello", "max_tokens": 32})
    bearer = "" if key is None else f' -H "Authorization: Bearer ${key}"'
    body = shlex.quote(json.dumps({"model": model, **asked}))
    return f"curl {reached_at(url)}/v1/{path}{bearer} -H 'Content-Type: application/json' -d {body}"


def python(url: str, model: str, key: str | None, *, chats: bool) -> str:
    """The same with OpenAI's client."""
    given = '"none"' if key is None else f'os.environ["{key}"]'
    name, base = json.dumps(model), json.dumps(f"{reached_at(url)}/v1")
    asked = [
        f"client = OpenAI(base_url={base}, api_key={given})",
        f'answer = client.chat.completions.create(model={name}, messages=[{{"role": "user", "content": "Hello"}}])',
        "print(answer.choices[0].message.content)",
    ]
    if not chats:
        asked[1] = f'answer = client.completions.create(model={name}, prompt="Hello", max_tokens=32)'
        asked[2] = "print(answer.choices[0].text)"
    imports = ["from openai import OpenAI", ""] if key is None else ["import os", "", "from openai import OpenAI", ""]
    return "\n".join([*imports, *asked])
