"""Exact spans, ends, headers and methods for templates that write turns in each of the ways there are."""

from datetime import date

import pytest

from burnish.core.errors import ModelError
from burnish.tokens.rendering.turns import Span, Turns
from burnish.tokens.templates.dialect import Dialect, Prefixes

PROMPT = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
LOOP = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
CALLS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments.place }}){% endfor %}"
)
OPEN = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
TURNS = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
    {"role": "assistant", "content": "four"},
]
CALL = {"id": "call01", "type": "function", "function": {"name": "f", "arguments": '{"place": "here"}'}}
OTHER = {"id": "call02", "type": "function", "function": {"name": "g", "arguments": '{"place": "there"}'}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "done", "name": "f", "tool_call_id": "call01"}


@pytest.fixture
def turns(letters):
    def make(template: str, eos: str | None = "<eos>", more: tuple[str, ...] = ()) -> Turns:
        return Turns(Dialect(letters(template, eos, more), template, date(2026, 2, 3)))

    return make


def found(turns: Turns, messages, wanted, count=None, mode=None, tools=None):
    """The text, and (message, its text) of each span."""
    prefixes = Prefixes(turns.dialect, messages, tools)
    trace, spans = turns.find(prefixes, len(messages) if count is None else count, set(wanted), mode or {})
    return trace.text, [(span.index, trace.text[span.start : span.end]) for span in spans]


def refusal(call) -> str:
    with pytest.raises(ModelError) as caught:
        call()
    assert caught.value.code == "model.inexact-template"
    assert caught.value.what.startswith("cannot determine from the chat template which tokens the assistant writes: ")
    return caught.value.what.partition("writes: ")[2]


# Methods

LAST_APART = (
    "{% for m in messages[:-1] %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "<|{{ messages[-1].role }}|>{{ messages[-1].content }}<|end|>"
)
QUESTION_INSIDE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|user|>{{ loop.previtem.content }}<|end|><|assistant|>"
    "{{ m.content }}<|end|>{% elif loop.last %}<|user|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
)
BY_PLACE = LOOP.replace("for m in messages", "for i in range(messages | length)").replace("m.", "messages[i].")
MARKED = LOOP.replace("{{ m.content }}<|end|>", "{% generation %}{{ m.content }}<|end|>{% endgeneration %}")


@pytest.mark.parametrize(
    ("template", "method"),
    [
        (LOOP, "traced turns"),
        (OPEN, "traced turns"),
        (LAST_APART, "differenced prefixes"),
        (QUESTION_INSIDE, "differenced prefixes"),
        (BY_PLACE, "differenced prefixes"),
        (MARKED, "generation markers"),
        (LOOP + "{% if false %}{% generation %}{% endgeneration %}{% endif %}", "generation markers"),
        (LOOP.replace("m.content", "(m.content if loop.index0 < 3 else 'more')"), "differenced prefixes"),
        (
            LOOP.replace("m.content", "('more' if loop.index0 == 1 and messages | length > 2 else m.content)"),
            "differenced prefixes",
        ),
    ],
)
def test_the_method_is_the_most_exact_one_that_the_template_allows(turns, template, method):
    assert turns(template + PROMPT).method == method


RESULTS_INSIDE = (
    "{% for m in messages %}{% if m.role != 'tool' %}<|{{ m.role }}|>{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments.place }}){% endfor %}<|end|>"
    "{% if loop.nextitem is defined and loop.nextitem.role == 'tool' %}<|tool|>{{ loop.nextitem.content }}<|end|>"
    "{% endif %}{% endif %}{% endfor %}"
)


def test_results_inside_a_turn_are_not_learned(turns):
    messages = [TURNS[0], CALLING, RESULT, TURNS[3]]
    text = "<|user|>one<|end|><|assistant|>f(here)<|end|><|tool|>done<|end|><|assistant|>four<|end|>"
    spans = [(1, "f(here)<|end|>"), (3, "four<|end|>")]
    inside, outside = turns(RESULTS_INSIDE + PROMPT), turns(CALLS + "<|end|>{% endfor %}" + PROMPT)
    assert (inside.method, inside._method_with_results) == ("traced turns", "differenced prefixes")
    assert (outside.method, outside._method_with_results) == ("traced turns", "traced turns")
    for each in (inside, outside):
        assert found(each, messages, [1, 3]) == (text, spans)
    assert turns(MARKED)._method_with_results == "generation markers"
    assert turns(BY_PLACE)._method_with_results == "differenced prefixes"
    # a result that comes later does not matter to a prefix: here only tracing can locate the first message
    assert found(inside, [TURNS[1], CALLING, RESULT], [0], 1) == ("<|assistant|>two<|end|>", [(0, "two<|end|>")])
    assert "starts with the assistant" in refusal(lambda: found(inside, [TURNS[1], CALLING, RESULT], [0], 3))


