"""Recipes: loaded, merged, overridden by --set, validated as a whole, with errors that name the place."""

from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.catalog import stage
from burnish.core.errors import AskError
from burnish.core.fingerprint import of_step
from burnish.core.recipes.recipe import (
    Recipe,
    Step,
    load_recipe,
    merged,
    nested,
    parse_setting,
    recipe_of,
    with_settings,
)
from burnish.specs.base import Spec, Takes

GOOD = """name: words
steps:
  join:
    stage: quick-join
    source: step:make
    voice: {kind: whisper, softness: 0.1}
  make:
    stage: quick-make
    word: hi
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "r.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def refusal(paths, sets=()) -> AskError:
    with pytest.raises(AskError) as caught:
        load_recipe(paths, sets)
    return caught.value


def test_steps_come_after_their_dependencies(quick_stages, write):
    recipe = load_recipe([write(GOOD)])
    assert [step.name for step in recipe.steps] == ["make", "join"]
    assert recipe_of(recipe.as_dict()) == recipe


def test_later_files_override_earlier_ones_and_set_overrides_both(quick_stages, write):
    above = write("steps: {make: {word: ho, times: 2}}\n", "above.yaml")
    recipe = load_recipe([write(GOOD), above], ["make.times=3", "join.voice.softness=0.9", "name=other"])
    assert recipe.name == "other"
    assert (recipe.step("make").spec.word, recipe.step("make").spec.times) == ("ho", 3)
    assert recipe.step("join").spec.voice.softness == 0.9


def test_another_kind_of_a_variant_replaces_its_settings(quick_stages, write):
    recipe = load_recipe([write(GOOD)], ["join.voice.kind=shout"])
    assert recipe.step("join").spec.voice.kind == "shout"
    assert merged({"a": {"kind": "x", "b": 1}}, {"a": {"kind": "x", "c": 2}}) == {"a": {"kind": "x", "b": 1, "c": 2}}


def test_an_unknown_key_is_reported_with_line_field_and_nearest_name(quick_stages, write):
    path = write(GOOD.replace("word: hi", "wrod: hi"))
    error = refusal([path])
    assert error.code == "ask.unknown-key"
    assert error.what == f"{path}:9: unknown key 'wrod'"
    assert "did you mean 'word'?" in error.fix


def test_a_nested_unknown_key_is_reported_with_its_line(quick_stages, write):
    path = write(GOOD.replace("softness: 0.1", "soft: 0.1"))
    error = refusal([path])
    assert error.what == f"{path}:6: unknown key 'voice.soft'"
    assert "softness" in error.fix


def test_a_wrong_type_is_reported_with_line_field_value_and_help(quick_stages, write):
    path = write(GOOD.replace("word: hi", "times: many"))
    error = refusal([path])
    assert error.code == "ask.wrong-value"
    assert error.what.startswith(f"{path}:9: 'times': ")
    assert "'many'" in error.what
    assert "How often." in error.fix


def test_an_error_in_set_is_reported_as_set(quick_stages, write):
    path = write(GOOD)
    assert refusal([path], ["make.wrod=1"]).what.startswith("--set make.wrod: unknown key")
    assert refusal([path], ["join.voice={kind: shout, mrks: 1}"]).what.startswith("--set join.voice: unknown key")
    assert refusal([path], ["mak.word=x"]).fix == "did you mean 'make'?"
    assert refusal([path], ["make.word"]).code == "ask.wrong-value"
    assert refusal([path], ["make..word=1"]).code == "ask.wrong-value"
    assert "--set make.word" in refusal([path], ["make.word=[1"]).what


def test_several_errors_are_reported_at_once(quick_stages, write):
    path = write("name: a\nsteps:\n  x:\n    stage: quick-make\n    wrod: 1\n    times: 0\n")
    error = refusal([path])
    assert f"{path}:5" in error.what
    assert f"{path}:6" in error.what


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("- a\n", "ask.recipe-unreadable", "mapping"),
        ("", "ask.recipe-unreadable", "mapping"),
        ("steps: {a: {stage: quick-make}}\n", "ask.missing-key", "'name' is missing"),
        ("name: a\n", "ask.missing-key", "'steps' is missing"),
        ("name: a\nsteps: [1]\n", "ask.wrong-value", "steps"),
        ("name: 3\nsteps: {a: {stage: quick-make}}\n", "ask.wrong-value", "name"),
        ("name: ../up\nsteps: {a: {stage: quick-make}}\n", "ask.wrong-value", "../up"),
        ("name: a\nsteps: {../up: {stage: quick-make}}\n", "ask.wrong-value", "r.yaml:2"),
        ("name: a\nsteps: {plan.json: {stage: quick-make}}\n", "ask.wrong-value", "plan.json"),
        ("name: a\nsteps: {a: 1}\n", "ask.wrong-value", "not a mapping"),
        ("name: a\nsteps: {a: {}}\n", "ask.missing-key", "no stage"),
        ("name: a\nsteps: {a: {stage: quick-mak}}\n", "ask.unknown-stage", "quick-mak"),
        ("name: a\nsetps: {}\n", "ask.unknown-key", "setps"),
        ("name: a\nsteps: {a: {stage: quick-join, source: step:b}}\n", "ask.bad-reference", "'b'"),
        ("name: a\nsteps: {a: {stage: quick-join, source: step:a}}\n", "ask.cycle", "a → a"),
        ("name: a\nsteps: {a: {stage: quick-join, source: nonsense}}\n", "ask.wrong-value", "reference"),
        (
            "name: a\nsteps: {a: {stage: quick-join, voice: {softness: .nan}, source: file:x}}\n",
            "ask.wrong-value",
            "nan",
        ),
    ],
)
def test_each_error_has_its_own_message(quick_stages, write, text, code, part):
    error = refusal([write(text)])
    assert error.code == code
    assert part in error.what
    assert "r.yaml" in error.what or code == "ask.wrong-value"
    assert error.fix


def test_a_cycle_of_steps_is_shown(quick_stages, write):
    text = "name: a\nsteps:\n  x: {stage: quick-join, source: step:y}\n  y: {stage: quick-join, source: step:x}\n"
    assert "x → y → x" in refusal([write(text)]).what


def test_a_step_that_leads_into_a_cycle_is_not_part_of_it(quick_stages, write):
    steps = {"start": "x", "x": "y", "y": "x"}
    text = "name: a\nsteps:\n" + "".join(f"  {a}: {{stage: quick-join, source: step:{b}}}\n" for a, b in steps.items())
    what = refusal([write(text)]).what
    assert what.endswith(": x → y → x")


def test_a_setting_keeps_its_equals_signs():
    assert parse_setting("a.b=x=y") == (("a", "b"), "x=y")
    assert parse_setting("a=[1, {b: 2}]") == (("a",), [1, {"b": 2}])


def test_a_mapping_that_contains_itself_is_refused(quick_stages):
    loop: dict = {}
    loop["again"] = loop
    with pytest.raises(AskError, match="deeper"):
        recipe_of({"name": "a", "steps": {"a": {"stage": "quick-make", "word": loop}}})


words = st.text(max_size=8) | st.sampled_from(
    ["name", "steps", "stage", "quick-join", "quick-make", "source", "step:a", "file:x", "voice", "kind", "word", "sft"]
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | words | st.binary(max_size=3)
keys = words | st.integers(max_value=3)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))
stage_like = st.dictionaries(
    st.sampled_from(["word", "times", "source", "voice", "threads", "base", "method", "architecture", "data", "x"]),
    values,
    max_size=4,
).map(lambda given: {"stage": "quick-join", **given})
stages = st.sampled_from(["quick-join", "quick-make", "sft", "pretrain", "prepare", "evaluate", "merge", "nothing"])
steps = st.builds(lambda step, stage: {**step, "stage": stage}, stage_like, stages)
recipes = st.builds(
    lambda name, steps: {"name": name, "steps": steps},
    st.sampled_from(["a", "b-1"]) | words,
    st.dictionaries(st.sampled_from(["a", "b", "c"]), steps | values, max_size=3) | values,
)


@settings(max_examples=400, deadline=None)
@given(recipes | st.dictionaries(keys, values, max_size=3))
def test_arbitrary_values_give_a_recipe_or_an_ask_error(given_values):
    try:
        recipe = recipe_of(given_values)
    except AskError:
        return
    assert isinstance(recipe, Recipe)
    assert recipe_of(recipe.as_dict()) == recipe
    for step in recipe.steps:
        of_step(step.stage.name, 1, step.spec, {})


@pytest.fixture(autouse=True)
def _the_quick_stages_are_there(quick_stages):
    pass


def test_a_step_name_has_no_dot_since_artifacts_and_settings_are_separated_by_one():
    with pytest.raises(AskError, match=r"the step name 'a\.b' contains a dot"):
        recipe_of({"name": "qwen2.5", "steps": {"a.b": {"stage": "synthesize"}}})


def said(error: AskError) -> str:
    return f"{error.code} | {error.what} | {error.fix}"


def refused(given) -> str:
    with pytest.raises(AskError) as caught:
        recipe_of(given)
    return said(caught.value)


MAKE = {"stage": "quick-make"}


def join(*refs: str) -> dict:
    return {"stage": "quick-join", "source": [{"ref": ref} for ref in refs]}


PLAIN = "use letters, digits, '.', '-' and '_', starting with a letter or digit; not latest, latest.txt, plan.json"


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("- a\n", (), "recipe-unreadable | F: a recipe must be a mapping with `name` and `steps` | see docs/guides"),
        ("steps: {a: {stage: quick-make}}\n", (), "missing-key | F:1: 'name' is missing | add name: …"),
        ("\nname: a\nsteps: {}\n", (), "missing-key | F:2: 'steps' is missing | add steps: …"),
        ("name: a\nsetps: {}\n", (), "unknown-key | F:2: unknown key 'setps' | did you mean 'steps'?"),
        ("name: a\nsteps: [1]\n", (), "wrong-value | F:1: `name` must be a string and `steps` a mapping | fix"),
        ("name: 3\nsteps: {a: 1}\n", (), "wrong-value | F:1: `name` must be a string and `steps` a mapping | fix"),
        ("name: a/b\nsteps: {a: 1}\n", (), f"wrong-value | 'a/b' is not a valid name of a recipe or step | {PLAIN}"),
        (
            "name: a\nsteps:\n  ../up: {stage: quick-make}\n",
            (),
            f"wrong-value | F:3: '../up' is not a valid name of a recipe or step | {PLAIN}",
        ),
        (
            "name: a\nsteps:\n  b.c: {}\n",
            (),
            "wrong-value | F:3: the step name 'b.c' contains a dot | use - or _ instead",
        ),
        ("name: a\nsteps:\n  b: 1\n", (), "wrong-value | F:3: step 'b' is not a mapping | write b: {stage: …}"),
        ("name: a\nsteps:\n  b: {word: x}\n", (), "missing-key | F:3: step 'b' has no stage | add stage: …"),
        (
            "name: a\nsteps:\n  b:\n    stage: quick-mak\n",
            (),
            "unknown-stage | F:4: unknown stage 'quick-mak' | did you mean 'quick-make'?",
        ),
        (
            "name: a\nsteps:\n  b:\n    stage: quick-join\n    source:\n      - ref: step:c\n",
            (),
            "bad-reference | F:6: 'b.source.0.ref' refers to a step 'c' that is not in the recipe | known names: b",
        ),
        (
            "name: a\nsteps:\n  b:\n    stage: quick-join\n    source: step:b:c\n",
            (),
            "bad-reference | F:5: 'b.source' refers to a step 'b:c' that is not in the recipe | known names: b",
        ),
        (
            "name: a\nsteps:\n  b:\n    stage: quick-join\n    source: step:b\n",
            (),
            "cycle | F:3: steps depend on each other: b → b | break the cycle",
        ),
        (GOOD, ["mak.word=x"], "unknown-key | --set mak.word=x: the recipe has no step 'mak' | did you mean 'make'?"),
        (GOOD, ["make.times=0"], "wrong-value | --set make.times: 'times': Input should be greater than or equal"),
        (GOOD, ["make.word"], "wrong-value | --set make.word: expected key=value | write --set learning_rate=1e-4"),
        (GOOD, ["=x"], "wrong-value | --set =x: expected key=value | write --set learning_rate=1e-4"),
        (GOOD, ["make..word=x"], "wrong-value | --set make..word=x: expected key=value | write --set learning_rate"),
        (GOOD, ["make. =x"], "wrong-value | --set make. =x: expected key=value | write --set learning_rate=1e-4"),
        (
            GOOD,
            [" make.word = "],
            "wrong-value | --set  make.word = : there is no value after the = | "
            "add one, or write --set make.word=null to unset it",
        ),
        (GOOD, [" make.word =[1"], "recipe-unreadable | --set make.word:2: invalid YAML: did not find expected ','"),
    ],
)
def test_each_refusal_names_its_place_and_its_fix(write, text, settings, message):
    path = write(text)
    assert said(refusal([path], settings)).startswith(f"ask.{message.replace('F:', f'{path}:')}")


def test_the_document_of_a_problem_is_the_one_that_gave_the_value(write):
    below, above = write(GOOD), write("steps:\n  join:\n    voice: {kind: shout, marks: many}\n", "above.yaml")
    assert refusal([below, above]).what.startswith(f"{above}:3: 'voice.marks': ")
    assert load_recipe([above, below]).step("join").spec.voice.softness == 0.1
    assert refusal([below], ["join.voice.softness=many"]).what.startswith("--set join.voice.softness: 'voice.softness'")


def test_settings_make_a_step_where_there_are_none_and_override_in_order():
    settings = ["steps.word=x", " a.stage = quick-make ", "a.word=one", "a.word=two", "name=other", "a.x.y=[1]"]
    values, documents = with_settings({"name": "r"}, settings)
    step = {"stage": "quick-make", "word": "two", "x": {"y": [1]}}
    assert values == {"name": "other", "steps": {"steps": {"word": "x"}, "a": step}}
    assert [(document.name, document.value) for document in documents] == [
        ("--set steps.word", None),
        ("--set a.stage", None),
        ("--set a.word", None),
        ("--set a.word", None),
        ("--set name", None),
        ("--set a.x.y", None),
    ]
    assert [list(document.lines) for document in documents][-2:] == [[("name",)], [("steps", "a", "x", "y")]]
    assert with_settings({"name": "r", "steps": {"name": {}}}, ["name=x"])[0] == {"name": "x", "steps": {"name": {}}}
    assert nested(("a", "b", "c"), 1) == {"a": {"b": {"c": 1}}}
    assert parse_setting("a.b = x=y ") == (("a", "b"), "x=y")
    assert parse_setting("a=null") == (("a",), None)


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 2}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"kind": "x", "b": 1}}, {"a": {"kind": "y"}}, {"a": {"kind": "y"}}),
        ({"a": {"kind": "x", "b": 1}}, {"a": {"kind": "x", "c": 2}}, {"a": {"kind": "x", "b": 1, "c": 2}}),
        ({"a": {"kind": "x", "b": 1}}, {"a": {"c": 2}}, {"a": {"kind": "x", "b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {"a": {"kind": "x"}}, {"a": {"kind": "x"}}),
        ({"a": {"b": 1}}, {"a": {"kind": None}}, {"a": {"b": 1, "kind": None}}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}, {"a": {"b": {"c": 1, "d": 2}}}),
    ],
)
def test_mappings_are_merged_and_another_kind_replaces_the_mapping(below, above, expected):
    copy = {key: dict(value) if isinstance(value, dict) else value for key, value in below.items()}
    assert merged(below, above) == expected
    assert below == copy


def test_steps_are_ordered_by_what_they_use_and_otherwise_as_written():
    steps = {
        "last": join("step:left", "file:x", "step:right"),
        "left": join("file:x", "step:base"),
        "alone": MAKE,
        "right": join("step:base", "step:base"),
        "base": MAKE,
    }
    recipe = recipe_of({"name": "r", "steps": steps})
    assert [step.name for step in recipe.steps] == ["base", "left", "right", "last", "alone"]
    assert recipe.as_dict() == {
        "name": "r",
        "steps": {name: steps[name] for name in ("base", "left", "right", "last", "alone")},
    }
    assert [recipe.step(name).name for name in steps] == list(steps)
    with pytest.raises(AskError) as caught:
        recipe.step("lift")
    assert said(caught.value) == "ask.bad-reference | the recipe has no step 'lift' | did you mean 'left'?"


def test_a_cycle_is_shown_without_the_steps_that_are_done():
    steps = {"x": join("step:z", "step:y"), "y": join("step:z", "step:x"), "z": MAKE}
    assert refused({"name": "r", "steps": steps}) == (
        "ask.cycle | steps depend on each other: x → y → x | break the cycle"
    )


class Referring(Spec):
    one: Annotated[str, Takes(("model", "adapter"))] = "none"
    other: Annotated[str | list[int], Takes(("file",))] = "file:x"
    newest: Annotated[str, Takes(("dataset",))] = "r.s@latest"
    text: str = "file:y"


def test_the_references_of_a_step_are_the_marked_fields_that_name_something():
    step = Step("s", stage("quick-make"), Referring())
    assert step.references() == {"other": ("file:x", ("file",)), "newest": ("r.s@latest", ("dataset",))}
    given = Step("s", stage("quick-make"), Referring(one="hub:a", other=[1], newest="x"))
    assert given.references() == {"one": ("hub:a", ("model", "adapter"))}


def test_a_steps_place_is_neither_compared_nor_shown_and_may_be_unknown():
    step = Step("s", stage("quick-make"), Referring())
    assert step.place(("a", 1)) == ""
    assert step == Step("s", stage("quick-make"), Referring(), lambda path: "r.yaml:1")
    assert "place" not in repr(step)
