"""Tests run in another process than the answer, and judge it as they would in one."""

import textwrap

import pytest

from burnish.train.rewards.sandbox.process import Limits, isolation_of, run_program, run_tests

LIMITS = Limits(5, 30, 256, 100_000, False, "kernel")

CASES = {
    "numbers": (
        "def f(x): return x / 3",
        "assert f(3) == 1\nassert abs(f(1) - 0.3333) < 1e-3\nassert f(2**80) > 2**70",
    ),
    "whole numbers": ("def f(x): return x ** 40", "assert f(7) == 7 ** 40\nassert f(-7) == 7 ** 40\nassert not f(0)"),
    "texts": ("def f(x): return x[::-1]", r"assert f('añ猫') == '猫ña'" + "\n" + r"assert f('\ud800x') == 'x\ud800'"),
    "other plain data": (
        "def f(x): return x",
        """
        for value in (None, True, 1.5, 1j, b'a', bytearray(b'b'), (1, 2), {1}, frozenset({2}), {'a': [1, (2,)]},
                      range(3)):
            assert f(value) == value and type(f(value)) is type(value)
        assert f(float('inf')) == float('inf') and f(float('nan')) != f(float('nan'))
        """,
    ),
    "data of the standard library": (
        """
        from collections import Counter, OrderedDict, defaultdict, deque
        from datetime import date, timedelta
        from decimal import Decimal
        from fractions import Fraction
        def f(): return [Counter('aab'), OrderedDict(a=1), deque([1], 3), date(2026, 1, 2), timedelta(3),
                         Decimal('1.10'), Fraction(1, 3), defaultdict(int, {'a': 1})]
        """,
        """
        from collections import Counter, deque
        from fractions import Fraction
        found = f()
        assert found[0] == Counter('aab') and found[0].most_common(1) == [('a', 2)]
        assert found[2].maxlen == 3 and found[3].year == 2026 and found[4].days == 3
        assert str(found[5]) == '1.10' and found[6] == Fraction(1, 3) and found[7] == {'a': 1}
        """,
    ),
    "names that the answer imported": (
        "import math\nfrom typing import List",
        "assert math.sqrt(4) == 2\nassert List[int]",
    ),
    "an argument that is changed in place": (
        "def f(xs, d, s): xs.sort(); xs.append(9); d['b'] = 2; s.discard(1)",
        "xs, d, s = [3, 1], {'a': 1}, {1, 2}\nf(xs, d, s)\nassert (xs, d, s) == ([1, 3, 9], {'a': 1, 'b': 2}, {2})",
    ),
    "a matrix that is changed in place": (
        "def f(rows):\n    for row in rows: row.reverse()",
        "m = [[1, 2], [3, 4]]\nassert f(m) is None\nassert m == [[2, 1], [4, 3]]",
    ),
    "functions of the tests": (
        "def f(g, xs): return [g(x) for x in xs]\ndef compose(*fs): return lambda x: [h(x) for h in fs]",
        "assert f(lambda x: x + 1, [1, 2]) == [2, 3]\nassert f(str, [1]) == ['1']\n"
        "assert compose(abs, hex)(-3) == [3, '-0x3']",
    ),
    "functions of the tests that raise": (
        "def f(g):\n    try: g()\n    except KeyError: return 'caught'",
        "def g(): raise KeyError('x')\nassert f(g) == 'caught'",
    ),
    "functions of the answer as arguments": ("def f(x): return x + 1\ndef g(h): return h(1)", "assert g(f) == 2"),
    "generators": (
        "def f(n):\n    for i in range(n): yield i\ndef total(xs): return sum(xs)",
        "assert list(f(3)) == [0, 1, 2]\nassert 2 in f(3)\nassert total(f(4)) == 6\n"
        "assert total(x for x in [1, 2]) == 3",
    ),
    "exceptions": (
        "class Odd(ValueError): pass\ndef f(x):\n    if x < 0: raise ValueError('negative')\n    raise Odd('odd')",
        """
        for given, kind in ((-1, ValueError), (1, Odd), (1, ValueError), (1, Exception)):
            try: f(given)
            except kind as error: assert str(error) in ('negative', 'odd')
            else: raise AssertionError
        """,
    ),
    "a class": (
        """
        class Stack:
            size = 3
            def __init__(self, *xs): self.xs = list(xs)
            def push(self, x): self.xs.append(x); return self
            def __len__(self): return len(self.xs)
            def __getitem__(self, i): return self.xs[i]
            def __iter__(self): return iter(self.xs)
            def __repr__(self): return f'Stack{tuple(self.xs)}'
            def __eq__(self, other): return isinstance(other, Stack) and self.xs == other.xs
            def __add__(self, other): return Stack(*self.xs, *other.xs)
            def __mul__(self, n): return Stack(*self.xs * n)
            __rmul__ = __mul__
            def __lt__(self, other): return len(self) < len(other)
            def __contains__(self, x): return x in self.xs
            def __enter__(self): return self
            def __exit__(self, *_): self.xs.clear()
            @property
            def top(self): return self.xs[-1]
        """,
        """
        s = Stack(1)
        s.push(2).push(3)
        assert len(s) == 3 and s.top == 3 and s[0] == 1 and list(s) == [1, 2, 3] and s[-2:] == [2, 3]
        assert repr(s) == str(s) == 'Stack(1, 2, 3)' and f'{s}' == 'Stack(1, 2, 3)'
        assert s == Stack(1, 2, 3) and s != Stack(1) and Stack(1) + Stack(2) == Stack(1, 2)
        assert Stack(1) < s and 2 * Stack(1) == Stack(1, 1) == Stack(1) * 2 and 2 in s and 7 not in s
        assert list(Stack(1) * 2) == [1, 1] and len(3 * Stack(1)) == 3 and (Stack(4) * 2).top == 4
        assert isinstance(s, Stack) and not isinstance(1, Stack) and Stack.size == 3
        s.label = 'x'
        assert s.label == 'x' and not hasattr(s, 'gone') and sorted(s, reverse=True) == [3, 2, 1]
        with s as t: assert t.top == 3
        assert len(s) == 0 and not s
        """,
    ),
    "a named tuple and an enumeration": (
        """
        from collections import namedtuple
        from enum import IntEnum
        Point = namedtuple('Point', 'x y')
        class Level(IntEnum): LOW = 1
        def f(): return Point(1, 2)
        """,
        "assert f() == (1, 2) and f().y == 2 and [f()] == [(1, 2)] and f() < (1, 3)\n"
        "assert Level.LOW == 1 and f()[0] == 1",
    ),
    "objects of the tests": (
        "def total(node): return 0 if node is None else node.value + total(node.next)\n"
        "def double(node): node.value *= 2",
        """
        class Node:
            def __init__(self, value, next=None): self.value, self.next = value, next
        node = Node(1, Node(2))
        assert total(node) == 3
        double(node)
        assert node.value == 2
        """,
    ),
    "a function with a built-in name": ("def sum(a, b): return a * b", "assert sum(3, 4) == 12"),
    "a built-in function that the answer hides": (
        "def abs(x): return 0\ndef f(x): return 2",
        "assert abs(-3) == 3\nassert abs(f(1) - 2) == 0",
    ),
    "a solution class": (
        "class Solution:\n    def run(self, xs): return max(xs)",
        "assert Solution().run([1, 3]) == 3",
    ),
    "a function that prints": ("def f(): print('x' * 500); return 1", "assert f() == 1"),
    "recursion": ("def f(n): return 1 if n < 2 else n * f(n - 1)", "assert f(200) // f(199) == 200"),
    "keyword arguments": ("def f(a, *, b=2, **c): return [a, b, c]", "assert f(1, b=3, d=4) == [1, 3, {'d': 4}]"),
    "data classes": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int = 2",
        "assert P(1) == P(1, 2)\nassert P(1) != P(2)\nassert P(1).x == 1",
    ),
    "asyncio": (
        "import asyncio\nasync def g(): await asyncio.sleep(0); return 1\ndef f(): return asyncio.run(g())",
        "assert f() == 1",
    ),
    "threads": (
        "import threading\ndef f():\n    xs = []\n    t = threading.Thread(target=xs.append, args=(1,))\n"
        "    t.start(); t.join()\n    return xs",
        "assert f() == [1]",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_right_answer_passes(case):
    code, tests = (textwrap.dedent(text) for text in CASES[case])
    count = max(1, sum(line.startswith("assert") for line in tests.splitlines()))
    verdicts = run_tests(code, "", [tests], [count], LIMITS)
    assert all(verdict.passed for verdict in verdicts), verdicts


@pytest.mark.parametrize("case", CASES)
def test_the_same_tests_pass_in_one_process(case):
    """The twin of the sandbox: what passes here would pass if tests and answer were one module."""
    if case in ("a built-in function that the answer hides",):
        pytest.skip("there the tests' own function differs on purpose")
    code, tests = (textwrap.dedent(text) for text in CASES[case])
    scope = {"__name__": "twin"}
    exec(compile(code, "code", "exec"), scope)
    exec(compile(tests, "tests", "exec"), scope)


WRONG = {
    "a wrong value": ("def f(x): return x", "assert f(1) == 2", "assert f(1) == 2: false"),
    "a message": ("def f(x): return x", "assert f(1) == 2, 'two!'", "two!"),
    "a wrong type": ("def f(x): return '1'", "assert f(1) == 1", "false"),
    "an object for a number": ("class N: pass\ndef f(x): return N()", "assert f(1) == 1", "false"),
    "an object in a list": ("class N: pass\ndef f(x): return [N()]", "assert f(1) == [1]", "false"),
    "an error": ("def f(x): return 1 / 0", "assert f(1) == 1", "ZeroDivisionError: division by zero"),
    "an error at first": ("1 / 0", "assert f(1) == 1", "ZeroDivisionError: division by zero"),
    "another name": ("def g(x): return 1", "assert f(1) == 1", "NameError: name 'f' is not defined"),
    "no exception": (
        "def f(x): return x",
        "try:\n    f(1)\n    assert False, 'no error'\nexcept ValueError: pass",
        "AssertionError: no error",
    ),
    "an end": ("import os\ndef f(x): os._exit(0)", "assert f(1) == 1", "the answer's process ended"),
    "an object compared by order": (
        "class N: pass\ndef f(x): return N()",
        "assert f(1) < 5",
        "TypeError: __lt__ of N with int",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_fails_with_the_reason(case):
    code, tests, reason = WRONG[case]
    (verdict,) = run_tests(code, "", [tests], [1], LIMITS)
    assert not verdict.passed
    assert reason in verdict.reason


def test_each_assert_of_each_text_has_its_verdict():
    code = "def f(x):\n    if x == 3: raise ValueError\n    return x"
    texts = [
        "assert f(1) == 1\nassert f(2) == 0\nassert f(3) == 3\nassert f(4) == 4",
        "x = f(3)\nassert f(1) == 1",
        "f(5)",
    ]
    verdicts = run_tests(code, "", texts, [4, 1, 1], LIMITS)
    assert [verdict.passed for verdict in verdicts] == [True, False, False, True, False, True]


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("assert f(1) == 1\nfor i in (1, 3): assert f(i) == i", [True, False]),
        ("if f(3) == 3:\n    assert f(1) == 1", [False]),
        ("assert f(1) == 1\nf(3)", [False]),
        ("assert f(1) == 1\nassert f(2) == 2\nx = f(3)", [True, False]),
        (
            "def test_one(): assert f(1) == 1\ndef test_three(): assert f(3) == 3\ntest_one()\ntest_three()",
            [True, False],
        ),
        ("with open('/dev/null'):\n    assert f(1) == 2", [False]),
        ("try:\n    f(3)\nexcept ValueError: pass\nelse: raise AssertionError", [True]),
        ("assert f(1) == 1\nprint(f(2))", [True]),
    ],
)
def test_a_statement_with_asserts_is_a_test_and_no_failing_statement_is_lost(text, verdicts):
    from burnish.train.rewards.code_tests import row_tests

    code = "def f(x):\n    if x == 3: raise ValueError\n    return x"
    found = row_tests(text, None, None, "x")
    assert [one.passed for one in run_tests(code, "", found.texts, found.counts, LIMITS)] == verdicts


def test_the_setup_runs_before_the_tests_and_belongs_to_them():
    (verdict,) = run_tests(
        "def f(x): return x", "import math\nLIMIT = 3", ["assert f(LIMIT) == math.floor(3.5)"], [1], LIMITS
    )
    assert verdict.passed
    (verdict,) = run_tests("def f(x): return x", "1 / 0", ["assert f(1) == 1"], [1], LIMITS)
    assert "ZeroDivisionError" in verdict.reason


def test_sets_have_the_same_order_in_every_run():
    code = "print(list({'a', 'b', 'c', 'd', 'e', 'f'}), hash('x'))"
    assert run_program(code, "", LIMITS).output == run_program(code, "", LIMITS).output


@pytest.mark.parametrize(
    ("code", "given", "output", "problem"),
    [
        ("print(sum(map(int, input().split())))", "1 2 3\n", b"6\n", ""),
        ("import sys\nprint(sys.stdin.read().upper())", "é\n" * 10_000, "É\n".encode() * 10_000 + b"\n", ""),
        ("if __name__ == '__main__': print(1)", "", b"1\n", ""),
        ("import sys\nprint(1); sys.exit()", "", b"1\n", ""),
        ("print(1); raise SystemExit(3)", "", b"1\n", "it ended with status 3"),
        ("print(1); 1 / 0", "", b"1\n", "it ended with status 1: ZeroDivisionError: division by zero"),
        ("print(input())", "", b"", "EOFError"),
        ("import time\nprint(1, flush=True)\ntime.sleep(60)", "", b"1\n", "it took more than 3 s"),
        ("while True: pass", "", b"", "of processor time"),
        ("import os\nos.abort()", "", b"", "it was ended by SIG"),
        ("print('a' * 5000)", "", b"a" * 1000, "File too large"),
        ("print(len(bytearray(100 << 20)))", "", b"104857600\n", ""),
        ("bytearray(400 << 20)", "", b"", "MemoryError"),
    ],
)
def test_a_program(code, given, output, problem):
    small = Limits(1, 3 if "sleep" in code else 20, 256, 1000 if "5000" in code else 1 << 20, False, "kernel")
    done = run_program(code, given, small)
    assert done.output == output
    assert problem in done.problem
    assert bool(problem) == bool(done.problem)


def test_installed_packages_are_imported_on_request_only():
    code = "import numpy\nprint(numpy.arange(3).sum())"
    assert "No module named 'numpy'" in run_program(code, "", LIMITS).problem
    roomy = Limits(10, 60, 4096, 100_000, True, "kernel")
    assert run_program(code, "", roomy).output == b"3\n"
    scalar = "import numpy\ndef f(): return numpy.float64(1.5)"
    (verdict,) = run_tests(scalar, "", ["assert f() == 1.5"], [1], roomy)
    assert verdict.passed


def test_the_sandbox_is_tried_before_it_is_used():
    assert isolation_of(LIMITS).startswith("seccomp")
    assert isolation_of(Limits(5, 30, 256, 1000, False, "python")) == "an audit hook of the interpreter"
