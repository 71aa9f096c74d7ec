"""The reward of code: which code is run, which tests, and what it is worth."""

import json
import textwrap
import time

import pytest

from burnish.core.context import StopRequestedError
from burnish.core.errors import DataError, MachineError
from burnish.specs.rewards import CodeReward
from burnish.train.rewards.code import Code, code_in
from burnish.train.rewards.code_tests import Asserts, Programs, row_tests
from burnish.train.rewards.reward import total
from burnish.train.rewards.sandbox import process
from completions import completion

ADD = "```python\ndef add(a, b):\n    return a + b\n```"
TESTS = ["assert add(1, 2) == 3", "assert add(0, 0) == 0", "assert add(2, 2) == 5"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("x = 1", "x = 1"),
        ("So:\n```python\nx = 1\n```\nDone.", "x = 1\n"),
        ("```py\nx = 1\n```\nbetter:\n```\nx = 2\n```\n", "x = 2\n"),
        ("```python\nx = 1\n```\nrun it:\n```bash\npython x.py\n```", "x = 1\n"),
        ("```python\nx = 1\ny = 2", "x = 1\ny = 2"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
        ("~~~Python\nx = 1\n~~~", "x = 1\n"),
        ("  ```python\n  x = 1\n  ```", "  x = 1\n"),
        ("no code", "no code"),
        ("```text\nno code\n```", "```text\nno code\n```"),
        ("```python\n```", ""),
    ],
)
def test_the_code_is_the_last_block_of_python(answer, code):
    assert code_in(answer) == code


@pytest.mark.parametrize(("score", "value"), [("share", 2 / 3), ("all", 0.0)])
def test_the_value_is_all_or_the_share(value, score, build):
    (reward,) = build({"kind": "code", "score": score})
    found = total([reward], [completion(ADD, tests=TESTS), completion(ADD, tests=TESTS[:2])])
    assert found.totals == [pytest.approx(value), 1.0]
    assert found.values["code"][0].why == "2 of 3 tests pass; assert add(2, 2) == 5: false"


def test_programs_are_compared_line_by_line(build):
    (reward,) = build({"kind": "code", "score": "share"})
    pairs = [
        {"input": "1\n", "output": "1\n2"},
        {"input": "2\n", "output": "2 \n4\n\n"},
        {"input": "3\n", "output": "6"},
    ]
    answer = completion("n = int(input())\nprint(n)\nprint(2 * n)", tests=pairs)
    found = total([reward], [answer])
    assert found.totals == [pytest.approx(2 / 3)]
    assert "for the input '3\\n': printed '3\\n6\\n' instead of '6'" in found.values["code"][0].why


def test_after_an_input_that_takes_too_long_the_others_are_not_run(build):
    (reward,) = build({"kind": "code", "score": "share", "time_limit": 1})
    pairs = [{"input": str(number), "output": "1"} for number in (1, 2, *range(50))]
    slow = completion("if input() == '1': print(1)\nelse:\n    while True: pass", tests=pairs)
    began = time.monotonic()
    found = total([reward], [slow])
    assert found.totals == [pytest.approx(1 / 52)]
    assert "more than 1 s" in found.values["code"][0].why
    assert time.monotonic() - began < 30  # each of the others would take a second


def test_the_reasoning_is_not_run(build):
    (reward,) = build({"kind": "code"})
    one = completion(f"<think>```python\nexit()\n```</think>{ADD}", tests=TESTS[:2])
    assert total([reward], [one]).totals == [1.0]


def test_rows_without_tests_have_no_reward_and_an_answer_without_code_has_0(build):
    (reward,) = build({"kind": "code", "tests": "cases"})
    ones = [completion(ADD, tests=TESTS), completion(ADD, cases=None), completion("```python\n```", cases=TESTS)]
    found = total([reward], ones)
    assert found.totals == [None, None, 0.0]
    assert "the row has no column 'cases'; its columns: tests" in found.why_none(0)


def test_results_have_the_order_of_the_completions(build):
    (reward,) = build({"kind": "code", "processes": 3})
    answers = [f"def f(): return {number}" for number in (1, 0, 1, 1, 0)]
    found = total([reward], [completion(answer, tests="assert f() == 1") for answer in answers])
    assert found.totals == [1.0, 0.0, 1.0, 1.0, 0.0]


