"""A Modelfile for Ollama beside a GGUF file: stop texts, context, and the chat template in Ollama's form.

Ollama does not run a Jinja template. A template of the usual form, a head and then turns, is rewritten from what it
prints, and written only if it prints the golden conversations as the template does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from burnish.evals.certificates.golden import GOLDEN, Golden, Message
from burnish.evals.certificates.tokens import rendering
from burnish.export.gguf.sampling import Values, sampling_parameters

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SYSTEM, _FIRST, _ANSWER, _SECOND = "system8151", "user8152", "answer8153", "user8154"


@dataclass(frozen=True)
class Turns:
    """What a template prints around texts."""

    head: str
    """Before the first turn, without a system message."""
    before_system: str
    after_system: str
    before_user: str
    after_user: str
    """Up to where the answer starts."""
    after_answer: str

    def text(self, messages: Sequence[Message]) -> str:
        """What Ollama prints for a conversation: system messages first, all turns after them."""
        system = "\n\n".join(str(one["content"]) for one in messages if one["role"] == "system")
        text = f"{self.before_system}{system}{self.after_system}" if system else self.head
        for one in messages:
            if one["role"] == "user":
                text += f"{self.before_user}{one['content']}{self.after_user}"
            elif one["role"] == "assistant":
                text += f"{one['content']}{self.after_answer}"
        return text

    def template(self) -> str:
        """The same in Go's template language."""
        system = "{{ if .System }}" + self.before_system + "{{ .System }}" + self.after_system
        user = '{{ if eq .Role "user" }}' + self.before_user + "{{ .Content }}" + self.after_user
        answer = '{{ else if eq .Role "assistant" }}{{ .Content }}' + self.after_answer
        return (
            f"{system}{{{{ else }}}}{self.head}{{{{ end }}}}{{{{ range .Messages }}}}{user}{answer}" + "{{ end }}" * 2
        )


def modelfile(
    file: str,
    tokenizer: "PreTrainedTokenizerBase",
    ends: Sequence[int],
    context: int,
    sampling: Values = MappingProxyType({}),
) -> str:
    """The text of a Modelfile for `file`, which lies beside it; `sampling` is what the generation config says of it."""
    lines = [f"FROM ./{file}", f"PARAMETER num_ctx {context}", *sampling_parameters(sampling)]
    stops = [str(tokenizer.convert_ids_to_tokens(number)) for number in ends]
    lines += [f'PARAMETER stop "{_escaped(text)}"' for text in stops]
    turns = turns_of(tokenizer)
    if turns is not None:
        lines.append(f'TEMPLATE """{turns.template()}"""')
    elif tokenizer.chat_template is not None:
        lines.append("# The chat template has no equal in Ollama's form; llama.cpp reads it from the GGUF file.")
    return "\n".join(lines) + "\n"


def turns_of(tokenizer: "PreTrainedTokenizerBase") -> Turns | None:
    """The turns of the chat template; None if it is not of that form, or prints a golden conversation otherwise."""
    if not isinstance(tokenizer.chat_template, str):
        return None
    turns = _found(tokenizer)
    if turns is None or any(mark in text for text in vars(turns).values() for mark in ("{{", '"""')):
        return None
    for golden in GOLDEN:
        if golden.tools or not all(_is_plain(message) for message in golden.messages):
            continue
        text, ids = rendering(tokenizer, golden, True)
        if ids and _without_start(tokenizer, text) != turns.text(golden.messages[:-1]):
            return None
    return turns


def _found(tokenizer: "PreTrainedTokenizerBase") -> Turns | None:
    turns = [{"role": "user", "content": _FIRST}, {"role": "assistant", "content": _ANSWER}]
    several = _cut(tokenizer, [*turns, {"role": "user", "content": _SECOND}], (_FIRST, _ANSWER, _SECOND))
    if several is None:
        return None
    start, after_user, between, end = several
    system = _cut(tokenizer, [{"role": "system", "content": _SYSTEM}, turns[0]], (_SYSTEM, _FIRST))
    after = [start, between, *([system[1]] if system is not None else [])]
    before_user = _common_end(after)
    if end != after_user:
        return None
    head, after_answer = (text.removesuffix(before_user) for text in (start, between))
    if system is None:  # such as a template that refuses system messages
        return Turns(head, head, "\n\n", before_user, after_user, after_answer)
    return Turns(head, system[0], system[1].removesuffix(before_user), before_user, after_user, after_answer)


def _cut(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], texts: Sequence[str]) -> list[str] | None:
    """What is printed before, between and after the texts of the messages; None if they are not there once each."""
    probe = Golden("probe", [*messages, {"role": "assistant", "content": ""}])
    text, ids = rendering(tokenizer, probe, True)
    parts = re.split("|".join(texts), _without_start(tokenizer, text))
    found = re.findall("|".join(texts), text)
    return parts if ids and found == list(texts) else None


def _common_end(texts: Sequence[str]) -> str:
    """The longest text that all end with."""
    shortest = min(texts, key=len)
    return next(end for n in range(len(shortest) + 1) if all(text.endswith(end := shortest[n:]) for text in texts))


def _without_start(tokenizer: "PreTrainedTokenizerBase", text: str) -> str:
    """Without the token that llama.cpp adds at the start of every text."""
    start: Any = tokenizer.bos_token
    adds = start is not None and list(tokenizer("a")["input_ids"])[:1] == [tokenizer.bos_token_id]
    return text.removeprefix(str(start)) if adds else text


def _is_plain(message: Message) -> bool:
    return message["role"] in ("system", "user", "assistant") and bool(message.get("content"))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