# Spans


@pytest.mark.parametrize("template", [LOOP, BY_PLACE, MARKED, LAST_APART])
def test_only_wanted_turns_have_spans_in_their_order(turns, template):
    each, whole = (
        turns(template + PROMPT),
        "<|user|>one<|end|><|assistant|>two<|end|><|user|>three<|end|><|assistant|>four<|end|>",
    )
    assert found(each, TURNS, [3, 1]) == (whole, [(1, "two<|end|>"), (3, "four<|end|>")])
    assert found(each, TURNS, [3]) == (whole, [(3, "four<|end|>")])
    assert found(each, TURNS, [1]) == (whole, [(1, "two<|end|>")])
    assert found(each, TURNS, []) == (whole, [])
    assert found(each, TURNS, [1], 2) == ("<|user|>one<|end|><|assistant|>two<|end|>", [(1, "two<|end|>")])


def test_a_marked_block_outside_of_the_messages_is_the_last_turn(turns):
    apart = (
        "{% for m in messages[:-1] %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if messages[-1].role == 'assistant' %}<|assistant|>{% generation %}{{ messages[-1].content }}<|end|>"
        "{% endgeneration %}{% else %}<|user|>{{ messages[-1].content }}<|end|>{% endif %}" + PROMPT
    )
    each = turns(apart)
    assert found(each, TURNS, [1, 3])[1] == [(3, "four<|end|>")]
    assert found(each, TURNS, [1])[1] == []
    assert found(each, TURNS, [1], 2)[1] == [(1, "two<|end|>")]


def test_text_after_the_last_message_belongs_to_a_turn_at_the_end(turns):
    each = turns(LOOP + "{% if not add_generation_prompt %}<eos>{% endif %}" + PROMPT)
    assert found(each, TURNS, [1, 3])[1] == [(1, "two<|end|>"), (3, "four<|end|>"), (3, "<eos>")]
    assert found(each, TURNS[:3], [1])[1] == [(1, "two<|end|>")]
    assert found(each, TURNS, [1])[1] == [(1, "two<|end|>")]
    assert each.ends == {"<|end|>", "<eos>"}


def test_a_line_break_after_the_end_of_a_turn_belongs_to_it(turns):
    each = turns(LOOP.replace("<|end|>", "<|end|>\n") + PROMPT)
    assert found(each, TURNS, [1, 3])[1] == [(1, "two<|end|>\n"), (3, "four<|end|>\n")]
    marked_short = LOOP.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}")
    assert found(turns(marked_short + PROMPT), TURNS, [1, 3])[1] == [(1, "two<|end|>"), (3, "four<|end|>")]
    within = [TURNS[0], {"role": "assistant", "content": "two<|user|>x"}]
    assert found(turns(marked_short + PROMPT), within, [1])[1] == [(1, "two<|user|>x<|end|>")]


def test_a_turn_without_an_end_gets_the_opening_of_the_next_one(turns):
    each = turns(OPEN + PROMPT)
    assert found(each, TURNS, [1, 3]) == (
        "<|user|>one<|assistant|>two<|user|>three<|assistant|>four<|user|>",
        [(1, "two<|user|>"), (3, "four<|user|>")],
    )
    assert found(each, TURNS, [1])[0] == "<|user|>one<|assistant|>two<|user|>three<|assistant|>four"
    assert found(each, TURNS, [1], 2) == ("<|user|>one<|assistant|>two<|user|>", [(1, "two<|user|>")])
    assert each.ends == {"<eos>", "<|user|>"}


@pytest.mark.parametrize("template", [LOOP, BY_PLACE, MARKED, OPEN])
def test_spans_are_in_the_order_of_the_text(turns, template):
    each = turns(template + PROMPT)
    prefixes = Prefixes(each.dialect, TURNS, None)
    _, spans = each.find(prefixes, 4, dict.fromkeys((3, 1)).keys())
    assert [span.index for span in spans] == [1, 3]


