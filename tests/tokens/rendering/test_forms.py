"""Rows rendered with a form are exactly what the template renders, whatever operations it applies to texts."""

import itertools
import random
from typing import Any

import jinja2
import pytest
from tests.tokens.rendering.test_ground_truth import SOURCES

from burnish.core.errors import BurnishError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.history import Samples
from burnish.tokens.rendering.renderer import Renderer

CONTENTS = [
    "Hello there",
    "  two blanks before and a line break after\n",
    "\n\n\ttabs\t\n",
    "天气很好 🙂",
    "a</think>b",
    "<think>\nhm\n</think>\n\nyes",
    "solve it /no_think",
    "quotes \" and ' and \\ and & and <b>",
    "{{ 7 * 7 }} {% if x %}",
    "line one\nline two\n\nline four",
    "<tool_call>{}</tool_call>",
    "[INST] x [/INST]",
    "12",
    "None",
    "true",
    "a",
    "a,b;c",
    "system user assistant",
    "\xa0no-break space\u3000",
    "x" * 300,
]
SHAPES = ["ua", "sua", "uaua", "suaua", "uauaua", "au"]
ROLES = {"s": "system", "u": "user", "a": "assistant"}


class Plain(Renderer):
    """The reference implementation: every row is rendered by the template."""

    def _samples(self, messages: Any, tools: Any, wanted: Any, rewritten: Any) -> Samples:
        found = self._history.samples(messages, tools, wanted.keys(), rewritten)
        omitted = self._omissions.count([sample.text for sample in found.samples], messages, tools)
        return Samples(found.samples, {**found.counts, **omitted})


def rows(seed: int, count: int, shapes: list[str]) -> list[dict[str, Any]]:
    """Conversations of all shapes with random contents; some turns have a weight."""
    chance = random.Random(seed)
    made = []
    for shape in itertools.islice(itertools.cycle(shapes), count):
        messages = [{"role": ROLES[letter], "content": chance.choice(CONTENTS)} for letter in shape]
        if chance.random() < 0.2:
            messages[-1]["weight"] = chance.choice([0.5, 1.0])
        made.append({"kind": "chat", "source": "x:1", "messages": messages})
    return made


def outcome(renderer: Renderer, row: dict[str, Any]) -> Any:
    renderer.counts.clear()
    try:
        pieces = renderer.render(row)
    except BurnishError as error:
        return error.code, error.what
    counts = {name: count for name, count in renderer.counts.items() if count}
    return [(piece.text, piece.ids.tolist(), piece.weights.tolist()) for piece in pieces], counts


def uses(renderer: Renderer) -> int:
    return sum(sum(forms._uses.values()) for forms in renderer._forms_made.values())


def agree(tokenizer: Any, seed: int, count: int, shapes: list[str], **settings: Any) -> Renderer:
    spec = RenderSpec(max_length=100_000, **settings)
    ours, plain = Renderer(tokenizer, spec), Plain(tokenizer, spec)
    for row in rows(seed, count, shapes):
        assert outcome(ours, row) == outcome(plain, row), row["messages"]
    return ours


@pytest.mark.some(every=3)
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_template_fills_forms_as_it_renders(toy_tokenizer, name):
    agree(toy_tokenizer(SOURCES[name]), 1, 60, SHAPES)


@pytest.mark.parametrize("settings", [{"rewritten_turns": "mask"}, {"train_on": "completion"}], ids=str)
def test_each_setting_has_its_own_forms(toy_tokenizer, settings):
    for name in ("qwen3", "llama3", "gemma"):
        agree(toy_tokenizer(SOURCES[name]), 2, 60, SHAPES, **settings)


def test_forms_are_used_under_most_templates(toy_tokenizer):
    used = {}
    for name, source in SOURCES.items():
        renderer = Renderer(toy_tokenizer(source), RenderSpec())
        for number in range(12):
            row = {"kind": "chat", "source": "x", "messages": rows(0, 1, ["ua"])[0]["messages"][:2]}
            row["messages"][1]["content"] = f"answer {number}"
            row["messages"][0]["content"] = f"question {number}"
            try:
                renderer.render(row)
            except BurnishError:
                break
        used[name] = uses(renderer)
    assert all(
        used[name] for name in ("llama3", "llama3_2", "phi3", "gemma3", "qwen2_5", "qwen3", "qwen3_instruct_2507")
    )
    assert sum(count > 0 for count in used.values()) >= 30, used


