"""The recipe of a comparison in short form, whose gate fails and fails again; and a comparison killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import burnish
from burnish.core.errors import GateError
from burnish.core.events import Progress, read_events
from burnish.core.runs.workspace import Workspace
from burnish.testing import tiny_model

RECIPE = Path(__file__).parents[2] / "recipes" / "compare.yaml"
SHORT = [
    "requests.generator.rows=120",
    *(f"{step}.max_steps=1" for step in ("short", "long")),
    *(f"{step}.prove=off" for step in ("short", "long")),
    "verdict.generation.max_new_tokens=8",
]


@pytest.mark.timeout(300)  # five steps, each in a process of its own
def test_a_gate_that_fails_ends_the_recipe_and_does_so_again_when_it_is_reused(tmp_path):
    for _ in range(2):
        with pytest.raises(GateError) as caught:
            burnish.run(RECIPE, settings=SHORT, workspace=tmp_path)
        assert (caught.value.code, caught.value.exit_status) == ("run.gate-failed", 7)
        assert "{score: tool_call, candidate: long, better_than: base}: long: not enough evidence" in caught.value.what
        assert "the gate of step 'verdict' failed" in caught.value.what
        verdict = caught.value.result["steps"]["verdict"]
        assert verdict["metrics"]["gate_failed"][0] in caught.value.what
        assert verdict["path"].endswith("verdict/out")
    steps = Workspace(tmp_path).steps_of("compare", 2)
    assert Workspace(tmp_path).steps_of("compare", 1)["verdict"].folder == steps["verdict"].folder  # reused
    artifact = steps["verdict"].artifact()
    assert artifact is not None
    assert artifact.measures["gate"] == "failed"
    found = json.loads((artifact.path / "comparison.json").read_text())
    assert found["gate"]["rules"][0]["passed"] is False
    assert set(found["candidates"]) == {"base", "short", "long"}
    more = [*SHORT, "verdict.gate=[{score: bits_per_byte, candidate: long, at_most: 9, measured: true}]"]
    passed = burnish.run(RECIPE, settings=more, workspace=tmp_path)
    assert passed["verdict"].metrics["gate"] == "passed"
    events = read_events(passed["verdict"].run.events.path)
    assert not [event for event in events if isinstance(event, Progress)]  # a changed gate computes nothing again


@pytest.mark.torture
@pytest.mark.timeout(120)
def test_a_comparison_that_is_killed_between_candidates_does_not_repeat_the_first(tmp_path):
    model = tiny_model(tmp_path / "model", max_position_embeddings=2048)
    rows = [
        {"messages": [{"role": "user", "content": f"{i}?"}, {"role": "assistant", "content": "x"}]} for i in range(300)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "burnish.cli.main", "--workspace", str(tmp_path / "work"), "compare"]
    command += [f"first=file:{model}", "second=builtin:pocket", "--data", f"file:{tmp_path / 'rows.jsonl'}"]
    command += ["--perplexity", "false", "--generation.max-new-tokens", "16", "--seed", "1"]
    other = tiny_model(tmp_path / "other", seed=1, max_position_embeddings=2048)
    command[command.index("second=builtin:pocket")] = f"second=file:{other}"
    (tmp_path / "work").mkdir()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as run:
        cache, end = tmp_path / "work/.burnish/cache/answers", time.monotonic() + 90
        while not list(cache.rglob("*.json")) and time.monotonic() < end and run.poll() is None:
            time.sleep(0.005)
        os.killpg(run.pid, signal.SIGKILL)
    assert len(list(cache.rglob("*.json"))) == 1
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    place = Workspace(tmp_path / "work")
    runs = [place.steps_of("compare", number).get("compare") for number in place.numbers("compare")]
    newest = next(step for step in runs if step is not None and step.artifact() is not None)
    phases = {event.phase for event in read_events(newest.events.path) if isinstance(event, Progress)}
    assert phases == {"second: answers"}
