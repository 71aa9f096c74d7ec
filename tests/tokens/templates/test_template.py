"""Templates are untrusted code: they render as in transformers, and cannot escape, hang or grow."""

import time
from datetime import date

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from burnish.core.errors import ModelError
from burnish.tokens.templates import sandbox
from burnish.tokens.templates.template import ChatTemplate

MESSAGES = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]

DAY = date(2026, 2, 3)

OUT = {
    "classes by attribute": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "classes by item": "{{ ''['__class__'] }}",
    "classes by filter": "{{ '' | attr('__class__') | attr('__mro__') }}",
    "globals of a function": "{{ raise_exception.__globals__ }}",
    "globals of the date": "{{ strftime_now.__globals__ }}",
    "the closure of the date": "{{ strftime_now.__closure__[0].cell_contents }}",
    "builtins by namespace": "{{ namespace.__init__.__globals__['os'].system('true') }}",
    "a private name on a namespace": "{% set n = namespace(_x=1) %}{{ n }}",
    "a private name on a namespace, later": "{% set n = namespace() %}{% set n._x = 1 %}{{ n }}",
    "the environment": "{{ self._TemplateReference__context.environment }}",
    "cycler's init": "{{ cycler.__init__.__globals__ }}",
    "joiner's init": "{{ joiner.__init__.__globals__ }}",
    "the format method": "{{ '{0.__class__.__mro__}'.format(1) }}",
    "format_map": "{{ '{x.__class__.__mro__}'.format_map({'x': 1}) }}",
    "an import": "{% import 'os' as os %}{{ os }}",
    "an include of a file": "{% include '/etc/passwd' %}",
    "frames of a generator": "{{ (messages | map('upper')).gi_frame.f_globals }}",
    "a changed message": "{{ messages.append(1) }}",
    "a changed message's key": "{{ messages[0].update({'content': 'x'}) }}",
    "lipsum": "{{ lipsum.__globals__ }}",
}
GROWTH = {
    "a long string": "{{ 'a' * 10**9 }}",
    "a long list": "{{ ([0] * 10**9) | length }}",
    "doubling": "{% set n = namespace(s='a') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}x",
    "doubling by tilde": "{% set n = namespace(s='a') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}x",
    "a power that is too large": "{{ 10 ** (10 ** 10) }}",
    "a wide date": "{{ strftime_now('%1000000000d') }}",
    "a long date": "{{ strftime_now('%B' * 100000) }}",
    "squaring": "{% set n = namespace(x=9) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }}",
    "centre": "{{ 'a' | center(10000000000) }}",
    "centre by method": "{{ 'a'.center(10000000000) }}",
    "ljust": "{{ 'a'.ljust(2000000000) }}",
    "zfill": "{{ '1'.zfill(width=2000000000) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent with a star": "{{ '%*d' % (1000000000, 1) }}",
    "the format filter": "{{ '%1000000000d' | format(1) }}",
    "a format spec": "{{ '{:>1000000000}'.format('a') }}",
    "replace": "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "replace by method": "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "join": "{{ (('a' * 4000,) * 4000) | join('b' * 100000) }}",
    "join by method": "{{ ('b' * 100000).join(['a'] * 10000) }}",
    "indent": "{{ ('\n' * 100000) | indent(100000) }}",
    "JSON indent": "{{ [[[[1]]]] | tojson(indent=1000000000) }}",
    "nested loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a long range": "{% for i in range(999999999) %}{% endfor %}",
    "recursion": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "branching recursion": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "output": "{% for i in range(99999) %}{{ 'a' * 10000 }}{% endfor %}",
    "output of a macro": "{% macro f() %}{% for i in range(9999) %}{{ 'a' * 9999 }}{% endfor %}{% endmacro %}{{ f() }}",
    "deep nesting": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
}


def render(source: str, **more: object) -> str:
    return ChatTemplate(source, DAY).render(MESSAGES, None, more).text


def what_it_reaches(source: str) -> str:
    """The rendered text, or the error code."""
    try:
        return render(source).strip()
    except ModelError as error:
        return error.code


@pytest.mark.parametrize("source", OUT.values(), ids=OUT.keys())
def test_a_template_cannot_leave_the_sandbox(source):
    assert what_it_reaches(source) in ("model.bad-template", "")  # an undefined value renders as nothing


@pytest.mark.parametrize("source", GROWTH.values(), ids=GROWTH.keys())
def test_a_template_cannot_hang_or_grow(source, monkeypatch):
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 0.3)
    monkeypatch.setattr(sandbox, "MAX_ITERATIONS", 100_000)
    began = time.process_time()
    with pytest.raises(ModelError) as caught:
        render(source)
    assert caught.value.code == "model.bad-template"
    assert caught.value.fix
    assert time.process_time() - began < 1.5


def test_what_templates_need_is_allowed():
    source = (
        "{% set n = namespace(s='') %}{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}"
        "{% set n.s = n.s ~ m.role | upper ~ '-' * 3 %}{% endfor %}{{ n.s }} {{ dict(a=1) | tojson }} "
        "{{ 'a,b'.split(',') | join('+') }} {{ '%s-%d' % ('x', 3) }} {{ '{}'.format(4) }} {{ 12345678901 | string }}"
    )
    assert render(source) == 'ASSISTANT--- {"a": 1} a+b x-3 4 12345678901'


def test_it_renders_as_transformers_does():
    source = (
        "{%- for m in messages %}\n  {%- if m.role == 'assistant' %}\n"
        "A:{% generation %}{% set x = m.content %}{{ x }}{% endgeneration %}{{ x }}\n  {% else %}\n"
        "U:{{ m | tojson(indent=2) }} {{ bos_token }}\n  {%- endif %}\n{% endfor %}é"
    )
    (theirs,), _ = render_jinja_template([MESSAGES], chat_template=source, bos_token="<s>")
    assert render(source, bos_token="<s>") == theirs


def test_the_message_of_a_template_that_refuses_is_reported():
    with pytest.raises(ModelError, match="only users may speak"):
        render("{{ raise_exception('only users may speak') }}")


def test_a_template_with_an_error_names_its_line():
    with pytest.raises(ModelError, match="line 2"):
        ChatTemplate("a\n{% if %}", DAY)


def test_every_part_of_the_text_has_its_message():
    source = "<s>{% for m in messages %}{% for x in messages %}{% endfor %}[{{ m.content }}]{% endfor %}</s>"
    trace = ChatTemplate(source, DAY).render(MESSAGES, None, {})
    found = [(trace.text[segment.start : segment.end], segment.index) for segment in trace.segments]
    assert found == [("<s>", None), ("[hi]", 0), ("[ho]", 1), ("</s>", None)]


def test_a_marked_block_without_a_place_is_refused():
    source = "{% set a %}{% generation %}x{% endgeneration %}{% endset %}first {{ a }}"
    with pytest.raises(ModelError) as caught:
        render(source)
    assert caught.value.code == "model.inexact-template"


def test_the_date_is_the_given_one_as_transformers_writes_it():
    source = "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%A, %-d %B %y, day %j') }}|{{ strftime_now('%Y-%m-%d') }}"
    assert render(source) == "03 Feb 2026|Tuesday, 3 February 26, day 034|2026-02-03"


@pytest.mark.parametrize("format", ["%H:%M", "%c", "%s", "%f", "%X", "%T", "%Z", "%p", "%Ex"])
def test_the_time_of_day_is_refused(format):
    with pytest.raises(ModelError, match="prints the time of day") as caught:
        render("{{ strftime_now('" + format + "') }}")
    assert caught.value.code == "model.bad-template"
