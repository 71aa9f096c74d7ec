"""The program of the child processes: it reads its job, confines itself, and runs the code.

    program     an answer as a program: standard input and output are files
    answer      an answer as a module, whose objects serve the process of the tests
    tests       asserts that use the objects of an answer; the verdicts go to a file that the answer cannot reach

Started by `process.py` as `python -c` with the folder of burnish in `sys.argv[1]`.
"""

import ast
import builtins
import json
import os
import sys
import sysconfig
import types
from typing import Any

from burnish.train.rewards.sandbox.jail import UnconfinedError, confine
from burnish.train.rewards.sandbox.peer import GoneError, Peer
from burnish.train.rewards.sandbox.statements import tests_in, unbound_names

READY, UNCONFINED = b"ready\n", b"unconfined: "
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/dev/urandom")
_LONGEST_REASON = 300


def main() -> None:
    """Run the job of the file descriptor in `sys.argv[2]`."""
    with os.fdopen(int(sys.argv[2]), "rb") as file:
        job = json.load(file)
    with os.fdopen(job["report"], "wb", buffering=0) as report:
        sys.path[:] = [path for path in sys.path if path != sys.argv[1] or job["packages"]]
        sys.argv[:] = ["answer.py"]
        readable = [sys.base_prefix, sys.prefix, sys.exec_prefix, sysconfig.get_path("stdlib"), *_SYSTEM]
        readable += [os.path.abspath(path) for path in sys.path if job["packages"] and path]
        readable += ["."]
        try:
            how = confine(readable=readable, **job["limits"])
        except UnconfinedError as error:
            report.write(UNCONFINED + str(error).encode())
            return
        report.write(READY + how.encode() + b"\n")
        if job["role"] == "tests":
            _run_tests(job, report)
            return
    if job["role"] == "program":
        _run_module(job["code"], "__main__")
    else:
        _serve_answer(job)


def _run_module(code: str, name: str) -> dict[str, Any]:
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(code, "answer.py", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def _serve_answer(job: dict[str, Any]) -> None:
    scope: dict[str, Any] = {}
    peer = Peer(job["socket"], lambda *_: True, scope=scope)
    try:
        scope.update(_run_module(job["code"], "answer"))
    except BaseException as error:  # SystemExit: an answer that ends before its tests has not passed them
        peer.send(["failed", f"{type(error).__name__}: {error}"[:_LONGEST_REASON]])
        return
    peer.send(["ready"])
    peer.serve_forever()


# tests


def _run_tests(job: dict[str, Any], report: Any) -> None:
    """Write one JSON line for each test: [text, test, passed, reason]."""
    pieces = [ast.parse(text) for text in job["tests"]]
    setup = ast.parse(job["setup"])
    whole = ast.Module([node for tree in [setup, *pieces] for node in tree.body], [])
    used = {node.id for node in ast.walk(whole) if isinstance(node, ast.Name)}
    peer = Peer(job["socket"], _is_offered, lambda kind: kind in used)
    try:
        loaded = peer.receive()
        if loaded[0] != "ready":
            raise RuntimeError(loaded[1] if len(loaded) > 1 else "it cannot be loaded")
        scope = {"__name__": "tests", **_names_for_tests(peer, used, unbound_names(whole))}
        exec(compile(setup, "setup", "exec"), scope)
    except BaseException as error:
        reason = str(error) if type(error) is RuntimeError else _reason(error)
        for number in range(len(pieces)):
            _report(report, number, None, reason)
        return
    for number, tree in enumerate(pieces):
        _run_text(tree, number, scope, report)


def _names_for_tests(peer: Peer, used: set[str], needed: set[str]) -> dict[str, Any]:
    """The names that the tests use and the answer defines.

    The tests' own built-in functions stay as they are, unless the tests need nothing else: `assert sum(3, 4) == 12`.
    """
    defined = peer.ask("names", sorted(used))
    if not isinstance(defined, dict):
        raise GoneError
    keep = bool(needed - set(dir(builtins)))
    return {name: value for name, value in defined.items() if name in used and not (keep and hasattr(builtins, name))}


def _run_text(tree: ast.Module, number: int, scope: dict[str, Any], report: Any) -> None:
    """Run a text and report its tests. A failing statement that is no test fails those after it, or the last one."""
    tests = tests_in(tree)
    reasons: list[str] = []
    problem = ""
    for node in tree.body:
        reason = problem
        if not problem:
            try:
                exec(compile(ast.Module([node], []), f"test {number + 1}", "exec"), scope)
            except BaseException as error:
                reason = f"{_shown(node)}: {_reason(error)}"
                if node not in tests or isinstance(error, GoneError):
                    problem = reason
        if node in tests:
            if reasons:
                _report(report, number, len(reasons) - 1, reasons[-1])
            reasons.append(reason)
    if not reasons or (problem and not reasons[-1]):
        reasons[-1:] = [problem]
    _report(report, number, len(reasons) - 1, reasons[-1])


def _is_offered(subject: Any, operation: str, name: str) -> bool:
    """What an answer may do with an object of the tests that it was given: call it, or use it if the tests' own class
    made it. Their functions' globals, and classes, stay closed."""
    if operation == "call":
        return isinstance(subject, types.FunctionType | types.MethodType | type | types.BuiltinFunctionType)
    if name.startswith("_") and operation != "special":
        return False
    if isinstance(subject, type | types.FunctionType | types.MethodType | types.ModuleType):
        return False
    return operation == "special" or type(subject).__module__ == "tests"


def _report(report: Any, text: int, test: int | None, reason: str) -> None:
    report.write(json.dumps([text, test, not reason, reason[:_LONGEST_REASON]]).encode() + b"\n")


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _reason(error: BaseException) -> str:
    if isinstance(error, GoneError):
        return "the answer's process ended"
    if isinstance(error, AssertionError) and not str(error):
        return "false"
    return f"{type(error).__name__}: {error}"
