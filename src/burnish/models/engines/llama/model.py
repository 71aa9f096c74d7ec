"""A GGUF file loaded by llama.cpp: its metadata, its tokenizer, and the scores of rows of tokens."""

import ctypes as c
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import ModelError, RunError
from burnish.models.engines.llama.library import F32_TYPE, NO_FLASH, last_errors, library, opens

_MOST_SCORES = 1 << 25
"""Positions times vocabulary whose scores exist at once (128 MiB)."""
_MOST_TOKENS = 512
"""Tokens of one call of llama.cpp."""
_MOST_SEQUENCES, _MOST_PLACES = 32, 1 << 14
"""Sequences that are read at once, and places of all of them together."""
_F16 = "1"
"""llama.cpp's number of that type of file."""
_STEP = 256
"""A context has a multiple of this many places."""
Scores = NDArray[np.float32]


class LlamaModel:
    """`close` frees the memory. With `vocabulary_only`, the weights are not read. `adapters` are GGUF files of LoRA."""

    def __init__(self, path: Path, *, threads: int = 1, vocabulary_only: bool = False, adapters: Sequence[Path] = ()):
        """Errors: ModelError `model.broken` with llama.cpp's reason; MachineError `machine.no-package`."""
        self._lib, self.path, self._threads = library(), path, threads
        self._context = self._model = None
        self._places = self._sequences = 0
        self._ends: list[int] | None = None
        params = self._lib.llama_model_default_params()
        params.vocab_only, params.n_gpu_layers, params.check_tensors = vocabulary_only, 0, not vocabulary_only
        last_errors()
        opens(str(path))
        self._model = self._lib.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            why = last_errors() or "it is no GGUF file"
            raise ModelError("model.broken", f"llama.cpp cannot load {path}: {why}", "make or download the file again")
        self._adapters = [self.load_adapter(adapter) for adapter in adapters]
        self._vocabulary = self._lib.llama_model_get_vocab(self._model)
        self.vocabulary = int(self._lib.llama_vocab_n_tokens(self._vocabulary))
        self.context = int(self._lib.llama_model_n_ctx_train(self._model)) or self._context_by_key()

    def __del__(self) -> None:
        """Freed with its last reference, as a model of torch is."""
        if getattr(self, "_model", None):
            self.close()

    @property
    def handles(self) -> tuple[int, int]:
        """The C pointers of the model and of its vocabulary."""
        assert self._model, "the model is closed"
        return self._model, self._vocabulary

    def load_adapter(self, path: Path) -> int:
        """The C pointer of an adapter; contexts that use it are made afterwards.

        Errors: ModelError `model.wrong-adapter`.
        """
        found = self._lib.llama_adapter_lora_init(self._model, str(path).encode())
        if not found:
            why = last_errors() or "it is no GGUF file"
            what = f"llama.cpp cannot put the adapter {path} on {self.path}: {why}"
            raise ModelError("model.wrong-adapter", what, "use the adapter's own base")
        return found

    def free_adapter(self, adapter: int) -> None:
        """Free an adapter that no context uses."""
        self._lib.llama_adapter_lora_free(adapter)

    def metadata(self, key: str) -> str | None:
        """A value of the file that is no list, as text; None if there is none."""
        size = self._lib.llama_model_meta_val_str(self._model, key.encode(), None, 0)
        if size < 0:
            return None
        buffer = c.create_string_buffer(size + 1)
        self._lib.llama_model_meta_val_str(self._model, key.encode(), buffer, size + 1)
        return buffer.raw[:size].decode(errors="replace")

    def _context_by_key(self) -> int:
        """The tokens of a context by the keys of the file: llama.cpp gives none of a vocabulary alone."""
        found = self.metadata(f"{self.metadata('general.architecture')}.context_length") or ""
        return int(found) if found.isdecimal() else 0

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The ids of a text, with those of the special tokens in it; `special` adds those at its start and end."""
        data = text.encode(errors="surrogatepass")
        room = len(data) + 8
        while True:
            buffer = (c.c_int32 * room)()
            count = self._lib.llama_tokenize(self._vocabulary, data, len(data), buffer, room, special, True)
            if count >= 0:
                return list(buffer[:count])
            room = -count

    def piece(self, token: int) -> bytes:
        """The bytes of a token; special tokens too."""
        room = 64
        while True:
            buffer = c.create_string_buffer(room)
            count = self._lib.llama_token_to_piece(self._vocabulary, token, buffer, room, 0, True)
            if count >= 0:
                return buffer.raw[:count]
            room = -count

    def ends(self) -> list[int]:
        """The tokens at which llama.cpp ends an answer."""
        if self._ends is None:
            is_end = self._lib.llama_vocab_is_eog
            self._ends = [token for token in range(self.vocabulary) if is_end(self._vocabulary, token)]
        return self._ends

    def attributes(self) -> list[int]:
        """What each token is, as bits (`llama_token_attr`), with what llama.cpp changes as it loads the file."""
        return [int(self._lib.llama_vocab_get_attr(self._vocabulary, token)) for token in range(self.vocabulary)]

    def start(self, places: int, sequences: int = 1) -> None:
        """Forget the tokens seen, and make room for `places` in each of the sequences."""
        if places > self._places or sequences > self._sequences:
            self._free_context()
            self._places = -(-places // _STEP) * _STEP
            self._sequences = sequences
            self._context = self._lib.llama_init_from_model(self._model, self._context_params())
            if not self._context:
                raise ModelError(
                    "model.broken",
                    f"llama.cpp cannot run {self.path}: {last_errors() or 'no reason is given'}",
                    "free memory, or make the file again",
                )
            if self._adapters:
                held = (c.c_void_p * len(self._adapters))(*self._adapters)
                scales = (c.c_float * len(self._adapters))(*([1.0] * len(self._adapters)))
                self._lib.llama_set_adapters_lora(self._context, held, len(self._adapters), scales)
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), True)
        self._seen = [0] * self._sequences

    def most_sequences(self, places: int) -> int:
        """How many sequences of `places` are read at once, with a bounded cache.

        One for a file in F16: ggml rounds what such a weight is multiplied by to 16 bits for one row, and not for
        several, which moves log-probabilities by 1e-3 nats. The types with blocks give the same bits, F32 3e-6.
        """
        if self.metadata("general.file_type") == _F16:
            return 1
        return max(1, min(self._at_once, _MOST_SEQUENCES, _MOST_PLACES // max(1, places)))

    def next_scores(self, tokens: Mapping[int, int]) -> Scores:
        """[sequences, vocabulary] after one more token of each sequence; a view that is valid until the next call.

        Errors: those of `scores`.
        """
        self._decode([(sequence, token, True) for sequence, token in tokens.items()])
        return self._logits(len(tokens))

    def scores(self, ids: Sequence[int], *, last_only: bool = False, sequence: int = 0) -> Iterator[tuple[int, Scores]]:
        """Read the next tokens of a sequence; yield (first position, scores [positions, vocabulary]).

        Scores are views, valid until the next call.

        Errors: RunError `run.failed` with llama.cpp's reason.
        """
        at_once = self._at_once
        for first in range(0, len(ids), at_once):
            part = ids[first : first + at_once]
            is_last = first + at_once >= len(ids)
            asked = int(is_last) if last_only else len(part)
            self._decode([(sequence, token, place >= len(part) - asked) for place, token in enumerate(part)])
            if asked:
                yield first + len(part) - asked, self._logits(asked)

    def close(self) -> None:
        """Free the memory; the model cannot be used afterwards."""
        self._free_context()
        if self._model:
            self._lib.llama_model_free(self._model)
        self._model = None

    def _logits(self, count: int) -> Scores:
        return np.ctypeslib.as_array(self._lib.llama_get_logits(self._context), (count, self.vocabulary))

    @property
    def _at_once(self) -> int:
        return max(1, min(_MOST_TOKENS, _MOST_SCORES // max(1, self.vocabulary)))

    def _context_params(self) -> object:
        params = self._lib.llama_context_default_params()
        params.n_ctx, params.n_seq_max = self._places * self._sequences, self._sequences
        params.n_batch = params.n_ubatch = self._at_once
        params.n_outputs_max_per_seq = 0
        params.n_threads = params.n_threads_batch = self._threads
        params.type_k = params.type_v = F32_TYPE  # the default rounds keys and values to 16 bits
        params.flash_attn_type, params.no_perf = NO_FLASH, True
        return params

    def _decode(self, tokens: Sequence[tuple[int, int, bool]]) -> None:
        """Read (sequence, token, whether its scores are wanted), each at the next place of its sequence."""
        batch = self._lib.llama_batch_init(len(tokens), 0, 1)
        seen = list(self._seen)
        try:
            batch.n_tokens = len(tokens)
            for place, (sequence, token, is_asked) in enumerate(tokens):
                batch.token[place], batch.pos[place] = token, seen[sequence]
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
                batch.logits[place] = is_asked
                seen[sequence] += 1
            status = self._lib.llama_decode(self._context, batch)
        finally:
            self._lib.llama_batch_free(batch)
        if status:
            what = f"llama.cpp cannot read {len(tokens)} tokens with {self.path}: {last_errors() or f'status {status}'}"
            raise RunError("run.failed", what, "report this with the log of the run")
        self._seen = seen

    def _free_context(self) -> None:
        if self._context:
            self._lib.llama_free(self._context)
        self._context, self._places, self._sequences = None, 0, 0
