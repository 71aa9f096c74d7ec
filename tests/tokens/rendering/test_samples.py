"""Exact samples of conversations for templates that render a turn differently when more turns follow."""

from datetime import date

import pytest
from tests.tokens.rendering.test_turns import BY_PLACE, CALLING, LOOP, MARKED, PROMPT, RESULT, RESULTS_INSIDE, TURNS

from burnish.core.errors import ModelError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.history import History, Sample, Samples, with_default_mode
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.rendering.turns import Span, Turns
from burnish.tokens.templates.dialect import Dialect

USER, TWO, THREE, FOUR = (
    "<|user|>one<|end|>",
    "<|assistant|>two<|end|>",
    "<|user|>three<|end|>",
    "<|assistant|>four<|end|>",
)
WHOLE = USER + TWO + THREE + FOUR


@pytest.fixture
def samples(letters):
    def made(template, messages, wanted, rewritten="separate", is_border=lambda text, place: True, tools=None):
        history = History(Turns(Dialect(letters(template), template, date(2026, 2, 3))), is_border)
        found = history.samples(messages, tools, set(wanted), rewritten)
        texts = [
            (each.text, [(span.index, each.text[span.start : span.end]) for span in each.spans])
            for each in found.samples
        ]
        return texts, {name: count for name, count in found.counts.items() if count}

    return made


def test_samples_are_equal_up_to_counts_of_zero():
    one = Samples([Sample("a", [Span(0, 1, 1)])], {"turns": 1, "rewritten": 0})
    assert one.equals(Samples([Sample("a", (Span(0, 1, 1),))], {"turns": 1}))
    for other in (
        Samples([Sample("b", [Span(0, 1, 1)])], {"turns": 1}),
        Samples([Sample("a", [Span(0, 1, 2)])], {"turns": 1}),
        Samples([Sample("a", [])], {"turns": 1}),
        Samples([], {"turns": 1}),
        Samples([*one.samples, *one.samples], {"turns": 1}),
        Samples(one.samples, {"turns": 2}),
        Samples(one.samples, {"turns": 1, "rewritten": 1}),
    ):
        assert not one.equals(other)
        assert not other.equals(one)


def test_a_conversation_without_a_learned_turn_is_one_text(samples):
    for rewritten in ("separate", "mask", "as_shown"):
        assert samples(LOOP + PROMPT, TURNS, [], rewritten) == ([(WHOLE, [])], {})


def test_a_turn_without_text_is_refused(samples):
    marked = LOOP.replace(
        "{{ m.content }}<|end|>",
        "{% if m.content != 'two' %}{% generation %}{{ m.content }}<|end|>{% endgeneration %}{% endif %}",
    )
    with pytest.raises(ModelError, match=r"message 2 \(assistant\) has no text") as caught:
        samples(marked + PROMPT, TURNS, [1, 3])
    assert caught.value.code == "model.inexact-template"
    assert samples(marked + PROMPT, TURNS, [3])[1] == {"turns": 1}


# Rewritten turns

STAR = LOOP.replace("<|end|>", "{{ '*' if loop.last and m.role == 'assistant' }}<|end|>") + PROMPT
SIX = [*TURNS, {"role": "user", "content": "five"}, {"role": "assistant", "content": "six"}]


