"""The shared library of llama.cpp inside the `xllamacpp` wheel, and the C structs of its pinned version."""

import ctypes as c
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata, util
from typing import Any

from burnish.core.errors import MachineError, ModelError
from burnish.core.faults import end_process

VERSION = "2026.10.11549"
"""The version of `xllamacpp` whose structs these are."""
F32_TYPE, NO_FLASH, FLASH_AUTO, NO_POOLING = 0, 0, -1, 0
_PACKAGE = "xllamacpp"
_WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "3000"}
"""Microseconds of spinning: a token takes half of the time of none where cores are free, and as long where not."""


class ModelParams(c.Structure):
    """`llama_model_params`."""

    _fields_ = (
        ("devices", c.c_void_p),
        ("tensor_buft_overrides", c.c_void_p),
        ("n_gpu_layers", c.c_int32),
        ("split_mode", c.c_int),
        ("load_mode", c.c_int),
        ("lazy_mode", c.c_int),
        ("main_gpu", c.c_int32),
        ("tensor_split", c.c_void_p),
        ("progress_callback", c.c_void_p),
        ("progress_callback_user_data", c.c_void_p),
        ("kv_overrides", c.c_void_p),
        ("vocab_only", c.c_bool),
        ("check_tensors", c.c_bool),
        ("use_extra_bufts", c.c_bool),
        ("no_host", c.c_bool),
        ("no_alloc", c.c_bool),
        ("load_mtp", c.c_bool),
    )


class ContextParams(c.Structure):
    """`llama_context_params`."""

    _fields_ = (
        ("n_ctx", c.c_uint32),
        ("n_batch", c.c_uint32),
        ("n_ubatch", c.c_uint32),
        ("n_seq_max", c.c_uint32),
        ("n_rs_seq", c.c_uint32),
        ("n_outputs_max", c.c_uint32),
        ("n_outputs_max_per_seq", c.c_uint32),
        ("n_threads", c.c_int32),
        ("n_threads_batch", c.c_int32),
        ("ctx_type", c.c_int),
        ("rope_scaling_type", c.c_int),
        ("pooling_type", c.c_int),
        ("attention_type", c.c_int),
        ("flash_attn_type", c.c_int),
        ("rope_freq_base", c.c_float),
        ("rope_freq_scale", c.c_float),
        ("yarn_ext_factor", c.c_float),
        ("yarn_attn_factor", c.c_float),
        ("yarn_beta_fast", c.c_float),
        ("yarn_beta_slow", c.c_float),
        ("yarn_orig_ctx", c.c_uint32),
        ("defrag_thold", c.c_float),
        ("cb_eval", c.c_void_p),
        ("cb_eval_user_data", c.c_void_p),
        ("type_k", c.c_int),
        ("type_v", c.c_int),
        ("moe_cache_size", c.c_size_t),
        ("abort_callback", c.c_void_p),
        ("abort_callback_data", c.c_void_p),
        ("embeddings", c.c_bool),
        ("offload_kqv", c.c_bool),
        ("no_perf", c.c_bool),
        ("op_offload", c.c_bool),
        ("swa_full", c.c_bool),
        ("kv_unified", c.c_bool),
        ("samplers", c.c_void_p),
        ("n_samplers", c.c_size_t),
        ("ctx_other", c.c_void_p),
    )


class Batch(c.Structure):
    """`llama_batch`."""

    _fields_ = (
        ("n_tokens", c.c_int32),
        ("token", c.POINTER(c.c_int32)),
        ("embd", c.POINTER(c.c_float)),
        ("pos", c.POINTER(c.c_int32)),
        ("n_seq_id", c.POINTER(c.c_int32)),
        ("seq_id", c.POINTER(c.POINTER(c.c_int32))),
        ("logits", c.POINTER(c.c_int8)),
    )


