"""What a recipe file may contain."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.errors import AskError
from burnish.core.recipes.yaml import MAX_BYTES, at, parse_yaml, place_of, read_yaml


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
