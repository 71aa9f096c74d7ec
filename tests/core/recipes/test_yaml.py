"""What a recipe file may contain."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.errors import AskError
from burnish.core.recipes.yaml import MAX_BYTES, Document, at, parse_yaml, place_of, read_yaml


def value_of(text: str):
    return parse_yaml(text.encode(), "x.yaml").value


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-4", 1e-4),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("-3", -3),
        ("017", 17),
        ("0x1f", 31),
        ("0o17", 15),
        ("true", True),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-13-45", "2024-13-45"),
        ("1_000", "1_000"),
        ('"1"', "1"),
        ("'true'", "true"),
        ("-.inf", float("-inf")),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(word, value):
    found = value_of(f"a: {word}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_every_value_has_its_line():
    document = parse_yaml(b"name: x\nsteps:\n  a:\n    stage: s\n    list:\n      - 1\n      - b: 2\n", "r.yaml")
    assert document.where(("steps", "a", "list", 1, "b")) == "r.yaml:7"
    assert document.where(("steps", "a", "absent", "deeper")) == "r.yaml:3"
    assert document.where(()) == "r.yaml:1"


def test_the_document_that_contains_most_of_a_path_gives_its_place():
    first = parse_yaml(b"a: {b: 1}\nc: 2\n", "first.yaml")
    second = parse_yaml(b"\n\na: 1\n", "second.yaml")
    assert place_of(("a", "b"), [first, second]) == "first.yaml:1"
    assert place_of(("a",), [first, second]) == "second.yaml:3"
    assert place_of(("nowhere",), [first, second]) == "first.yaml:1"
    assert place_of(("a",), []) == ""
    assert (at("x:1", "wrong"), at("", "wrong")) == ("x:1: wrong", "wrong")


BOMBS = {
    "aliases": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "depth in one line": b"[" * 100_000,
    "depth by indentation": b"".join(b" " * level + b"a:\n" for level in range(400)),
    "size": b"a" * (MAX_BYTES + 1),
    "many values": b"a: [" + b"1," * 100_000 + b"]",
    "a number of many digits": b"a: " + b"1" * 100_000,
    "a tag": b"a: !!python/object/apply:os.system [echo]",
    "a harmless tag": b"a: !!binary aGVsbG8=",
    "a tag of its own": b"a: !mine 3",
    "two documents": b"a: 1\n---\nb: 2\n",
    "a doubled key": b"a: 1\na: 2\n",
    "a key that is a list": b"? [a]\n: 1\n",
    "not utf-8": b"a: \xff\xfe\n",
    "a control character": b"a: \x07\n",
    "an open bracket": b"a: [1, 2\n",
    "a lone surrogate": b'a: "\\ud800"\n',
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_and_broken_files_are_refused_by_name_and_place(name):
    with pytest.raises(AskError) as caught:
        parse_yaml(BOMBS[name], "bomb.yaml")
    assert caught.value.code == "ask.recipe-unreadable"
    assert caught.value.what.startswith("bomb.yaml")
    assert caught.value.fix


def test_base_sixty_numbers_take_no_time_since_they_are_strings():
    assert value_of("a: " + "1:" * 20_000 + "1")["a"].startswith("1:1")


def test_an_endless_file_is_not_read_to_its_end(tmp_path):
    import os

    if not os.path.exists("/dev/zero"):
        pytest.skip("no endless file here")
    link = tmp_path / "endless.yaml"
    link.symlink_to("/dev/zero")
    with pytest.raises(AskError, match="larger than"):
        read_yaml(link)


def test_a_missing_file_and_a_folder_are_reported(tmp_path):
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(AskError) as caught:
            read_yaml(path)
        assert str(path) in caught.value.what


def test_a_byte_order_mark_is_accepted():
    assert parse_yaml(b"\xef\xbb\xbfa: 1", "x").value == {"a": 1}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_give_plain_values_or_an_ask_error(data):
    with suppress(AskError):
        parse_yaml(data, "fuzz")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(list("[]{}:,-&*!|>'\"#%@`? \n\tab1.~<=")), max_size=60).map("".join))
def test_arbitrary_yaml_marks_give_plain_values_or_an_ask_error(text):
    with suppress(AskError):
        parse_yaml(text.encode(), "fuzz")


def refused(data: bytes) -> str:
    with pytest.raises(AskError) as caught:
        parse_yaml(data, "x.yaml")
    assert caught.value.code == "ask.recipe-unreadable"
    return f"{caught.value.what} | {caught.value.fix}"


MENDED = "fix the line; check indentation and quotes"
OF_WINDOWS = "a backslash in double quotes is an escape: write a path of Windows without quotes, or in single quotes"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: [1, 2\n", f"x.yaml:3: invalid YAML: did not find expected ',' or ']' | {MENDED}"),
        (b"a: 1\n---\nb: 2\n", f"x.yaml:2: invalid YAML: but found another document | {MENDED}"),
        (b"a: \x07\n", f"x.yaml: invalid YAML: control characters are not allowed | {MENDED}"),
        (b'a: "C:\\data"\n', f"x.yaml:1: invalid YAML: found unknown escape character | {OF_WINDOWS}"),
        (b'a: "C:\\x"\n', f"x.yaml:1: invalid YAML: did not find expected hexdecimal number | {OF_WINDOWS}"),
        (b"\n\xff", "x.yaml:2: not UTF-8 | save the file as UTF-8"),
        (b"a: 1\nb: 2\n\nc: \xff\n\n", "x.yaml:4: not UTF-8 | save the file as UTF-8"),
        (b"a: 1\nb: *c\n", "x.yaml:2: aliases (*name) are not allowed | repeat the value"),
        (b"a: 1\nb: !c 1\n", "x.yaml:2: tags (!name) are not allowed | write the plain value"),
        (b"a: 1\nb: !c [1]\n", "x.yaml:2: tags (!name) are not allowed | write the plain value"),
        (b"a: 1\nb: 2\na: 1\n", "x.yaml:3: duplicate key 'a' | remove one of them"),
        (b"a: 1\n\nb:\n  - c: 1\n    c: 2\n", "x.yaml:5: duplicate key 'c' | remove one of them"),
    ],
)
def test_a_refusal_names_the_line_the_problem_and_the_fix(data, message):
    assert refused(data) == message


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("whole", "too_much", "what", "fix"),
    [
        (b"a" * 262_144, b"a" * 262_145, "x.yaml: larger than 262,144 bytes", "move rows into data files"),
        (deep(32), deep(33), "x.yaml:1: nested deeper than 32 levels", "flatten it"),
        (
            b"[" + b"[], {}, " * 40 + deep(31) + b"]",
            b"[\n" + b"[], {}, " * 40 + deep(32) + b"]",
            "x.yaml:2: nested deeper than 32 levels",
            "flatten it",
        ),
        (
            b"[" + b"1," * 9_999 + b"]",
            b"[" + b"1,\n" * 10_000 + b"]",
            "x.yaml:10000: more than 10,000 values",
            "make it smaller",
        ),
        (
            b"\n".join(b"k%d: 1" % n for n in range(4_999)),  # a key and a value each, and the mapping
            b"\n".join(b"k%d: 1" % n for n in range(5_000)),
            "x.yaml:5000: more than 10,000 values",
            "make it smaller",
        ),
        (
            b"a:\n- " + b"1" * 100,
            b"a:\n- " + b"1" * 101,
            "x.yaml:2: a number of more than 100 digits",
            "quote it if it is a string",
        ),
    ],
    ids=["bytes", "depth", "depth after siblings", "values", "keys and values", "digits"],
)
def test_what_just_fits_is_read_and_one_more_is_refused(whole, too_much, what, fix):
    assert parse_yaml(whole, "x.yaml").value is not None
    assert refused(too_much) == f"{what} | {fix}"


def test_a_file_larger_than_allowed_is_not_read_as_its_beginning(tmp_path):
    path = tmp_path / "r.yaml"
    for size, is_read in ((262_144, True), (262_145, False), (300_000, False)):
        path.write_bytes(b"a" * size)
        if is_read:
            assert read_yaml(path).value == "a" * size
        else:
            with pytest.raises(AskError, match=f"^{path}: larger than 262,144 bytes"):
                read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((f"{word}\n", None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((f"'{word}'", word) for word in ("", "12", "null", "false")),
        *((f'"{word}"', word) for word in ("12", "true")),
        ("|-\n  12", "12"),
        (">-\n  true", "true"),
        ("|\n  12\n  13\n", "12\n13\n"),
        ("+12", 12),
        ("-0x10", "-0x10"),
        ("0xZZ", "0xZZ"),
        ("0o18", "0o18"),
        ("1.", 1.0),
        ("-.5E+2", -50.0),
        (".INF", float("inf")),
        ("tRUE", "tRUE"),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("9" * 100, 10**100 - 1),
        ("9" * 101 + "x", "9" * 101 + "x"),
    ],
)
def test_a_scalar_is_read_by_its_style_and_its_form(text, value):
    found = value_of(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_the_lines_of_a_document_are_those_of_its_keys_and_items():
    document = parse_yaml(b"\na:\n  b: 1\n\n  c:\n    - 1\n    -\n      d: x\n'e': []\n", "r.yaml")
    assert document.value == {"a": {"b": 1, "c": [1, {"d": "x"}]}, "e": []}
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 5,
        ("a", "c", 0): 6,
        ("a", "c", 1): 8,
        ("a", "c", 1, "d"): 8,
        ("e",): 9,
    }
    paths = [(), ("a",), ("a", "x"), ("a", "c", 1, "d", "f"), ("x", "a"), ("x",)]
    assert [document.depth_of(path) for path in paths] == [0, 1, 1, 4, 0, 0]
    assert document.where(("a", "c", 1, "d", "f")) == "r.yaml:8"
    assert document.where(("x",)) == "r.yaml:2"
    assert document.below("x", "y").lines == {("x", "y", *path): line for path, line in document.lines.items()}
    assert document.below("x").where(("x", "a", "b")) == "r.yaml:3"


def test_a_document_without_lines_is_named_without_one():
    document = Document(None, "--set a.b", {("a", "b"): 0})
    assert (document.where(("a", "b")), document.where(("c",)), document.where(())) == ("--set a.b",) * 3
    assert parse_yaml(b"# nothing\n", "r.yaml") == Document(None, "r.yaml", {})
