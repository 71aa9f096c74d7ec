"""Runs that are killed at random moments, saves included, all go on and end with the weights of one that was not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ZYGOTE = Path(__file__).with_name("kill_zygote.py")


def killed_runs(folder: Path, kills: int, run: str, seed: int) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(ZYGOTE), str(folder), str(kills), run, str(seed)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_every_kill_was_survived(result: dict, kills: int) -> None:
    assert result["failed"] == []
    assert result["killed"] >= kills
    assert result["finished"] >= 1
    assert result["wrong"] == 0, "a resumed run ended with other weights, or another row ledger"


OBJECTIVES = ("dpo", "dpo-each-step", "dpo-full", "kto", "kto-full", "orpo", "simpo", "reward", "reward-full")


@pytest.mark.parametrize(
    ("run", "kills"), [("lora", 20), ("qlora", 6), ("full", 20), *((name, 3) for name in OBJECTIVES)]
)
def test_some_kills_of_each_kind_of_run_are_survived_with_the_same_weights(tmp_path, run, kills):
    assert_every_kill_was_survived(killed_runs(tmp_path, kills, run, seed=0), kills)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("run", "share"), [("lora", 0.5), ("full", 0.5), ("qlora", 0.14), ("dpo", 0.14), ("kto", 0.1), ("reward", 0.1)]
)
def test_hundreds_of_kills_are_survived_with_the_same_weights(tmp_path, run, share):
    kills = int(share * int(os.environ.get("BURNISH_KILLS", "500")))
    assert_every_kill_was_survived(killed_runs(tmp_path, kills, run, seed=1), kills)