def test_a_turn_without_any_end_is_refused(turns):
    endless = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    endless += "{% if add_generation_prompt %}assistant: {% endif %}"
    long = [TURNS[0], {"role": "assistant", "content": "a long answer of more than twenty letters"}]
    assert refusal(lambda: found(turns(endless), long, [1])) == (
        "a turn of the assistant ends without a special token, after ' than twenty letters': "
        "a model trained on it would never stop"
    )
    many = [{"role": ("assistant", "user")[place % 2], "content": f"turn {place}"} for place in range(1, 11)]
    assert "after 'turn 2'" in refusal(
        lambda: found(turns(endless), [{"role": "system", "content": "s"}, *many], [2, 8])
    )
    needs_user_last = (
        "{% if messages[-1].role == 'user' and messages | length > 2 %}{{ raise_exception('no') }}{% endif %}" + OPEN
    )
    assert "after 'two'" in refusal(lambda: found(turns(needs_user_last + PROMPT), TURNS[:2], [1]))
    assert turns(needs_user_last + PROMPT).ends == {"<eos>"}
    by_place = OPEN.replace("for m in messages", "for i in range(messages | length)").replace("m.", "messages[i].")
    assert "after 'two'" in refusal(lambda: found(turns(by_place + PROMPT), TURNS[:2], [1]))


OBSERVED = (
    "{% for m in messages %}{% if m.role == 'tool' %}<|result:{{ m.name }}:{{ m.tool_call_id }}|>{{ m.content }}"
    "{% else %}<|{{ m.role }}|>{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
    "({{ c.function.arguments.place }}){% endfor %}{% endif %}{% endfor %}"
)


def test_a_call_without_an_end_gets_the_opening_of_its_result(turns):
    more = ("<|result:f:call01|>", "<|result:g:call02|>", "<|result:qztool:qzcall001|>", "<|result:g:qzcall001|>")
    each = turns(OBSERVED + PROMPT, more=more)
    asked = [TURNS[0], CALLING]
    assert found(each, asked, [1]) == (
        "<|user|>one<|assistant|>f(here)<|result:f:call01|>",
        [(1, "f(here)<|result:f:call01|>")],
    )
    both = [TURNS[0], {**CALLING, "tool_calls": [CALL, OTHER]}]
    assert found(each, both, [1])[1] == [(1, "f(here)g(there)<|result:g:call02|>")]
    without_id = [TURNS[0], {**CALLING, "tool_calls": [CALL, {k: v for k, v in OTHER.items() if k != "id"}]}]
    assert found(each, without_id, [1])[1] == [(1, "f(here)g(there)<|result:g:qzcall001|>")]
    answered = [TURNS[0], CALLING, RESULT, TURNS[3]]
    assert found(each, answered, [1, 3])[1] == [(1, "f(here)<|result:f:call01|>"), (3, "four<|user|>")]
    simple = OBSERVED.replace("<|result:{{ m.name }}:{{ m.tool_call_id }}|>", "<|tool|>")
    assert turns(simple + PROMPT).ends == {"<eos>", "<|user|>", "<|tool|>"}
    assert found(each, answered, [1], 2)[1] == [(1, "f(here)<|result:f:call01|>")]
    assert CALLING["tool_calls"] == [CALL]


# Ends


@pytest.mark.parametrize(
    ("template", "eos", "ends"),
    [
        (LOOP, "<eos>", {"<eos>", "<|end|>"}),
        (LOOP, None, {"<|end|>"}),
        (LOOP.replace("<|end|>", "<|end|><|call|>"), None, {"<|end|>", "<|call|>"}),
        (CALLS + "<|end|>{% endfor %}", None, {"<|end|>"}),
        (
            CALLS + "{% if m.tool_calls %}<|end|><|call|>{% else %}<|end|>{% endif %}{% endfor %}",
            None,
            {"<|end|>", "<|call|>"},
        ),
        (
            CALLS + "{% if m.tool_calls %}<|tool|><|call|>{% else %}<|end|>{% endif %}{% endfor %}",
            None,
            {"<|end|>", "<|call|>"},
        ),
        (
            CALLS.replace("{{ m.content", "<|system|>{{ m.content") + "<|end|>{% endfor %}",
            "<eos>",
            {"<eos>", "<|end|>"},
        ),
    ],
)
def test_the_ends_of_turns_are_those_after_an_answer_and_the_last_of_a_call(turns, template, eos, ends):
    assert turns(template + PROMPT, eos).ends == ends


