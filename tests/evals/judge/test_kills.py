"""A judge that is killed (SIGKILL) at random moments, resumes, and pays for no stored reply again."""

import json
import random
import subprocess
import sys
import time

import pytest

from burnish.endpoints.replies import key_of

ANSWERS, CONCURRENCY = 120, 8
RUN = """
import json, sys
from pathlib import Path
from burnish.core.errors import BurnishError
from burnish.specs.evals.judge import JudgeSpec
from burnish.stages.evals.judge import run
from burnish.testing import input_at, temporary_context

spec, folder, answers = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
ctx, _ = temporary_context(folder, {"answers": input_at(answers)})
try:
    print(json.dumps(dict(run(JudgeSpec(**spec), ctx).measures)))
except BurnishError as error:
    sys.exit(error.code)
"""


def verdict(request):
    number = sum(request["messages"][0]["content"].encode()) % 7
    time.sleep(random.random() / 100)
    return "no idea" if number == 0 else json.dumps({"quality": number % 5 + 1})


def start(server, folder, path, **endpoint):
    given = {"url": server.url, "model": "judge", "backoff": 0.01, "concurrency": CONCURRENCY, "max_tokens": 30}
    criteria = [{"name": "quality", "description": "How good it is.", "scale": "1-5"}]
    spec = {"answers": f"file:{path}", "judge": {**given, **endpoint}, "criteria": criteria}
    arguments = [json.dumps(spec), str(folder), str(path)]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def killed(process, server, chance):
    """Kill it once the server has seen a random number of further requests, or soon after it started; True if so."""
    wanted = len(server.seen) + chance.randint(0, 25)
    pause = chance.random() / 50
    while process.poll() is None and len(server.seen) < wanted:
        time.sleep(0.001)
    time.sleep(pause)
    was_running = process.poll() is None
    process.kill()
    process.communicate()
    return was_running


def stored(folder):
    return {path.stem for path in (folder / "cache").rglob("*.json")}


def keys(server, since):
    return [key_of(f"{server.url}/chat/completions", request) for request in server.seen[since:]]


def tokens(usage):
    return usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.torture)])
def test_what_is_stored_when_it_is_killed_is_never_requested_again(server, tmp_path, answers, judge, kills):
    chance, path, folder = random.Random(kills), answers(ANSWERS), tmp_path / "killed"
    server.answer = verdict
    server.usage = lambda request: {
        "prompt_tokens": chance.randint(50, 150),
        "completion_tokens": chance.randint(1, 30),
    }
    done = faults = 0
    while done < kills:
        if len(stored(folder)) > ANSWERS * 3 // 4:  # a new round, with other answers
            rows = [{"id": f"{done}-{i}", "prompt": f"q {done}", "answer": f"a {done} {i}"} for i in range(ANSWERS)]
            path, folder = answers(rows, f"answers-{done}.jsonl"), tmp_path / f"killed-{done}"
        server.faults = chance.choices([429, 500, "half", "reset", "garbage"], k=chance.randint(0, 4))
        faults += len(server.faults)
        before, since = stored(folder), len(server.seen)
        done += killed(start(server, folder, path), server, chance)
        assert before.isdisjoint(keys(server, since))
    server.faults = []
    before, since = stored(folder), len(server.seen)
    process = start(server, folder, path)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert before.isdisjoint(keys(server, since))
    sent = keys(server, 0)
    assert len(sent) - len(set(sent)) <= faults + kills * CONCURRENCY  # only what was under way, or failed
    measures = json.loads(out)
    lines = (folder / "out" / "items.jsonl").read_text().splitlines()
    assert (len(lines), measures["replies"]) == (ANSWERS, ANSWERS)
    assert 0 < measures["missing"] < ANSWERS // 2
    whole = judge(path, "whole", criteria=[{"name": "quality", "description": "How good it is.", "scale": "1-5"}])
    assert whole.measures["quality"] == measures["quality"]


@pytest.mark.parametrize("kills", [3, pytest.param(15, marks=pytest.mark.torture)])
def test_a_limit_holds_across_kills(server, tmp_path, answers, kills):
    chance, path, cap = random.Random(kills), answers(ANSWERS), 3000 * kills
    server.answer = verdict
    server.usage = lambda request: {
        "prompt_tokens": chance.randint(50, 300),
        "completion_tokens": chance.randint(1, 30),
    }
    done = 0
    while done < kills:
        process = start(server, tmp_path, path, max_cost_tokens=cap)
        if not killed(process, server, chance):
            break
        done += 1
    process = start(server, tmp_path, path, max_cost_tokens=cap)
    _, error = process.communicate(timeout=120)
    assert error.strip() == "run.call-limit"
    assert sum(map(tokens, server.charged)) <= cap
    lines = (tmp_path / "scratch" / "checkpoints" / "spending-0.jsonl").read_text().split("\n")
    booked = sum('"book"' in line for line in lines)
    assert len(server.seen) <= booked <= len(server.seen) + (done + 1) * CONCURRENCY
