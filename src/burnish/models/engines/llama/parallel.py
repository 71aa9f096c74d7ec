"""Several texts read at a time by llama.cpp, each with its own places in one context."""

import ctypes as c
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import MachineError, RunError
from burnish.core.files import file_size
from burnish.core.memory import available_memory
from burnish.models.engines.llama.library import F32_TYPE, NO_FLASH, NO_POOLING, Batch, last_errors, library
from burnish.models.engines.llama.model import LlamaModel

_MULTIPLE = 256
"""Places of a text are a multiple of this."""
_SHARE_OF_MEMORY = 0.7
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """The next tokens of a text, the first of them at `position`; `is_asked` where the scores after it are needed."""

    text: int
    tokens: Sequence[int]
    position: int
    is_asked: bool


class ParallelContext:
    """Reads pieces of up to `texts` texts in one call. `close` frees its memory; the model stays."""

    def __init__(
        self, model: LlamaModel, *, texts: int, places: int, threads: int, most_tokens: int, gives_states: bool = False
    ):
        """`places` are the most tokens of one text; `gives_states` is for `states`.

        Errors: MachineError `machine.no-memory`.
        """
        self._lib, self._model = library(), model
        self.most_tokens = most_tokens
        params = self._lib.llama_context_default_params()
        self.places = -(-places // _MULTIPLE) * _MULTIPLE
        params.n_ctx, params.n_seq_max, params.kv_unified = self.places * texts, texts, False
        params.n_batch = params.n_ubatch = most_tokens
        params.n_outputs_max_per_seq = 0
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = F32_TYPE  # as in the certificate: 16 bits change logits by 1 % of their size
        params.flash_attn_type, params.no_perf = NO_FLASH, True
        params.embeddings, params.pooling_type = gives_states, NO_POOLING
        last_errors()
        self._context = self._lib.llama_init_from_model(model.handles[0], params)
        if not self._context:
            what = (
                f"llama.cpp cannot hold {texts} texts of {self.places} tokens: {last_errors() or 'no reason is given'}"
            )
            raise MachineError("machine.no-memory", what, "set a smaller context or parallel, or free memory")
        self._memory = self._lib.llama_get_memory(self._context)
        self._tokens, self._positions, self._texts, self._counts = np.zeros((4, most_tokens), np.int32)
        self._counts[:] = 1
        self._asked = np.zeros(most_tokens, np.int8)
        first = self._texts.ctypes.data
        self._pointers = (c.POINTER(c.c_int32) * most_tokens)(
            *(c.cast(first + 4 * place, c.POINTER(c.c_int32)) for place in range(most_tokens))
        )

    def use(self, adapters: Sequence[int]) -> None:
        """Read with these adapters, by their C pointers, from now on."""
        held = (c.c_void_p * max(1, len(adapters)))(*adapters)
        scales = (c.c_float * max(1, len(adapters)))(*([1.0] * len(adapters)))
        self._lib.llama_set_adapters_lora(self._context, held, len(adapters), scales)

    def forget(self, text: int, start: int) -> bool:
        """Forget the tokens of a text from a position on; False where the model can only forget whole texts."""
        return bool(self._lib.llama_memory_seq_rm(self._memory, text, start, -1))

    def read(self, pieces: Sequence[Piece]) -> list[Scores | None]:
        """Read pieces, at most `most_tokens` together; for each, the scores [vocabulary] after it, where asked.

        The scores are views that are valid until the next call.
        Errors: RunError `run.failed` with llama.cpp's reason.
        """
        place, last = 0, list[int]()
        self._asked[:] = 0
        for piece in pieces:
            end = self._put(piece, place)
            self._asked[end - 1] = piece.is_asked
            last.append(end - 1)
            place = end
        self._decode(place)
        return [self._scores(place) if piece.is_asked else None for piece, place in zip(pieces, last, strict=True)]

    def states(self, piece: Piece) -> Scores:
        """Read a piece; the hidden states [tokens, width] after its tokens, which the head turns into scores.

        A view that is valid until the next call. Errors: as `read`.
        """
        count = self._put(piece, 0)
        self._asked[:] = 1
        self._decode(count)
        width = int(self._lib.llama_model_n_embd(self._model.handles[0]))
        pointer = self._lib.llama_get_embeddings(self._context)
        if not pointer:
            raise RunError("run.failed", "llama.cpp has no hidden states of the text", "see the log of the engine")
        return np.ctypeslib.as_array(pointer, (count, width))

    def _put(self, piece: Piece, place: int) -> int:
        """Put a piece into the batch from a place on; returns the place after it."""
        end = place + len(piece.tokens)
        self._tokens[place:end] = piece.tokens
        self._positions[place:end] = np.arange(piece.position, piece.position + len(piece.tokens))
        self._texts[place:end] = piece.text
        return end

    def _decode(self, place: int) -> None:
        status = self._lib.llama_decode(self._context, self._batch(place))
        if status:
            what = (
                f"llama.cpp cannot read {place} tokens with {self._model.path}: {last_errors() or f'status {status}'}"
            )
            raise RunError("run.failed", what, "see the log of the engine")

    def close(self) -> None:
        if self._context:
            self._lib.llama_free(self._context)
        self._context = None

    def _batch(self, count: int) -> Batch:
        def pointer(values: NDArray[np.int32]) -> "c._Pointer[c.c_int32]":  # pyright: ignore[reportPrivateUsage]
            return values.ctypes.data_as(c.POINTER(c.c_int32))

        asked = self._asked.ctypes.data_as(c.POINTER(c.c_int8))
        tokens, positions, counts = map(pointer, (self._tokens, self._positions, self._counts))
        return Batch(count, tokens, None, positions, counts, self._pointers, asked)

    def _scores(self, place: int) -> Scores:
        pointer = self._lib.llama_get_logits_ith(self._context, place)
        if not pointer:
            raise RunError("run.failed", f"llama.cpp has no scores of token {place}", "see the log of the engine")
        return np.ctypeslib.as_array(pointer, (self._model.vocabulary,))


def fitting_slots(model: LlamaModel, places: int, slots: int) -> int:
    """At most `slots` texts of `places` tokens whose keys and values fit into free memory.

    Errors: MachineError `machine.no-memory` if not even one does.
    """
    free, each = available_memory(), _bytes_of_token(model) * places
    if each == 0 or free is None:
        return slots
    fit = int(_SHARE_OF_MEMORY * free / each)
    if fit < 1:
        what = f"a text of {places:,} tokens takes {file_size(each)} of the {file_size(free)} of free memory"
        raise MachineError("machine.no-memory", what, "set a smaller context, or free memory")
    return min(slots, fit)


def _bytes_of_token(model: LlamaModel) -> int:
    """What the keys and values of a token take; 0 where the file does not say it for all layers at once."""
    name = model.metadata("general.architecture")

    def number(key: str, default: int = 0) -> int:
        text = model.metadata(f"{name}.{key}")
        return int(text) if text is not None and text.isdigit() else default

    heads = number("attention.head_count")
    size = number("embedding_length") // max(1, heads)
    both = number("attention.key_length", size) + number("attention.value_length", size)
    return 4 * number("block_count") * number("attention.head_count_kv", heads) * both
