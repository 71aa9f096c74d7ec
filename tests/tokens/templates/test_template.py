"""Templates are untrusted code: they render as in transformers, and cannot escape, hang or grow."""

import time
from datetime import date

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from burnish.core.errors import ModelError
from burnish.tokens.templates import sandbox
from burnish.tokens.templates import template as template_module
from burnish.tokens.templates.template import ChatTemplate, Trace, compiled

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


def segments(trace) -> list[tuple[str, int | None]]:
    return [(trace.text[segment.start : segment.end], segment.index) for segment in trace.segments]


def test_the_segments_are_exact_in_nested_loops_blocks_and_macros():
    source = (
        "<s>{% macro said(m) %}{% for c in m.content %}{{ c }}{% endfor %}{% endmacro %}{% block body %}"
        "{% for m in messages %}{{ '[' }}{% for k, v in m.items() %}{{ k }}{% for n in [1, 2] %}{{ n }}{% endfor %}"
        "{% endfor %}{% for x in messages %}{{ '-' }}{% endfor %}{{ said(m) }}]{% else %}{% endfor %}{% endblock %}"
        "{% for m in messages %}{% endfor %}{% if true %}{% for x in [] %}{% else %}none{% endfor %}{% endif %}</s>"
    )
    trace = ChatTemplate(source, DAY).render(MESSAGES, None, {})
    assert trace.text == "<s>[role12content12--hi][role12content12--ho]none</s>"
    assert segments(trace) == [
        ("<s>", None),
        ("[role12content12-", 0),
        ("-", 1),
        ("hi]", 0),
        ("[role12content12", 1),
        ("-", 0),
        ("-ho]", 1),
        ("none</s>", None),
    ]


def test_the_pieces_are_the_ends_of_outputs():
    trace = ChatTemplate("ab{{ messages[0].content }}{% for m in messages %}x{% endfor %}", DAY).render(
        MESSAGES, None, {}
    )
    assert (trace.text, trace.pieces) == ("abhixx", (2, 4, 5, 6))
    assert ChatTemplate("", DAY).render(MESSAGES, None, {}) == Trace("", (), (), ())


def test_marked_blocks_are_exact_and_an_empty_one_is_none():
    source = (
        "{% generation %}pre{% endgeneration %}{% for m in messages %}<"
        "{% generation %}{{ m.content }}{% endgeneration %}>"
        "{% generation %}{% endgeneration %}{% endfor %}{% generation %}post{% endgeneration %}"
    )
    trace = ChatTemplate(source, DAY).render(MESSAGES, None, {})
    assert trace.text == "pre<hi><ho>post"
    assert [(trace.text[mark.start : mark.end], mark.index) for mark in trace.marked] == [
        ("pre", None),
        ("hi", 0),
        ("ho", 1),
        ("post", None),
    ]
    assert [mark.start for mark in trace.marked] == [0, 4, 8, 11]


def test_each_rendering_starts_anew():
    template = ChatTemplate("{% for m in messages %}{% for x in 'ab' %}{{ x.upper() }}{% endfor %}{% endfor %}!", DAY)
    traces = [template.render(MESSAGES, None, {}) for _ in range(2)]
    assert traces[0] == traces[1]
    assert template.environment.meter.iterations == 2 + 2 * 2 + 4  # messages, letters, calls
    with pytest.raises(ModelError):
        ChatTemplate("{{ x.y.z }}", DAY).render(MESSAGES, None, {})


@pytest.mark.parametrize(
    ("source", "searches"),
    [
        ("{{ 'x' in m.content }}", False),
        ("{{ 'x' not in m.content }}", False),
        ("{{ m.content in 'abc' }}", True),
        ("{{ m.content not in names }}", True),
        ("{{ m.role in ['a', 'b'] }}", False),
        ("{{ m.role not in ('a', 'b') }}", False),
        ("{{ m.role == names }}", False),
        ("{{ a < b in c }}", True),
        ("{{ a in [1] in c }}", True),
        ("{{ 1 < 2 }}{% if a in b %}{% endif %}", True),
        ("text", False),
    ],
)
def test_a_search_for_a_text_in_another_is_seen(source, searches):
    assert ChatTemplate(source, DAY).searches_texts is searches


