"""The parts of forms: slots, edges, guards; splitting at slots; when a form is built, used, verified or given up."""

from collections import Counter
from datetime import date

import pytest
from tests.tokens.rendering.test_turns import LOOP, PROMPT

from burnish.tokens.rendering import forms
from burnish.tokens.rendering.forms import Edges, Form, Forms, FormSample, Place, Slot, plain_contents
from burnish.tokens.rendering.history import Sample
from burnish.tokens.rendering.turns import Span, Turns
from burnish.tokens.templates.dialect import Dialect
from burnish.tokens.templates.opaque import NotOpaqueError

TEXT = " \n a b\t "


@pytest.mark.parametrize(
    ("left", "right", "filled"),
    [(False, False, TEXT), (True, False, "a b\t "), (False, True, " \n a b"), (True, True, "a b")],
)
def test_a_slot_strips_as_the_template_does(left, right, filled):
    assert Slot(0, left, right).filled(TEXT) == filled


def test_a_sample_is_filled_with_texts_and_spans():
    sample = FormSample(
        ("<a>", "<bc>", "<d>", ""),
        (Slot(1, True, False), Slot(0, False, False), Slot(1, False, True)),
        ((Place(0, 1), Place(1, 2), 1), (Place(1, 4), Place(2, 0), 0), (Place(2, 3), Place(3, 0), 7)),
    )
    filled = sample.filled([" x ", " yy "])
    assert filled.text == "<a>yy <bc> x <d> yy"
    assert filled.spans == [Span(1, 8, 1), Span(10, 13, 0), Span(16, 19, 7)]
    assert [filled.text[span.start : span.end] for span in filled.spans] == ["a>yy <b", " x ", " yy"]
    assert FormSample(("only",), (), ()).filled([]) == Sample("only", [])


@pytest.mark.parametrize(
    ("slot", "text", "is_accepted"),
    [
        (Slot(0, False, False), "xay", True),
        (Slot(0, False, False), "ax", False),
        (Slot(0, False, False), "xb", False),
        (Slot(0, False, False), " ax", True),
        (Slot(0, True, False), " ax", False),
        (Slot(0, False, False), "xb ", True),
        (Slot(0, False, True), "xb ", False),
        (Slot(0, True, True), " bxa ", True),
    ],
)
def test_edges_refuse_a_text_that_starts_or_ends_like_a_literal(slot, text, is_accepted):
    edges = Edges(slot, frozenset("a"), frozenset("b"))
    assert edges.accepts(text) is is_accepted
    form = Form((), {}, frozenset(), frozenset(), frozenset(), {1: edges})
    assert form.accepts([text[::-1], text]) is is_accepted


@pytest.mark.parametrize(
    ("contents", "is_accepted"),
    [
        (["plain", "text"], True),
        (["with a !guard", "text"], False),
        (["text", "!guard"], False),
        (["text", "other? guard"], False),
        (["fa", "a"], False),
        ([" fa", "a"], False),
        (["af", "a f"], True),
        (["a", "xl"], False),
        (["xl \n", "a"], False),
        (["lx", "a"], True),
    ],
)
def test_a_form_refuses_texts_with_a_guard_or_a_stripped_character(contents, is_accepted):
    form = Form((), {}, frozenset({"!guard", "? g"}), frozenset("f"), frozenset("l"), {})
    assert form.accepts(contents) is is_accepted
    blank = Form((), {}, frozenset(), frozenset(" "), frozenset(), {})
    assert (blank.accepts([" a"]), blank.accepts(["a "])) == (False, True)
    blank = Form((), {}, frozenset(), frozenset(), frozenset("\n"), {})
    assert (blank.accepts(["\na"]), blank.accepts(["a\n"]), blank.accepts(["a\n."])) == (True, False, True)


def test_only_plain_conversations_have_contents(monkeypatch):
    def contents(*messages):
        return plain_contents([{"role": "user", **message} for message in messages])

    assert contents({"content": "a"}, {"content": " b ", "weight": 0.5}) == ["a", " b "]
    assert plain_contents([]) == []
    for other in ({}, {"content": None}, {"content": ["a"]}, {"content": ""}, {"content": " \n"}):
        assert contents({"content": "a"}, other) is None
    for key in ("name", "reasoning_content", "tool_calls"):
        assert contents({"content": "a", key: None}) is None
    assert forms.MAX_CHARACTERS == 1_000_000
    monkeypatch.setattr(forms, "MAX_CHARACTERS", 5)
    assert contents({"content": "abc"}, {"content": "de"}) == ["abc", "de"]
    assert contents({"content": "abc"}, {"content": "def"}) is None