def test_the_ends_of_calls_are_found_though_an_answer_has_none(turns):
    plain = "{% for m in messages %}{{ m.role }}: {{ m.content or '' }}{% for c in m.tool_calls or [] %}"
    plain += "{{ c.function.name }}({{ c.function.arguments.place }})<|call|>{% endfor %}\n{% endfor %}"
    assert turns(plain).ends == {"<eos>", "<|call|>"}
    closed = OPEN + "{% if not add_generation_prompt %}{{ '\n' }}{% endif %}" + PROMPT
    assert turns(closed).ends == {"<eos>", "<|user|>"}


def test_an_end_is_looked_for_turn_by_turn_and_in_the_mode_of_the_text(turns):
    mixed = LOOP.replace(
        "{{ m.content }}<|end|>",
        "{% generation %}{{ m.content }}{{ '<|end|>' if m.content == 'two' }}{% endgeneration %}"
        "{{ '<|end|>' if m.content != 'two' }}",
    )
    assert found(turns(mixed + PROMPT), TURNS, [1, 3])[1] == [(1, "two<|end|>"), (3, "four<|end|>")]
    by_mode = OPEN.replace(
        "<|{{ m.role }}|>", "{{ '<|system|>' if thinking and m.role == 'user' else '<|' + m.role + '|>' }}"
    )
    assert found(turns(by_mode + PROMPT), TURNS[:2], [1])[1] == [(1, "two<|user|>")]
    assert found(turns(by_mode + PROMPT), TURNS[:2], [1], mode={"thinking": True})[1] == [(1, "two<|system|>")]


def test_a_header_written_apart_from_its_turn_gives_no_empty_span(turns):
    apart = LOOP.replace("|>{{", "|>{% for x in messages %}{% endfor %}{{") + PROMPT
    prefixes = Prefixes(turns(apart).dialect, TURNS, None)
    _, spans = turns(apart).find(prefixes, 2, {1})
    assert spans == [Span(31, 41, 1)]


# Headers


def test_a_turn_starts_after_the_generation_prompt(turns):
    header = LOOP.replace("|>{{", "|>\n{{") + "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    each = turns(header)
    assert found(each, TURNS, [1, 3])[1] == [(1, "two<|end|>"), (3, "four<|end|>")]
    prefixes = Prefixes(each.dialect, TURNS, None)
    assert each.header(prefixes, 1) == "<|assistant|>\n"
    assert each.stem(prefixes, 1) == "<|user|>\none<|end|><|assistant|>\n"
    assert each.stem(prefixes, 3) == (
        "<|user|>\none<|end|><|assistant|>\ntwo<|end|><|user|>\nthree<|end|><|assistant|>\n"
    )
    without = turns(LOOP)
    assert without.header(Prefixes(without.dialect, TURNS, None), 1) == ""
    assert without.stem(Prefixes(without.dialect, TURNS, None), 1) == "<|user|>one<|end|>"
    assert found(without, TURNS, [1])[1] == [(1, "<|assistant|>two<|end|>")]  # the prompt does not open the turn


def test_a_turn_that_starts_differently_from_its_prompt_is_refused(turns):
    other = LOOP + "{% if add_generation_prompt %}<|assistant|>!{% endif %}"
    assert refusal(lambda: found(turns(other), TURNS, [1])) == (
        "the turn of the assistant does not start with the generation prompt '<|assistant|>!': "
        "'<|assistant|>two<|end|><|user|>three<|en'"
    )
    long = [TURNS[0], {"role": "assistant", "content": "x" * 50}]
    assert refusal(lambda: found(turns(other), long, [1])).endswith(repr("<|assistant|>" + "x" * 27))


def test_a_header_is_found_though_the_text_before_it_differs(turns):
    """Earlier messages may depend on later ones; the header is then at the start of the turn."""
    counting = "{{ messages | length }}" + LOOP + PROMPT
    assert found(turns(counting), TURNS, [1, 3]) == (
        "4<|user|>one<|end|><|assistant|>two<|end|><|user|>three<|end|><|assistant|>four<|end|>",
        [(1, "two<|end|>"), (3, "four<|end|>")],
    )


THINK = "{% if enable_thinking is defined and not enable_thinking %}{{ '<think></think>' }}{% endif %}"


