"""`inspect` and `chat`: rows as a person reads them, with the learned ones marked; answers of the embedded model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from openai_server import OpenAIServer


@pytest.fixture
def rows(workspace):
    path = workspace.root / "rows.csv"
    path.write_text('frage,antwort\n"Weather in Oslo?","Rain."\n', encoding="utf-8")
    return path


def test_learned_tokens_are_marked_where_there_is_no_colour(burnish, rows):
    said = burnish(
        *("inspect", rows, "--column", "frage=question", "--column", "antwort=answer", "--tokenizer", "builtin:pocket")
    )
    assert said.status == 0, said.err
    assert "<|im_start|>user\nWeather in Oslo?<|im_end|>\n<|im_start|>assistant\n⟦Rain.<|im_end|>\n⟧" in said.out
    assert "question_answer" in said.out


def test_a_row_that_is_too_long_is_told_and_not_cut(burnish, rows):
    words = ("--column", "frage=question", "--column", "antwort=answer", "--max-length", "8")
    said = burnish("inspect", rows, *words, "--tokenizer", "builtin:pocket")
    assert said.status == 0, said.err
    assert "data.too-long" in said.out


@pytest.mark.parametrize("words", [("--train-on", "all"), ("--train-on", "nope"), ("--max-length", "9")])
def test_rendering_settings_without_a_tokenizer_are_refused(burnish, rows, words):
    said = burnish("inspect", rows, "--column", "frage=question", "--column", "antwort=answer", *words)
    assert said.status == 2
    assert "tokenizer" in said.err or "nope" in said.err


def test_a_renaming_that_is_none_is_told(burnish, rows):
    said = burnish("inspect", rows, "--column", "frage")
    assert said.status == 2
    assert "--column frage" in said.err


def test_roles_in_the_datas_own_words_are_mapped(burnish, workspace):
    path = workspace.root / "talks.jsonl"
    turns = [{"role": "klant", "content": "Weather in Oslo?"}, {"role": "agent", "content": "Rain."}]
    path.write_text(json.dumps({"messages": turns}) + "\n", encoding="utf-8")
    said = burnish("inspect", path)
    assert said.status == 3
    assert "roles: {theirs: ours}" in said.err
    said = burnish("inspect", path, "--role", "klant=user", "--role", "agent=assistant")
    assert said.status == 0, said.err
    assert "Rain." in said.out
    said = burnish("inspect", path, "--role", "client=user")
    assert said.status == 3
    assert "names 'client', which no turn" in said.err
    said = burnish("inspect", path, "--role", "klant=visitor")
    assert said.status == 2
    assert "klant" in said.err


def test_a_layout_that_is_not_known_names_the_columns_and_the_way_out(burnish, rows):
    said = burnish("inspect", rows)
    assert said.status == 3
    assert "antwort, frage" in said.err
    assert "format" in said.err


def test_chat_answers_one_question_and_ends():
    burnish = str(Path(sys.executable).parent / "burnish")
    command = [burnish, "chat", "builtin:pocket", "--ask", "What is LoRA?", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "LoRA trains two small matrices beside each frozen weight."


def test_chat_answers_in_json(burnish):
    said = burnish("--json", "chat", "builtin:pocket", "--ask", "What is LoRA?", "--device", "cpu")
    assert said.status == 0, said.err
    assert json.loads(said.out) == {
        "model": "builtin:pocket",
        "question": "What is LoRA?",
        "answer": "LoRA trains two small matrices beside each frozen weight.",
    }


def test_chat_in_json_needs_a_question(burnish):
    said = burnish("--json", "chat", "builtin:pocket")
    assert said.status == 2
    assert "--ask" in json.loads(said.err)["error"]["fix"]


def test_rubrics_are_listed_and_one_is_printed_as_yaml_for_a_recipe(burnish):
    listed = burnish("rubrics")
    assert all(name in listed.out for name in ("correctness", "helpfulness", "safety", "faithfulness"))
    printed = burnish("rubrics", "safety", "--language", "zh")
    criteria = yaml.safe_load(printed.out)["criteria"]
    assert [criterion["name"] for criterion in criteria] == ["safety", "refusal"]
    assert "&id" not in printed.out  # recipes have no aliases
    assert json.loads(burnish("rubrics", "safety", "--json").out)["criteria"][0]["scale"]["labels"]["safe"] == 1.0


def test_a_smoke_test_prints_its_checks_and_exits_by_the_answer(burnish, monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-right")
    with OpenAIServer(key="sk-right", missing=["tools"]) as server:
        said = burnish("smoke-test", server.url, "--key-env", "A_KEY")
        strict = burnish("smoke-test", server.url, "--key-env", "A_KEY", "--require", "tools,json-schema", "--json")
        unknown = burnish("smoke-test", server.url, "--require", "tool")
        keyless = burnish("smoke-test", server.url)
    assert said.status == 0, said.err
    assert all(name in said.out for name in ("chat*", "stream*", "json_schema", "not offered", "Hello there"))
    assert strict.status == 6
    found = json.loads(strict.err)
    assert found["error"]["code"] == "run.smoke-test-failed"
    assert [check["name"] for check in found["checks"] if check["verdict"] != "holds"] == ["tools"]
    assert found["error"]["fix"] == "leave out of --require what this model or server cannot do: tools"
    assert (unknown.status, "did you mean 'tools'?" in unknown.err) == (2, True)
    assert (keyless.status, "status 401" in keyless.err) == (5, True)


def test_a_chat_with_an_endpoint_needs_no_model_here(burnish):
    with OpenAIServer(models=["one", "two"]) as server:
        said = burnish("--json", "chat", f"{server.url}#two", "--ask", "Hi")
        same = burnish("--json", "chat", "--endpoint", server.url, "--model", "two", "--ask", "Hi")
        other = burnish("chat", "--endpoint", server.url, "--device", "cpu")
    assert said.status == 0, said.err
    assert json.loads(said.out) == json.loads(same.out) | {"question": "Hi", "answer": "Hello there, friend."}
    assert (other.status, "--device has no effect on an endpoint" in other.err) == (2, True)


@pytest.mark.parametrize(
    "words", [(), ("builtin:pocket", "--endpoint", "http://h/v1"), ("builtin:pocket", "--model", "m")]
)
def test_a_chat_is_with_a_model_or_an_endpoint(burnish, words):
    assert burnish("chat", *words, "--ask", "Hi").status == 2
