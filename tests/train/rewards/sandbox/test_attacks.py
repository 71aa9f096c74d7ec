"""Code that attacks its sandbox, its tests or this machine gets no reward and does no harm."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from burnish.train.rewards.sandbox.process import Limits, run_program, run_tests

KERNEL = Limits(1, 20, 256, 100_000, False, "kernel")
PYTHON = Limits(1, 20, 256, 100_000, False, "python")
RIGHT = "def double(x):\n    return 2 * x\n"
TESTS = "assert double(2) == 4\nassert double(5) == 10"

WITH_PEER = """\
        import sys
        frame = sys._getframe()
        while frame:
            for value in list(frame.f_locals.values()):
                if type(value).__name__ == 'Peer':
                    PEER = value
            frame = frame.f_back"""
WITHOUT_AN_ANSWER = {
    "exit before the tests": "import sys; sys.exit(0)",
    "exit of the interpreter": "import os; os._exit(0)",
    "exit in the function": "import sys\ndef double(x): sys.exit(0)",
    "exit of the interpreter in the function": "import os\ndef double(x): os._exit(0)",
    "quit": "quit()",
    "exit at the end": "import atexit, os\natexit.register(os._exit, 0)",
    "a printed verdict": "print('[0, 0, true, \"\"]'); print('all tests passed')\ndef double(x): return 0",
    "a verdict into every file": """
        import os
        for number in range(3, 64):
            try: os.write(number, b'ready\\nseccomp\\n[0, 0, true, ""]\\n[0, 1, true, ""]\\n')
            except OSError: pass
        def double(x): return 0
    """,
    "a verdict into every file, framed as a reply": """
        import os, struct
        data = b'["ready"]'
        for number in range(3, 64):
            try: os.write(number, struct.pack('>I', len(data)) + data)
            except OSError: pass
        os._exit(0)
    """,
    "an object that equals everything": """
        class Anything:
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __bool__(self): return True
            def __hash__(self): return 4
        def double(x): return Anything()
    """,
    "a number that equals everything": """
        class Anything(int):
            def __eq__(self, other): return True
        def double(x): return Anything(0)
    """,
    "a text that equals everything": """
        class Anything(str):
            def __eq__(self, other): return True
        def double(x): return Anything()
    """,
    "ANY of unittest.mock": "from unittest.mock import ANY\ndef double(x): return ANY",
    "patched assertions": """
        import builtins
        class Quiet(Exception):
            def __init__(self, *a): import os; os._exit(0)
        builtins.AssertionError = Quiet
        def double(x): return 0
    """,
    "patched builtins": """
        import builtins
        for name in ('exec', 'compile', 'isinstance', 'eval', 'bool', 'all', 'any', 'len', 'print', 'sorted', 'type'):
            setattr(builtins, name, lambda *a, **k: True)
        def double(x): return 0
    """,
    "a patched harness": """
        import sys
        for module in list(sys.modules.values()):
            for name in list(getattr(module, '__dict__', {})):
                if name in ('encode', 'plain_part', 'Peer', 'Handle', '_serve_answer', '_error'):
                    setattr(module, name, lambda *a, **k: True)
        def double(x): return 0
    """,
    "a forged reply": f"""
{WITH_PEER}
        def double(x):
            PEER.send(['gave', ['name', 'unittest.mock', 'ANY']])
            PEER.send(['gave', ['yours', 0]])
            return 0
    """,
    "a forged request": f"""
{WITH_PEER}
        VERDICTS = '''
        import os, sys
        frame = sys._getframe()
        while frame:
            if 'report' in frame.f_locals:
                for number in (b'0', b'1'):
                    frame.f_locals['report'].write(b'[0, ' + number + b', true, ""]' + bytes([10]))
                os._exit(0)
            frame = frame.f_back
        '''
        import textwrap
        def double(x):
            for name in ('exec', 'eval'):
                PEER.send(['ask', 'call', ['list', [['name', 'builtins', name], ['list', [textwrap.dedent(VERDICTS)]],
                                                    ['dict', []]]]])
                PEER.receive()
            return 0
    """,
    "a function of the harness as result": "def double(x): return exec",
    "frames and garbage": """
        import gc, sys
        def double(x):
            frame = sys._getframe()
            while frame.f_back: frame = frame.f_back
            for thing in gc.get_objects():
                if isinstance(thing, dict) and 'passed' in thing: thing['passed'] = True
            frame.f_globals['_reason'] = lambda error: ''
            return 0
    """,
    "a tracer": "import sys\nsys.settrace(lambda *a: None); sys.excepthook = lambda *a: None\ndef double(x): return 0",
    "another double in its own module": "import sys\nsys.modules['tests'] = sys\ndef double(x): return 0",
    "an endless loop": "while True: pass",
    "an endless loop in the function": "def double(x):\n    while True: pass",
    "an endless loop that survives exceptions": """
        import signal
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True:
            try:
                while True: pass
            except BaseException: pass
    """,
    "an endless answer": "def double(x):\n    while True: yield x",
    "a bomb of memory": "data = []\nwhile True: data.append(bytearray(1 << 24))",
    "a bomb of memory in the answer": "def double(x): return 'a' * (1 << 34)",
    "a bomb of threads": """
        import threading, time
        while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    """,
    "a large answer": "def double(x): return [0] * 20_000_000",
    "a deep answer": "def double(x):\n    value = []\n    for _ in range(10**5): value = [value]\n    return value",
    "an answer that contains itself": "def double(x):\n    value = []\n    value.append(value)\n    return value",
    "endless recursion": "def double(x): return double(x)",
    "a crash": "import faulthandler\ndef double(x): faulthandler._sigsegv()",
    "a flood of output": "while True: print('a' * 1000)",
    "a flood of errors": "import sys\nwhile True: sys.stderr.write('a' * 1000)",
    "no function": "x = 1",
    "no Python": "this is a text",
    "null bytes": "x = '\0'",
    "nested too deeply": "(" * 5000 + ")" * 5000,
}


TOLERANT = ["assert abs(f(1) - 2.5) < 1e-6", "assert -1e-6 < f(1) - 2.5 < 1e-6", "assert round(f(1) - 2.5, 3) == 0"]
TOLERANT += [
    "assert (f(1) - 2.5) ** 2 < 1e-6",
    "assert not f(1) - 2.5",
    "assert 2.4 <= f(1) <= 2.6",
    "assert f(1) >= 2.5",
]
TOLERANT += [
    "import math\nassert math.isclose(f(1), 2.5)",
    "assert max(abs(f(1) - 2.5), 0) == 0",
    "assert f(1) in [2.5]",
]
TOLERANT += ["assert abs(sum([f(1), -2.5])) < 1e-6", "assert [2.5] == [f(1)]", "assert {f(1)} == {2.5}"]
CLOSE_TO_ALL = """
class f(BASE):
    def __init__(self, *x): self.x = x
    def __new__(cls, *x): return BASE.__new__(cls)
    def same(self, *x): return self
    def zero(self, *x): return ZERO
    def true(self, *x): return True
    __add__ = __radd__ = __rsub__ = __sub__ = __pow__ = same
    __abs__ = __neg__ = __round__ = __float__ = __int__ = zero
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = true
    def __bool__(self): return False
    def __hash__(self): return hash(2.5)
