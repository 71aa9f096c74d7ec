"""The order of rows, caps and stops."""

import json
import re
import time

import pytest

from burnish.core.errors import RunError
from burnish.specs.data import SynthesizeSpec
from burnish.stages.data.synthesize import run
from burnish.testing import temporary_context
from teacher import answer


def test_concurrency_changes_no_byte_of_the_dataset(made, tmp_path, server):
    files = {}
    for number in (1, 8):
        made(f"run-{number}", rows=30, judge={"threshold": 0.3}, endpoint={"concurrency": number})
        out = tmp_path / f"run-{number}" / "out"
        files[number] = {path.name: path.read_bytes() for path in out.iterdir()}
        for path in (tmp_path / "cache").rglob("*.json"):
            path.unlink()
    assert files[1] == files[8]
    assert server.most_at_once > 1


def test_the_rows_of_a_shorter_run_are_the_first_of_a_longer_one_and_cost_nothing(made, server):
    long, _, _, _ = made("long", rows=30)
    before = len(server.seen)
    short, _, _, outcome = made("short", rows=17)
    assert short == long[:17]
    assert len(server.seen) == before
    assert outcome.measures["requests"] == 0


def test_a_cap_says_what_is_there_and_a_higher_one_resumes(made, server):
    with pytest.raises(RunError) as error:
        made(rows=40, endpoint={"max_calls": 30})
    assert error.value.code == "run.call-limit"
    made_so_far = re.search(r"there are (\d+) of 40 rows", error.value.what)
    kept = int(made_so_far[1])
    assert kept >= 16
    assert f"set rows: {kept}" in error.value.fix
    before = len(server.seen)
    assert before <= 30
    rows, _, _, _ = made("fewer", rows=kept)
    assert (len(rows), len(server.seen)) == (kept, before)
    rows, _, _, _ = made(rows=40, endpoint={"max_calls": 100})
    sent = [json.dumps(request, sort_keys=True) for request in server.seen]
    assert len(rows) == 40
    assert len(set(sent)) == len(sent)


def test_a_step_that_is_stopped_says_what_there_is_and_resumes(server, tmp_path):
    spec = {"kind": "model", "rows": 30, "endpoint": {"url": server.url, "model": "m", "concurrency": 1}}
    spec = SynthesizeSpec.model_validate({"generator": spec})
    server.answer = lambda request: time.sleep(0.05) or answer(request)
    context, _ = temporary_context(tmp_path, stopping=lambda: len(server.seen) > 20)
    with pytest.raises(RunError, match="stopped with 16 of 30 rows") as error:
        run(spec, context)
    assert error.value.code == "run.interrupted"
    context, _ = temporary_context(tmp_path)
    run(spec, context)
    sent = [json.dumps(request, sort_keys=True) for request in server.seen]
    assert len(sent) == len(set(sent)) == 30
