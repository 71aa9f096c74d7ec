"""JSON schemas as grammars of llama.cpp, which allow the next tokens of a text that matches."""

import ctypes as c
import json
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import AskError, RunError
from burnish.models.engines.llama.library import TokenDataArray, library
from burnish.models.engines.llama.model import LlamaModel

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data`."""


_MOST_SPACES = 40
"""White space between two parts of a JSON text: without a limit a model may write it until its answer is cut."""
_INIT = "_Z22llama_sampler_init_llgPK11llama_vocabPKcS3_"
"""`llama_sampler_init_llg` of C++: the wheel has llguidance instead of llama.cpp's own grammars."""


class Grammar:
    """The state of one text. `close` frees it."""

    def __init__(self, model: LlamaModel, schema: Mapping[str, Any], after: str = ""):
        """`after` is a text without special tokens that may follow the JSON.

        Errors: AskError `ask.wrong-value` for a schema that cannot be followed.
        """
        self._lib, self._model, self._place = library(), model, _Place()
        start = getattr(self._lib, _INIT)
        self._sampler = start(model.handles[1], b"lark", _rules(schema, after).encode())
        self._freed = weakref.finalize(self, self._lib.llama_sampler_free, self._sampler)
        self._freed.atexit = False
        self._all = np.zeros(model.vocabulary, _CANDIDATE)
        self._all["id"] = np.arange(model.vocabulary)
        self._never = np.array([0, *_never_together(model)], np.int32)
        try:
            self.allowed()
        except RunError:
            self.close()
            what = "the engine cannot follow the JSON schema; its log says why"
            fix = "write a plain JSON schema, without references to other documents"
            raise AskError("ask.wrong-value", what, fix) from None

    def allows(self, token: int) -> bool:
        """Whether a token may be next. Errors: those of `allowed`."""
        candidates = np.zeros(len(self._never), _CANDIDATE)
        candidates["id"] = self._never
        candidates["id"][0] = token
        return bool(self._applied(candidates)[0]) and not self._is_too_white(token)

    def allowed(self) -> NDArray[np.bool_]:
        """[vocabulary] which tokens may be next; none once the text is complete, but tokens that end it.

        Errors: RunError `run.failed` if the engine has given the grammar up: it allows everything from then on.
        """
        self._all["logit"] = 0.0
        found = self._applied(self._all)
        if self._place.spaces >= _MOST_SPACES:
            white = [token for token in np.flatnonzero(found) if self._is_too_white(int(token))]
            found[white] = False
        return found

    def accept(self, token: int) -> None:
        """The next token of the text, one that is allowed."""
        self._lib.llama_sampler_accept(self._sampler, token)
        self._place.read(self._model.piece(token))

    def close(self) -> None:
        self._freed()
        self._sampler = None

    def _is_too_white(self, token: int) -> bool:
        return self._place.spaces >= _MOST_SPACES and not self._model.piece(token).strip()

    def _applied(self, candidates: NDArray[np.void]) -> NDArray[np.bool_]:
        if self._sampler:
            array = TokenDataArray(candidates.ctypes.data, len(candidates), -1, False)
            self._lib.llama_sampler_apply(self._sampler, c.byref(array))
        found = np.isfinite(candidates["logit"])
        if found.all():
            what = "the engine gave up the JSON schema: it is too large for one of its states"
            raise RunError("run.failed", what, "split the schema, or make fewer of its properties optional")
        return found


class _Place:
    """Where in a JSON text the writing is; `spaces` is the white space just before, outside of strings."""

    def __init__(self) -> None:
        self.spaces = 0
        self._is_string = self._is_escaped = False

    def read(self, text: bytes) -> None:
        for byte in text:
            if self._is_escaped:
                self._is_escaped = False
            elif self._is_string:
                self._is_escaped, self._is_string = byte == ord("\\"), byte != ord('"')
            else:
                self.spaces = self.spaces + 1 if byte in b" \t\r\n" else 0
                self._is_string = byte == ord('"')


def _rules(schema: Mapping[str, Any], after: str) -> str:
    """The grammar in the notation of llguidance. What follows the JSON is part of it, since tokens span both."""
    rest = f" after?\nafter: {json.dumps(after)}" if after else ""
    return f"%llguidance {{}}\nstart: value{rest}\nvalue: %json {json.dumps(schema)}"


def _never_together(model: LlamaModel) -> list[int]:
    """Tokens that no grammar of JSON allows at the same place: those that end the text, and one that opens an object.

    All tokens where the vocabulary has no such ones.
    """
    ends = model.ends()
    opening = [token for token in model.tokenize("{") if model.piece(token) == b"{"]
    return [*ends, opening[0]] if ends and opening else list(range(model.vocabulary))
