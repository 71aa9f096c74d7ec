"""Each operator changes what it should, and what is no result is left alone."""

import pytest

from mutation.sites import is_another_program, mutations


def changes(text: str) -> set[tuple[str, str]]:
    return {(found.old, found.new) for found in mutations(text.encode())}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(a, b): return a + b", {("+", "-"), ("a + b", "None")}),
        ("x = a // b", {("//", "*")}),
        ("x = (a) * (b)", {("*", "/")}),
        ("x = a < b", {("<", "<=")}),
        ("x = a is not b", {("is not", "is")}),
        ("x = a in b", {("in", "not in")}),
        ("x = a and b", {("and", "or")}),
        ("x = not a", {("not a", "(a)")}),
        ("x = 0", {("0", "1")}),
        ("x = 7", {("7", "8")}),
        ("x = 200", {("200", "400")}),
        ("x = 0.5", {("0.5", "0.25")}),
        ("x = True", {("True", "False")}),
        ("def f(a=1): pass", {("1", "2")}),
        ("x[a:b]", {("a", ""), ("b", "")}),
        ('x["key"]', {('"key"', "'key~'")}),
        ('x = y == "word"', {("==", "!="), ('"word"', "'word~'")}),
        ('x = {"key": y}', {('"key"', "'key~'")}),
        ("f(a, key=b)", {("f(a, key=b)", "pass"), ("key=b", "")}),
        ("x = min(a, b)", {("min", "max")}),
        ("x = a.sum()", {("sum", "mean")}),
        ("x = sorted(a)", {("sorted(a)", "list(a)")}),
        ("x = a.lower()", {("a.lower()", "(a)")}),
        ("x = a if b else c", {("b", "not (b)")}),
        ("x = [a for a in b if c]", {("c", "not (c)")}),
        ("def f():\n    x = g(x)", {("x = g(x)", "pass")}),
        ("x += 1", {("x += 1", "pass"), ("+=", "-="), ("1", "2")}),
        ("for a in b:\n    continue", {("continue", "break")}),
        ("if a: b", {("a", "not (a)")}),
        ("x = a | b", {("a | b", "(a)")}),
        ("def f() -> bool: return a", {("a", "not (a)")}),
        ("def f(a):\n    raise E(f'{a + 1}')", {("raise E(f'{a + 1}')", "pass")}),
    ],
)
def test_an_operator_makes_its_changes(text, expected):
    assert changes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""A docstring of 3 lines."""',
        "import a",
        "x: int | None",
        "def f(a: Literal[1]) -> Literal[2]: pass",
        "Alias = dict[str, int] | None",
        "if TYPE_CHECKING:\n    import a\n    x = 1",
        'if __name__ == "__main__":\n    main(1)',
        '__all__ = ["a", "b"]',
        '_log.debug("%s", a + 1)',
        'x = Note(level="warning", text=a + 1)',
        'x = RowError("field", a + 1)',
        'x = f"{a + 1} of {b - 1}"',
        "assert a == 1",
        "@dataclass(frozen=True)\nclass A:\n    b: int",
        "class A(Protocol):\n    b: int = 1",
    ],
)
def test_what_is_no_result_is_left_alone(text):
    assert changes(text) == set()


def test_a_mutation_names_its_place_and_survives_moved_lines():
    text = "class A:\n    def f(self, a):\n        return a + 1\n"
    before = next(m for m in mutations(text.encode()) if m.old == "+")
    after = next(m for m in mutations(b"# one\n# two\n" + text.encode()) if m.old == "+")
    assert (before.line, before.function, before.text) == (3, "A.f", "return a + 1")
    assert (after.line, after.function, after.text) == (5, "A.f", "return a + 1")
    assert b"return a - 1" in after.applied(b"# one\n# two\n" + text.encode())


def test_a_change_in_a_line_with_letters_of_several_bytes_hits_its_place():
    source = 'x = y["é"] + f("ü", 1)\n'.encode()
    assert {m.applied(source).decode() for m in mutations(source) if m.old == "+"} == {'x = y["é"] - f("ü", 1)\n'}


def test_a_text_that_does_not_compile_or_says_the_same_is_no_mutant():
    source = b"x = f(a, key=1, b=2)\n"
    dropped = next(m for m in mutations(source) if m.operator == "keyword")
    assert is_another_program(source, dropped)
    assert not is_another_program(source, type(dropped)(**{**vars(dropped), "new": "key=1,"}))
    assert not is_another_program(source, type(dropped)(**{**vars(dropped), "new": "("}))
