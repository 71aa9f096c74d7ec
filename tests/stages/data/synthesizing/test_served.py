"""Rows by real models: the built-in one behind the embedded server with llama.cpp, and the same one loaded here."""

import json
from types import SimpleNamespace

import pytest

from burnish.core.errors import ModelError
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.data.dataset import read_rows
from burnish.serve.chat.model import ServedModel
from burnish.serve.engines.llama import llama_engine
from burnish.serve.http.app import make_app
from burnish.specs.data import SynthesizeSpec
from burnish.specs.ship.server import ServerSpec
from burnish.stages.data.synthesize import run
from burnish.testing import input_at, temporary_context, tiny_tokenizer
from gguf_files import written
from scripted import pocket_folder, pocket_tokenizer
from serving import Running

QUESTIONS = ["What is the capital of France?", "Write 3 May 2021 as an ISO date.", "Weather in Oslo?"]
SHORT = "Weather in {topic}?"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The address of a server of the built-in model."""
    folder = tmp_path_factory.mktemp("served")
    file = written(pocket_folder(), folder / "pocket.gguf", "F32")[0]
    engine = llama_engine(file, folder / "engine.log", context=1024, slots=4, threads=1)
    engine.context, engine.slots = 1024, 4
    settings = ServerSpec(port=0)
    app = make_app(engine, [ServedModel("pocket", pocket_tokenizer())], settings, folder=folder)
    served = SimpleNamespace(app=app, settings=settings, engine=engine, folder=folder)
    with Running(served, engine.open, engine.close) as server:
        yield f"{server.url}/v1"


@pytest.fixture
def made(url, tmp_path):
    """Rows of the built-in model, `served` or loaded here."""

    def made(folder="run", *, served=True, files=None, **settings):
        inputs, refs = {}, {}
        for field, content in (files or {}).items():
            path = content
            if isinstance(content, str):
                path = tmp_path / f"{field}.{'md' if field == 'prompt' else 'jsonl'}"
                path.write_text(content, encoding="utf-8")
            inputs[f"generator.{field}"], refs[field] = input_at(path), f"file:{path}"
        model = {"endpoint": {"url": url, "model": "pocket", "retries": 0}} if served else {"model": "builtin:pocket"}
        if not served:
            inputs["generator.model"] = input_at(pocket_folder())
        context, _ = temporary_context(tmp_path / folder, inputs)
        spec = SynthesizeSpec.model_validate({"generator": {"kind": "model", **model, **refs, **settings}})
        with ConsumptionLedger(spec) as ledger:
            context.check_settings = ledger.check
            for name in inputs:
                ledger.input_was_read(name)
            run(spec, context)
        return list(read_rows(context.out, "train")), json.loads((context.out / "stats.json").read_text())

    return made


def prompts():
    return "".join(json.dumps({"prompt": text}) + "\n" for text in QUESTIONS)


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "description": "Weather.", "parameters": {**CITY, "additionalProperties": False}}


@pytest.mark.parametrize("make", ["instruction", "tools"])
def test_a_server_is_held_to_the_schema_of_rows(made, make):
    """The built-in model would not reply in JSON by itself; and it writes some texts without end."""
    only_tools = {"results": False} if make == "tools" else {}
    files = {"prompt": SHORT, **({"tools": json.dumps([TOOL])} if make == "tools" else {})}
    settings = {"topics": ["Oslo", "Graz"], "temperature": 1.0, "max_tokens": 200, "near_duplicates": None}
    rows, stats = made(make=make, rows=4, files=files, **settings, **only_tools)
    assert stats["requested"] == 4
    assert rows
    for row in rows:
        assert row["messages"][0]["content"]
        for call in row["messages"][1].get("tool_calls", []):
            assert call["function"]["name"] == "get_weather"
            assert set(json.loads(call["function"]["arguments"])) == {"city"}
    assert ("tools" in rows[0]) == (make == "tools")
    assert set(stats["replies"]["unusable"]) <= {"cut off", "empty"}


def test_a_served_and_a_loaded_model_give_the_same_answers(made):
    served, _ = made("served", make="answers", temperature=0, max_tokens=40, files={"given": prompts()})
    loaded, stats = made(
        "loaded", served=False, make="answers", temperature=0, max_tokens=40, files={"given": prompts()}
    )
    assert [row["messages"] for row in served] == [row["messages"] for row in loaded]
    assert len(served) == 3
    assert stats["tokens"]["reply"] > 0


@pytest.mark.parametrize("served", [True, False])
def test_a_model_writes_the_users_turn_itself(made, served):
    files = {"tokenizer": pocket_folder()} if served else {}
    rows, _ = made(served=served, make="magpie", rows=4, max_tokens=60, files=files, near_duplicates=None)
    assert rows
    for row in rows:
        user, assistant = row["messages"]
        assert user["content"]
        assert assistant["content"]
        assert "<|im" not in user["content"] + assistant["content"]
    assert len({row["messages"][0]["content"] for row in rows}) > 1, "each has a seed of its own"
    again, _ = made("again", served=served, make="magpie", rows=4, max_tokens=60, files=files, near_duplicates=None)
    assert again == rows


def test_a_tokenizer_without_a_template_cannot_begin_a_turn(made, tmp_path):
    files = {"tokenizer": tiny_tokenizer(tmp_path / "plain", chat_template=None)}
    with pytest.raises(ModelError, match="no chat template"):
        made(make="magpie", rows=2, files=files)
