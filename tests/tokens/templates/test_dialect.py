"""Features of a template are detected by example: shapes, tools, system messages, modes, special tokens."""

from datetime import date
from typing import ClassVar

import pytest

from burnish.core.errors import ModelError
from burnish.tokens.templates.conversation import Shape
from burnish.tokens.templates.dialect import ASK, CALL_MESSAGE, REPLY, TOOL_MESSAGE, Dialect, Prefixes, make_message

PROMPT = "{% if add_generation_prompt %}<assistant>{% endif %}"
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}" + PROMPT
PARTS = "{% for m in messages %}<{{ m.role }}>{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}"
CALLS = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<{{ m.role }}>{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}(ARGUMENTS){% endfor %}{% endfor %}"
)
OBJECT, TEXT = (
    CALLS.replace("ARGUMENTS", "{{ c.function.arguments.place }}"),
    CALLS.replace("ARGUMENTS", "{{ c.function.arguments + '' }}"),
)
TURNS = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
]
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.fixture
def dialect(toy_tokenizer):
    return lambda source: Dialect(toy_tokenizer(source), source, date(2026, 2, 3))


def refused(call) -> ModelError:
    with pytest.raises(ModelError) as caught:
        call()
    return caught.value


def test_the_content_is_a_text_or_parts_or_the_template_is_refused(dialect):
    assert dialect(PLAIN).wants_parts is False
    assert dialect(PARTS).wants_parts is True
    assert refused(lambda: dialect("nothing").wants_parts).code == "model.bad-template"
    assert refused(lambda: dialect("{{ messages[0].content }}").wants_parts).code == "model.bad-template"
    assert "own words" in refused(lambda: dialect("{{ raise_exception('own words') }}").wants_parts).what
    assert dialect(PLAIN).trace(TURNS[:2]).text == "<user>one<assistant>two"
    assert dialect(PARTS).trace(TURNS[:1]).text == "<user>one"


