"""Refuse rows that would be learned incorrectly: forged control tokens, omitted parts, repeated special tokens."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerBase

from burnish.core.catalog import stages
from burnish.core.errors import DataError, ModelError
from burnish.tokens.rendering.rendered import Encoded
from burnish.tokens.templates.conversation import strings_in
from burnish.tokens.templates.dialect import ASK, REPLY, Dialect, make_message

Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]] | None


class Refusals:
    """Checks for one tokenizer and template; `ends` are the special tokens that end a turn."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, dialect: Dialect, ends: frozenset[str]):
        self._tokenizer, self._dialect, self._ends = tokenizer, dialect, ends

    def check(self, messages: Messages, tools: Tools) -> None:
        """Raises DataError `data.control-token` and ModelError `model.inexact-template`."""
        self._check_content(messages, tools)
        self._check_shown(messages, tools)

    @cached_property
    def control(self) -> tuple[str, ...]:
        """Special tokens that structure a conversation: those that the template adds to a simple one."""
        exchange = [make_message("user", ASK), make_message("assistant", REPLY), make_message("user", ASK)]
        text = self._dialect.trace(exchange).text + self._dialect.trace(exchange, prompt=True).text
        tokenizer = self._tokenizer
        ends = {str(token) for token in (tokenizer.bos_token, tokenizer.eos_token) if token is not None}
        # in this order a token comes before its prefixes
        return tuple(sorted(self._ends | ends | set(self._dialect.special.findall(text)), reverse=True))

    def _check_content(self, messages: Messages, tools: Tools) -> None:
        """Refuse data that contains a control token: it could end a turn and forge another."""
        strings = "\n".join(text for value in (messages, tools or ()) for text in strings_in(value))
        if not any(token in strings for token in self.control):
            return
        control = re.compile("|".join(map(re.escape, self.control)))
        named = [(f"message {index} ({message['role']})", message) for index, message in enumerate(messages, 1)]
        for name, value in [*named, ("a tool", tools or [])]:
            for text in strings_in(value):
                if found := control.search(text):
                    raise DataError(
                        "data.control-token",
                        f"{name} contains the control token {found.group()}, which would end or open a turn",
                        "remove it from the row, or run prepare with `tokenizer` set, which moves such rows to "
                        "quarantine.jsonl",
                    )

    def _check_shown(self, messages: Messages, tools: Tools) -> None:
        """Refuse rows with tools or system messages that the template omits."""
        if tools and not self._dialect.shows_tools:
            missing = "tools"
        elif any(message["role"] == "system" for message in messages) and not self._dialect.shows_system:
            missing = "system messages"
        else:
            return
        raise ModelError(
            "model.inexact-template",
            f"the row has {missing}, which the chat template omits",
            "use a render.chat_template that renders them, such as chatml, or remove them from the rows",
        )


def check_doubled(encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse repeated BOS or EOS tokens: ModelError `model.doubled-special`."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if not isinstance(token, int):
            continue
        same = encoded.ids == token
        if (same[1:] & same[:-1]).any():
            raise ModelError(
                "model.doubled-special",
                f"the special token {tokenizer.convert_ids_to_tokens(token)} occurs twice in succession",
                "remove it from the text or from the chat template: the tokenizer adds it already",
            )


def wrong_kind(kind: str, accepted: Sequence[str] = ("chat", "text")) -> DataError:
    """The error for a row whose kind a stage does not take; names the stages that take it."""
    purpose, names = _STAGES_FOR.get(kind, ("another purpose", ()))
    known = [name for name in names if name in stages()]
    advice = f"use the stage {' or '.join(known)}" if known else "no stage supports them yet"
    if "prompt" in accepted:
        hint = "; this stage needs prompts, and samples the answers: rows with `prompt`, or with `messages`"
    else:
        hint = "; to use them with sft, write the answer as the last message" if "chat" in accepted else ""
    return DataError(
        "data.unknown-format",
        f"the row is of kind {kind}, for {purpose}; this stage supports rows of kind {' and '.join(accepted)}",
        f"for {kind} rows {advice}{hint}",
    )


_STAGES_FOR: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "chat": ("supervised fine-tuning", ("sft", "pretrain")),
    "text": ("pretraining", ("pretrain", "sft")),
    "preference": ("preference training", ("dpo", "orpo", "simpo", "reward")),
    "label": ("training on good and bad answers", ("kto",)),
    "prompt": ("generation", ("grpo", "ppo", "generate")),
}