"""


@pytest.mark.parametrize("base", ["object", "float", "int"])
@pytest.mark.parametrize("zero", ["0.0", "self"])
def test_a_class_named_as_the_function_is_not_close_to_everything(base, zero):
    code = CLOSE_TO_ALL.replace("BASE", base).replace("ZERO", zero)
    verdicts = run_tests(code, "", TOLERANT, [1] * len(TOLERANT), KERNEL)
    assert [test for test, verdict in zip(TOLERANT, verdicts, strict=True) if verdict.passed] == []


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("range = lambda n: ()", "for i in range(3):\n    assert f(i) == i"),
        ("range = lambda n: ()\ndef f(x): return 7", "for i in range(3):\n    assert f(i) == i"),
        ("len = lambda x: 3", "xs = f(1)\nassert len(xs) == 3"),
        ("f = all = lambda x: True", "assert all(f(i) is False for i in range(3))"),
        ("class tuple: pass\nisinstance = lambda *a: True", "assert isinstance(f(1), tuple)"),
    ],
)
def test_an_answer_does_not_replace_the_built_in_functions_of_its_tests(code, tests):
    assert not run_tests(code, "", [tests], [1], KERNEL)[0].passed


@pytest.mark.parametrize("attack", ["exit before the tests", "an object that equals everything", "patched builtins"])
def test_tests_are_as_strict_without_a_kernels_filter(attack):
    verdicts = run_tests(textwrap.dedent(WITHOUT_AN_ANSWER[attack]), "", [TESTS], [2], PYTHON)
    assert [verdict.passed for verdict in verdicts] == [False, False]
    assert all(verdict.passed for verdict in run_tests(RIGHT, "", [TESTS], [2], PYTHON))


@pytest.mark.parametrize("attack", WITHOUT_AN_ANSWER)
def test_code_that_does_not_answer_passes_no_test(attack):
    code = textwrap.dedent(WITHOUT_AN_ANSWER[attack])
    began = time.monotonic()
    verdicts = run_tests(code, "", [TESTS], [2], KERNEL)
    assert [verdict.passed for verdict in verdicts] == [False, False]
    assert all(verdict.reason for verdict in verdicts)
    assert time.monotonic() - began < 18  # the processor's time ended it


@pytest.fixture
def victim():
    """A process of this user, and of this process's group."""
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


