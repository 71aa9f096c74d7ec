"""Features of a template are detected by example: shapes, tools, system messages, modes, special tokens."""

from datetime import date

import pytest

from burnish.core.errors import ModelError
from burnish.tokens.templates.conversation import Shape
from burnish.tokens.templates.dialect import Dialect, Prefixes

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
