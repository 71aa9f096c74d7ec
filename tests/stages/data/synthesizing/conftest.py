"""Rows by a language model that runs here against a local server."""

import json

import pytest

from burnish.core.runs.ledger import ConsumptionLedger
from burnish.data.dataset import read_rows
from burnish.specs.data import SynthesizeSpec
from burnish.stages.data.synthesize import run
from burnish.testing import ChatServer, input_at, temporary_context
from teacher import answer


@pytest.fixture
def server():
    with ChatServer(answer) as server:
        server.usage = lambda request: {"prompt_tokens": 100, "completion_tokens": 20}
        yield server


@pytest.fixture
def made(server, tmp_path):
    """Make rows: gives (rows, stats, events, the outcome). Files are inputs of fields by their names."""

    def made(folder="run", files=None, endpoint=None, **settings):
        inputs, refs = {}, {}
        for field, content in (files or {}).items():
            path = tmp_path / f"{field.replace('.', '-')}{'.md' if 'prompt' in field else '.jsonl'}"
            path.write_text(content, encoding="utf-8")
            inputs[f"generator.{field}"] = input_at(path)
            refs[field] = f"file:{path}"
        nested = {name: ref for name, ref in refs.items() if "." not in name}
        for name, ref in refs.items():
            if "." in name:
                outer, inner = name.split(".")
                settings[outer] = {**settings.get(outer, {}), inner: ref}
        given = {"url": server.url, "model": "teacher", "backoff": 0.01, **(endpoint or {})}
        context, events = temporary_context(tmp_path / folder, inputs)
        context.cache = tmp_path / "cache"
        spec = SynthesizeSpec.model_validate({"generator": {"kind": "model", "endpoint": given, **nested, **settings}})
        with ConsumptionLedger(spec) as ledger:
            context.check_settings = ledger.check
            outcome = run(spec, context)
        rows = list(read_rows(context.out, "train"))
        return rows, json.loads((context.out / "stats.json").read_text()), events, outcome

    return made