@pytest.mark.parametrize(
    ("rewritten", "wanted", "texts", "counts"),
    [
        (
            "separate",
            [1, 3],
            [
                (WHOLE[:-7] + "*<|end|>", [(3, "four*<|end|>")]),
                (USER + "<|assistant|>two*<|end|>", [(1, "two*<|end|>")]),
            ],
            {"turns": 2, "rewritten": 1},
        ),
        ("separate", [1], [(USER + "<|assistant|>two*<|end|>", [(1, "two*<|end|>")])], {"turns": 1, "rewritten": 1}),
        ("separate", [3], [(WHOLE[:-7] + "*<|end|>", [(3, "four*<|end|>")])], {"turns": 1}),
        ("mask", [1, 3], [(WHOLE[:-7] + "*<|end|>", [(3, "four*<|end|>")])], {"turns": 2, "rewritten_masked": 1}),
        ("mask", [1], [(WHOLE[:-7] + "*<|end|>", [])], {"turns": 1, "rewritten_masked": 1}),
        (
            "as_shown",
            [1, 3],
            [(WHOLE[:-7] + "*<|end|>", [(1, "two<|end|>"), (3, "four*<|end|>")])],
            {"turns": 2, "rewritten_as_shown": 1},
        ),
        ("as_shown", [3], [(WHOLE[:-7] + "*<|end|>", [(3, "four*<|end|>")])], {"turns": 1}),
    ],
)
def test_a_rewritten_turn_is_separate_masked_or_shown(samples, rewritten, wanted, texts, counts):
    assert samples(STAR, TURNS, wanted, rewritten) == (texts, counts)


def test_each_rewritten_turn_has_a_sample_from_the_last_to_the_first(samples):
    texts, counts = samples(STAR, SIX, [1, 3, 5])
    assert [spans for _, spans in texts] == [[(5, "six*<|end|>")], [(3, "four*<|end|>")], [(1, "two*<|end|>")]]
    assert counts == {"turns": 3, "rewritten": 2}


def test_what_a_template_writes_after_the_end_of_the_last_turn_is_no_part_of_it(samples):
    template = LOOP.replace("<|end|>", "<|end|>{{ '<eos>' if loop.last and m.role == 'assistant' }}") + PROMPT
    assert samples(template, TURNS, [1, 3]) == (
        [(WHOLE + "<eos>", [(1, "two<|end|>"), (3, "four<|end|><eos>")])],
        {"turns": 2},
    )
    own_end = "{% for m in messages %}<|{{ m.role }}|>{% generation %}{{ m.content }}"
    own_end += "{{ '<|call|>' if m.content == 'two' else '<|end|>' }}{% endgeneration %}"
    own_end += "{{ '<|end|>' if loop.last and m.content == 'two' }}{% endfor %}"
    (sample,), counts = samples(own_end + PROMPT, TURNS, [1, 3])
    assert (sample[1], counts) == ([(1, "two<|call|>"), (3, "four<|end|>")], {"turns": 2})


def test_a_text_in_which_turns_cannot_be_located_is_learned_by_its_last_turn_only(samples):
    """Differenced prefixes: what follows the last turn is missing from a longer text."""
    template = BY_PLACE + "{% if not add_generation_prompt %}<eos>{% endif %}" + PROMPT
    last, first = (WHOLE + "<eos>", [(3, "four<|end|><eos>")]), (USER + TWO + "<eos>", [(1, "two<|end|><eos>")])
    assert samples(template, TURNS, [1, 3]) == ([last, first], {"turns": 2, "rewritten": 1})
    more = [*TURNS, TURNS[0]]
    assert samples(template, more, [1, 3]) == ([last, first], {"turns": 2, "rewritten": 2})
    assert samples(template, more, [1, 3], "mask") == (
        [(WHOLE + USER + "<eos>", [])],
        {"turns": 2, "rewritten_masked": 2},
    )


# Reasoning modes

OFF = "enable_thinking is defined and not enable_thinking"
MODES = (
    "{% if " + OFF + " %}[off]{% endif %}{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}"
    "{{ '<t>' + m.reasoning_content + '</t>' if m.reasoning_content else '<n>' }}{% endif %}{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{{ '<n>' if " + OFF + " else '<t>' }}{% endif %}"
)
THOUGHT = [TURNS[0], {**TURNS[1], "reasoning_content": "hm"}, TURNS[2], {**TURNS[3], "reasoning_content": "so"}]


