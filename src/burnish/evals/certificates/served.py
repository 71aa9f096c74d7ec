"""One side of a certificate that is behind an endpoint: it sees tokens and log-probabilities, and no files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from burnish.core.errors import ModelError
from burnish.endpoints.scoring import ScoredPosition, ScoringEndpoint
from burnish.evals.certificates.golden import Golden
from burnish.models.engines.protocol import FloatArray, Forced, IntArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ServedSubject:
    """A model behind an endpoint. `texts` is the tokenizer of the other side, to know tokens by their text."""

    def __init__(self, endpoint: ScoringEndpoint, texts: "PreTrainedTokenizerBase | None"):
        self.ref, self.fingerprint = endpoint.name, ""
        self._endpoint, self._texts = endpoint, texts

    tokenizer: "PreTrainedTokenizerBase | None" = None
    settings: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    context = 1 << 30
    vocabulary = 0

    def ids(self, golden: Golden, prompt: bool) -> list[int] | None:
        """The ids of a golden conversation, from the endpoint's `/tokenize`; None if it has none.

        A server may refuse special tokens in a text, as ours does: nothing is compared then.
        """
        messages = golden.messages[:-1] if prompt else golden.messages
        found = self._endpoint.tokenize(messages, golden.tools, prompt)
        special = [] if self._texts is None else self._texts.all_special_tokens
        written = "".join(str(message.get("content") or "") for message in messages)
        return None if found == [] and any(token in written for token in special) else found

    def refusal(self, golden: Golden, prompt: bool) -> str:
        return ""  # a server's refusal may be one of the request

    def answers(self, prompts: Sequence[Sequence[int]], longest: int) -> list[list[int]]:
        raise ModelError("model.unsupported", f"{self.ref} does not answer prompts of ids", "certify its files")

    def log_probs(
        self, rows: Sequence[Sequence[int]], *, top: int = 1, at: Sequence[IntArray] | None = None
    ) -> Iterator[Forced]:
        """As `Engine.log_probs`; NaN for tokens that the endpoint does not list."""
        for number, (row, positions) in enumerate(zip(rows, self._endpoint.score(rows), strict=True)):
            yield self._forced(row, positions, top, None if at is None else at[number])

    def weights(self) -> dict[str, Tensor] | None:
        return None

    def close(self) -> None:
        self._endpoint.close()

    def _forced(self, row: Sequence[int], positions: Sequence[ScoredPosition], top: int, at: IntArray | None) -> Forced:
        known = [self._known(place) for place in positions]
        width = min(top, max(map(len, known), default=1)) if at is None else at.shape[1]
        ids: IntArray = np.zeros((len(positions), width), dtype=np.int64) if at is None else at
        log_probs: FloatArray = np.full((len(positions), width), np.nan, dtype=np.float32)
        for number, found in enumerate(known):
            if at is None:
                best = sorted(found, key=lambda token: -found[token])[:width]
                ids[number, : len(best)] = best
                log_probs[number, : len(best)] = [found[token] for token in best]
            else:
                log_probs[number] = [found.get(token, np.nan) for token in at[number].tolist()]
        tops = [self._top(place, found) for place, found in zip(positions, known, strict=True)]
        chosen = np.array([place.chosen for place in positions], dtype=np.float32)
        return Forced(chosen, ids, log_probs, np.array(tops, dtype=np.int64), 0)

    def _known(self, place: ScoredPosition) -> dict[int, float]:
        """Log-probabilities by id; of tokens given by text, those whose text no other token has."""
        named = {self._id_of[text]: value for text, value in place.by_text.items() if text in self._id_of}
        return {**named, **place.by_id}

    def _top(self, place: ScoredPosition, found: dict[int, float]) -> int:
        """The most likely token; -1 if it may be one of those whose text is that of other tokens, too."""
        token = max(found, key=lambda number: found[number])
        hidden = any(text not in self._id_of for text in place.by_text)
        left = 1 - sum(np.exp(value) for value in found.values())
        return token if not hidden or np.exp(found[token]) >= left else -1

    @cached_property
    def _id_of(self) -> dict[str, int]:
        """The tokens by their text, where it is that of one token."""
        if self._texts is None:
            return {}
        texts = [self._texts.decode([token], clean_up_tokenization_spaces=False) for token in range(len(self._texts))]
        counts = Counter(texts)
        return {str(text): token for token, text in enumerate(texts) if counts[text] == 1}