class TokenDataArray(c.Structure):
    """`llama_token_data_array`."""

    _fields_ = (("data", c.c_void_p), ("size", c.c_size_t), ("selected", c.c_int64), ("sorted", c.c_bool))


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "ggml_set_abort_callback": (c.c_void_p, (c.c_void_p,)),
    "llama_log_set": (None, (c.c_void_p, c.c_void_p)),
    "llama_model_default_params": (ModelParams, ()),
    "llama_context_default_params": (ContextParams, ()),
    "llama_model_load_from_file": (c.c_void_p, (c.c_char_p, ModelParams)),
    "llama_model_free": (None, (c.c_void_p,)),
    "llama_model_get_vocab": (c.c_void_p, (c.c_void_p,)),
    "llama_model_n_ctx_train": (c.c_int32, (c.c_void_p,)),
    "llama_model_meta_val_str": (c.c_int32, (c.c_void_p, c.c_char_p, c.c_char_p, c.c_size_t)),
    "llama_vocab_n_tokens": (c.c_int32, (c.c_void_p,)),
    "llama_vocab_is_eog": (c.c_bool, (c.c_void_p, c.c_int32)),
    "llama_vocab_get_attr": (c.c_int, (c.c_void_p, c.c_int32)),
    "llama_init_from_model": (c.c_void_p, (c.c_void_p, ContextParams)),
    "llama_free": (None, (c.c_void_p,)),
    "llama_adapter_lora_init": (c.c_void_p, (c.c_void_p, c.c_char_p)),
    "llama_set_adapters_lora": (
        c.c_int32,
        (c.c_void_p, c.POINTER(c.c_void_p), c.c_size_t, c.POINTER(c.c_float)),
    ),
    "llama_adapter_lora_free": (None, (c.c_void_p,)),
    "llama_get_memory": (c.c_void_p, (c.c_void_p,)),
    "llama_memory_clear": (None, (c.c_void_p, c.c_bool)),
    "llama_memory_seq_rm": (c.c_bool, (c.c_void_p, c.c_int32, c.c_int32, c.c_int32)),
    "llama_batch_init": (Batch, (c.c_int32, c.c_int32, c.c_int32)),
    "llama_batch_free": (None, (Batch,)),
    "llama_decode": (c.c_int32, (c.c_void_p, Batch)),
    "llama_get_logits": (c.POINTER(c.c_float), (c.c_void_p,)),
    "llama_model_n_embd": (c.c_int32, (c.c_void_p,)),
    "llama_get_embeddings": (c.POINTER(c.c_float), (c.c_void_p,)),
    "llama_get_logits_ith": (c.POINTER(c.c_float), (c.c_void_p, c.c_int32)),
    "_Z22llama_sampler_init_llgPK11llama_vocabPKcS3_": (c.c_void_p, (c.c_void_p, c.c_char_p, c.c_char_p)),
    "llama_sampler_apply": (None, (c.c_void_p, c.POINTER(TokenDataArray))),
    "llama_sampler_accept": (None, (c.c_void_p, c.c_int32)),
    "llama_sampler_free": (None, (c.c_void_p,)),
    "llama_tokenize": (
        c.c_int32,
        (c.c_void_p, c.c_char_p, c.c_int32, c.POINTER(c.c_int32), c.c_int32, c.c_bool, c.c_bool),
    ),
    "llama_token_to_piece": (c.c_int32, (c.c_void_p, c.c_int32, c.c_char_p, c.c_int32, c.c_int32, c.c_bool)),
    "ggml_quantize_chunk": (
        c.c_size_t,
        (c.c_int, c.c_void_p, c.c_void_p, c.c_int64, c.c_int64, c.c_int64, c.c_void_p),
    ),
    "ggml_row_size": (c.c_size_t, (c.c_int, c.c_int64)),
    "ggml_validate_row_data": (c.c_bool, (c.c_int, c.c_void_p, c.c_size_t)),
    "ggml_fp32_to_fp16_row": (None, (c.c_void_p, c.c_void_p, c.c_int64)),
    "ggml_fp32_to_bf16_row": (None, (c.c_void_p, c.c_void_p, c.c_int64)),
}
_messages = threading.local()
_ERROR = 4


@c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
def _log(level: int, text: bytes, data: Any) -> None:
    """Keeps the errors of this thread; llama.cpp would print everything."""
    if level == _ERROR:
        held = getattr(_messages, "held", [])
        _messages.held = [*held[-7:], text.decode(errors="replace").strip()]


@c.CFUNCTYPE(None, c.c_char_p)
def _abort(text: bytes) -> None:
    """Ends the process in place of ggml's abort: a file whose numbers contradict each other trips its assertions."""
    why = text.decode(errors="replace").strip().rpartition("/")[2]
    where = f" over {_opened[-1]}" if _opened else ""
    fix = "make or download the file again; a file that other programs load is a fault of llama.cpp, to report there"
    end_process(ModelError("model.broken", f"llama.cpp gave up{where}: {why}", fix))


_opened: list[str] = []


def opens(path: str) -> None:
    """The file that an assertion of llama.cpp is about from now on."""
    _opened[:] = [path]


def last_errors() -> str:
    """What llama.cpp has reported in this thread since the last call, the first message first."""
    held, _messages.held = getattr(_messages, "held", []), []
    return "; ".join(text.partition(": ")[2] or text for text in held)


@cache
def library() -> c.CDLL:
    """The library, its functions declared. Errors: MachineError `machine.no-package`."""
    try:
        installed = metadata.version(_PACKAGE)
        with _threads_that_sleep():
            found = util.find_spec(f"{_PACKAGE}.{_PACKAGE}")  # imports the package, and the library with it
    except (metadata.PackageNotFoundError, ModuleNotFoundError):
        installed, found = "", None
    if found is None or found.origin is None:
        raise _missing("GGUF files need llama.cpp, which is in the package xllamacpp, and it is not installed")
    if installed != VERSION:
        raise _missing(f"xllamacpp is {installed}, and burnish calls the C library of {VERSION} only")
    loaded = c.CDLL(found.origin)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # it would attach a debugger, and print for half a minute
    loaded.ggml_set_abort_callback(c.cast(_abort, c.c_void_p))
    loaded.llama_log_set(c.cast(_log, c.c_void_p), None)
    loaded.llama_backend_init()
    return loaded


@contextmanager
def _threads_that_sleep() -> Iterator[None]:
    """What loads OpenMP here has threads that soon sleep while they wait for each other, unless the user chose.

    By default they spin for milliseconds: where another program has one of the cores, a token takes 50 times as long.
    """
    if any(name in os.environ for name in _WAITING):
        yield
        return
    os.environ |= _WAITING
    try:
        yield
    finally:
        for name in _WAITING:
            del os.environ[name]


def _missing(what: str) -> MachineError:
    fix = f"pip install 'burnish[ship]', or pip install xllamacpp=={VERSION}"
    return MachineError("machine.no-package", what, fix)