def test_a_turn_is_rendered_in_the_mode_that_prompts_it(samples):
    texts, counts = samples(MODES, TURNS, [1, 3])
    text = "[off]<|user|>one<|end|><|assistant|><n>two<|end|><|user|>three<|end|><|assistant|><n>four<|end|>"
    assert (texts, counts) == ([(text, [(1, "<n>two<|end|>"), (3, "<n>four<|end|>")])], {"turns": 2, "thinking_off": 2})
    text = "<|user|>one<|end|><|assistant|><t>hm</t>two<|end|><|user|>three<|end|><|assistant|><t>so</t>four<|end|>"
    assert samples(MODES, THOUGHT, [1, 3]) == (
        [(text, [(1, "<t>hm</t>two<|end|>"), (3, "<t>so</t>four<|end|>")])],
        {"turns": 2},
    )
    first, second = samples(MODES, [*TURNS[:2], *THOUGHT[2:]], [1, 3])[0]
    assert first[1] == [(3, "<t>so</t>four<|end|>")]
    assert not first[0].startswith("[off]")
    assert second == ("[off]<|user|>one<|end|><|assistant|><n>two<|end|>", [(1, "<n>two<|end|>")])


def test_a_turn_that_is_longer_than_its_prompt_needs_a_token_border_at_the_end_of_the_prompt(samples):
    asked: list[tuple[str, int]] = []

    def is_border(text: str, place: int) -> bool:
        asked.append((text[:place], place))
        return False

    texts, counts = samples(MODES, THOUGHT[:2], [1], is_border=is_border)
    assert texts == [("<|user|>one<|end|><|assistant|><t>hm</t>two<|end|>", [(1, "<t>hm</t>two<|end|>")])]
    assert counts == {"turns": 1, "unprompted": 1}
    assert set(asked) == {("<|user|>one<|end|><|assistant|><t>", len("<|user|>one<|end|><|assistant|><t>"))}
    asked.clear()
    assert samples(LOOP + PROMPT, TURNS, [1, 3], is_border=is_border)[1] == {"turns": 2}
    assert asked == []


def test_turns_are_counted_by_their_mode(letters):
    on = MODES.replace(OFF, "not enable_thinking")  # off by default
    sure = MODES.replace("else '<n>'", "else '<x>'")  # no mode prompts a turn without reasoning
    for template, messages, counts in (
        (MODES, TURNS, {"turns": 2, "thinking_off": 2}),
        (MODES, [*TURNS[:2], *THOUGHT[2:]], {"turns": 2, "thinking_off": 1, "rewritten": 1}),
        (MODES, [*THOUGHT[:2], *TURNS[2:]], {"turns": 2, "thinking_off": 1, "rewritten": 1}),
        (on, TURNS, {"turns": 2}),
        (on, THOUGHT, {"turns": 2, "thinking_on": 2}),
        (sure, TURNS, {"turns": 2, "unprompted": 2}),
    ):
        renderer = Renderer(letters(template), RenderSpec())
        renderer.render({"kind": "chat", "source": "x:1", "messages": messages})
        assert +renderer.counts == {"rows": 1, **counts}
        value = {"thinking_off": "false", "thinking_on": "true"}.get(next(reversed(counts)), "")
        head = f"{{%- if enable_thinking is not defined %}}{{%- set enable_thinking = {value} %}}{{%- endif %}}\n"
        assert renderer.template_in_use == (head if value else "") + template


@pytest.mark.parametrize(
    ("counts", "head"),
    [
        ({}, ""),
        ({"turns": 0, "thinking_on": 0}, ""),
        ({"turns": 1}, ""),
        ({"turns": 1, "thinking_on": 1}, "{%- if thinking is not defined %}{%- set thinking = true %}{%- endif %}\n"),
        ({"turns": 2, "thinking_off": 2}, "{%- if thinking is not defined %}{%- set thinking = false %}{%- endif %}\n"),
        ({"turns": 2, "thinking_on": 1, "thinking_off": 1}, ""),
        ({"turns": 2, "thinking_off": 1}, ""),
        ({"thinking_off": 1}, ""),
    ],
)
def test_the_mode_of_all_turns_becomes_the_default(counts, head):
    assert with_default_mode("text", [{"thinking": True}, {"thinking": False}], counts) == f"{head}text"


