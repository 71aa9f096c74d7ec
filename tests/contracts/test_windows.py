"""The control plane can be imported on Windows, where `burnish up` starts the containers that do the work."""

import ast
import importlib
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "burnish"
CONTROL_PLANE = [path for room in ("specs", "core", "jobs", "studio", "cli") for path in (SOURCES / room).rglob("*.py")]
MODULES = {
    "fcntl",
    "resource",
    "pwd",
    "grp",
    "termios",
    "pty",
    "tty",
    "readline",
    "curses",
    "syslog",
    "msvcrt",
    "winreg",
}
"""Modules of one system only."""
SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
"""Those that Windows has."""
NOT_ON_WINDOWS = {"getuid", "geteuid", "getgid", "fork", "killpg", "setsid", "confstr", "sysconf", "sched_getaffinity"}


def at_import(tree):
    """The nodes that run when the module is imported, but not in a branch that asks for the system."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If | ast.IfExp | ast.BoolOp) and (
            "platform" in ast.unparse(node) or "hasattr" in ast.unparse(node)
        ):
            continue
        yield node
        yield from at_import(node)


def of_one_system(source):
    """What a module takes from one system only, when it is imported."""
    for node in at_import(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        yield from (name for name in names if name.partition(".")[0] in MODULES)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "signal" and node.attr.startswith("SIG") and node.attr not in SIGNALS:
                yield f"signal.{node.attr}"
            if node.value.id == "os" and node.attr in NOT_ON_WINDOWS:
                yield f"os.{node.attr}"


@pytest.mark.parametrize("path", CONTROL_PLANE, ids=lambda path: str(path.relative_to(SOURCES)))
def test_nothing_of_one_system_is_needed_for_an_import(path):
    assert not list(of_one_system(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fcntl", ["fcntl"]),
        ("class A:\n    x = -signal.SIGKILL", ["signal.SIGKILL"]),
        ("import sys\nif sys.platform != 'win32':\n    import fcntl", []),
        ("def f():\n    import fcntl\n    os.fork()", []),
    ],
)
def test_the_check_finds_what_windows_lacks(source, found):
    assert list(of_one_system(source)) == found


def test_a_system_without_workers_says_where_stages_run(workspace, monkeypatch):
    local = importlib.import_module("burnish.jobs.launchers.local")
    monkeypatch.setattr(local.sys, "platform", "win32")
    with pytest.raises(local.MachineError) as caught:
        local.LocalLauncher().start(workspace.run("r", 1, "s"))
    assert caught.value.code == "machine.no-worker"
    assert "WSL" in caught.value.fix
