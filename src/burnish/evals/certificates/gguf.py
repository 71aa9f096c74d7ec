"""One side of a certificate that is a GGUF file, run by llama.cpp in this process."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from burnish.evals.certificates.golden import Golden
from burnish.evals.certificates.tokens import refusal, rendering
from burnish.models.engines.llama.engine import LlamaEngine
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.protocol import Forced, IntArray
from burnish.specs.evals import GenerationSpec
from burnish.tokens.normalization import normalization, normalized

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class GgufSubject:
    """A GGUF file, with GGUF adapters on it if given; loaded at the first use.

    Its chat template is rendered with the special tokens of `texts`, the tokenizer of the other side, and llama.cpp
    tokenizes the text in the Unicode normalisation of that tokenizer.
    """

    tokenizer: "PreTrainedTokenizerBase | None" = None
    settings: dict[str, Any] | None = None
    config: dict[str, Any] | None = None

    def __init__(
        self,
        path: Path,
        ref: str,
        fingerprint: str,
        texts: "PreTrainedTokenizerBase | None",
        threads: int = 1,
        adapters: Sequence[Path] = (),
        vocabulary_only: bool = False,
    ):
        """With `vocabulary_only` it has `ids` alone, and the weights are not read."""
        self.ref, self.fingerprint = ref, fingerprint
        self._path, self._threads, self._adapters = path, threads, adapters
        self._vocabulary_only = vocabulary_only
        self._texts, self._template = texts, texts
        self._model: LlamaModel | None = None

    @property
    def model(self) -> LlamaModel:
        if self._model is None:
            self._model = LlamaModel(
                self._path, threads=self._threads, adapters=self._adapters, vocabulary_only=self._vocabulary_only
            )
            if self._texts is not None:
                self._template = copy.copy(self._texts)
                self._template.chat_template = self._model.metadata("tokenizer.chat_template")
        return self._model

    @property
    def context(self) -> int:
        return self.model.context

    @property
    def vocabulary(self) -> int:
        return self.model.vocabulary

    def ids(self, golden: Golden, prompt: bool) -> list[int] | None:
        model = self.model
        if self._template is None:
            return None
        text, ids = rendering(self._template, golden, prompt)
        if not ids:
            return None
        text = normalized(text, normalization(self._template))
        return model.tokenize(text, special=self._template.chat_template is None)

    def refusal(self, golden: Golden, prompt: bool) -> str:
        _ = self.model  # the template is that of the file
        return refusal(self._template, golden, prompt)

    def answers(self, prompts: Sequence[Sequence[int]], longest: int) -> list[list[int]]:
        spec = GenerationSpec(max_new_tokens=longest, temperature=0.0)
        found = LlamaEngine(self.model).generate(prompts, spec, ())
        return [[*answer.ids, *([] if answer.end is None else [answer.end])] for answer in found]

    def log_probs(
        self, rows: Sequence[Sequence[int]], *, top: int = 1, at: Sequence[IntArray] | None = None
    ) -> Iterator[Forced]:
        return LlamaEngine(self.model).log_probs(rows, top=top, at=at)

    def weights(self) -> dict[str, Tensor] | None:
        return None

    def close(self) -> None:
        if self._model is not None:
            self._model.close()
        self._model = None