@pytest.mark.parametrize(
    ("source", "has_markers", "prints_date", "variables"),
    [
        ("text", False, False, set()),
        ("{% generation %}{% endgeneration %}", True, False, set()),
        ("{% macro f() %}{% endmacro %}{% call f() %}x{% endcall %}", False, False, set()),
        (
            "{% macro f() %}{% endmacro %}{% call f() %}{% endcall %}{% generation %}{% endgeneration %}",
            True,
            False,
            set(),
        ),
        ("{{ strftime_now('%Y') }}{{ other }}", False, True, {"other", "strftime_now"}),
        ("{{ x.strftime_now }}{{ enable_thinking }}", False, False, {"x", "enable_thinking"}),
    ],
)
def test_a_template_is_read_before_it_is_rendered(source, has_markers, prints_date, variables):
    template = ChatTemplate(source, DAY)
    assert (template.has_markers, template.prints_date) == (has_markers, prints_date)
    assert template.variables - {"strftime_now"} == variables - {"strftime_now"}


def test_a_text_may_have_the_largest_length(monkeypatch):
    monkeypatch.setattr(template_module, "MAX_TEXT", 100)
    assert len(render("{% for i in range(10) %}{{ 'a' * 10 }}{% endfor %}")) == 100
    with pytest.raises(ModelError, match="it writes more than 100 characters"):
        render("{% for i in range(10) %}{{ 'a' * 10 }}{% endfor %}b")


def test_tilde_joins_any_values_up_to_the_largest_length(monkeypatch):
    assert render("{{ 1 ~ 'a' ~ none ~ [2] }}") == "1aNone[2]"
    monkeypatch.setattr(sandbox, "MAX_TEXT", 10)
    assert render("{{ 'abcde' ~ 12345 }}") == "abcde12345"
    with pytest.raises(ModelError, match="it writes more than 10 characters"):
        render("{{ 'abcde' ~ 123456 }}")


def test_messages_tools_prompt_and_variables_reach_the_template():
    source = "{{ messages | length }}{{ tools }}{{ documents }}{{ add_generation_prompt }}{{ x }}"
    template = ChatTemplate(source, DAY)
    assert template.render(MESSAGES, [{"a": 1}], {"x": 7}, True).text == "2[{'a': 1}]NoneTrue7"
    assert template.render(MESSAGES[:1], None, {}).text == "1NoneNoneFalse"


def test_a_template_is_compiled_once_for_each_date():
    assert compiled("a", DAY) is compiled("a", DAY)
    assert compiled("{{ strftime_now('%d') }}", date(2026, 2, 4)).render([], None, {}).text == "04"
    assert compiled("{{ strftime_now('%d') }}", DAY).render([], None, {}).text == "03"


@pytest.mark.parametrize(
    "source", ["{{ 1 // 0 }}", "{{ messages[0].content.index('x') }}", "{{ {}['a'].b }}", "{{ 5() }}"]
)
def test_any_failure_of_a_template_is_its_error(source):
    with pytest.raises(ModelError, match="the chat template") as caught:
        render(source)
    assert caught.value.code == "model.bad-template"
    assert caught.value.fix.startswith("check that the template supports the roles and turns of the rows")


def test_an_error_before_rendering_is_a_broken_template():
    for source in ("{% generation %}", "{% for %}", "{{ x | nofilter }}", "{% break %}"):
        with pytest.raises(
            ModelError, match=r"the chat template (has a syntax error: line 1|cannot be compiled)"
        ) as caught:
            ChatTemplate(source, DAY)
        assert caught.value.code == "model.bad-template"


def test_a_template_that_is_nested_too_deeply_cannot_be_compiled():
    with pytest.raises(ModelError, match="the chat template cannot be compiled: RecursionError") as caught:
        ChatTemplate(GROWTH["deep nesting"], DAY)
    assert caught.value.code == "model.bad-template"


def test_a_marked_block_in_a_macro_is_refused_unless_it_is_written_in_place():
    source = "{% macro f() %}{% generation %}x{% endgeneration %}{% endmacro %}a{{ f() }}"
    assert render(source) == "ax"
    with pytest.raises(ModelError, match="is inside a macro or a captured block"):
        render(source.replace("f() }}", "'b' ~ f() }}"))
