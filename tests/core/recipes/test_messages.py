"""The message of every kind of problem in a spec, whole: its code, its place, what is wrong, and the fix."""

from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field, Tag, create_model, model_validator

from burnish.core.errors import AskError
from burnish.core.recipes.validation import check_plain, make_spec
from burnish.specs.base import DataRef, Spec, by_kind
from burnish.specs.data import PrepareSpec
from burnish.specs.train import SftSpec


class Small(Spec):
    kind: Literal["small"] = "small"
    size: int = Field(1, ge=1)
    """How large."""


class Leaf(Spec):
    ref: DataRef
    """Where the rows are."""
    take: int = 1
    """How many rows."""
    inner: Small | None = None


class Big(Spec):
    kind: Literal["big"] = "big"
    weight: float = 1.0
    names: list[str] = Field(default_factory=list)
    deep: Leaf | None = None


def even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


class Whole(Spec):
    data: DataRef | list[Leaf]
    """The rows."""
    seed: int
    shape: Annotated[Annotated[Small, Tag("small")] | Annotated[Big, Tag("big")], by_kind("small")] = Small()
    leaf: Leaf | None = None
    """A leaf."""
    either: Small | Leaf | None = None
    judged: list[Annotated[Small | Big, Field(discriminator="kind")]] = Field(default_factory=list)
    steps: Literal["auto"] | int = "auto"
    """How many."""
    pairs: Annotated[int, AfterValidator(even)] = 2
    flag: bool = False
    loose: int | bool = 1
    count: int | Small = 1
    share: float | Literal["none"] = 0.5
    text: str = ""
    names: list[str] | str = ""

    @model_validator(mode="after")
    def _agree(self):
        if self.__dict__["text"] == "bad":
            raise ValueError("text and seed do not agree")
        return self


SIZED = ("data.inner", "shape", "shape.deep.inner", "leaf.inner", "either", "either.inner", "judged")
SIZES = " or ".join(f"{field}.size" for field in (*SIZED, "judged.deep.inner", "count"))
NAMES = "known names: count, data, either, flag, judged, leaf, loose, names, pairs, seed, shape, share, steps, text"
MAPPING = "must be a mapping, such as {kind: …}"
NO_VALUE = "has no value (in a mapping, a space follows the colon) (given: None)"
INTEGER = "Input should be a valid integer"
NO_REFERENCE = (
    "is not a reference: did you mean step:x, x@latest or file:x? "
    "write step:…, file:…, hub:…, git:…, https:…, package:…, builtin:…, name@version or name@version/step-9"
)
FIX = "fix the value"
SIZE, TAKE, ROWS = "size: How large.", "take: How many rows.", "data: The rows."


def refused(spec, values) -> tuple[str, str, str]:
    with pytest.raises(AskError) as caught:
        make_spec(spec, values, lambda path: "/".join(map(str, path)))
    return caught.value.code, caught.value.what, caught.value.fix


