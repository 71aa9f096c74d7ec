"""Opaque texts may be written, stripped and searched for a string; other operations are refused."""

import pytest

from burnish.tokens.templates.opaque import NotOpaqueError, Opaque, Probe, probe_of, watched_filter

TEXT = "  two words \n"


@pytest.fixture
def probe():
    return Probe([TEXT, "other"])


@pytest.fixture
def text(probe):
    return probe.opaque(TEXT)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda t: t.strip(), TEXT.strip()),
        (lambda t: t.lstrip(), TEXT.lstrip()),
        (lambda t: t.rstrip(), TEXT.rstrip()),
        (lambda t: t + "!", TEXT + "!"),
        (lambda t: "!" + t, "!" + TEXT),
        (lambda t: t.replace("x", "y"), TEXT),
        (lambda t: t.split("x")[0], TEXT),
        (lambda t: t.rsplit("x")[-1], TEXT),
        (lambda t: t.partition("x")[0], TEXT),
        (lambda t: t.rpartition("x")[2], TEXT),
    ],
)
def test_a_written_text_stays_opaque(text, probe, call, expected):
    made = call(text)
    assert str.__str__(made) == expected
    assert isinstance(made, Opaque)
    assert made.probe is probe


@pytest.mark.parametrize(
    "call",
    [
        lambda t: "x" in t,
        lambda t: t == "x",
        lambda t: t.__ne__("x") is False,
        lambda t: t.startswith("x"),
        lambda t: t.endswith("x"),
        lambda t: t.startswith(("x", "x")),
        lambda t: len(t.split("x")) > 1,
        lambda t: len(t.rsplit("x")) > 1,
        lambda t: bool(t.partition("x")[1]),
        lambda t: bool(t.rpartition("x")[1]),
        lambda t: "x" in t.strip(),
    ],
)
def test_a_searched_string_is_absent_and_is_recorded(text, probe, call):
    assert call(text) is False
    assert probe.guards == {"x"}


@pytest.mark.parametrize(
    ("call", "firsts", "lasts"),
    [
        (lambda t: t.lstrip("xy"), "xy", ""),
        (lambda t: t.rstrip("\n"), "", "\n"),
        (lambda t: t.strip().strip("x"), "x", "x"),
    ],
)
def test_stripping_of_characters_changes_nothing_and_is_recorded(text, probe, call, firsts, lasts):
    assert str.__str__(call(text)).strip() == TEXT.strip()
    assert (probe.firsts, probe.lasts, probe.guards) == (set(firsts), set(lasts), set())


@pytest.mark.parametrize(
    "call",
    [
        lambda t: "two" in t,
        lambda t: "" in t,
        lambda t: t == "  two words \n",
        lambda t: t.startswith("  "),
        lambda t: t.startswith("x", 1),
        lambda t: t.startswith(("x", "words")),
        lambda t: t.endswith("\n"),
        lambda t: t.split(),
        lambda t: t.split(" "),
        lambda t: t.rsplit(" "),
        lambda t: t.partition(" "),
        lambda t: t.rpartition(" "),
        lambda t: t.replace(" ", ""),
        lambda t: t.strip(1),
        lambda t: t.lstrip(t),
        lambda t: (t + "!").rstrip("x"),
        lambda t: t + 1,
        lambda t: t.__radd__(1),
        lambda t: t in t.strip(),
        lambda t: "x" in t + "!",
        lambda t: hash(t),
        lambda t: list(t),
        lambda t: t[0],
        lambda t: t.upper(),
        lambda t: t < "x",
        lambda t: t * 2,
        lambda t: t % (),
        lambda t: t.format(),
        lambda t: t.count("x"),
        lambda t: t.encode(),
    ],
)
def test_any_other_operation_is_refused(text, probe, call):
    with pytest.raises(NotOpaqueError):
        call(text)
    assert probe.guards <= {"x"}


def test_a_text_is_true_equal_to_itself_and_not_empty(text):
    assert text
    assert text == text
    assert (text == "", text != "", text == 1) == (False, True, False)


def test_a_probe_detects_its_texts_in_values(probe):
    for form in (TEXT, TEXT.strip(), TEXT.lstrip(), TEXT.rstrip(), "other"):
        assert probe.is_pure(form)
    assert not probe.is_pure("another")
    for value in ("say two words!", ["a", ["other"]], ("other",), {"a": {"b": "another one"}}):
        assert probe.occurs_in(value)
    for value in ("two", ["a"], {"other": 1}, {}, [], 1, None):
        assert not probe.occurs_in(value)
    assert isinstance(probe.wrap("the other"), Opaque)
    assert type(probe.wrap("two")) is str


def test_filters_that_inspect_a_text_are_refused(probe, text):
    def watched(name, probe=probe):
        return watched_filter(name, lambda *args, **kwargs: (args, kwargs), lambda: probe)

    for name in ("trim", "string", "default", "d"):
        assert watched(name)(text)[0][0] is text
    for name in ("length", "first", "map"):
        assert watched(name)([text])[0][0][0] is text
        with pytest.raises(NotOpaqueError, match=name):
            watched(name)(text)
    for given in (text, [text], (text,), {"a": text}):
        with pytest.raises(NotOpaqueError, match="upper"):
            watched("upper")(given)
        with pytest.raises(NotOpaqueError, match="upper"):
            watched("upper")("x", option=given)
    assert watched("upper")("x", a=1) == (("x",), {"a": 1})
    assert watched("upper", None)(text)[0][0] is text


def test_messages_belong_to_the_probe_of_their_first_text(probe, text):
    assert probe_of([{"role": "user"}, {"content": [{"text": text}]}, {"content": "x"}]) is probe
    assert probe_of([{"content": None}, {"content": text}]) is probe
    assert probe_of([{"content": "x"}, {"content": text}]) is None
    assert probe_of([{"content": []}, {"role": "user"}]) is None


def test_what_is_no_plain_text_cannot_be_looked_for(text, probe):
    for needle in (7, None, probe.opaque("other")):
        for call in (lambda n=needle: n in text, lambda n=needle: text.split(n) if n is not None else hash(text)):
            with pytest.raises(NotOpaqueError):
                call()
    assert probe.guards == set()


def test_a_watched_filter_keeps_the_marks_of_jinja():
    def plain(value):
        return value

    plain.jinja_pass_arg = "environment"
    assert watched_filter("upper", plain, lambda: None).jinja_pass_arg == "environment"
