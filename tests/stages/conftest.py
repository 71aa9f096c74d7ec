import json

import pytest

from burnish.specs.data import PrepareSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context


@pytest.fixture
def qa():
    """JSON lines of questions and answers: `qa(count, start)`."""

    def qa(count: int, start: int = 0) -> str:
        rows = ({"question": f"What is {i}?", "answer": f"The number {i}."} for i in range(start, start + count))
        return "".join(json.dumps(row) + "\n" for row in rows)

    return qa


@pytest.fixture
def prepare(tmp_path):
    """Prepare files of given contents; gives (outcome, stats, events, the dataset's folder)."""

    def prepare(content: str | bytes, name: str = "rows.jsonl", tokenizer=None, **settings):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        inputs = {"source": path} | ({"tokenizer": tokenizer} if tokenizer else {})
        if tokenizer:
            settings["tokenizer"] = "file:tokenizer"
        context, events = temporary_context(tmp_path / "run", inputs)
        outcome = run(PrepareSpec(source=f"file:{name}", **settings), context)
        return outcome, json.loads((context.out / "stats.json").read_text()), events, context.out

    return prepare
