"""Trainings in two processes, of which any, or the one that watches them, is killed: each resumes to the same bits."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

KILLS, SEED, STEPS = 60, 3, 30
PLACES = {"watches": 0, "first": 1, "other": 2, "stopped": 2}
"""Who is killed, or stopped, among the processes of a step."""
RECIPE = {
    "name": "killed",
    "steps": {
        "rows": {"stage": "synthesize", "generator": {"kind": "pocket", "skill": "move_order", "rows": 120, "seed": 1}},
        "tune": {
            "stage": "sft",
            "base": "builtin:pocket",
            "data": "step:rows",
            "max_steps": STEPS,
            "batch_size": 8,
            "learning_rate": 4.0e-3,
            "method": {"kind": "lora", "rank": 4, "dropout": 0.1},
            "checkpoint": {"every": 3},
            "launch": {"processes": 2},
            "dtype": "float32",
            "prove": "off",
        },
    },
}


def command(folder: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "burnish.cli.main",
        "run",
        str(folder / "killed.yaml"),
        "--workspace",
        str(folder),
        *more,
    ]


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def processes_of(step: Path) -> list[int]:
    """The worker of the step, which watches, and its ranks."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        worker = json.loads((step / "run.json").read_text())["pid"]
        return [worker, *children(worker)]
    return []


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def made(folder: Path) -> Path:
    folder.mkdir()
    (folder / "killed.yaml").write_text(json.dumps(RECIPE))
    return folder


def newest(folder: Path) -> Path:
    """The step that trains, of the newest run: one that was killed without a checkpoint starts over in another."""
    found = (folder / "runs/killed").glob("*/tune")
    return max(found, key=lambda path: int(path.parent.name), default=folder / "none")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(newest(folder) / "out/adapter_model.safetensors")


def undisturbed(folder: Path) -> tuple[dict[str, torch.Tensor], float]:
    """The weights of a run that was not killed, and its seconds."""
    began = time.monotonic()
    subprocess.run(command(made(folder)), check=True, capture_output=True)
    return weights_of(folder), time.monotonic() - began


def wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_60_kills_of_processes_and_of_what_watches_them_are_survived_with_the_same_bits(tmp_path):
    expected, seconds = undisturbed(tmp_path / "0")
    chance, killed, finished = random.Random(SEED), Counter(), 0
    while sum(killed.values()) < KILLS:
        finished += 1
        folder = made(tmp_path / str(finished))
        while True:
            started = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for_end(started, chance.uniform(0.1, 1.0) * seconds)
            found = processes_of(newest(folder)) if started.poll() is None else []
            who = chance.choice(list(PLACES))
            if is_killed := PLACES[who] < len(found):
                os.kill(found[PLACES[who]], signal.SIGSTOP if who == "stopped" else signal.SIGKILL)
                killed[who] += 1
            began = time.monotonic()
            status = started.wait(120)
            assert not (is_killed and time.monotonic() - began > 45), who
            assert not any(map(is_running, found)), "a process was left"
            if status == 0:
                break
        result = weights_of(folder)
        assert all(torch.equal(result[name], weight) for name, weight in expected.items()), (finished, killed)
    print(f"seed {SEED}: {dict(killed)}, {finished} runs finished")
    assert set(killed) == set(PLACES)