def test_the_shape_of_calls_is_found_by_trying(dialect):
    assert dialect(OBJECT).shape_of_calls == Shape(False, "object", "absent")
    assert dialect(TEXT).shape_of_calls == Shape(False, "text", "absent")
    needs_none = OBJECT.replace(
        "{{ m.content or '' }}", "{% if m.content is not none %}{{ m.content + '' }}{% endif %}"
    )
    assert dialect(needs_none).shape_of_calls == Shape(False, "object", "empty")
    assert refused(lambda: dialect(PLAIN).shape_of_calls).code == "model.inexact-template"
    calling = [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    assert dialect(OBJECT).shape_for(calling) == dialect(OBJECT).shape_of_calls
    assert dialect(PLAIN).shape_for(TURNS) == Shape()
    assert dialect(PLAIN).shape_for([]) == Shape()


def test_tools_and_system_messages_are_shown_or_not(dialect):
    assert dialect(OBJECT).shows_tools
    assert not dialect(PLAIN).shows_tools
    assert dialect(PLAIN).shows_system
    assert not dialect("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}").shows_system
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + PLAIN
    assert dialect(refusing).shows_system
    assert dialect(OBJECT).render(TURNS[:1], []).text == "<user>one"


def test_the_switch_for_thinking_is_found_by_its_name(dialect):
    assert dialect(PLAIN).modes == []
    for name in ("enable_thinking", "thinking"):
        switched = dialect(PLAIN + "{% if " + name + " %}!{% endif %}")
        assert switched.modes == [{name: True}, {name: False}]
        assert switched.trace(TURNS[:1], mode={name: True}).text == "<user>one!"
        assert switched.trace(TURNS[:1], mode={name: False}).text == "<user>one"


def test_special_tokens_are_known_to_the_template_and_found_in_a_text(toy_tokenizer):
    tokenizer = toy_tokenizer("{{ eos_token }}" + PLAIN)
    found = Dialect(tokenizer, tokenizer.chat_template, date(2026, 2, 3))
    assert found.eos == tokenizer.eos_token
    assert found.trace(TURNS[:1]).text == f"{tokenizer.eos_token}<user>one"
    for token in tokenizer.all_special_tokens:
        assert found.special.fullmatch(str(token))
    assert found.special.search("plain words") is None


def test_each_beginning_is_rendered_once(dialect):
    prefixes = Prefixes(dialect(PLAIN), TURNS, None)
    assert len(prefixes) == 3
    assert prefixes.render(2).text == "<user>one<assistant>two"
    assert prefixes.prompt(1).text == "<user>one<assistant>"
    assert prefixes.render(2) is prefixes.render(2)
    assert prefixes.prompt(2) is not prefixes.render(2)
    assert prefixes.render(2, {"x": 1}) is not prefixes.render(2)
    assert prefixes.prompt(0).text.endswith("<assistant>")


STRICT = (  # as templates that follow the format of OpenAI closely
    "{% for t in tools or [] %}{% set p = t.function.parameters %}{% set place = p.properties[p.required[0]] %}"
    "{% if t.type != 'function' or p.type != 'object' or place.type != 'string' or not t.function.description "
    "or not place.description %}{{ raise_exception('tool') }}{% endif %}{{ t.function.name }}"
    "{% endfor %}{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.type != 'function' or not c.id %}"
    "{{ raise_exception('call') }}{% endif %}[{{ c.function.name }}:{{ c.function.arguments.place }}]{% endfor %}"
    "{% if m.role == 'tool' and not (m.name and m.tool_call_id) %}{{ raise_exception('result') }}{% endif %}"
    "{% if m.content %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
)


def test_the_examples_have_all_that_strict_templates_read(dialect):
    strict = dialect(STRICT)
    assert strict.shape_of_calls == Shape()
    assert strict.shows_tools
    exchange = [make_message("user", ASK), CALL_MESSAGE, TOOL_MESSAGE, make_message("assistant", REPLY)]
    assert strict.trace(exchange).text == "<user>qzask[qztool:qzvalue]<tool>qzresult<assistant>qzreply"
    assert (make_message("user", "a"), make_message("user", "a", name="b")) == (
        {"role": "user", "content": "a"},
        {"role": "user", "content": "a", "name": "b"},
    )
    (made,) = CALL_MESSAGE["tool_calls"]
    assert TOOL_MESSAGE["tool_call_id"] == made["id"]


def test_a_call_is_shown_with_its_name_and_its_arguments(dialect):
    for part in ("{{ c.function.name }}(ARGUMENTS)", "(ARGUMENTS)", "{{ c.function.name }}"):
        template = CALLS.replace("{{ c.function.name }}(ARGUMENTS)", part)
        template = dialect(template.replace("ARGUMENTS", "{{ c.function.arguments.place }}"))
        if "name" in part and "ARGUMENTS" in part:
            assert template.shape_of_calls == Shape()
        else:
            error = refused(lambda template=template: template.shape_of_calls)
            assert error.code == "model.inexact-template"


EMPTY = {
    "absent": "{% if m.tool_calls and m.content is defined %}{{ raise_exception('no') }}{% endif %}",
    "empty": "{% if m.tool_calls and m.content is not string %}{{ raise_exception('no') }}{% endif %}",
    "none": "{% if m.tool_calls and m.content is not none %}{{ raise_exception('no') }}{% endif %}",
}


@pytest.mark.parametrize("arguments", ["object", "text"])
@pytest.mark.parametrize(
    ("parts", "empty"), [(False, "absent"), (False, "empty"), (False, "none"), (True, "absent"), (True, "none")]
)
def test_each_shape_of_calls_is_found(dialect, parts, arguments, empty):
    source = OBJECT if arguments == "object" else TEXT
    source = source.replace("<{{", EMPTY[empty] + "<{{")
    if parts:
        source = source.replace("{{ m.content or '' }}", "{% for p in m.content or [] %}{{ p.text }}{% endfor %}")
        source = "{% if tools and tools[0].type != 'function' %}{{ raise_exception('no') }}{% endif %}" + source
    found = dialect(source)
    assert found.wants_parts is parts
    assert found.shape_of_calls == Shape(parts, arguments, empty)
    calling = [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    assert found.shape_for(calling) == Shape(parts, arguments, empty)
    assert found.shape_for(TURNS) == Shape(parts)
    assert found.shows_tools
    assert found.shows_system


def test_a_template_must_render_questions_and_answers(dialect):
    for role in ("user", "assistant"):
        only = dialect("{% for m in messages if m.role == '" + role + "' %}{{ m.content }}{% endfor %}")
        assert refused(lambda only=only: only.wants_parts).what == (
            "the chat template renders neither user nor assistant messages"
        )


def test_a_rendering_has_no_generation_prompt_unless_requested(dialect):
    plain = dialect(PLAIN)
    shaped = Shape().messages(TURNS[:1])
    assert plain.render(shaped, None).text == plain.trace(TURNS[:1]).text == "<user>one"
    assert plain.render(shaped, None, True).text == plain.trace(TURNS[:1], prompt=True).text == "<user>one<assistant>"
    shown = dialect("{{ eos_token }}{{ tools is none }}" + PLAIN)
    assert shown.trace(TURNS[:1], []).text == "<eos>True<user>one"
    assert shown.trace(TURNS[:1], [{}]).text == "<eos>False<user>one"
    assert shown.trace(TURNS[:1], mode={"eos_token": "!"}).text == "!True<user>one"
    assert shown.trace(TURNS[:1], shape=Shape(parts=True)).text.endswith("'text': 'one'}]")


def test_special_tokens_are_those_of_the_vocabulary_longest_first(letters):
    def special(**settings):
        return Dialect(letters(PLAIN, **settings), PLAIN, date(2026, 2, 3)).special

    found = special(more=("<|end|><|end|>",))
    assert found.findall("<|end|>x<|end|><|end|><|call|><bos><eos><think>") == [
        "<|end|>",
        "<|end|><|end|>",
        "<|call|>",
        "<bos>",
        "<eos>",
    ]
    tokenizer = letters(PLAIN)
    tokenizer.add_tokens(["<think>"])
    assert Dialect(tokenizer, PLAIN, date(2026, 2, 3)).special.search("a <think> b") is None
    assert Dialect(letters(PLAIN, eos=None), PLAIN, date(2026, 2, 3)).eos is None


def test_a_tokenizer_without_special_tokens_matches_none(letters):
    class Bare:
        special_tokens_map: ClassVar[dict] = {}
        eos_token = None
        all_special_tokens: ClassVar[list] = [""]
        added_tokens_decoder: ClassVar[dict] = {}

    found = Dialect(Bare(), PLAIN, date(2026, 2, 3))  # type: ignore[arg-type]
    assert found.special.search("any <eos> text") is None
    assert found.eos is None


def test_both_switches_of_reasoning_are_tried(dialect):
    both = dialect(PLAIN + "{% if thinking or enable_thinking %}{% endif %}")
    assert both.modes == [
        {"enable_thinking": True},
        {"enable_thinking": False},
        {"thinking": True},
        {"thinking": False},
    ]


def test_prefixes_have_the_shape_the_tools_and_the_mode_of_their_conversation(dialect):
    seeing = "{{ tools | length if tools else 0 }}{{ x }}" + PARTS + PROMPT
    prefixes = Prefixes(dialect(seeing), TURNS, [{"function": {"name": "f"}}])
    assert prefixes.prompt(0).text == "1<user>qzask<assistant>"
    assert prefixes.render(0).text == "1<user>qzask"
    assert prefixes.prompt(1, {"x": 7}).text == "17<user>one<assistant>"
    assert prefixes.render(3, {"x": 7}).text == "17<user>one<assistant>two<user>three"
    assert prefixes.render(3, {"x": 8}).text == "18<user>one<assistant>two<user>three"
    assert prefixes.render(3).text == "1<user>one<assistant>two<user>three"
    calling = [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    assert Prefixes(dialect(TEXT), calling, None).render(2).text == "<user>one<assistant>f({})"
    assert Prefixes(dialect(TEXT), calling, None).render(1).text == "<user>one"
