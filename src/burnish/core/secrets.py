"""Mask secrets in everything that is written: values of environment variables named like secrets, and known tokens.

Logs and records are masked. Settings and references are stored verbatim, so secrets in them are refused. Programs of
others that burnish starts get no secret of its environment.
"""

import functools
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO, cast

_WORDS = r"api_?key|secret|passw(?:or)?d|hf_token|access_token|auth_token"
_NAMES = re.compile(rf"(?i)({_WORDS}|_token$|_key$)")
_KEYS = re.compile(rf"(?i)(?:{_WORDS})['\"]*$")
_SHAPES = re.compile(
    r"hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}"
    r"|\bsk-[A-Za-z0-9_-]{16,}|\bxox[bap]-[A-Za-z0-9-]{10,}"
)
_STRICT_SHAPES = re.compile(
    r"hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}"
    r"|\bsk-(?:[a-z]+-)*[A-Za-z0-9_]{20,}|\bxox[bap]-[A-Za-z0-9-]{10,}"
)
_ASSIGNED = re.compile(rf"(?i)\b(\w*(?:{_WORDS}))(['\"]?\s*[:=]\s*)(['\"])[^'\"]+\3")
_IN_ADDRESS = re.compile(rf"(?i)([?&#](?:[\w-]*token|[\w-]*key|[\w-]*(?:{_WORDS}|signature))=)[^&\s'\"]+")
_LOGIN = re.compile(r"(\w://)(?:[^/\s'\"]+|[^/\s'\"@\[]+:(?!\d{1,5}(?:[/?#\s'\"]|$))[^\s'\"]*)@")
"""A user before the host. A colon that is not followed by a port starts a password, which may hold any character."""
_USER_ONLY = re.compile(r"(?i)\b(?:git\+)?ssh://[^/\s:@]+@")
_STRICT_NAMES = re.compile(r"(?i)(?:api_?key|access_?key|secret|passw(?:or)?d|token)$")
_BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/-]{12,}")
MASK = "•••"
_NAMED = ("apikey", "api_key", "secret", "passwd", "password", "hf_token", "access_token", "auth_token")
_MASKED: tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...] = (
    (_SHAPES, MASK, ("hf_", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "sk-", "xox")),
    (_ASSIGNED, rf"\1\2\3{MASK}\3", _NAMED),
    (_IN_ADDRESS, rf"\1{MASK}", ("token", "key", "signature", *_NAMED)),
    (_LOGIN, rf"\1{MASK}@", ("://",)),
    (_BEARER, rf"\1{MASK}", ("bearer",)),
)
"""What is masked by its shape, with what it becomes, and words of which a text that has it has one."""
_NEEDED = (
    *("PATH", "HOME", "USER", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONPATH"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "XDG_CACHE_HOME", "PYTHONUNBUFFERED", "TOKENIZERS_PARALLELISM"),
)
_NEEDED_STARTS = (
    *("LC_", "OMP_", "MKL_", "GGML_", "CUDA_", "NVIDIA_", "NCCL_", "ROCM_", "HIP_", "HSA_", "MALLOC_"),
    *("HF_", "TRANSFORMERS_", "TORCH_", "PYTORCH_", "VLLM_", "TRITON_"),
)


def program_environment(more: Mapping[str, str] | None = None, passed: Sequence[str] = ()) -> dict[str, str]:
    """The variables of this process that a program of others needs, without secrets, and `more`.

    `passed` are the names of further variables, in any case; one that ends with `_` is the start of names.
    """
    starts = (*_NEEDED_STARTS, *(name for name in passed if name.endswith("_")))
    needed = {
        name: value
        for name, value in os.environ.items()
        if (name in _NEEDED or name.upper() in passed or name.startswith(starts)) and not _NAMES.search(name)
    }
    return {**needed, **(more or {})}


def mask(text: str) -> str:
    """Replace every secret in a text."""
    for name in os.environ:
        if _may_name_a_secret(name) and len(value := os.environ.get(name, "")) >= 8:
            text = text.replace(value, MASK)
    low = text.lower() if text.isascii() else None  # other letters may be equal to these in no case
    for shape, masked, words in _MASKED:
        if low is None or any(word in low for word in words):  # a search for words is 100 times as fast
            text = shape.sub(masked, text)
    return text


@functools.lru_cache(maxsize=1024)
def _may_name_a_secret(variable: str) -> bool:
    return _NAMES.search(variable) is not None


def masked_value(value: Any) -> Any:
    """Replace secrets in a JSON-like value: in every string, and the whole string where its key is named like one."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {
            key: MASK if member and isinstance(member, str) and names_a_secret(str(key)) else masked_value(member)
            for key, member in cast(Mapping[Any, Any], value).items()
        }
    if isinstance(value, list | tuple):
        return [masked_value(member) for member in cast(list[Any], value)]
    return value


def secret_in(text: str, *, is_reference: bool = False) -> str:
    """Describe the kind of secret in a setting; empty if there is none.

    Stricter than `mask`, which may mask too much: text may mention passwords and addresses, a reference may not.
    """
    for name, value in os.environ.items():
        if len(value) >= 8 and _STRICT_NAMES.search(name) and not value.startswith("/") and value in text:
            return f"the value of ${name}"
    if _STRICT_SHAPES.search(text):
        return "an access token"
    if is_reference and _LOGIN.search(_USER_ONLY.sub("", text)):
        return "a user name or password in an address"
    return "a token in an address" if is_reference and _IN_ADDRESS.search(text) else ""


def names_a_secret(name: str) -> bool:
    """Whether a variable or key with this name holds a secret."""
    return _KEYS.search(name) is not None


class _MaskedStream:
    """A text stream that masks what is written to it and delegates everything else."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(mask(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def masked(stream: TextIO) -> TextIO:
    """Wrap a stream so that secrets are masked."""
    return cast(TextIO, _MaskedStream(stream))