@pytest.mark.parametrize(
    ("values", "what", "fix"),
    [
        ({"sead": 1}, "sead: unknown key 'sead'", "did you mean 'seed'?"),
        ({"zzzz": True}, "zzzz: unknown key 'zzzz'", NAMES),
        ({"size": 1}, "size: unknown key 'size'", f"it is {SIZES}"),
        ({"weight": 1}, "weight: unknown key 'weight'", "it is shape.weight or judged.weight"),
        ({"shape": {"siz": 1}}, "shape/siz: unknown key 'shape.siz'", "did you mean 'size'?"),
        ({"shape": {"weight": 1}}, "shape/weight: unknown key 'shape.weight'", "only kind big has it"),
        ({"shape": {"deep": 1}}, "shape/deep: unknown key 'shape.deep'", "only kind big has it"),
        ({"shape": {"kind": "big", "size": 1}}, "shape/size: unknown key 'shape.size'", "only kind small has it"),
        ({"shape": {"zz": 1}}, "shape/zz: unknown key 'shape.zz'", "known names: deep, kind, names, size, weight"),
        (
            {"shape": {"small": 1}},
            "shape/small: unknown key 'shape.small'",
            "known names: deep, kind, names, size, weight",
        ),
        ({"leaf": {"ref": "file:x", "size": 1}}, "leaf/size: unknown key 'leaf.size'", "known names: inner, ref, take"),
        (
            {"leaf": {"ref": "file:x", "inner": {"siz": 1}}},
            "leaf/inner/siz: unknown key 'leaf.inner.siz'",
            "did you mean 'size'?",
        ),
        (
            {"leaf": {"ref": "file:x", "inner": {"take": 1}}},
            "leaf/inner/take: unknown key 'leaf.inner.take'",
            "known names: kind, size",
        ),
        (
            {"shape": {"kind": "big", "deep": {"ref": "file:x", "weight": 1}}},
            "shape/deep/weight: unknown key 'shape.deep.weight'",
            "known names: inner, ref, take",
        ),
        ({"str": 1}, "str: unknown key 'str'", NAMES),
        ({"a[0]": 1}, "a[0]: unknown key 'a[0]'", NAMES),
        ({"packing": 1}, "packing: unknown key 'packing'", None),
        ({"lr": 1}, "lr: unknown key 'lr'", "burnish calls it learning_rate, a setting of another stage"),
    ],
    ids=str,
)
def test_an_unknown_key_is_named_with_the_nearest_setting(values, what, fix):
    code, found, hint = refused(Whole, {"data": "file:x", "seed": 1, **values})
    assert (code, found) == ("ask.unknown-key", what)
    assert hint == (fix or "burnish always packs, and packed rows do not attend to each other; remove it")


LONG = "x" * 20_000


@pytest.mark.parametrize("values", [{"data": LONG}, {LONG: 1}, {"shape": {"kind": LONG}}], ids=("data", "key", "kind"))
def test_of_a_long_value_or_name_only_the_beginning_is_told(values):
    _, told, hint = refused(Whole, {"data": "file:x", "seed": 1, **values})
    what = told.partition(": ")[2]  # behind the place, which is a path of ours here
    assert "x" * 50 in what
    assert len(what) + len(hint) < 1500


