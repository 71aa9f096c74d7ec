"""A judge that runs here against a local server, and what it leaves on disk."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from burnish.core.events import Note
from burnish.specs.evals.judge import JudgeSpec
from burnish.stages.evals.judge import run
from burnish.testing import ChatServer, input_at, temporary_context


@dataclass
class Judged:
    """The result of a run of `judge`."""

    out: Path
    measures: dict
    events: list

    @property
    def metrics(self):
        return json.loads((self.out / "metrics.json").read_text())

    def lines(self, name):
        return [json.loads(line) for line in (self.out / name).read_text().splitlines()]

    @property
    def scores(self):
        """By name, the value of each row, None where it is missing."""
        rows = [line["scores"] for line in self.lines("items.jsonl")]
        return {name: [value_of(row[name]) for row in rows] for name in rows[0]}

    @property
    def notes(self):
        return [event.text for event in self.events if isinstance(event, Note)]

    @property
    def warnings(self):
        return [event.text for event in self.events if isinstance(event, Note) and event.level == "warning"]


def value_of(score):
    return score["value"] if isinstance(score, dict) else score


@pytest.fixture
def server():
    with ChatServer() as server:
        yield server


@pytest.fixture
def answers(tmp_path):
    """`answers([{…}, …], name)`: a file of rows; a plain number makes that many."""

    def write(rows, name="answers.jsonl"):
        if isinstance(rows, int):
            rows = [{"id": f"r{i}", "prompt": f"question {i}", "answer": f"answer {i}"} for i in range(rows)]
        path = tmp_path / name
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def judge(tmp_path, server):
    """`judge(answers, **settings)`: runs the stage; the same `folder` resumes, with the cache of all."""

    def judge(path, folder="run", stopping=lambda: False, **settings):
        endpoint = {"url": server.url, "model": "judge", "backoff": 0.01, "timeout": 5, **settings.pop("endpoint", {})}
        files = {"answers": path} | {name: settings[name] for name in ("against", "references") if name in settings}
        given = {"rubric": "correctness"} if not {"mode", "criteria", "rubric"} & settings.keys() else {}
        given |= settings | {name: f"file:{file}" for name, file in files.items()}
        spec = JudgeSpec(judge=endpoint, **given)
        inputs = {name: file if not isinstance(file, Path) else input_at(file) for name, file in files.items()}
        ctx, events = temporary_context(tmp_path / folder, inputs, stopping)
        ctx.cache = tmp_path / "cache"
        measures = dict(run(spec, ctx).measures)
        return Judged(ctx.out, measures, events)

    return judge


@pytest.fixture
def says(server):
    """`says({"score": 3})`: the judge's verdict on every answer, or by a function of the request's text."""

    def says(verdict):
        def answer(request):
            given = verdict(request["messages"][-1]["content"]) if callable(verdict) else verdict
            return given if isinstance(given, str) else json.dumps(given)

        server.answer = answer

    return says
