"""A model as the server sees it: its name, its tokenizer and template, and how it writes reasoning and tool calls."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from burnish.core.inputs.dates import today
from burnish.models.engines.detokenize import decode
from burnish.serve.chat.notation import Notation, misplaced, notation_of
from burnish.specs.tokens import RenderSpec
from burnish.tokens.ids import ids_of
from burnish.tokens.rendering.renderer import Mode, Renderer
from burnish.tokens.templates.dialect import NO_MODE, Dialect

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DEFAULT = RenderSpec()
_ANY_DAY = "2026-01-01"


class ServedModel:
    """`name` is that of requests; `adapter` the name that the engine knows it by, None for the model it has loaded."""

    def __init__(
        self,
        name: str,
        tokenizer: "PreTrainedTokenizerBase",
        render: RenderSpec = DEFAULT,
        adapter: str | None = None,
        fingerprint: str = "",
    ):
        """`fingerprint` is that of what answers, "" if it is not known."""
        self.name, self.adapter, self.tokenizer = name, adapter, tokenizer
        self._renderer, self.fingerprint = Renderer(tokenizer, render), fingerprint

    def at(self, day: date) -> "ServedModel":
        """The same model on another day, for templates that print it."""
        render = self._renderer.spec.model_copy(update={"date": day.isoformat()})
        return ServedModel(self.name, self.tokenizer, render, self.adapter, self.fingerprint)

    @property
    def renderer(self) -> Renderer:
        """The renderer of its conversations: where the template prints the date, that of today, however long it runs.

        A date that the settings give stays.
        """
        known = self._renderer
        if known.spec.date == "auto" and known.date not in (None, today()):
            self._renderer = known = Renderer(self.tokenizer, known.spec)
        return known

    @property
    def has_template(self) -> bool:
        """Whether it takes conversations."""
        return self._renderer.spec.chat_template is not None or self.tokenizer.chat_template is not None

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer."""
        return self._renderer.stop_ids

    @cached_property
    def vocabulary(self) -> int:
        """The number of ids that the tokenizer knows."""
        return len(self.tokenizer)

    @cached_property
    def notation(self) -> Notation:
        """How its template writes reasoning and tool calls."""
        return notation_of(self._renderer)

    def prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        mode: Mode = NO_MODE,
        begun: str = "",
    ) -> tuple[str, list[int]]:
        """Text and ids of a conversation up to the answer. Errors: those of `Renderer.prompt`."""
        return self.renderer.prompt(messages, tools, mode, begun)

    def rendered(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        *,
        prompt: bool = False,
    ) -> list[int]:
        """The ids that the template gives, without the checks of `prompt`. Errors: those of the template."""
        day = date.fromisoformat(self.renderer.date or _ANY_DAY)
        dialect = Dialect(self.tokenizer, self.renderer.template, day)
        return self.encode(dialect.trace(messages, tools, prompt=prompt).text, False)

    @cached_property
    def reasons(self) -> bool:
        """Whether its template writes reasoning."""
        return self.has_template and self.notation.reasoning is not None

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The ids of a plain text, with the special tokens that the tokenizer adds."""
        return ids_of(self.tokenizer, text, add_special_tokens)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, special tokens included."""
        return decode(self.tokenizer, list(ids))

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token stands for, which may be a part of a character."""
        name: Any = self.tokenizer.convert_ids_to_tokens(token)
        if name is None:  # the model has more rows than the tokenizer has tokens
            return b""
        if token in self._added:
            return str(name).encode()
        if self._bytes is not None:
            return bytes(self._bytes[letter] for letter in name if letter in self._bytes)
        if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
            return bytes([int(name[3:5], 16)])
        return str(name).replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode()

    def unshown(self, example: str, stops: Sequence[str]) -> frozenset[int]:
        """The ids of `misplaced` tokens, without those that stop texts find."""
        hidden = misplaced(self.renderer, example)
        texts = [text for text in hidden if not any(text in stop or stop in text for stop in stops)]
        ids: Any = self.tokenizer.convert_tokens_to_ids(texts)
        return frozenset(ids) & self._added

    @cached_property
    def special_texts(self) -> frozenset[str]:
        """The texts of its special tokens."""
        return frozenset(str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special)

    @cached_property
    def _added(self) -> frozenset[int]:
        return frozenset(self.tokenizer.added_tokens_decoder)

    @cached_property
    def _bytes(self) -> dict[str, int] | None:
        """The byte of each letter of a byte-level vocabulary; None for another one."""
        from tokenizers.pre_tokenizers import ByteLevel

        backend: Any = self.tokenizer.backend_tokenizer
        if "ByteLevel" not in str(backend.decoder):
            return None
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in printable]
        letters = {chr(byte): byte for byte in printable}
        letters |= {chr(256 + place): byte for place, byte in enumerate(others)}
        assert set(letters) == set(ByteLevel.alphabet())
        return letters