TAGGED = (
    RESULTS_INSIDE.replace("{{ m.content or '' }}", "{{ '<t></t>' if m.role == 'assistant' }}{{ m.content or '' }}")
    + "{% if add_generation_prompt %}{{ '<|assistant|>' }}{{ '<t></t>' if "
    + OFF
    + " else '<t>' }}{% endif %}"
)


def test_a_turn_that_starts_elsewhere_in_a_longer_text_is_learned_from_a_shorter_one(samples):
    """With results, turns are located by their prompts, and without by their headers, which are shorter."""
    messages = [*TURNS, TURNS[0], CALLING, RESULT, {"role": "assistant", "content": "six"}]
    texts, counts = samples(TAGGED, messages, [1, 3, 5, 7])
    assert [spans for _, spans in texts] == [
        [(7, "</t>six<|end|>")],
        [(1, "<t></t>two<|end|>"), (3, "<t></t>four<|end|>"), (5, "<t></t>f(here)<|end|>")],
    ]
    assert counts == {"turns": 4, "rewritten": 3}


# Composed turns

HIDING = (  # what was thought is written until a turn of the assistant ends the text
    "{% for m in messages %}<|{{ m.role }}|>{% if m.thought and messages[-1].role != 'assistant' %}[{{ m.thought }}]"
    "{% endif %}{{ m.content }}<|end|>{% endfor %}"
)
HIDDEN = [TURNS[0], {**TURNS[1], "thought": "hm"}, *TURNS[2:]]


def test_a_turn_that_no_rendering_has_with_its_prompt_is_composed(samples):
    composed = (
        "<|user|>one<|end|><|assistant|>[hm]two<|end|><|user|>three<|end|><|assistant|>four<|end|>",
        [(3, "four<|end|>")],
    )
    first = (USER + TWO, [(1, "two<|end|>")])
    assert samples(HIDING + PROMPT, HIDDEN, [3]) == ([composed], {"turns": 1})
    assert samples(HIDING + PROMPT, HIDDEN, [1, 3]) == ([composed, first], {"turns": 2, "rewritten": 1})
    assert samples(HIDING + PROMPT, HIDDEN, [1, 3], "mask") == ([composed], {"turns": 2, "rewritten_masked": 1})
    assert samples(HIDING + PROMPT, HIDDEN, [1, 3], "as_shown") == (
        [(WHOLE, [(1, "two<|end|>"), (3, "four<|end|>")])],
        {"turns": 2, "rewritten_as_shown": 1},
    )
    more = [*HIDDEN, TURNS[0]]
    shown = composed[0] + USER
    assert samples(HIDING + PROMPT, more, [3]) == ([(shown, [(3, "four<|end|>")])], {"turns": 1})
    ended = HIDING + "{% if not add_generation_prompt %}<eos>{% endif %}" + PROMPT
    text = composed[0] + "<eos>"
    assert samples(ended, HIDDEN, [3])[0] == [(text, [(3, "four<|end|>"), (3, "<eos>")])]


def test_a_turn_without_a_header_is_not_composed(samples):
    """The generation prompt is empty: the turn's own text is learned, and counted."""
    without = MARKED.replace("|>{% gen", "|>\n{% gen")  # no prompt at all
    assert samples(without, TURNS[:2], [1])[1] == {"turns": 1, "unprompted": 1}
    marked = HIDING.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}")
    assert samples(marked, HIDDEN, [3]) == ([(WHOLE, [(3, "four<|end|>")])], {"turns": 1, "unprompted": 1})
