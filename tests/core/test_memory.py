"""Out-of-memory errors of each library are recognised by their messages; other errors are not."""

import errno
import json
import os
import subprocess
import sys

import pytest
import torch

from burnish.core.faults import is_out_of_memory

LACKING = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.99 GB)"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("unable to mmap 268435456 bytes from file </x/model.safetensors>: Cannot allocate memory (12)"),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "/x/model.safetensors"),
    OSError("Memory mapping file failed: Cannot allocate memory"),  # pyarrow
    OSError("libx.so: cannot map zero-fill pages: Cannot allocate memory"),
    ImportError("/x/_compute.cpython-311-x86_64-linux-gnu.so: failed to map segment from shared object"),
    ImportError("/x/libx.so: failed to map segment from shared object: Cannot allocate memory"),
]
OTHERS = [
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSgemm`"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    ValueError("a row with the text: out of memory"),
    ValueError("a row with the text: Cannot allocate memory"),
    OSError(errno.EACCES, os.strerror(errno.EACCES)),
    ImportError("/x/libx.so: failed to map segment from shared object: Operation not permitted"),
    ImportError("/x/libgomp.so.1: cannot allocate memory in static TLS block"),
]


@pytest.mark.parametrize("error", LACKING, ids=str)
def test_an_out_of_memory_error_is_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_another_error_is_not(error):
    assert not is_out_of_memory(error)


def test_the_error_of_torch_for_too_much_memory_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


MAPPINGS = """
import json, mmap, resource, sys
import numpy, pyarrow, torch
from safetensors import safe_open
from burnish.core.faults import is_out_of_memory

path = sys.argv[1]
ways = {
    "mmap": lambda file: mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),
    "numpy": lambda _: numpy.memmap(path, mode="r"),
    "torch": lambda _: torch.from_file(path, size=1 << 28, dtype=torch.uint8),
    "pyarrow": lambda _: pyarrow.memory_map(path),
    "safetensors": lambda _: safe_open(path, "pt"),
}
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
found = {}
for name, way in ways.items():
    try:
        with open(path, "rb") as file:
            way(file)
        found[name] = "nothing was raised"
    except Exception as error:
        found[name] = is_out_of_memory(error) or repr(error)
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space")
def test_a_file_that_does_not_fit_into_the_address_space_is_out_of_memory_in_every_library(tmp_path):
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.truncate(1 << 28)
    done = subprocess.run([sys.executable, "-c", MAPPINGS, str(path)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found == dict.fromkeys(found, True)
