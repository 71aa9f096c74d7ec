"""The environment of a worker: quiet libraries, and memory that they keep."""

import os

_DEFAULTS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads slowed a step from 809 to 5,692 ms on a busy machine
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONUNBUFFERED": "1",
    "MPLBACKEND": "Agg",
}
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""The settings of torch's CUDA allocator, and their older name."""
_KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}
"""glibc maps each tensor above 32 MiB afresh and unmaps it when freed; its pages then cost more than its numbers."""


def worker_environment() -> dict[str, str]:
    """The environment of a worker: that of this process over the defaults above."""
    tuned_by_user = "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
    freed = _KEEP_FREED_MEMORY if _has_glibc() and not tuned_by_user else {}
    environment = {**_DEFAULTS, **freed, **_own()}
    if not any(name in environment for name in _ALLOCATOR):
        # batches of varying size fragment segments of fixed size
        environment[_ALLOCATOR[0]] = "expandable_segments:True"
    return environment


def _own() -> dict[str, str]:
    while True:
        try:
            return dict(os.environ)
        except KeyError:  # another thread removed a variable meanwhile
            continue


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):  # another system, another libc
        return False
