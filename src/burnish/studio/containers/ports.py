"""Whether a port is free, and which process has it."""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

_LISTENS = "0A"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def is_free(address: str, port: int) -> bool:
    """Whether nothing listens there. What else there is about the address, docker says, which may have more rights."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def holder(port: int) -> str:
    """The process that listens on a port, such as `process 812 (nginx)`; empty if it is unknown."""
    if sys.platform == "linux":
        return _in_proc(port)
    if sys.platform == "win32":
        return _of_netstat(port)
    lines = _output("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc").splitlines()
    found = {line[:1]: line[1:] for line in lines}
    return f"process {found['p']} ({found.get('c', '?')})" if "p" in found else ""


def _in_proc(port: int) -> str:
    sockets = {f"socket:[{inode}]" for table in _TABLES for inode in _inodes(table, port)}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for link in folder.iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(link) in sockets:
                        name = (folder.parent / "comm").read_text(encoding="utf-8", errors="replace").strip()
                        return f"process {folder.parent.name} ({name})"
    return ""


def _inodes(table: Path, port: int) -> list[str]:
    with contextlib.suppress(OSError):
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
        return [row[9] for row in rows if row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port]
    return []


def _of_netstat(port: int) -> str:
    for line in _output("netstat", "-ano", "-p", "TCP").splitlines():
        words = line.split()
        if len(words) >= 5 and words[1].endswith(f":{port}") and words[3] == "LISTENING":
            return f"process {words[4]}"
    return ""


def _output(program: str, *words: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([path, *words], capture_output=True, text=True, timeout=10, check=False).stdout
    return ""