@pytest.mark.parametrize(
    ("values", "what", "fix"),
    [
        (
            {"shape": {"kind": "x"}},
            "'shape': unknown kind 'x': write one of 'small', 'big' (given: {'kind': 'x'})",
            FIX,
        ),
        (
            {"shape": 3},
            f"'shape': {MAPPING} (given: 3)",
            "write shape: {kind: small} or shape: {kind: big}",
        ),
        ({"leaf": 3}, f"'leaf': {MAPPING} (given: 3)", "leaf: A leaf."),
        ({"judged": [3]}, f"'judged.0': {MAPPING} (given: 3)", FIX),
        ({"data": [1]}, f"'data.0': {MAPPING} (given: 1)", ROWS),
        ({"shape": {"size": 0}}, "'shape.size': Input should be greater than or equal to 1 (given: 0)", SIZE),
        ({"shape": {"size": None}}, f"'shape.size': {NO_VALUE}", SIZE),
        ({"seed": None}, f"'seed': {NO_VALUE}", FIX),
        ({"data": None}, f"'data': {NO_VALUE}", ROWS),
        ({"seed": []}, f"'seed': {INTEGER} (given: [])", FIX),
        ({"pairs": 3}, "'pairs': must be even (given: 3)", FIX),
        ({"pairs": None}, f"'pairs': {NO_VALUE}", FIX),
        ({"text": "bad"}, "text and seed do not agree", FIX),
        ({"text": 1}, "'text': Input should be a valid string (given: 1)", FIX),
        ({"text": True}, "'text': Input should be a valid string (given: True)", FIX),
        ({"names": [1]}, "'names.0': Input should be a valid string (given: 1)", FIX),
        ({"data": "x"}, f"'data': 'x' {NO_REFERENCE} (given: 'x')", ROWS),
        ({"leaf": {"ref": "x"}}, f"'leaf.ref': 'x' {NO_REFERENCE} (given: 'x')", "ref: Where the rows are."),
        ({"data": [{"ref": "file:x", "take": []}]}, f"'data.0.take': {INTEGER} (given: [])", TAKE),
        ({"steps": []}, "'steps': Input should be 'auto' (given: [])", "steps: How many."),
        (
            {"leaf": {"ref": "file:x", "inner": {"size": []}}},
            f"'leaf.inner.size': {INTEGER} (given: [])",
            SIZE,
        ),
        (
            {"judged": [{"kind": "big", "deep": {"ref": "file:x", "take": []}}]},
            f"'judged.0.deep.take': {INTEGER} (given: [])",
            TAKE,
        ),
        ({"seed": [*"1" * 12]}, f"'seed': {INTEGER} (given: {[*'1' * 12]})", FIX),  # 60 characters
        ({"seed": [*"1" * 12, 1]}, f"'seed': {INTEGER} (given: {str([*'1' * 12])[:57]}…)", FIX),
        ({"seed": True}, "'seed': true is not a number", "write a number"),
        ({"steps": True}, "'steps': true is not a number", "steps: How many."),
        ({"shape": {"size": True}}, "'shape.size': true is not a number", SIZE),
        ({"shape": {"kind": "big", "weight": False}}, "'shape.weight': false is not a number", "write a number"),
        ({"data": [{"ref": "file:x", "take": True}]}, "'data.0.take': true is not a number", TAKE),
        ({"data": ({"ref": "file:x", "take": False},)}, "'data.0.take': false is not a number", TAKE),
        ({"leaf": {"ref": "file:x", "inner": {"size": True}}}, "'leaf.inner.size': true is not a number", SIZE),
        ({"count": True}, "'count': true is not a number", "write a number"),
        ({"share": False}, "'share': false is not a number", "write a number"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_with_its_field_and_its_help(values, what, fix):
    place = what.split("'")[1].replace(".", "/") + ": " if what.startswith("'") else ""
    assert refused(Whole, {"data": "file:x", "seed": 1, **values}) == ("ask.wrong-value", f"{place}{what}", fix)


@pytest.mark.parametrize(
    ("values", "code", "lines", "fix"),
    [
        ({}, "ask.missing-key", ["data: 'data' is missing", "seed: 'seed' is missing"], "add data: …; add seed: …"),
        ({"seed": 1}, "ask.missing-key", ["data: 'data' is missing"], "add data: …"),
        ({"seed": 1, "data": [{}]}, "ask.missing-key", ["data/0/ref: 'data.0.ref' is missing"], "add ref: …"),
        (
            {"seed": 1, "data": [{"rf": "file:x"}]},
            "ask.missing-key",
            ["data/0/ref: 'data.0.ref' is missing", "data/0/rf: unknown key 'data.0.rf'"],
            "add ref: …; did you mean 'ref'?",
        ),
        (
            {"seed": 1, "data": 3},
            "ask.wrong-value",
            [
                "data: 'data': Input should be a valid string (given: 3)",
                "data: 'data': Input should be a valid list (given: 3)",
            ],
            ROWS,
        ),
        (
            {"seed": 1, "data": "file:x", "names": {"a": 1}},
            "ask.wrong-value",
            [
                "names: 'names': Input should be a valid list (given: {'a': 1})",
                "names: 'names': Input should be a valid string (given: {'a': 1})",
            ],
            FIX,
        ),
        (
            {"seed": 1, "data": "file:x", "pairs": 3, "sead": 4},
            "ask.wrong-value",
            ["pairs: 'pairs': must be even (given: 3)", "sead: unknown key 'sead'"],
            f"{FIX}; did you mean 'seed'?",
        ),
        (
            {"seed": 1, "data": "file:x", "either": {"siz": 1}},
            "ask.unknown-key",
            [
                "either/siz: unknown key 'either.siz'",
                "either/ref: 'either.ref' is missing",
            ],
            "did you mean 'size'?; add ref: …",
        ),
        (
            {"seed": 1, "data": "file:x", "either": 3},
            "ask.wrong-value",
            [f"either: 'either': {MAPPING} (given: 3)"],
            "write either: {kind: small}",
        ),
        (
            {"seed": 1, "data": "file:x", "loose": "x"},
            "ask.wrong-value",
            [
                f"loose: 'loose': {INTEGER}, unable to parse string as an integer (given: 'x')",
                "loose: 'loose': Input should be a valid boolean, unable to interpret input (given: 'x')",
            ],
            FIX,
        ),
        (
            {"seed": 1, "data": "file:x", "share": "x"},
            "ask.wrong-value",
            [
                "share: 'share': Input should be a valid number, unable to parse string as a number (given: 'x')",
                "share: 'share': Input should be 'none' (given: 'x')",
            ],
            FIX,
        ),
    ],
    ids=str,
)
def test_every_problem_is_listed_once_and_the_first_gives_the_code(values, code, lines, fix):
    listed = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    assert refused(Whole, values) == (code, listed, fix)


def test_what_is_right_is_accepted_as_given():
    given = {"data": ({"ref": "file:x", "take": 2},), "seed": 3, "flag": True, "loose": False, "names": ["a"]}
    spec = make_spec(Whole, {**given, "shape": {"weight": 2.5, "kind": "big"}, "count": {"size": 4}}, lambda _: "")
    assert (spec.data[0].take, spec.flag, spec.loose, spec.shape.weight, spec.count.size) == (2, True, False, 2.5, 4)


@pytest.mark.parametrize(("extra", "rest"), [(0, ""), (1, " and 1 more")])
def test_of_many_names_the_first_hundred_are_listed(extra, rest):
    names = [f"s{number:03}" for number in range(100 + extra)]
    many = create_model("Many", __base__=Spec, **dict.fromkeys(names, (int, 0)))
    _, _, fix = refused(many, {"zzzzzz": 1})
    assert fix == f"known names: {', '.join(names[:100])}{rest}"


def test_the_settings_of_the_other_method_are_named_with_it():
    given = {"base": "hub:a/b", "data": "file:x"}
    assert refused(SftSpec, {**given, "method": {"kind": "full", "rank": 8}})[2] == "only kind lora or qlora has it"
    assert refused(SftSpec, {**given, "method": {"lora_alpha": 8}})[2] == "burnish calls it method.alpha"


def test_a_mapping_of_names_is_one_and_its_keys_are_named():
    help_text = PrepareSpec.__pydantic_fields__["columns"].description
    for columns, what in (
        (3, f"columns: 'columns': {MAPPING} (given: 3)"),
        ({"a": 3}, "columns/a: 'columns.a': Input should be a valid string (given: 3)"),
    ):
        code, found, fix = refused(PrepareSpec, {"source": "file:x", "columns": columns})
        assert (code, found) == ("ask.wrong-value", what)
        assert fix == (f"columns: {help_text}" if columns == 3 else FIX)


def plain(value) -> str:
    with pytest.raises(AskError) as caught:
        check_plain(value, lambda path: "/".join(map(str, path)))
    assert caught.value.code == "ask.wrong-value"
    return f"{caught.value.what} | {caught.value.fix}"


NOT_PLAIN = "is not a plain value | write a string, a finite number, true, false, null, a list or a mapping"


def test_what_is_not_plain_is_named_with_its_place():
    assert plain({"a": [1, {"b": {2}}]}) == f"a/1/b: 'a.1.b': {{2}} {NOT_PLAIN}"
    assert plain({2}) == f"{{2}} {NOT_PLAIN}"
    assert plain({"x" * 56}) == f"{{'{'x' * 56}'}} {NOT_PLAIN}"  # 60 characters
    assert plain({"x" * 57}) == f"{{'{'x' * 55}… {NOT_PLAIN}"
    assert plain(("x", float("inf"))) == f"1: '1': inf {NOT_PLAIN}"
    assert plain({"a": {3: 1}}) == "a: a key is 3 | use strings as keys"
    for text in ("a\ud800", "\ud800", "\udfff", "\udabcz"):
        assert plain([text]) == f"0: '0': {text!r} {NOT_PLAIN}"
        assert plain({"x": {text: 1}}) == f"x: 'x': {text!r} {NOT_PLAIN}"
    check_plain([None, True, 1, -0.5, "", "\ud7ff\ue000\U0010ffff", {"a": (1, 2)}, Small()], lambda _: "")


def nested(levels: int):
    return [nested(levels - 1)] if levels else "word"


def test_thirty_two_levels_below_the_first_are_plain_and_no_more():
    check_plain(nested(33), lambda _: "")
    with pytest.raises(AskError) as caught:
        check_plain(nested(34), lambda path: f"level {len(path)}")
    assert caught.value.what == f"level 33: '{('0.' * 33)[:-1]}…': nested deeper than 32 levels"
    assert caught.value.fix == "flatten it"