FORBIDDEN = {
    "fork": "os.fork()",
    "a fork bomb": "[os.fork() for _ in range(1000)]",
    "a shell": "assert os.system('true') == 0",
    "a program": "import subprocess; subprocess.run(['true'])",
    "another program in its place": "os.execv('/bin/true', ['true'])",
    "a process by spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "multiprocessing": """
        import multiprocessing
        p = multiprocessing.get_context('fork').Process(target=print); p.start()
    """,
    "fork by its own module": """
        import _posixsubprocess
        _posixsubprocess.fork_exec([b'true'], [b'/bin/true'], True, (), None, None, -1, -1, -1, -1, -1, -1, 1, 2,
                                   True, False, 0, None, None, None, -1, None, True)
    """,
    "the parent": "os.kill(os.getppid(), 9)",
    "the parent's group": "os.killpg(os.getpgid(os.getppid()), 9)",
    "every process": "os.kill(-1, 9)",
    "a process": "os.kill(VICTIM, 9)",
    "a socket": "import socket; socket.socket()",
    "a unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "a datagram to a unix socket": """
        import socket
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.sendto(b'x', '/dev/log')
    """,
    "a connected datagram socket": """
        import socket
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.connect('/dev/log')
    """,
    "a page": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1/', timeout=1)",
    "a new file": "open('new', 'w')",
    "a new file by number": "os.open('new', os.O_CREAT | os.O_WRONLY)",
    "a file of the user": "open(PRECIOUS, 'a')",
    "an emptied file": "os.truncate(PRECIOUS, 0)",
    "a removed file": "os.remove(PRECIOUS)",
    "a removed folder": "import shutil; shutil.rmtree(os.path.dirname(PRECIOUS))",
    "a renamed file": "os.rename(PRECIOUS, PRECIOUS + '2')",
    "a new folder": "os.mkdir('folder')",
    "a link": "os.symlink(PRECIOUS, 'link')",
    "permissions": "os.chmod(PRECIOUS, 0o777)",
    "times": "os.utime(PRECIOUS, (0, 0))",
    "a temporary file": "import tempfile; tempfile.mkstemp()",
    "a database": "import sqlite3; sqlite3.connect('base.db').execute('create table a (b)')",
    "more memory": "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "more time": "import resource; resource.prlimit(0, resource.RLIMIT_CPU, (-1, -1))",
    "another process's limits": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
}


@pytest.mark.parametrize("limits", [KERNEL, PYTHON], ids=lambda limits: limits.isolation)
@pytest.mark.parametrize("deed", FORBIDDEN)
def test_what_reaches_out_of_the_sandbox_is_refused(tmp_path, victim, deed, limits):
    precious = tmp_path / "folder" / "precious"
    precious.parent.mkdir()
    precious.write_text("data")
    before = precious.stat()
    code = (
        textwrap.dedent(FORBIDDEN[deed]).strip().replace("VICTIM", str(victim)).replace("PRECIOUS", repr(str(precious)))
    )
    wrapped = "import os\ntry:\n" + textwrap.indent(code, "    ")
    wrapped += (
        "\nexcept BaseException as error:\n    print('refused', type(error).__name__)\nelse:\n    print('done')\n"
    )
    done = run_program(wrapped, "", limits)
    assert done.output.startswith(b"refused"), done
    assert precious.read_text() == "data"
    after = precious.stat()
    assert (after.st_mode, after.st_mtime, after.st_ino) == (before.st_mode, before.st_mtime, before.st_ino)
    os.kill(victim, 0)


def test_system_calls_past_the_interpreter_are_refused(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("data")
    code = f"""
        import ctypes
        libc = ctypes.CDLL(None)
        print(libc.fork(), libc.socket(2, 1, 0), libc.unlink({str(precious).encode()!r}), libc.kill(-1, 9),
              libc.open({str(precious).encode()!r}, 0o1002), libc.syscall(435, 0, 0), libc.prctl(1, 0, 0, 0, 0))
    """
    done = run_program(textwrap.dedent(code), "", KERNEL)
    assert done.output.split() == [b"-1"] * 7, done
    assert precious.read_text() == "data"


def test_files_of_the_user_are_not_read_where_the_kernel_can_forbid_it(tmp_path):
    from burnish.train.rewards.sandbox.process import isolation_of

    (tmp_path / "secret").write_text("data")
    if "Landlock" not in isolation_of(KERNEL):
        pytest.skip("this kernel has no Landlock")
    for path in (tmp_path / "secret", "/etc/passwd", f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/mem"):
        done = run_program(f"open({str(path)!r}, 'rb').read(1)", "", KERNEL)
        assert "PermissionError" in done.problem, path


@pytest.mark.parametrize("limits", [KERNEL, PYTHON], ids=lambda limits: limits.isolation)
def test_the_environment_is_empty_and_the_folder_too(monkeypatch, limits):
    monkeypatch.setenv("SOME_SECRET", "very-secret")
    done = run_program("import os, sys; print(dict(os.environ)); print(os.listdir('.'), sys.stdin.read())", "", limits)
    assert b"very-secret" not in done.output
    assert b"HOME" not in done.output
    assert done.output.splitlines()[1] == b"[] "


def children_of(parent):
    """The processes of the sandbox that a process has started."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines() if "sandbox.child import main" in line]
    return [int(pid) for pid, ppid, _ in rows if int(ppid) == parent]


def test_no_process_outlives_its_answer():
    code = (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\ndef double(x): time.sleep(60)"
    )
    began = time.monotonic()
    verdicts = run_tests(code, "", [TESTS], [2], Limits(1, 2, 256, 1000, False, "kernel"))
    assert "it took more than 2 s" in verdicts[0].reason
    assert 2 <= time.monotonic() - began < 6
    assert children_of(os.getpid()) == []


def test_a_killed_parent_leaves_no_process():
    code = """
        import sys
        from burnish.train.rewards.sandbox.process import Limits, run_program
        print('started', flush=True)
        run_program('import time; time.sleep(50)', '', Limits(60, 60, 256, 1000, False, 'kernel'))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 10
    with parent, parent.stdout:
        parent.stdout.readline()
        while not (children := children_of(parent.pid)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)  # it is confined by now
        parent.kill()
        parent.wait()
    (child,) = children
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
