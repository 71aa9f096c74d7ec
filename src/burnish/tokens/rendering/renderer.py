"""The renderer of conversations to tokens, shared by training, evaluation and serving.

    row → messages in the template's shape → text and spans of the assistant's turns → tokens → weights

The whole text is tokenised at once and spans are mapped by token offsets, so that training matches inference.
Special tokens come from the template only, as in chats of transformers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from burnish.core.errors import BurnishError, ModelError
from burnish.core.inputs.dates import today
from burnish.specs.tokens import RenderSpec, RewrittenTurns
from burnish.tokens.ids import backend_of, ids_of
from burnish.tokens.rendering.forms import Forms
from burnish.tokens.rendering.history import History, Samples, with_default_mode
from burnish.tokens.rendering.omissions import Omissions
from burnish.tokens.rendering.refusals import Refusals, check_doubled, wrong_kind
from burnish.tokens.rendering.rendered import (
    COUNTED,
    Encoded,
    Rendered,
    count_rows,
    fit_answers,
    split_row,
    token_weights,
    too_long,
    truncate_left,
)
from burnish.tokens.rendering.turns import Turns
from burnish.tokens.templates.chatml import CHATML
from burnish.tokens.templates.dialect import NO_MODE, Dialect, Prefixes

DEFAULT = RenderSpec()
Row: TypeAlias = Mapping[str, Any]
Mode: TypeAlias = Mapping[str, Any]
Messages: TypeAlias = Sequence[Row]
Tools: TypeAlias = Sequence[Mapping[str, Any]] | None
Weights = NDArray[np.float32]

__all__ = ["Rendered", "Renderer"]


class Renderer:
    """Renders rows with one tokenizer and one template.

    `counts` has the number of `rows`, the `pieces` of split rows, and the counters in COUNTED.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, spec: RenderSpec = DEFAULT):
        if not tokenizer.is_fast:
            raise ModelError(
                "model.broken",
                "the tokenizer does not provide character offsets (it has no tokenizer.json)",
                "load the model with a current transformers and save it, which converts the tokenizer",
            )
        self.tokenizer = tokenizer
        self.spec = spec
        self.counts: Counter[str] = Counter()
        self._forms_made: dict[RewrittenTurns, Forms] = {}
        self._day = date.fromisoformat(today() if spec.date == "auto" else spec.date)

    # Rendering

    def render(self, row: Row) -> list[Rendered]:
        """Render a chat or text row; empty if it is dropped, several items if it is split.

        Raises DataError `data.too-long` or `data.control-token` and ModelError `model.*-template`,
        `model.doubled-special`; each names the row's source.
        """
        self.counts["rows"] += 1
        try:
            if row["kind"] == "text":
                return self._fitted([self._text(row["text"])])
            if row["kind"] == "chat":
                messages, tools, rewritten = row["messages"], row.get("tools"), self.spec.rewritten_turns
                if self.spec.train_on == "all":
                    return self._fitted([self._everything(messages, tools)])
                return self._fitted(self._chat(messages, tools, self._weights(messages), rewritten))
            raise wrong_kind(row["kind"])
        except BurnishError as error:
            raise _with_source(row, error) from error

    def render_answers(self, row: Row, answers: Sequence[Messages]) -> list[Rendered]:
        """Render each answer after the row's messages; only the answers are learned. Empty if the row is dropped.

        All keep the same tokens of the prompt: where it is cut, it is cut by the longest answer.
        Errors: those of `render`; DataError `data.too-long` for a row that is to be split, too.
        """
        self.counts["rows"] += 1
        before = Counter(self.counts)
        try:
            samples = [self._answer(row["messages"], answer, row.get("tools")) for answer in answers]
            count_rows(self.counts, before)
            return fit_answers(samples, self.spec, self.tokenizer.bos_token_id, self.counts)
        except BurnishError as error:
            raise _with_source(row, error) from error

    def render_answer(
        self, messages: Messages, answer: Messages, tools: Tools = None, source: str = "a row"
    ) -> Rendered | None:
        """`render_answers` of one answer; None if it is dropped."""
        found = self.render_answers({"messages": messages, "tools": tools, "source": source}, [answer])
        return found[0] if found else None

    def prompt(
        self, row: Row | Messages, tools: Tools = None, mode: Mode = NO_MODE, begun: str = ""
    ) -> tuple[str, list[int]]:
        """Text and ids of the prompt: the messages before a final answer, the generation prompt, and what is `begun`
        of the answer."""
        messages, tools = _conversation(row, tools)
        try:
            self.refusals.check([*messages, {"role": "assistant", "content": begun}] if begun else messages, tools)
            text = self._dialect.trace(prompt_messages(messages), tools, prompt=True, mode=mode).text + begun
        except BurnishError as error:
            raise _with_source(row, error) from error
        return text, ids_of(self.tokenizer, text)

    def answer(self, row: Row, mode: Mode = NO_MODE, learned: bool = False) -> str:
        """The reference answer after `prompt(row)`: the rest of the last turn, without its end token.

        With `learned`, the last turn as it is learned: after what the prompts of all modes have in common.
        """
        messages, tools = row["messages"], row.get("tools")
        last = len(messages) - 1
        try:
            trace, spans = self._turns.find(Prefixes(self._dialect, messages, tools), len(messages), {last}, mode)
            prompt = self._dialect.trace(messages[:last], tools, prompt=True, mode=mode).text if last > 0 else ""
        except BurnishError as error:
            raise _with_source(row, error) from error
        begin = len(prompt) if trace.text.startswith(prompt) and not learned else 0
        return self._before_end("".join(trace.text[max(span.start, begin) : span.end] for span in spans))

    def decode(self, ids: Sequence[int]) -> str:
        """Decode generated ids up to the end of the turn; comparable with `answer`."""
        kept = list(ids)
        for position, token in enumerate(kept):
            if token in self.stop_ids:
                del kept[position:]
                break
        return str(self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def pieces(self, rendered: Rendered) -> list[tuple[str, float]]:
        """Token texts with their weights, for display; tokens that share a character are joined."""
        pieces: list[tuple[str, float]] = []
        held: list[int] = []
        for place, (token, weight) in enumerate(zip(rendered.ids.tolist(), rendered.weights.tolist(), strict=True)):
            held.append(token)
            text = str(self.tokenizer.decode(held, skip_special_tokens=False, clean_up_tokenization_spaces=False))
            is_torn = text.endswith("\N{REPLACEMENT CHARACTER}") and len(held) < 8
            if is_torn and place + 1 < len(rendered):
                continue
            pieces.append((text, weight))
            held = []
        return pieces

    def warnings(self) -> list[str]:
        """Sentences on everything omitted, truncated or not learned so far, with counts."""
        return [f"{self.counts[name]:,} {sentence}" for name, sentence in COUNTED.items() if self.counts[name]]

    # Properties of the template

    @property
    def date(self) -> str | None:
        """The date that the chat template prints, YYYY-MM-DD; None if it prints none."""
        if self.spec.chat_template is None and self.tokenizer.chat_template is None:
            return None
        return self._day.isoformat() if self._dialect.template.prints_date else None

    @property
    def modes(self) -> list[Mode]:
        """The template's modes of thinking, as the variables that `prompt` and `answer` take; the default is first."""
        return [NO_MODE, *self._dialect.modes]

    @property
    def method(self) -> str:
        """How learned tokens are located: by generation markers, traced turns or differenced prefixes."""
        return self._turns.method

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end a turn: the tokenizer's EOS and the end tokens of the template."""
        ids = (self.tokenizer.convert_tokens_to_ids(token) for token in self._ends)
        return tuple(sorted({token for token in ids if isinstance(token, int)}))

    @cached_property
    def template(self) -> str:
        """The template's source: the requested one (`chatml` is built in), else the tokenizer's."""
        requested = self.spec.chat_template
        if requested == "chatml":
            return CHATML
        if requested is not None:
            return requested
        own = self.tokenizer.chat_template
        if (own := own.get("tool_use", own.get("default")) if isinstance(own, dict) else own) is None:
            raise ModelError(
                "model.no-template",
                "the rows are conversations, and the tokenizer has no chat template",
                "set render.chat_template to chatml (a base model learns it), or to the template of the model's family",
            )
        return own

    @property
    def template_in_use(self) -> str:
        """The template to save with a model trained on the rendered rows."""
        return with_default_mode(self.template, self._dialect.modes, self.counts)

    @cached_property
    def _dialect(self) -> Dialect:
        return Dialect(self.tokenizer, self.template, self._day)

    @cached_property
    def _turns(self) -> Turns:
        return Turns(self._dialect)

    @cached_property
    def _history(self) -> History:
        return History(self._turns, self._is_border)

    @cached_property
    def _omissions(self) -> Omissions:
        return Omissions(self._dialect)

    @cached_property
    def refusals(self) -> Refusals:
        return Refusals(self.tokenizer, self._dialect, self._ends)

    @cached_property
    def _ends(self) -> frozenset[str]:
        """Special tokens that end a turn; without a template, the EOS token."""
        if self.spec.chat_template is None and self.tokenizer.chat_template is None:
            end = self.tokenizer.eos_token
            return frozenset() if end is None else frozenset({str(end)})
        return self._turns.ends

    # Implementation

    def _weights(self, messages: Messages) -> dict[int, float]:
        """The weights of the learned turns, by index."""
        turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        if self.spec.train_on == "completion":
            turns = turns[-1:]
        weights = {index: float(messages[index].get("weight", 1.0)) for index in turns}
        return {index: weight for index, weight in weights.items() if weight > 0.0}

    def _chat(
        self, messages: Messages, tools: Tools, wanted: Mapping[int, float], rewritten: RewrittenTurns
    ) -> list[tuple[Encoded, Weights]]:
        """The samples of a conversation with their token weights; at least one."""
        self.refusals.check(messages, tools)
        self._count_overruled(messages, wanted)
        found = self._samples(messages, tools, wanted, rewritten)
        self.counts.update(found.counts)
        return [
            self._weighted(
                sample.text,
                [(span.start, span.end, wanted[span.index]) for span in sample.spans if span.index is not None],
            )
            for sample in found.samples
        ]

    def _everything(self, messages: Messages, tools: Tools) -> tuple[Encoded, Weights]:
        """A conversation with all tokens learned."""
        self.refusals.check(messages, tools)
        self._count_overruled(messages, dict.fromkeys(range(len(messages)), 1.0))
        text = self._dialect.trace(messages, tools).text
        self.counts.update(self._omissions.count([text], messages, tools))
        return self._weighted(text, [(0, len(text), 1.0)])

    def _samples(
        self, messages: Messages, tools: Tools, wanted: Mapping[int, float], rewritten: RewrittenTurns
    ) -> Samples:
        """The samples of a conversation with all counts: from a form, or rendered."""
        fast = None if tools else self._forms(rewritten).samples(messages, wanted)
        if fast is not None and not fast[1]:
            return fast[0]
        found = self._history.samples(messages, tools, wanted.keys(), rewritten)
        omitted = self._omissions.count([sample.text for sample in found.samples], messages, tools)
        found = Samples(found.samples, {**found.counts, **omitted})
        if fast is not None and not fast[0].equals(found):
            raise RuntimeError("a form differs from the rendering of its conversation: please report the template")
        return found

    def _forms(self, rewritten: RewrittenTurns) -> Forms:
        if rewritten not in self._forms_made:
            self._forms_made[rewritten] = Forms(
                self._dialect,
                self._turns,
                rewritten,
                lambda texts, messages: self._omissions.count(texts, messages, None),
            )
        return self._forms_made[rewritten]

    def _weighted(self, text: str, spans: list[tuple[int, int, float]]) -> tuple[Encoded, Weights]:
        encoded = self._encode(text)
        check_doubled(encoded, self.tokenizer)
        weights, straddling = token_weights(encoded, spans)
        self.counts["straddling"] += straddling
        return encoded, weights

    def _is_border(self, text: str, place: int) -> bool:
        """Whether a token ends at `place`; tokenises the text between the nearest special tokens."""
        special = self._dialect.special
        begin = max((match.start() for match in special.finditer(text[:place])), default=0)
        after = special.search(text, place)
        offsets = self._encode(text[begin : after.end() if after else len(text)]).offsets + begin
        return not ((offsets[:, 0] < place) & (offsets[:, 1] > place)).any()

    def _text(self, text: str) -> tuple[Encoded, Weights]:
        """Tokenise a plain text with the tokenizer's special tokens and EOS; all tokens are learned."""
        encoded = self._encode(text, add_special_tokens=True)
        end = self.tokenizer.eos_token_id
        if isinstance(end, int) and (len(encoded.ids) == 0 or encoded.ids[-1] != end):
            offsets = np.append(encoded.offsets, [[len(text), len(text)]], axis=0)
            encoded = Encoded(text, np.append(encoded.ids, np.int32(end)), offsets)
        check_doubled(encoded, self.tokenizer)
        weights = np.ones(len(encoded.ids), np.float32)
        weights[:1] = 0.0
        return encoded, weights

    def _encode(self, text: str, add_special_tokens: bool = False) -> Encoded:
        """Tokenise with the backend tokenizer: the wrapper of transformers takes 1.5 times as long."""
        found = backend_of(self.tokenizer).encode(text, add_special_tokens=add_special_tokens)
        offsets = np.fromiter(chain.from_iterable(found.offsets), np.int64, 2 * len(found)).reshape(-1, 2)
        return Encoded(text, np.array(found.ids, np.int32), offsets)

    def _fitted(self, samples: Sequence[tuple[Encoded, Weights]]) -> list[Rendered]:
        """The pieces of a row; samples without learned tokens are dropped if others have some."""
        learned = [sample for sample in samples if sample[1].any()]
        self.counts["unlearned"] += not learned
        pieces = [self._fit(encoded, weights) for encoded, weights in learned or samples[:1]]
        if self.spec.over_length == "drop" and [] in pieces:  # a split row without learned tokens has no pieces either
            self.counts["samples_dropped" if any(pieces) else "dropped"] += 1
        return [piece for fitted in pieces for piece in fitted]

    def _fit(self, encoded: Encoded, weights: Weights) -> list[Rendered]:
        longest, over_length = self.spec.max_length, self.spec.over_length
        if len(encoded.ids) <= longest:
            return [Rendered(encoded.text, encoded.ids, weights)]
        keeps_first = bool(encoded.ids[0] == self.tokenizer.bos_token_id)
        match over_length:
            case "raise":
                raise too_long(encoded, longest)
            case "drop":
                return []
            case "truncate_left":
                self.counts["truncated"] += 1
                return [truncate_left(encoded, weights, longest, keeps_first)]
            case "split":
                pieces, left_out = split_row(encoded, weights, longest, keeps_first)
                self.counts["split"] += 1
                self.counts["pieces"] += len(pieces)
                self.counts["pieces_unlearned"] += left_out
                return pieces

    def _answer(self, messages: Messages, answer: Messages, tools: Tools) -> tuple[Encoded, Weights]:
        whole = [*messages, *answer]
        wanted = {i: 1.0 for i, turn in enumerate(whole) if i >= len(messages) and turn["role"] == "assistant"}
        samples = self._chat(whole, tools, wanted, "separate" if len(wanted) == 1 else "mask")
        return next((sample for sample in samples if sample[1].any()), samples[0])

    def _before_end(self, text: str) -> str:
        cuts = [place for place in (text.find(end) for end in self._ends) if place >= 0]
        return text[: min(cuts, default=len(text))]

    def _count_overruled(self, messages: Messages, wanted: Mapping[int, float]) -> None:
        given = {index: message["weight"] for index, message in enumerate(messages) if "weight" in message}
        self.counts["overruled"] += any(weight != wanted.get(index, 0.0) for index, weight in given.items())


def prompt_messages(messages: Messages) -> Messages:
    """The messages without a final turn of the assistant."""
    return messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages


def _conversation(row: Row | Messages, tools: Tools) -> tuple[Messages, Tools]:
    return (row["messages"], row.get("tools", tools)) if isinstance(row, Mapping) else (row, tools)


def _with_source(row: Row | Messages, error: BurnishError) -> BurnishError:
    """The same error with the row's source."""
    return error.at(row.get("source", "")) if isinstance(row, Mapping) else error
