"""One side of a certificate: a model or an adapter that is loaded here, with its tokenizer and settings."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from burnish.evals.certificates.golden import Golden
from burnish.evals.certificates.tokens import generation_settings, refusal, rendering
from burnish.models.adapters.attach import without_adapter
from burnish.models.bases import Source, chain_of, folder_of, is_adapter, tokenizer_folder, whole_model
from burnish.models.engines.forced import forced_log_probs
from burnish.models.engines.protocol import Forced, IntArray
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.engines.ways import context_of
from burnish.models.load import load_model, load_plain
from burnish.models.probing import causal_model, text_config
from burnish.models.quantization.record import read_quantization
from burnish.specs.evals import GenerationSpec
from burnish.tokens.load import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")
_LARGE = 100_000_000
"""Parameters from which on cycles of references are collected at once, which takes a third of a second."""


class Subject(Protocol):
    """One side of a certificate. `tokenizer` and `settings` are None where they cannot be seen."""

    ref: str
    fingerprint: str

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase | None": ...
    @property
    def settings(self) -> dict[str, Any] | None:
        """The generation config in effect."""
        ...

    @property
    def config(self) -> dict[str, Any] | None:
        """The config of the loaded model. A head with the embedding's values is said to be tied, however it is
        stored."""
        ...

    @property
    def context(self) -> int:
        """The most tokens of a row."""
        ...

    @property
    def vocabulary(self) -> int:
        """The number of tokens that a distribution is over; 0 if it is unknown."""
        ...

    def ids(self, golden: Golden, prompt: bool) -> list[int] | None:
        """The ids of a golden conversation or its prompt; None where they cannot be seen, empty if it is refused."""
        ...

    def refusal(self, golden: Golden, prompt: bool) -> str:
        """The code of the error with which the template refuses a golden conversation; "" if none is seen."""
        ...

    def answers(self, prompts: Sequence[Sequence[int]], longest: int) -> list[list[int]]:
        """Greedy answers, with the tokens that end them. Errors: BurnishError if it cannot generate."""
        ...

    def log_probs(
        self, rows: Sequence[Sequence[int]], *, top: int = 1, at: Sequence[IntArray] | None = None
    ) -> Iterator[Forced]:
        """As `Engine.log_probs`."""
        ...

    def weights(self) -> dict[str, Tensor] | None:
        """All weights of the plain model, adapters merged in memory; the model cannot be used afterwards. None where
        they cannot be seen."""
        ...

    def close(self) -> None:
        """Free the memory."""
        ...


class LocalSubject:
    """A model that is loaded into this process at the first use."""

    def __init__(self, source: Source, ref: str, fingerprint: str, device: torch.device, dtype: torch.dtype | None):
        self.ref, self.fingerprint = ref, fingerprint
        self._source, self._device, self._dtype = source, device, dtype
        self._model: Any = None

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase | None":
        return self._tokenizer

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase | None":
        folder = tokenizer_folder(self._source)
        return load_tokenizer(folder) if any((folder / name).is_file() for name in _TOKENIZERS) else None

    @property
    def settings(self) -> dict[str, Any] | None:
        adapters = [folder_of(link) for link in chain_of(self._source) if is_adapter(folder_of(link))]
        own = [folder for folder in adapters if (folder / "generation_config.json").is_file()]
        return generation_settings(own[0] if own else folder_of(whole_model(self._source)))

    @property
    def config(self) -> dict[str, Any] | None:
        model = causal_model(self.model)
        found: dict[str, Any] = model.config.to_dict()
        return _with_tie(found) if _has_tied_head(model) else found

    @property
    def context(self) -> int:
        return context_of(causal_model(self.model))

    @property
    def vocabulary(self) -> int:
        return int(text_config(causal_model(self.model).config).vocab_size)

    def ids(self, golden: Golden, prompt: bool) -> list[int] | None:
        if self._tokenizer is None:
            return None
        return rendering(self._tokenizer, golden, prompt)[1] or None  # a server may render what is refused here

    def refusal(self, golden: Golden, prompt: bool) -> str:
        return refusal(self._tokenizer, golden, prompt)

    @property
    def model(self) -> Any:
        if self._model is None:
            self._model = load_model(self._source, dtype=self._dtype, device=self._device)
        return self._model

    def answers(self, prompts: Sequence[Sequence[int]], longest: int) -> list[list[int]]:
        engine = TransformersEngine(self.model, self._tokenizer)  # pyright: ignore[reportArgumentType]
        spec = GenerationSpec(max_new_tokens=longest, temperature=0.0, batch_size=max(1, len(prompts)))
        found = engine.generate(prompts, spec, ())
        return [[*answer.ids, *([] if answer.end is None else [answer.end])] for answer in found]

    def log_probs(
        self, rows: Sequence[Sequence[int]], *, top: int = 1, at: Sequence[IntArray] | None = None
    ) -> Iterator[Forced]:
        return forced_log_probs(self.model, rows, top=top, at=at)

    def weights(self) -> dict[str, Tensor] | None:
        if any(read_quantization(folder_of(link)) is not None for link in chain_of(self._source)[:-1]):
            self.close()
            plain: Any = load_plain(self._source, dtype=self._dtype, device=self._device)
        else:
            plain, self._model = without_adapter(self.model), None
        return dict(plain.state_dict())

    def close(self) -> None:
        is_large = self._model is not None and causal_model(self._model).num_parameters() > _LARGE
        self._model = None
        if is_large:
            gc.collect()


def _has_tied_head(model: Any) -> bool:
    """Whether the head's weights are those of the embedding, bit for bit, and it adds nothing."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    ours, theirs = getattr(head, "weight", None), getattr(embedding, "weight", None)
    if not isinstance(ours, Tensor) or not isinstance(theirs, Tensor) or getattr(head, "bias", None) is not None:
        return False
    return ours is theirs or (ours.dtype == theirs.dtype and ours.shape == theirs.shape and torch.equal(ours, theirs))


def _with_tie(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config, and those in it, with every `tie_word_embeddings` true."""
    return {
        key: True if key == "tie_word_embeddings" else _with_tie(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
    }
