"""A chat template with a tokenizer's special tokens, and detection of its features by example.

Small conversations with unique words are rendered to detect which message shape a template reads, whether it renders
tools, calls and system messages, and how a turn of the assistant ends.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerBase

from burnish.core.errors import BurnishError, ModelError
from burnish.tokens.templates.conversation import Message, Shape
from burnish.tokens.templates.template import ChatTemplate, Trace, compiled

ASK, REPLY, RESULT, SYSTEM, TOOL, VALUE = "qzask", "qzreply", "qzresult", "qzsystem", "qztool", "qzvalue"
NO_MODE: Mapping[str, Any] = {}
_THINKING = ("enable_thinking", "thinking")
"""Names of the variable that switches reasoning (Qwen 3 and GLM 4.5; DeepSeek 3.1 and Granite)."""
_CALL: Message = {
    "id": "qzcall001",
    "type": "function",
    "function": {"name": TOOL, "arguments": f'{{"place": "{VALUE}"}}'},
}
_SCHEMA: Message = {
    "type": "function",
    "function": {
        "name": TOOL,
        "description": "d",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "d"}},
            "required": ["place"],
        },
    },
}


def make_message(role: str, content: str, **more: Any) -> Message:
    """A message."""
    return {"role": role, "content": content, **more}


CALL_MESSAGE = make_message("assistant", "", tool_calls=[_CALL])
TOOL_MESSAGE = make_message("tool", RESULT, name=TOOL, tool_call_id="qzcall001")


class Dialect:
    """A template and its special tokens.

    Rendering raises ModelError `model.bad-template` or `model.inexact-template` if it fails.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, source: str, day: date):
        self.template: ChatTemplate = compiled(source, day)
        self._variables = dict(tokenizer.special_tokens_map)
        self.eos: str | None = None if tokenizer.eos_token is None else str(tokenizer.eos_token)
        specials = {str(token) for token in tokenizer.all_special_tokens}
        specials |= {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        longest_first = sorted((token for token in specials if token), reverse=True)  # a token before its prefixes
        self.special = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        """Matches any special token, longest first."""

    def trace(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        prompt: bool = False,
        shape: Shape | None = None,
        mode: Mapping[str, Any] = NO_MODE,
    ) -> Trace:
        """Render the messages of a row; `mode` sets template variables."""
        return self.render((shape or self.shape_for(messages)).messages(messages), tools, prompt, mode)

    def render(
        self,
        shaped: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
        prompt: bool = False,
        mode: Mapping[str, Any] = NO_MODE,
    ) -> Trace:
        """Render messages that already have the template's shape."""
        return self.template.render(
            shaped, tools or None, {**self._variables, **mode} if mode else self._variables, prompt
        )

    @cached_property
    def modes(self) -> list[dict[str, bool]]:
        """The values of the template's reasoning switch, if it has one."""
        switches = [name for name in _THINKING if name in self.template.variables]
        return [{name: value} for name in switches for value in (True, False)]

    def shape_for(self, messages: Sequence[Mapping[str, Any]]) -> Shape:
        """The message shape of this template; tool calls are only probed if there are some."""
        if any(message.get("tool_calls") for message in messages):
            return self.shape_of_calls
        return Shape(parts=self.wants_parts)

    @cached_property
    def wants_parts(self) -> bool:
        """Whether content must be a list of typed parts, as in templates of multimodal models."""
        exchange = [make_message("user", ASK), make_message("assistant", REPLY)]
        for shape in (Shape(), Shape(parts=True)):
            text = self._text(exchange, shape=shape)
            if ASK in text and REPLY in text:
                return shape.parts
        self.trace(exchange, shape=Shape())  # raises the template's own error, if it fails
        raise ModelError(
            "model.bad-template",
            "the chat template renders neither user nor assistant messages",
            "set another render.chat_template",
        )

    @cached_property
    def shape_of_calls(self) -> Shape:
        """The message shape with which the template renders tool calls.

        Raises ModelError `model.inexact-template` if it renders none.
        """
        calling = [make_message("user", ASK), CALL_MESSAGE]
        for arguments in ("object", "text"):
            for empty in ("absent", "empty", "none"):
                shape = Shape(self.wants_parts, arguments, empty)
                text = self._text(calling, [_SCHEMA], shape)
                without = self._text(calling[:1], [_SCHEMA], shape)
                if text.count(TOOL) > without.count(TOOL) and VALUE in text:
                    return shape
        raise ModelError(
            "model.inexact-template",
            "the rows have tool calls, which the chat template omits",
            "use a render.chat_template that renders message.tool_calls, such as chatml",
        )

    @cached_property
    def shows_tools(self) -> bool:
        """Whether the template renders tool definitions."""
        return TOOL in self._text([make_message("user", ASK)], [_SCHEMA], Shape(self.wants_parts))

    @cached_property
    def shows_system(self) -> bool:
        """Whether the template renders system messages; True if it refuses them, which raises its own error."""
        try:
            trace = self.trace(
                [make_message("system", SYSTEM), make_message("user", ASK), make_message("assistant", REPLY)]
            )
        except BurnishError:
            return True
        return SYSTEM in trace.text

    def _text(
        self, messages: Sequence[Message], tools: Sequence[Message] | None = None, shape: Shape | None = None
    ) -> str:
        """The rendered text; "" if the template refuses."""
        try:
            return self.trace(messages, tools, shape=shape).text
        except BurnishError:
            return ""


class Prefixes:
    """The prefixes of one conversation, each rendered once per mode."""

    def __init__(
        self,
        dialect: Dialect,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
    ):
        self.messages, self.tools = messages, tools
        self._dialect = dialect
        self._shaped = dialect.shape_for(messages).messages(messages)
        self._traces: dict[tuple[int, bool, tuple[tuple[str, Any], ...]], Trace] = {}

    def __len__(self) -> int:
        return len(self.messages)

    def render(self, count: int, mode: Mapping[str, Any] = NO_MODE) -> Trace:
        """The first `count` messages."""
        return self._rendered(count, False, mode)

    def prompt(self, count: int, mode: Mapping[str, Any] = NO_MODE) -> Trace:
        """The first `count` messages and the generation prompt; for 0 messages, that of an example conversation."""
        return self._rendered(count, True, mode)

    def _rendered(self, count: int, prompt: bool, mode: Mapping[str, Any]) -> Trace:
        key = count, prompt, tuple(mode.items())
        if key not in self._traces:
            shaped = self._shaped[:count]
            if count == 0:
                shaped = self._dialect.shape_for(()).messages([make_message("user", ASK)])
            self._traces[key] = self._dialect.render(shaped, self.tools, prompt, mode)
        return self._traces[key]