# Splitting


def split(text: str) -> tuple:
    parts = forms._split_at_slots(text, ["one", "two"], " \t", "\n ")
    return parts.literals, [(slot.index, slot.left, slot.right) for slot in parts.slots], parts.bounds


def test_a_text_is_split_at_its_slots_with_the_whitespace_around():
    assert split("<a> \tone\n <b>two<c>") == (
        ["<a>", "<b>", "<c>"],
        [(0, False, False), (1, True, True)],
        [(0, 3), (10, 13), (16, 19)],
    )
    assert split("one\n two") == (["", "", ""], [(0, True, False), (1, True, True)], [(0, 0), (5, 5), (8, 8)])
    assert split(" \ttwo <a>\t one") == (
        ["", " <a>\t ", ""],
        [(1, False, True), (0, True, True)],
        [(0, 0), (5, 11), (14, 14)],
    )
    assert split("two\n  \ttwo") == (["", "", ""], [(1, True, False), (1, False, True)], [(0, 0), (5, 5), (10, 10)])
    assert split("some") == (["some"], [], [(0, 4)])
    assert split("two \tone") == (["", "", ""], [(1, True, True), (0, False, True)], [(0, 0), (3, 3), (8, 8)])


def test_texts_that_overlap_have_no_form():
    with pytest.raises(NotOpaqueError):
        forms._split_at_slots("one\n \ttwo", ["one", "two"], "\n \t", "\n ")


def test_a_span_has_its_places_in_literals():
    parts = forms._split_at_slots("<a>one<b>two<c>", ["one", "two"], " ", " ")
    slots = (Slot(0, True, True), Slot(1, True, True))

    def made(*spans: Span):
        return forms._form_sample(Sample("", list(spans)), parts)

    assert made() == FormSample(("<a>", "<b>", "<c>"), slots, ())
    assert made(Span(0, 3, 5), Span(3, 8, 0), Span(6, 15, 1)) == FormSample(
        ("<a>", "<b>", "<c>"),
        slots,
        ((Place(0, 0), Place(0, 3), 5), (Place(0, 3), Place(1, 2), 0), (Place(1, 0), Place(2, 3), 1)),
    )
    for other in (Span(4, 9, 0), Span(3, 5, 0), Span(3, 6, 0), Span(0, 3, None)):
        assert made(Span(0, 3, 5), other) is None
    blank = forms._split_at_slots("<a>one  b", ["one"], "\t", "\t")
    assert forms._form_sample(Sample("", [Span(0, 8, 1)]), blank) is None
    assert forms._form_sample(Sample("", [Span(0, 9, 1)]), blank) is not None


def edges_of(*texts: str) -> dict[int, tuple[str, str]] | None:
    found = forms._edges([forms._split_at_slots(text, ["one", "two"], " \t", "\n ") for text in texts])
    if found is None:
        return None
    assert all(index == edges.slot.index for index, edges in found.items())
    return {index: ("".join(sorted(edges.first)), "".join(sorted(edges.last))) for index, edges in found.items()}


@pytest.mark.parametrize(
    ("texts", "edges"),
    [
        (["one"], {0: ("", "")}),
        (["<a>one"], {0: ("", "")}),
        (["one<e>"], {0: ("<", "")}),  # the end of the text may come at once
        (["<a>one<e>"], {0: ("<", "")}),
        (["<a>one<b>two<e>"], {0: ("<", ""), 1: ("<", "")}),
        (["<a>one<a>xtwo"], {0: ("x", ""), 1: ("", "")}),  # a literal that continues the one before
        (["<a>one<b>"], {0: ("<", "")}),
        (["<a>one", "<a>one<b>x", "<a>one<b>"], {0: ("<", ">x")}),
        (["pq!one;two", "pq!one;two!rs"], {0: ("!r", ""), 1: ("!", "s")}),
        (["abonebxyz"], {0: ("bx", "")}),
        (["xyonexyz"], {0: ("xz", "")}),
        (["a;one;"], {0: (";", "")}),
        (["ab;one", "ab;one;", "ab;one;c"], {0: (";c", ";c")}),
    ],
)
def test_edges_are_the_characters_with_which_a_text_could_be_mistaken_for_a_literal(texts, edges):
    assert edges_of(*texts) == edges


