"""A judge behind a real local server: `transformers serve` with the built-in model, offline."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from burnish.core.inputs.references import built_ins


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, name of the model) of a server of the built-in model."""
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model, log = str(built_ins()["pocket"]), folder / "log.txt"
    (folder / "hub").mkdir()  # /v1/models lists it, and fails without
    offline = {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    script = f"{os.path.dirname(sys.executable)}/transformers"
    command = [script, "serve", model, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **offline})
    try:
        for _ in range(600):
            if process.poll() is not None:
                pytest.fail(log.read_text())
            if "Uvicorn running" in log.read_text():
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        process.terminate()
        process.wait(30)


def test_answers_are_judged_by_a_served_model_and_what_it_cannot_say_is_missing(served, judge, answers):
    url, model = served
    with urllib.request.urlopen(f"{url}/models", timeout=30) as models:
        assert models.status == 200
    rows = [
        {"id": str(i), "prompt": f"What is {i} May 2024 in ISO format?", "answer": f"2024-05-{i}"}
        for i in range(10, 16)
    ]
    criteria = [{"name": "quality", "description": "How good it is.", "scale": "1-5"}]
    settings = {"criteria": criteria, "endpoint": {"url": url, "model": model, "max_tokens": 24, "timeout": 60}}
    found = judge(answers(rows), **settings)
    replies = found.lines("judgements.jsonl")
    assert [line["id"] for line in replies] == [row["id"] for row in rows]
    assert all(line["reply"] and line["tokens"]["prompt"] > 100 for line in replies)
    assert found.scores["quality"] == [None] * 6  # 0.9 M parameters do not judge
    assert found.metrics["missing"]["missing"] == 6
    assert set(found.metrics["missing"]["reasons"]) <= {"not JSON", "cut off", "other schema", "off the scale"}
    assert found.metrics["cost"]["prompt_tokens"] == sum(line["tokens"]["prompt"] for line in replies)
    assert found.metrics["cost"]["uncounted"] == 0
    again = judge(answers(rows), "again", **settings)
    assert again.metrics["cost"]["requests"] == 0
    assert [line["reply"] for line in again.lines("judgements.jsonl")] == [line["reply"] for line in replies]


def test_a_question_that_the_model_can_answer_is_read(served, judge, answers):
    """The built-in model writes dates: with a scale of dates and a prompt of its own, its reply is a verdict."""
    url, model = served
    prompt = "Write {answer} as an ISO date."
    rows = [{"id": str(i), "answer": f"June {i}, 2029"} for i in (22, 23, 24)]
    criteria = [{"name": "day", "description": "The date.", "scale": [f"2029-06-{i}" for i in (22, 23, 24)]}]
    endpoint = {"url": url, "model": model, "max_tokens": 24, "timeout": 60}
    found = judge(answers(rows), criteria=criteria, prompt=prompt, response_format="none", endpoint=endpoint)
    assert [line["reply"] for line in found.lines("judgements.jsonl")] == [f"2029-06-{i}" for i in (22, 23, 24)]
    assert found.metrics["missing"]["reasons"] == {"not JSON": 3}  # right, but it is not the JSON object that is due
