"""Text as tokens come: whole characters, cut before the first stop string, each token with its place in the text."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from burnish.models.engines.detokenize import Detokenizer
from burnish.serve.engines.protocol import Token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Piece:
    """Text that is shown now, and the tokens whose text ends with it, each with its start in the whole text."""

    text: str
    tokens: tuple[tuple[Token, int], ...] = ()


class Written:
    """`stops` may lie across tokens; no part of one is ever shown, and nothing after it.

    `text` is what was shown so far; `stopped` the stop string that was met.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", stops: Sequence[str] = (), unshown: Collection[int] = ()):
        """Tokens `unshown` have no text."""
        self._detokenizer = Detokenizer(tokenizer)
        self._stops, self._unshown = tuple(stops), unshown
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self._waiting: list[tuple[Token, int, int]] = []  # tokens not shown yet, with the start and end of each
        self._decoded = self._shown = 0
        self.stopped: str | None = None

    def add(self, token: Token) -> Piece:
        """What is shown after one more token."""
        return self._more("" if token.id in self._unshown else self._detokenizer.add(token.id), token)

    def end(self) -> Piece:
        """What is left at the end of the completion."""
        if self.stopped is not None:
            return Piece("")
        piece = self._more(self._detokenizer.end(), None)
        if self.stopped is not None:
            return piece
        text, self._held = self._held, ""
        tokens = tuple((token, start) for token, start, _ in self._waiting)
        self._waiting.clear()
        return Piece(piece.text + text, piece.tokens + tokens)

    def _more(self, text: str, token: Token | None) -> Piece:
        self._held += text
        start, self._decoded = self._decoded, self._decoded + len(text)
        if token is not None:
            self._waiting.append((token, start, self._decoded))
        places = [(place, -len(stop), stop) for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            place, _, self.stopped = min(places)
            return self._show(place, is_last=True)
        return self._show(len(self._held) - self._partial())

    def _partial(self) -> int:
        """How many characters at the end may open a stop string."""
        for length in range(min(self._longest - 1, len(self._held)), 0, -1):
            end = self._held[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0

    def _show(self, length: int, is_last: bool = False) -> Piece:
        text, self._held = self._held[:length], self._held[length:]
        self._shown += length
        if is_last:  # the token that goes on into the stop string still holds text that is shown
            count = sum(start < self._shown for _, start, _ in self._waiting)
        elif text:
            count = sum(end <= self._shown for _, _, end in self._waiting)
        else:
            return Piece("")
        tokens = tuple((token, start) for token, start, _ in self._waiting[:count])
        del self._waiting[:count]
        return Piece(text, tokens)
