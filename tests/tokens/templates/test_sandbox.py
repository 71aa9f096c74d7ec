"""Each operation of a template is checked: the largest allowed one passes, a larger one is refused."""

from datetime import date

import jinja2
import pytest

from burnish.tokens.templates import sandbox
from burnish.tokens.templates.conversation import Number
from burnish.tokens.templates.opaque import NotOpaqueError, Probe
from burnish.tokens.templates.sandbox import (
    LimitExceededError,
    Meter,
    Sandbox,
    check_call,
    check_filter,
    check_operation,
)

TEXT, NUMBER = 100, 1000
WEIGHED = {
    "text + text": lambda n: check_operation("+", "a" * 60, "b" * (n - 60)),
    "list + list": lambda n: check_operation("+", [0] * 60, (0,) * (n - 60)),
    "text * number": lambda n: check_operation("*", "a" * n, 1),
    "number * list": lambda n: check_operation("*", 1, [0] * n),
    "replace": lambda n: (
        check_call("replace", "a" * 10, ("a", "b" * 9), {})
        or check_call("replace", "a" * (n - 90) + "x" * 10, ("x", "b" * 8), {})
    ),
    "join": lambda n: check_call("join", "ab", (["x" * 6] * 12 + ["y" * (n - 98)],), {}),
    "translate": lambda n: (
        check_call("translate", "a" * (n // 2), ({97: "x", 98: "yy"},), {})
        or (check_call("translate", "a" * n, ({},), {}))
    ),
    "expandtabs": lambda n: check_call("expandtabs", "\t" * 10 + "a" * (n - 60), (5,), {}),
    "expandtabs of eight": lambda n: check_call("expandtabs", "\t" * 10 + "a" * (n - 90), (), {}),
    "filter replace": lambda n: check_filter("do_replace", ("x" * 10 + "a" * (n - 90), "x", "b" * 8), {}),
    "filter join": lambda n: check_filter("do_join", (["x" * 6] * 12 + ["y" * (n - 98)], "ab"), {}),
    "filter sync join": lambda n: check_filter("sync_do_join", (["x"] * (n // 2), "a"), {}),
    "filter indent": lambda n: check_filter("do_indent", ("a\n" * 4 + "b" * (n - 58), 10), {}),
    "filter indent of four": lambda n: check_filter("do_indent", ("a\n" * 4 + "b" * (n - 28),), {}),
    "filter indent by a text": lambda n: check_filter("do_indent", ("a\n" * 4 + "b" * (n - 23), "---"), {}),
    "replace with a count": lambda n: check_call("replace", "x" * 10 + "a" * (n - 90), ("x", "b" * 8, 99), {}),
    "translate to nothing": lambda n: check_call("translate", "a" * n, ({97: "", 98: ""},), {}),
    "expandtabs of no number": lambda n: check_call("expandtabs", "\t" * 10 + "a" * (n - 90), ("x",), {}),
    "filter join without a glue": lambda n: check_filter("do_join", (["y" * n],), {}),
    "filter join by an attribute": lambda n: check_filter("do_join", ([1] * 10 + ["x" * (n - 77)], "a", "seven77"), {}),
    "filter indent of all lines": lambda n: check_filter("do_indent", ("a\n" * 4 + "b" * (n - 58), 10, True), {}),
    "keywords of a filter": lambda n: check_filter("do_indent", ("a\n" * 4 + "b" * (n - 58),), {"width": 10}),
    "join of a dict": lambda n: check_call("join", "ab", (dict.fromkeys(["x" * (n - 5), "y"]),), {}),
    "join of a text": lambda n: check_call("join", "a" * (n - 1), ("x",), {}),
    "filter wordwrap": lambda n: check_filter("do_wordwrap", ("a" * (n // 4) + "b" * (n % 4),), {}),
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(sandbox, "MAX_TEXT", TEXT)
    monkeypatch.setattr(sandbox, "MAX_NUMBER", NUMBER)


@pytest.mark.parametrize("name", WEIGHED)
def test_a_text_of_the_largest_length_passes_and_a_longer_one_is_refused(small, name):
    WEIGHED[name](TEXT)
    with pytest.raises(LimitExceededError, match="text or list of more than 100"):
        WEIGHED[name](TEXT + (2 if name == "filter sync join" else 1))


def test_nothing_times_a_negative_number_is_small(small):
    check_operation("*", "a" * 1000, -5)
    check_operation("*", "a" * 1000, 0)
    check_operation("**", 1 << 4096, -1)


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [("*", 1 << 2047, 1 << 2047), ("**", 2, 2048), ("**", 1, 4096)],
)
def test_numbers_may_have_4096_bits(operator, left, right):
    check_operation(operator, left, right)
    with pytest.raises(LimitExceededError):
        check_operation(operator, left << 1 if operator == "*" else left, right if operator == "*" else right + 1)


@pytest.mark.parametrize("pattern", ["%100000d", "%*d", "%s %.123456f", b"%999999d"])
def test_a_width_of_six_digits_is_refused_and_of_five_is_not(pattern):
    with pytest.raises(LimitExceededError, match="width that is too large"):
        check_operation("%", pattern, (1,))
    check_operation("%", "%99999d", (1,))
    text = pattern if isinstance(pattern, str) else pattern.decode()
    for check in (lambda: check_call("format", text, (), {}), lambda: check_filter("do_format", ("a", text), {})):
        with pytest.raises(LimitExceededError, match="width that is too large"):
            check()


@pytest.mark.parametrize(
    "check",
    [
        lambda n: check_operation("%", "%d", n),
        lambda n: check_operation("%", "%d", (1, n)),
        lambda n: check_call("center", "a", (n,), {}),
        lambda n: check_call("center", "a", (), {"width": n}),
        lambda n: check_filter("do_center", ("a", n), {}),
        lambda n: check_filter("do_center", ("a",), {"width": n}),
    ],
)
def test_a_number_up_to_the_limit_passes_in_both_directions(small, check):
    for number in (NUMBER, -NUMBER):
        check(number)
    for number in (NUMBER + 1, -NUMBER - 1):
        with pytest.raises(LimitExceededError, match="a number above 1,000"):
            check(number)


def test_loops_run_as_long_as_allowed(monkeypatch):
    monkeypatch.setattr(sandbox, "MAX_ITERATIONS", 100)
    meter = Meter()
    meter.start()
    for _ in range(100):
        meter.tick()
    with pytest.raises(LimitExceededError, match="more than 100 iterations"):
        meter.tick()
    meter.start()
    meter.tick()
    assert meter.iterations == 1
    monkeypatch.setattr(sandbox, "MAX_SECONDS", -1.0)
    meter.start()
    for _ in range(63):
        meter.tick()
    with pytest.raises(LimitExceededError, match="runs for more than"):
        meter.tick()


def rendered(source: str, **values) -> str:
    return Sandbox([], date(2026, 2, 3)).from_string(source).render(**values)


def test_json_is_indented_up_to_64_and_not_deeper():
    assert (
        rendered(
            "{{ [1] | tojson(indent=64) }}",
        )
        == "[\n" + " " * 64 + "1\n]"
    )
    for source in ("{{ [1] | tojson(indent=65) }}", "{{ [1] | tojson(separators=(',' * 65, ':')) }}"):
        with pytest.raises(LimitExceededError, match="JSON indentation is too large"):
            rendered(source)
    assert rendered("{{ {'b': 'é', 'a': 1} | tojson(sort_keys=true, separators=(',' * 64, ':')) }}").startswith(
        '{"a":1,'
    )
    assert rendered("{{ 'é' | tojson }}{{ 'é' | tojson(ensure_ascii=true) }}") == '"é""\\u00e9"'


def test_a_namespace_and_dict_lead_nowhere_private():
    assert rendered("{% set n = namespace(a=1) %}{% set n.b = 2 %}{{ n.a }}{{ n.b }}") == "12"
    assert rendered("{{ dict(a=1) }}{{ dict.fromkeys(['k'], 0) }}") == "{'a': 1}{'k': 0}"
    for source in (
        "{{ namespace(_a=1) }}",
        "{{ namespace({'__class__': 1}) }}",
        "{{ dict.__class__ }}",
        "{{ ''.__class__ }}",
    ):
        with pytest.raises(Exception, match=r"underscore|undefined|unsafe"):
            rendered(source + "{{ x.y.z }}")


def test_a_macro_writes_as_much_as_allowed(small):
    source = "{% macro m(n) %}{% for i in range(n) %}a{% endfor %}{% endmacro %}{{ m(n) | length }}"
    assert rendered(source, n=TEXT) == str(TEXT)
    with pytest.raises(LimitExceededError, match="writes more than 100 characters"):
        rendered(source, n=TEXT + 1)


def test_attributes_are_items_and_items_do_not_hide_methods():
    assert rendered("{{ m.role }} {{ m.items() | list }}", m={"role": "user"}) == "user [('role', 'user')]"
    assert rendered("{{ m.items() | list }}", m={"items": 1}) == "[('items', 1)]"
    assert rendered("{% for x in 'ab' %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{% endfor %}") == (
        "1TrueFalse2FalseTrue"
    )


def test_the_bounds_are_those_that_are_documented():
    assert (sandbox.MAX_TEXT, sandbox.MAX_NUMBER) == (16_000_000, 1_000_000)
    assert (sandbox.MAX_ITERATIONS, sandbox.MAX_SECONDS) == (1_000_000, 10.0)
    assert Meter().iterations == 0


def test_templates_have_the_functions_of_transformers():
    source = (
        "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}"
        "{% set j = joiner(',') %}{{ j() }}{{ j() }}{% for i in range(3) %}{{ i }}{% endfor %}"
        "{{ strftime_now('%Y') }}{% if 2 in [1, 2] %}in{% endif %}{% if 3 in [1] %}!{% endif %}"
    )
    assert rendered(source) == "aba,0122026in"
    with pytest.raises(jinja2.TemplateError, match="words"):
        rendered("{{ raise_exception('words') }}")


@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        (check_operation, ("+", "a" * 90, 90)),
        (check_operation, ("+", 90, "a" * 90)),
        (check_operation, ("*", "a" * 90, "a" * 90)),
        (check_operation, ("*", 2.5, 1 << 4096)),
        (check_operation, ("**", 2.5, 1 << 4096)),
        (check_operation, ("%", 7, 1 << 4096)),
        (check_call, ("replace", "a" * 90, ("a",), {})),
        (check_call, ("replace", "a" * 90, (1, "b" * 90), {})),
        (check_call, ("replace", "a" * 90, ("a", 1), {})),
        (check_call, ("join", "a" * 90, (), {})),
        (check_call, ("join", "a" * 90, (7,), {})),
        (check_call, ("translate", "a" * 90, (), {})),
        (check_call, ("translate", "a" * 90, ("b",), {})),
        (check_call, ("translate", "a" * 50, ({97: 5, 98: "xy"},), {})),
        (check_call, ("upper", "a" * 200, (), {})),
        (check_call, ("append", ["a"] * 200, ("a",), {})),
        (check_filter, ("do_replace", ("a" * 90, "a"), {})),
        (check_filter, ("do_join", ("a" * 200,), {})),
        (check_filter, ("do_indent", (["a"] * 200,), {})),
        (check_filter, ("do_upper", ("a" * 200,), {})),
        (check_filter, ("do_center", ("a", True), {})),
    ],
)
def test_what_cannot_grow_passes(small, check, arguments):
    check(*arguments)


@pytest.mark.parametrize("name", ["do_wordwrap", "do_urlize", "do_batch", "do_slice", "sync_do_slice"])
def test_filters_that_may_write_each_letter_again_take_a_quarter(small, name):
    check_filter(name, ("a" * 20, 7, "b" * 5), {})
    with pytest.raises(LimitExceededError):
        check_filter(name, ("a" * 20, 7, "b" * 6), {})


def test_a_text_in_a_list_is_translated_to_the_longest_of_its_values(small):
    check_call("translate", "a" * 25, ({97: "x", 98: "y" * 4, 99: 5},), {})
    with pytest.raises(LimitExceededError):
        check_call("translate", "a" * 26, ({97: "x", 98: "y" * 4, 99: 5},), {})
    with pytest.raises(LimitExceededError):
        check_call("format_map", "{:999999}", (), {})


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a'.center(n) }}",
        "{{ 'a' | center(n) }}",
        "{{ 'a' * n }}",
        "{{ 'a'.join(['b'] * 101) }}",
        "{{ ('a' * 60) + ('b' * 60) }}",
        "{{ 'a' | indent(width=n) }}",
        "{{ '%999999d' % 5 }}",
        "{{ '{:999999}'.format(5) }}",
    ],
)
def test_operations_are_checked_in_templates(small, source):
    with pytest.raises(LimitExceededError):
        rendered(source, n=NUMBER + 1)


def opaque(source: str) -> str:
    room = Sandbox([], date(2026, 2, 3))
    template = room.from_string(source)
    room.probe = Probe(["text one"])
    return str.__str__(template.render(m=room.probe.opaque("text one"), a="-"))


def test_a_template_may_concatenate_opaque_texts_and_nothing_else():
    assert (
        opaque("{{ a + m + a }}{{ a ~ m }}{{ m | trim }}{{ '-'.strip('-') }}{{ 3 * 2 }}")
        == "-text one--text onetext one6"
    )
    for source in (
        "{{ m * 2 }}",
        "{{ a * 2 + (m ~ a) * 2 }}",
        "{{ a % m }}",
        "{{ '%s' % m }}",
        "{{ a.join([m]) }}",
        "{{ a.replace('-', m) }}",
        "{{ 'x'.format(k=m) }}",
        "{{ m | upper }}",
        "{% if m is in('text one two') %}{% endif %}",
        "{% macro w(x) %}<{{ x }}>{% endmacro %}{% if 'q' in w(m) %}{% endif %}",
    ):
        with pytest.raises(NotOpaqueError):
            opaque(source)


def test_a_filter_without_a_text_cannot_grow(small):
    check_filter("do_replace", (7,), {})
    check_filter("do_indent", (7, 5), {})
    check_filter("do_join", (7, "a" * 90), {})
    check_filter("do_format", (7, ["%999999d"]), {})


def test_numbers_are_limited_as_arguments_and_not_as_values(small):
    assert rendered("{{ 12345 | string }}{{ 12345 | abs }}{{ 5 | center(3) }}") == "1234512345 5 "
    for source in (
        "{{ 5 | center(n) }}",
        "{{ '5' | center(n) }}",
        "{{ 12345 | center(width=n) }}",
        "{{ (7).to_bytes(n) }}",
    ):
        with pytest.raises(LimitExceededError, match="a number above 1,000"):
            rendered(source, n=NUMBER + 1)


def test_attributes_of_the_loop_are_the_public_ones():
    shown = "{{ loop.index0 }}{{ loop.revindex }}{{ loop.length }}{{ loop.depth }}{{ loop.previtem }} "
    assert rendered("{% for x in 'abc' %}" + shown + "{% endfor %}") == "0331 1231a 2131b "
    for name in ("_iterable", "_length", "__class__"):
        assert rendered("{% for x in 'ab' %}{{ loop.length }}{{ loop." + name + " }}{% endfor %}") == "22"
    assert rendered("{{ m.length }}|{{ m.first }}|{{ m.x }}|{{ 'aba'.index('b') }}", m={}) == "|||1"


def test_json_keeps_order_numbers_and_nesting():
    value = {"b": Number("1.10"), "a": [Number("1e5"), (Number("2.00"), None), {"c": 7}], "t": "number 0 of burnish?"}
    assert rendered("{{ v | tojson }}", v=value) == (
        '{"b": 1.10, "a": [1e5, [2.00, null], {"c": 7}], "t": "number 0 of burnish?"}'
    )
    assert rendered("{{ v | tojson(indent=1) }}", v=[Number("0.50")]) == "[\n 0.50\n]"
    assert rendered("{{ v | tojson }}", v="number 0 of burnish") == '"number 0 of burnish"'


def test_the_date_takes_formats_of_a_thousand_characters():
    assert rendered("{{ strftime_now('x' * 998 ~ '%Y') }}") == "x" * 998 + "2026"
    for format in ("'x' * 999 ~ '%Y'", "5", "'%H'", "none"):
        with pytest.raises(jinja2.sandbox.SecurityError, match="it prints the time of day, only dates are allowed"):
            rendered("{{ strftime_now(" + format + ") }}")


@pytest.mark.parametrize(
    ("source", "is_refused"),
    [
        ("namespace(_a=1)", True),
        ("namespace({'_a': 1})", True),
        ("namespace([('__a', 1)])", True),
        ("namespace(a_=1)", False),
        ("namespace({1: 2})", False),
        ("namespace(a=1, b=2)", False),
        ("namespace({'b': 3}, a=1)", False),
    ],
)
def test_a_namespace_refuses_private_names(source, is_refused):
    whole = "{% set n = " + source + " %}{{ n.a_ }}{{ n.a }}{{ n.b }}"
    if is_refused:
        with pytest.raises(
            jinja2.sandbox.SecurityError, match="a namespace cannot contain the underscore-prefixed name"
        ):
            rendered(whole)
    else:
        assert rendered(whole) == {"namespace(a_=1)": "1", "namespace({1: 2})": "", "namespace(a=1, b=2)": "12"}.get(
            source, "13"
        )
    with pytest.raises(jinja2.sandbox.SecurityError, match="underscore-prefixed"):
        rendered("{% set n = namespace() %}{% set n._x = 1 %}")


def test_an_opaque_text_may_be_in_scope_and_in_lists():
    assert opaque("{% for x in [1] %}{% set y = m %}{{ 'a'.upper() }}{{ y }}{% endfor %}") == "Atext one"
    assert (
        opaque("{{ ['q', 'z'].count(m) }}{{ m is in(['q']) }}{{ 'a' is in('abc') }}{{ 2 is in([1]) }}")
        == "0FalseTrueFalse"
    )
    assert opaque("{% macro w(x) %}<{{ x }}>{% endmacro %}{{ w(m) }}{{ w('a') }}") == "<text one><a>"
    assert opaque("{% block b %}{{ 'a'.upper() }}{{ m }}{% endblock %}") == "Atext one"