def test_the_isolation_is_reported_and_a_machine_without_it_is_refused(tmp_path, monkeypatch):
    from burnish.specs.rewards import CodeReward
    from burnish.testing import temporary_context
    from burnish.train.rewards.build import build_rewards

    ctx, events = temporary_context(tmp_path)
    build_rewards([CodeReward()], ctx)
    assert "runs the code of answers confined by seccomp" in events[0].text
    monkeypatch.setattr(process, "_BOOT", f"import platform; platform.machine = lambda: 'm68k'; {process._BOOT}")
    process.isolation_of.cache_clear()
    with pytest.raises(MachineError, match=r"cannot be isolated here: there is no filter .* m68k") as caught:
        build_rewards([CodeReward()], ctx)
    assert (caught.value.code, "isolation: python" in caught.value.fix) == ("machine.no-sandbox", True)
    monkeypatch.setattr(process, "_BOOT", "import sys; sys.exit('no such module')")
    with pytest.raises(MachineError, match=r"a trial program did not run in the sandbox: .*no such module"):
        build_rewards([CodeReward()], ctx)
    process.isolation_of.cache_clear()


@pytest.mark.parametrize(
    ("value", "entry_point", "expected"),
    [
        ("assert f() == 1", None, Asserts(["assert f() == 1"], [1], "")),
        ("assert f('\\d') is 1", None, Asserts(["assert f('\\d') is 1"], [1], "")),  # Python warns of both
        (["assert f() == 1\nassert f()", "g = f()\nif g != 1: raise ValueError"], None, [2, 1]),
        ("def check(candidate):\n    assert candidate() == 1\n", "f", [1]),
        ("def check(candidate):\n    assert candidate() == 1\ncheck(f)", None, [1]),
        ("[1][0]\nassert f()", None, [1]),
        (f"assert f() == {' + '.join(['1'] * 900)}", None, [1]),
        ("def test_a():\n    assert f()\ndef test_b(n=1):\n    assert f() == n", None, [2]),
        ("def test_a():\n    assert f()\ndef test_b():\n    assert f()\ntest_b()", None, [2]),
        ("def test_a():\n    same(f(), 1)\ndef same(a, b):\n    assert a == b", None, [1]),
        ("def same(a, b):\n    assert a == b\nfor n in (1, 2): same(f(), n)", None, [1]),
        ("def test_a(n):\n    assert f() == n\ntest_a(1)\ntest_a(2)", None, [2]),
        ("def check_a():\n    assert f()\nfor each in [check_a]: each()", None, [1]),
        ("class Case:\n    def run(self):\n        assert f()\nCase().run()", None, [1]),
        ("async def run():\n    assert f()\nimport asyncio\nasyncio.run(run())", None, [1]),
        ("import pytest\ndef test_a():\n    with pytest.raises(ValueError): f()", None, [1]),
        ("if __name__ == '__main__':\n    assert f()\n    assert g()", None, [2]),
        ("def test_a():\n    assert f()\nif __name__ == '__main__':\n    test_a()", None, [1]),
        (json.dumps(["assert f()", "assert g()"]), None, [1, 1]),
        ([{"input": "1", "output": "2"}], None, Programs([("1", "2")])),
        ([{"stdin": "1", "expected_output": "2", "testtype": "stdin"}], None, Programs([("1", "2")])),
        ({"inputs": ["1", "2"], "outputs": ["3", "4"]}, None, Programs([("1", "3"), ("2", "4")])),
        ({"inputs": [["1", "2"]], "outputs": [["3"]]}, None, Programs([("1\n2", "3")])),
        (json.dumps({"inputs": ["1"], "outputs": ["3"]}), None, Programs([("1", "3")])),
        (json.dumps([{"input": "1", "output": ""}]), None, Programs([("1", "")])),
    ],
)
def test_forms_of_tests(value, entry_point, expected):
    found = row_tests(value, None, entry_point, "rows.jsonl:1")
    assert (found.counts if isinstance(expected, list) else found) == expected


def test_a_check_of_a_candidate_is_called(build):
    (reward,) = build({"kind": "code", "setup": "imports"})
    check = "def check(candidate):\n    assert math.isclose(candidate(1, 2), 3)\n    assert candidate(0, 0) == 0"
    row = {"tests": check, "entry_point": "add", "imports": ["import math"]}
    wrong = ADD.replace("a + b", "0")
    found = total([reward], [completion(ADD, **row), completion(wrong, **row)])
    assert found.totals == [1.0, 0.0]
    assert found.values["code"][1].why == "0 of 1 tests pass; check(add): false"


