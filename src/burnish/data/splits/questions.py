"""The questions of a row: a hash of the context before each of its turns that is learned or asked in an evaluation.

Two rows that share such a hash put the same question in the same context. Rows are placed into splits by these
hashes, and leaks between splits are counted by them.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from burnish.data.document import Message, Row, answers_of, every_message

_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Questions:
    """`asked` are 64-bit hashes of contexts, the shortest first; `depths` counts the turns of each.

    `first` is the row's shortest context. It is in `asked`, unless the first answer is not learned (a weight of 0, a
    turn of the prompt). Contexts grow from each other, so rows that share any of them share `first` too.
    """

    first: int
    asked: tuple[int, ...]
    depths: tuple[int, ...]


def questions(row: Row, train_on: str = "assistant") -> Questions:
    """The questions of a row: the context before each learned turn, and before its last answer in any case.

    Texts are compared with Unicode compatibility forms, letter case and white space folded. A context without a turn
    of a user or tool asks nothing and is left out; a row without any question is one by all of its text.
    """
    if row["kind"] == "text":
        key = _hash(b"text\x1f", row["text"])
        return Questions(key, (key,), (0,))
    contexts = list(_contexts(row, train_on))
    asked = {key: depth for key, depth, is_asked in contexts if is_asked}
    if not asked:
        key = _hash(b"row\x1f", *(f"{m['role']}\x1f{m['content']}" for m in every_message(row)))
        return Questions(key, (key,), (0,))
    return Questions(contexts[0][0], tuple(asked), tuple(asked.values()))


def _contexts(row: Row, train_on: str) -> Iterator[tuple[int, int, bool]]:
    """(hash, turns, whether it is learned or asked) of every context with a question, the shortest first."""
    messages: list[Message] = row.get("messages", [])
    answers = answers_of(row)
    if not answers:
        asked = {_end_of_prompt(messages)} if row["kind"] == "prompt" else _learned(messages, train_on)
        yield from _chain(messages, asked)
        return
    if not any(_asks(message) for message in messages):
        return  # two answers without a shared question
    for answer in answers:
        turns = [*messages, *answer]
        yield from _chain(turns, {i for i in range(len(messages), len(turns)) if turns[i]["role"] == "assistant"})


def _learned(messages: list[Message], train_on: str) -> set[int]:
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    if train_on == "completion":
        return set(answers[-1:])
    return {i for i in answers if train_on == "all" or messages[i].get("weight", 1.0) > 0} | set(answers[-1:])


def _end_of_prompt(messages: list[Message]) -> int:
    """Where the answer to a prompt would stand: a closing answer is asked again."""
    return len(messages) - (messages[-1]["role"] == "assistant")


def _chain(turns: list[Message], asked: set[int]) -> Iterator[tuple[int, int, bool]]:
    """The contexts before each assistant turn and each of `asked`, hashed as they grow."""
    state, has_question = hashlib.sha256(), False
    for i in range(len(turns) + 1):
        if has_question and (i in asked or (i < len(turns) and turns[i]["role"] == "assistant")):
            yield int.from_bytes(state.digest()[:8], "big"), i, i in asked
        if i < len(turns):
            has_question = has_question or _asks(turns[i])
            state.update(f"{turns[i]['role']}\x1f{_folded(turns[i]['content'])}\x1e".encode("utf-8", "surrogatepass"))


def _asks(message: Message) -> bool:
    return message["role"] in ("user", "tool")


def _hash(kind: bytes, *texts: str) -> int:
    text = "\x1e".join(_folded(text) for text in texts)
    return int.from_bytes(hashlib.sha256(kind + text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _folded(text: str) -> str:
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()