@pytest.mark.parametrize(
    ("prompt", "header"),
    [
        ("{{ '<|assistant|>' }}" + THINK, "<|assistant|>"),
        ("{{ '<|assistant|>\n' }}" + THINK, "<|assistant|>\n"),
        ("{{ '<|assistant|>' }}{{ 'x' }}" + THINK, "<|assistant|>x"),
        ("{{ '<|assistant|>\n<think>' + ('' if enable_thinking else '</think>') }}", "<|assistant|>\n"),
        ("{{ '<|assistant|><think>' + ('' if enable_thinking else '</think>') }}", "<|assistant|>"),
        ("{{ '<|assistant|>a\nb' + ('' if enable_thinking else '</think>') }}", "<|assistant|>a\n"),
        ("{{ '<|assistant|>a\n<|call|>b' + ('' if enable_thinking else '</think>') }}", "<|assistant|>a\n<|call|>"),
        ("{{ '<|assistant|>' if enable_thinking else '<|call|>' }}", ""),
        ("{{ '#' }}{{ 'a' if enable_thinking else 'b' }}", "#"),
        ("{{ 'assistant: a\nb\n' if enable_thinking else 'assistant: a\n' }}", "assistant: a\n"),
        ("{{ 'assistant: a\n' if enable_thinking else 'assistant: a\nb\n' }}", "assistant: a\n"),
        (
            "{{ '<|assistant|>ab' if enable_thinking else '<|assistant|>' }}{{ '' if enable_thinking else 'a' }}",
            "<|assistant|>",
        ),
        ("{{ 'assistant: ' + ('a' if enable_thinking else 'b') }}", ""),
    ],
)
def test_the_header_is_what_all_modes_start_with(turns, prompt, header):
    template = LOOP + "{% if add_generation_prompt %}" + prompt + "{% endif %}"
    each = turns(template)
    prefixes = Prefixes(each.dialect, TURNS, None)
    asked = "<|user|>one<|end|>"
    for mode in ({}, {"enable_thinking": True}, {"enable_thinking": False}):
        assert each.header(prefixes, 1, mode) == header
        assert each.header(prefixes, 1, mode) == header
        assert each.stem(prefixes, 1, mode) == asked + header


def test_a_turn_starts_after_the_header_of_all_modes(turns):
    thinking = (
        "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}"
        "<|end|>{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}" + THINK + "{% endif %}"
    )
    for mode in ({}, {"enable_thinking": True}, {"enable_thinking": False}):
        assert found(turns(thinking), TURNS[:2], [1], mode=mode)[1] == [(1, "<think></think>two<|end|>")]
    apart = (  # no common header: the whole prompt, where the text continues it
        LOOP + "{% if add_generation_prompt %}{{ '<|call|>' if enable_thinking else '<|assistant|>' }}{% endif %}"
    )
    assert found(turns(apart), TURNS[:2], [1])[1] == [(1, "two<|end|>")]
    assert "'<|call|>'" in refusal(lambda: found(turns(apart), TURNS[:2], [1], mode={"enable_thinking": True}))


# What cannot be located


def test_a_message_that_the_template_omits_is_refused(turns):
    skipping = LOOP.replace("for m in messages", "for m in messages if m.content != 'two'")
    assert (
        refusal(lambda: found(turns(skipping + PROMPT), TURNS, [1]))
        == "the text does not contain message 2 (assistant)"
    )
    assert found(turns(skipping + PROMPT), TURNS, [3])[1] == [(3, "four<|end|>")]


def test_a_text_that_depends_on_later_messages_is_refused_where_it_cannot_be_traced(turns):
    counting = turns("{{ messages | length }}" + BY_PLACE + PROMPT)
    words = "the text of message 2 depends on later messages, and the segments of the messages are unknown"
    assert refusal(lambda: found(counting, TURNS, [1, 3])) == words
    at_the_end = turns(BY_PLACE.replace("<|end|>", "{{ '!' if loop.last and i == 3 }}<|end|>") + PROMPT)
    assert found(at_the_end, TURNS, [1, 3])[1] == [(1, "two<|end|>"), (3, "four!<|end|>")]
    last = turns(BY_PLACE.replace("<|end|>", "{{ '!' if loop.last and i == 1 }}<|end|>") + PROMPT)
    assert refusal(lambda: found(last, TURNS, [1])) == words
    first = [TURNS[1], TURNS[2], TURNS[3]]
    assert refusal(lambda: found(turns(BY_PLACE + PROMPT), first, [0, 2])) == (
        "the conversation starts with the assistant, so there is no prefix to compare with"
    )
    assert found(turns(BY_PLACE + PROMPT), first, [2])[1] == [(2, "four<|end|>")]