OTHER_STATEMENTS = ["", '"""Tests."""', "import math", "CASES = [1]", "import random\nrandom.seed(0)", "print('tests')"]
FUNCTIONS = [
    "def test_add():\n    assert add(1, 2) == 3",
    "def check(candidate):\n    assert candidate(1, 2) == 3",
    "def run():\n    assert add(1, 2) == 3\nrun()",
]


@pytest.mark.some(every=2)
@pytest.mark.parametrize("tests", FUNCTIONS, ids=["pytest", "HumanEval", "called"])
def test_tests_run_whatever_else_a_text_has(build, tests):
    (reward,) = build({"kind": "code"})
    wrong = ADD.replace("a + b", "0")
    texts = [text for other in OTHER_STATEMENTS for text in (f"{other}\n{tests}\n", f"{tests}\n{other}\n")]
    found = total(
        [reward], [completion(code, tests=text, entry_point="add") for text in texts for code in (ADD, wrong)]
    )
    assert found.totals == [1.0, 0.0] * len(texts)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (3, "the tests are 3"),
        ([], r"the tests are \[\]"),
        ("", "no assert"),
        ([1], r"the tests are \[1\]"),
        ("assert f( == 1", "the tests are not Python"),
        ("f()", "no assert, or nothing calls it"),
        ("def helper():\n    assert f() == 1", "no assert, or nothing calls it"),
        ("def helper():\n    assert f() == 1\nCASES = [1]", "no assert, or nothing calls it"),
        ('"""A text."""\ndef helper():\n    assert f() == 1', "no assert, or nothing calls it"),
        ("async def run():\n    assert f()\nrun()", "no assert, or nothing calls it"),
        ("def run():\n    assert f()\n    yield\nrun()", "no assert, or nothing calls it"),
        ("if f():\n    def run():\n        assert g()", "no assert, or nothing calls it"),
        ("def test_a():\n    f()", "no assert, or nothing calls it"),
        ("def test_a(n):\n    assert f() == n", "'test_a' has arguments: n"),
        ("def test_a(*, n):\n    assert f() == n", "'test_a' has arguments: n"),
        ("import pytest\n@pytest.mark.parametrize('n', [1])\ndef test_a(n):\n    assert f() == n", "decorator"),
        ("async def test_a():\n    assert f()", "'test_a' is a coroutine"),
        ("def test_a():\n    yield\n    assert f()", "'test_a' is a generator"),
        ("class TestF:\n    def test_a(self):\n        assert f()\nassert f()", "class 'TestF'"),
        ("import unittest\nclass F(unittest.TestCase):\n    def test_a(self): f()\nunittest.main()", "class 'F'"),
        ("def check(a, b):\n    assert a == b", "check takes 2 arguments"),
        ("import math", "no assert"),
        ("def check(candidate):\n    assert candidate()", "the row has no `entry_point`"),
        ({"inputs": ["1"], "outputs": []}, "not two lists of the same length"),
        ({"inputs": [], "outputs": []}, "not two lists"),
        ({"fn_name": "f", "inputs": ["1"], "outputs": ["1"]}, "`fn_name` call a function"),
        ([{"input": 1, "output": "2"}], "lacks input or output as text"),
        ([{"input": "1"}], "lacks input or output as text"),
        ([{"input": "1", "output": "1", "testtype": "functional"}], "has the type 'functional'"),
    ],
)
def test_tests_that_are_unknown_or_cannot_fail_are_an_error_with_the_row(value, problem):
    with pytest.raises(DataError, match=f"rows.jsonl:1: reward code: .*{problem}") as caught:
        row_tests(value, None, None, "rows.jsonl:1")
    assert caught.value.code == "data.unknown-format"


def test_nothing_is_run_if_the_tests_of_one_row_are_unknown(build, tmp_path):
    (reward,) = build({"kind": "code"})
    with pytest.raises(DataError, match=r"reward 'code': rows\.jsonl:1: "):
        total([reward], [completion(textwrap.dedent(ADD), tests=TESTS), completion(ADD, tests=3)])


def test_a_stop_of_the_run_ends_the_wait_for_answers_that_have_not_begun():
    spec = CodeReward(processes=1, time_limit=1, isolation="python")
    code = Code(spec, "code", is_stopping=lambda: True)
    loop = completion("while True: pass", tests="assert True")
    began = time.monotonic()
    with pytest.raises(StopRequestedError):
        code([loop] * 9)
    assert time.monotonic() - began < 6
