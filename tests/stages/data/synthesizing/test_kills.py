"""Rows by a model whose endpoint fails, stalls and limits, and whose process is killed (SIGKILL) at random moments."""

import hashlib
import json
import random
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from burnish.endpoints.replies import key_of
from burnish.testing import ChatServer

ROWS, CONCURRENCY = 40, 8
FAULTS = [429, 500, 503, "half", "reset", "garbage", "empty", "not-a-chat", "slow"]
RUN = """
import json, sys
from pathlib import Path
from burnish.core.errors import BurnishError
from burnish.specs.data import SynthesizeSpec
from burnish.stages.data.synthesize import run
from burnish.testing import temporary_context

ctx, _ = temporary_context(Path(sys.argv[2]))
try:
    print(json.dumps(dict(run(SynthesizeSpec.model_validate({"generator": json.loads(sys.argv[1])}), ctx).measures)))
except BurnishError as error:
    sys.exit(f"{error.code}: {error.what}")
"""


def answer(request):
    """By the content of the request alone; some replies cannot be used, some rows are bad, some are alike."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    time.sleep(int(digest[:2], 16) / 20_000)
    if int(digest[2:4], 16) < 25:
        return "no idea"
    if "score" in json.dumps(request["response_format"]):
        return json.dumps({"reason": "read", "score": 1 + int(digest[4:6], 16) % 10})
    words = [digest[place : place + 3] for place in range(4, 40, 3)] if int(digest[4], 16) else ["alike"] * 8
    return json.dumps({"request": f"What is {' '.join(words)}?", "answer": digest})


def usage(request):
    size = len(json.dumps(request))
    return {"prompt_tokens": size // 4, "completion_tokens": size % 50 + 1}


@pytest.fixture
def server():
    with ChatServer(answer) as server:
        server.usage = usage
        server.headers = {"Retry-After": "0.01"}
        yield server
        server.released.set()


def start(server, folder, **endpoint):
    given = {"url": server.url, "model": "teacher", "backoff": 0.01, "timeout": 1.0, "retries": 20, "max_tokens": 60}
    price = {"input": 1.0, "output": 2.0}
    endpoint = {**given, "concurrency": CONCURRENCY, "price": price, **endpoint}
    spec = {"kind": "model", "endpoint": endpoint, "rows": ROWS, "judge": {"threshold": 0.2}, "topics": ["a", "b"]}
    command = [sys.executable, "-c", RUN, json.dumps(spec), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(process, server, chance):
    """Kill it once the server has seen a random number of further requests, or soon after it started; True if so."""
    wanted, pause = len(server.seen) + chance.randint(0, 25), chance.random() / 50
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
    """The names of the replies in the cache; a seed says which repeat a request is."""
    found = []
    for request in server.seen[since:]:
        more = {"repeat": request["seed"]} if request["seed"] else {}
        found.append(key_of(f"{server.url}/chat/completions", {**request, **more}))
    return found


def files(folder):
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=[pytest.mark.torture, pytest.mark.timeout(1200)])])
def test_a_killed_step_pays_for_no_reply_twice_and_ends_with_the_rows_of_one_that_was_not(server, tmp_path, kills):
    chance, folder, done = random.Random(kills), tmp_path / "killed", 0
    process = start(server, tmp_path / "whole")
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    expected, measures = files(tmp_path / "whole"), json.loads(out)
    first = len(server.seen)
    assert first == len(set(keys(server, 0))), "an undisturbed run requests nothing twice"
    assert measures["rows"] == ROWS
    finished, faults, begun, sent = [], 0, len(server.seen), []
    while done < kills:
        server.faults = chance.choices(FAULTS, k=chance.randint(0, 6))
        faults += len(server.faults)
        before, since = stored(folder), len(server.seen)
        process = start(server, folder)
        if killed(process, server, chance):
            done += 1
        else:  # it had ended: another step is killed from here on
            finished.append(folder)
            sent.append(keys(server, begun))
            begun = len(server.seen)
            folder = tmp_path / f"killed-{len(finished)}"
        assert before.isdisjoint(keys(server, since)), "a stored reply was requested again"
    server.faults = chance.choices(FAULTS, k=6)
    faults += 6
    before, since = stored(folder), len(server.seen)
    process = start(server, folder)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert before.isdisjoint(keys(server, since))
    sent.append(keys(server, begun))
    repeated = sum(len(each) - len(set(each)) for each in sent)
    assert repeated <= faults + done * CONCURRENCY, "only what was under way, or failed, is requested again"
    for one in (*finished, folder):
        assert files(one) == expected
        assert stored(one) == stored(tmp_path / "whole")


def test_a_cap_on_money_holds_and_a_higher_one_ends_with_the_same_rows(server, tmp_path):
    whole = start(server, tmp_path / "whole")
    out, errors = whole.communicate(timeout=120)
    assert whole.returncode == 0, errors
    cost, expected = json.loads(out)["cost"], files(tmp_path / "whole")
    caps = [cost * 0.6, cost * 3]
    since = len(server.seen)
    for cap, following in pairwise([*caps, None]):
        before = len(server.charged)
        process = start(server, tmp_path / "capped", max_cost=cap)
        _, errors = process.communicate(timeout=120)
        if following is None:
            assert process.returncode == 0, errors
        else:
            assert "run.call-limit" in errors
            assert f" of {ROWS} rows" in errors
            assert len(server.charged) > before
        spent = sum(one["prompt_tokens"] + 2 * one["completion_tokens"] for one in server.charged[since:]) / 1e6
        assert spent <= cap
    sent = keys(server, since)
    assert len(set(sent)) == len(sent)
    assert files(tmp_path / "capped") == expected
