"""Threads allocate from one heap once that is asked for, and from heaps of their own before."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from burnish.core.memory import share_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
if sys.argv[2] == "share":
    share_freed_memory()
everyone = threading.Barrier(4)
def allocate():
    everyone.wait()
    ctypes.CDLL(None).free(ctypes.c_void_p(libc.malloc(100_000)))
    everyone.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = libc.fopen(sys.argv[1].encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(file))
libc.fclose(ctypes.c_void_p(file))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_threads_share_a_heap_once_that_is_asked_for(tmp_path):
    found = {}
    for word in ("share", "own"):
        report = tmp_path / word
        subprocess.run([sys.executable, "-c", PROGRAM, str(report), word], check=True)
        found[word] = report.read_text().count("<heap nr=")
    assert found["share"] == 1 < found["own"]
