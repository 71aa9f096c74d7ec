"""The main job, run as a newcomer runs it: `burnish demo`, from data to answers.

`make test` measures the gain on 120 held-out rows, and on fewer what is forgotten, and trains the first adapter for 220
of its 300 steps; `make torture` runs the recipe as it is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(800)


ROWS = 120
MEASURED = {"score": ROWS, "forgetting": 60, "score_replay": 24, "forgetting_replay": 60}


@pytest.fixture(scope="module", params=["some rows", pytest.param("all rows", marks=pytest.mark.torture)])
def settings(request: pytest.FixtureRequest) -> list[str]:
    few = [f"{step}.max_rows={rows}" for step, rows in MEASURED.items()] + ["tune.max_steps=220"]
    few = few if request.param == "some rows" else []
    return [word for setting in few for word in ("--set", setting)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, settings: list[str]) -> Path:
    return tmp_path_factory.mktemp("demo")


def burnish(workspace: Path, *arguments: str) -> dict:
    command = [str(Path(sys.executable).parent / "burnish"), *arguments, "--json", "--workspace", str(workspace)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def first(workspace: Path, settings: list[str]) -> dict:
    return burnish(workspace, "demo", *settings)


def test_the_adapter_learns_what_the_base_has_never_seen(first: dict, settings: list[str]) -> None:
    metrics = first["steps"]["score"]["metrics"]
    assert metrics["rows"] >= (ROWS if settings else 400)
    assert metrics["exact_match"] - metrics["exact_match_base"] >= 0.8
    assert metrics["exact_match_delta_low"] >= 0.8
    assert metrics["exact_match_verdict"] == "better"


def test_forgetting_is_shown_and_replay_softens_it(first: dict) -> None:
    alone = first["steps"]["forgetting"]["metrics"]
    with_replay = first["steps"]["forgetting_replay"]["metrics"]
    assert alone["exact_match_base"] >= 0.95
    assert alone["exact_match_verdict"] == "worse"
    assert with_replay["exact_match"] > alone["exact_match"] + 0.05


def test_the_merged_model_answers_as_its_adapter_does(first: dict) -> None:
    answers = first["steps"]["same"]
    lines = (Path(answers["path"]) / "answers.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) >= 32
    assert all(row["answer"] == row["other_answer"] for row in rows)
    assert answers["metrics"]["same_answers"] == len(rows)


def test_the_tuned_model_is_served_asked_and_certified(first: dict) -> None:
    served = first["served"]
    assert served["certified"]
    assert served["rows"] == 64
    assert served["same"] >= 56
    assert {served["checks"][name] for name in ("models", "chat", "stream", "completions", "logprobs")} == {"holds"}
    assert "<tool_call>" in served["answer"]


def test_a_second_run_reuses_every_step(workspace: Path, first: dict, settings: list[str]) -> None:
    second = burnish(workspace, "demo", "--no-serve", *settings)
    assert {step["action"] for step in second["steps"].values()} == {"reuse"}
    assert {name: step["path"] for name, step in second["steps"].items()} == {
        name: step["path"] for name, step in first["steps"].items()
    }


def test_a_changed_setting_runs_only_what_stands_on_it(workspace: Path, first: dict, settings: list[str]) -> None:
    plan = burnish(workspace, "plan", "demo", *settings, "--set", "tune_replay.seed=5")
    actions = {step["step"]: step["action"] for step in plan["steps"]}
    again = {name for name, action in actions.items() if action == "run"}
    assert {"tune_replay", "score_replay", "forgetting_replay", "ship"} <= again
    assert actions["tune"] == actions["score"] == actions["data_replay"] == "reuse"