HEAD = "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' }}"
TAIL = "{{- '<|im_end|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
FILTERS = sorted(set(jinja2.Environment().filters) | {"tojson"})
METHODS = sorted(name for name in dir(str) if not name.startswith("_"))
LOOKS = [
    "{{- m.content }}",
    "{{- m.content | trim }}",
    "{{- 'x' if 'a' in m.content else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content in 'abcdef' else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content == 'a' else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content != 'true' else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content > 'b' else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content in ['a', '12'] else 'y' }}{{- m.content }}",
    "{{- {'a': 'one'}.get(m.content, 'none') }}{{- m.content }}",
    "{{- {'a': 'one'}[m.content] }}{{- m.content }}",
    "{{- m.content[0] }}{{- m.content[1:] }}",
    "{{- m.content[:5] }}",
    "{%- for c in m.content %}{{- c }}{%- endfor %}",
    "{{- m.content | length }}{{- m.content }}",
    "{{- 'long' if m.content | length > 20 else 'short' }}{{- m.content }}",
    "{{- m.content.split('</think>')[-1] }}",
    "{{- m.content.split('\\n') | length }}{{- m.content }}",
    "{{- m.content.strip('\\n') }}",
    "{{- m.content.lstrip('\\n \\t') }}",
    "{{- m.content.strip().lstrip('a') }}",
    "{{- m.content.rstrip('b') + '!' }}",
    "{{- m.content.lstrip(m.role) }}",
    "{{- ('p' + m.content).lstrip('pa') }}",
    "{{- ''.strip('\\n') }}{{- 'ab'.strip('a') }}{{- m.content }}",
    "{{- m.content.replace('a', 'b') }}",
    "{%- set t = 'p' + m.content %}{{- 'x' if 'pa' in t else 'y' }}{{- t }}",
    "{%- set t = 'p' ~ m.content ~ 's' %}{{- 'x' if 'as' in t else 'y' }}{{- t }}",
    "{%- set t %}p{{ m.content }}{% endset %}{{- 'x' if 'pa' in t else 'y' }}{{- t }}",
    "{%- macro f(c) %}{{- c }}{%- endmacro %}{{- 'x' if 'a' in f(m.content) else 'y' }}{{- m.content }}",
    "{%- macro f(c) %}{{- c | trim }}{%- endmacro %}{{- 'x' if f(m.content).endswith('n') }}{{- m.content }}",
    "{{- '%s!' % m.content }}",
    "{{- m.content % 3 }}",
    "{{- m.content * 2 }}",
    "{{- '{}!'.format(m.content) }}",
    "{{- ', '.join([m.content, 'z']) }}",
    "{{- [m.content, 'z'] | join('-') }}",
    "{{- [m.content] | tojson }}",
    "{{- {'t': m.content} | tojson }}",
    "{{- ([m.content, 'b'] | sort)[0] }}{{- m.content }}",
    "{{- ['a', m.content] | unique | list | length }}{{- m.content }}",
    "{{- ['a', '12'].index(m.content) if m.content in ['a', '12'] else '' }}{{- m.content }}",
    "{%- set n = namespace(t='') %}{%- set n.t = n.t + m.content %}{{- 'x' if n.t == 'a' }}{{- m.content }}",
    "{{- messages | selectattr('content', 'equalto', 'a') | list | length }}{{- m.content }}",
    "{{- messages | map(attribute='content') | map('upper') | first }}{{- m.content }}",
    "{{- messages | map(attribute='content') | join('|') }}{{- m.content }}",
    "{{- 'same' if messages[0].content == m.content else 'other' }}{{- m.content }}",
    "{{- 'x' if m.content is string else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content is sequence and m.content is iterable }}{{- m.content }}",
    "{{- 'x' if m.content is upper else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content is eq('a') else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content is in('abc') else 'y' }}{{- m.content }}",
    "{{- 'x' if m.content else 'y' }}{{- m.content }}",
    "{{- m.content or 'empty' }}",
    "{{- m.content | default('none') }}",
    "{{- m.content.get('x', 1) }}",
    "{{- m.content.text }}{{- m.content }}",
    "{{- 'x' if '' in m.content }}{{- m.content }}",
    "{{- 'x' if '\\n' in m.content }}{{- m.content }}",
    "{{- m | tojson }}",
    "{{- m.values() | join(' ') }}",
    "{{- m }}",
    "{{- messages }}",
]
BODIES = [
    *LOOKS,
    *(f"{{{{- m.content | {name} }}}}" for name in FILTERS),
    *(f"{{{{- m.content | {name}('a') }}}}" for name in FILTERS),
    *(f"{{{{- [m.content] | {name} }}}}" for name in FILTERS),
    *(f"{{{{- m.content.{name}() }}}}" for name in METHODS),
    *(f"{{{{- m.content.{name}('a') }}}}" for name in METHODS),
    *(f"{{{{- m.content.{name}('a', 'b') }}}}" for name in METHODS),
    *(f"{{{{- 'a'.{name}(m.content) }}}}" for name in METHODS),
]


@pytest.mark.some(every=2)
@pytest.mark.parametrize("part", range(8))
def test_every_inspection_of_a_text_is_detected(toy_tokenizer, part):
    for body in BODIES[part::8]:
        tokenizer = toy_tokenizer(HEAD + body + TAIL, HEAD + TAIL)
        try:
            agree(tokenizer, 3, 24, ["ua"])
        except AssertionError as error:
            raise AssertionError(f"{body}: {error}") from error
