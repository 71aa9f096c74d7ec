"""What the templates make of an item: errors are those that Python raises, gaps fit, answers stand in the source."""

import ast
import importlib
import json
import re
from random import Random

import pytest

from burnish.core.context import Input
from burnish.core.inputs import packages
from burnish.data.synthesize.docs.generator import Wanted, generate
from burnish.data.synthesize.docs.sources import open_source
from burnish.data.synthesize.docs.templates import TEMPLATES
from burnish.data.synthesize.docs.templates.error_and_fix import slip

MODULES = ("json", "textwrap", "difflib", "statistics", "shlex", "fnmatch", "string", "calendar")


@pytest.fixture
def rows_of(tmp_path):
    """The rows of an installed package by one template."""

    def rows_of(name, **wanted):
        found = packages.find(name)
        source = open_source(Input(f"package:{name}", "package", found.root), [], [], tmp_path)
        return [row for row, _ in generate([source], Wanted(**wanted), tmp_path).rows]

    return rows_of


def only_code(text):
    (code,) = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    return code


def free_names(code):
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("name", MODULES)
def test_the_error_is_the_one_that_the_real_function_raises(name, rows_of):
    """The wrong call is made for real, of the imported module: the row was made without it."""
    module = importlib.import_module(name)
    checked = 0
    for row in rows_of(name, templates=("error_and_fix",)):
        code = only_code(row["messages"][0]["content"])
        full, error = row["extra"]["name"], row["extra"]["error"]
        assert error in row["messages"][0]["content"]
        if not code.startswith(f"{full}("):
            continue  # a method, which needs an instance, or an example of several lines
        space = {**dict.fromkeys(free_names(code)), name: module}
        with pytest.raises(TypeError) as caught:
            eval(code, space)
        assert f"TypeError: {caught.value}" == error
        fixed = re.search(r"```python\n(.*?)\n```", row["messages"][1]["content"], re.DOTALL)[1]
        ast.parse(fixed)
        assert fixed != code
        checked += 1
    assert checked or name in ("string", "calendar")


def test_methods_get_the_error_of_their_class(rows_of):
    from textwrap import TextWrapper

    rows = {row["extra"]["name"]: row for row in rows_of("textwrap", templates=("error_and_fix",))}
    with pytest.raises(TypeError) as caught:
        TextWrapper().wrap()
    assert rows["textwrap.TextWrapper.wrap"]["extra"]["error"] == f"TypeError: {caught.value}"


@pytest.mark.parametrize("name", ["timeout", "id", "n", "class_", "skipkeys"])
def test_a_slip_is_another_word_that_is_no_parameter(name):
    for seed in range(200):
        wrong = slip(name, {name, "timeouts", "skipkey"}, Random(seed))
        assert wrong not in {name, "timeouts", "skipkey"}
        assert not wrong or wrong.isidentifier()


@pytest.mark.parametrize("fim", [None, ("<P>", "<S>", "<M>")])
def test_the_parts_of_a_gap_are_the_definition(fim, rows_of):
    rows = rows_of("textwrap", templates=("fill_in_the_middle",), fim=fim)
    source = (packages.find("textwrap").root / "textwrap.py").read_text(encoding="utf-8")
    assert rows
    for row in rows:
        extra = row["extra"]
        whole = extra["prefix"] + extra["middle"] + extra["suffix"]
        ast.parse(whole)
        assert extra["middle"].strip()
        assert all(line.strip() in source for line in whole.split("\n"))
        if fim:
            assert row["kind"] == "text"
            assert row["text"] == f"<P>{extra['prefix']}<S>{extra['suffix']}<M>{extra['middle']}"
        else:
            question, answer = (message["content"] for message in row["messages"])
            assert f"{extra['prefix']}<FILL_ME>{extra['suffix']}" in question
            assert extra["middle"].strip("\n") in answer


def test_a_completion_goes_on_from_what_is_given(rows_of):
    for row in rows_of("textwrap", templates=("completion",)):
        head, whole = (only_code(message["content"]) for message in row["messages"])
        assert whole.startswith(head)
        ast.parse(whole)
    texts = rows_of("textwrap", templates=("completion",), completion="text")
    assert {row["kind"] for row in texts} == {"text"}
    for row in texts:
        ast.parse(row["text"])


def test_the_answer_after_a_tool_call_stands_in_its_result(rows_of):
    for row in rows_of("httpx", templates=("tool_use",)):
        question, call, result, answer = row["messages"]
        (made,) = call["tool_calls"]
        arguments = json.loads(made["function"]["arguments"])
        found = json.loads(result["content"])
        assert arguments == {"library": "httpx", "name": row["extra"]["name"]}
        assert row["tools"][0]["function"]["name"] == made["function"]["name"]
        assert found["name"] in question["content"]
        for line in answer["content"].split("\n"):
            known = (found.get("signature", ""), found["documentation"], f"Source: `{found['source']}`.", "```python")
            assert any(line in text for text in known), line


def test_numbers_are_written_as_in_the_source(rows_of):
    rows = rows_of("pathlib", templates=("question_answer",))
    touch = [row for row in rows if row["extra"]["name"] == "pathlib.Path.touch"]
    assert any("mode=0o666" in row["messages"][1]["content"] for row in touch)
    assert not any("438" in row["messages"][1]["content"] for row in touch)


def test_every_template_of_the_settings_exists():
    from typing import get_args

    from burnish.specs.data.synthesize.docs import Template

    assert set(get_args(Template)) == set(TEMPLATES)


def test_a_description_that_fits_several_is_no_question_and_a_name_is_explained_once(tmp_path):
    (tmp_path / "src").mkdir()
    text = "/// Returns the weight in whole grams.\npub fn {}() -> u32 {{\n    let weight = 1;\n    weight\n}}\n"
    (tmp_path / "src" / "a.rs").write_text(text.format("one"))
    (tmp_path / "src" / "b.rs").write_text(text.format("one") + text.format("two"))
    source = open_source(Input("file:src", "folder", tmp_path / "src"), [], [], tmp_path)
    generated = generate([source], Wanted(("question_answer", "completion")), tmp_path)
    rows = [row for row, _ in generated.rows]
    asked = [(row["extra"]["file"], row["extra"]["name"], row["extra"].get("question")) for row in rows]
    assert "which" not in {question for _, _, question in asked}
    assert ("b.rs", "one", "what") not in asked
    assert {("a.rs", "one", "what"), ("b.rs", "two", "what")} <= set(asked)
    stats = generated.stats()
    assert stats["dropped"]["question with several answers"] > 0
    assert stats["read"] == len(rows) + sum(stats["dropped"].values())


def test_fields_of_a_dataclass_are_its_signature(rows_of):
    rows = rows_of("pydantic", templates=("question_answer",))
    answers = [row["messages"][1]["content"] for row in rows if row["extra"]["name"] == "pydantic.WrapSerializer"]
    assert any("func: core_schema.WrapSerializerFunction" in answer for answer in answers)