def test_a_text_that_is_stripped_in_one_rendering_only_has_no_edges():
    assert edges_of("<a> \tone<b>", "<a> \tone<c>") is not None
    assert edges_of("<a> \tone<b>", "<a>one<b>") is None
    assert edges_of("<a>one<b>one\n ") is None


# Building and using


@pytest.fixture
def make(letters):
    def built(template: str, omitted=lambda texts, messages: {}, rewritten="separate") -> Forms:
        dialect = Dialect(letters(template), template, date(2026, 2, 3))
        return Forms(dialect, Turns(dialect), rewritten, omitted)

    return built


def chat(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(contents)]


def test_a_form_is_used_from_the_second_conversation_and_verified_at_powers_of_two(make):
    made, verified = make(LOOP + PROMPT), []
    assert made.samples(chat("q", "a"), {1: 1.0}) is None
    for number in range(1, 18):
        found = made.samples(chat(f"q{number}", f"a{number}"), {1: 0.5})
        assert found is not None
        (sample,) = found[0].samples
        assert sample.text == f"<|user|>q{number}<|end|><|assistant|>a{number}<|end|>"
        assert [sample.text[span.start : span.end] for span in sample.spans] == [f"a{number}<|end|>"]
        assert found[0].counts == {"turns": 1, "rewritten": 0}
        if found[1]:
            verified.append(number)
    assert verified == [1, 2, 4, 8, 16]
    assert made.samples(chat("q", "a"), {}) is None  # another shape: nothing of it is learned
    plain = made.samples(chat("q", "a"), {})
    assert plain is not None
    assert (plain[0].samples, plain[0].counts) == ([Sample("<|user|>q<|end|><|assistant|>a<|end|>", [])], {})


@pytest.mark.parametrize("content", ["", "a<|call|>b", "<|end|>", " "])
def test_a_text_that_is_blank_or_has_a_special_token_is_rendered(make, content):
    made = make(LOOP + PROMPT)
    for _ in range(3):
        made.samples(chat("q", "a"), {1: 1.0})
    assert made.samples(chat(content, "a"), {1: 1.0}) is None
    assert made.samples(chat("q", content), {1: 1.0}) is None
    found = made.samples(chat("q", "a"), {1: 1.0})
    assert found is not None
    assert not found[1]  # the third use: refused texts are no uses


@pytest.mark.parametrize(
    "template",
    [
        LOOP.replace("m.content", "m.content | upper") + PROMPT,
        LOOP.replace("m.content", "m.content[:5]") + PROMPT,
        "{% if messages | length == 2 %}{{ raise_exception('two') }}{% endif %}" + LOOP + PROMPT,
        LOOP.replace("{{ m.content }}", "{{ m.content | trim if m.role == 'user' and loop.last else m.content }}")
        + PROMPT,
        LOOP.replace("{{ m.content }}", "{{ m.content }}{{ '!' if m.content in 'abc' }}") + PROMPT,
    ],
    ids=["changes", "cuts", "refuses", "strips once", "searches"],
)
def test_a_template_that_inspects_texts_has_no_form(make, template):
    made = make(template)
    for _ in range(3):
        assert made.samples(chat("q", "a"), {1: 1.0}) is None
    assert set(made._forms.values()) <= {None}


def test_a_template_that_omits_a_text_has_no_form(make):
    asked = []

    def omitted(texts, messages):
        asked.append((len(texts), [message["role"] for message in messages]))
        return Counter(content_left_out=len(asked) == 2)

    made = make(LOOP + PROMPT, omitted)
    for _ in range(3):
        assert made.samples(chat("q", "a"), {1: 1.0}) is None
    assert asked == [(1, ["user", "assistant"])] * 2  # both versions, once


def test_the_shapes_used_last_are_kept(make, monkeypatch):
    assert forms._MAX_SHAPES == 256
    monkeypatch.setattr(forms, "_MAX_SHAPES", 2)
    made, shapes = make(LOOP + PROMPT), {}
    for name, size in (("a", 2), ("b", 4), ("a", 2), ("a", 2), ("b", 4), ("a", 2), ("c", 6), ("c", 6)):
        shapes[name] = tuple((("user", "assistant")[i % 2], i % 2 == 1) for i in range(size))
        made.samples(chat(*"xyzuvw"[:size]), dict.fromkeys(range(1, size, 2), 1.0))
    assert list(made._forms) == [shapes["a"], shapes["c"]]
    assert made.samples(chat(*"xyzu"), {1: 1.0, 3: 1.0}) is not None  # built again at once
    assert list(made._forms) == [shapes["c"], shapes["b"]]
