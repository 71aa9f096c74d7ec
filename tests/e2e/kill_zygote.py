"""Kills real training runs again and again: `python kill_zygote.py FOLDER SEED STEPS RUN=KILLS…`.

Everything is imported once here; each attempt is a fork of this process that runs a stage and is ended with SIGKILL
at a random moment, saves and generations included. A run is killed several times until it reaches its end, is compared
with one that was never interrupted, and the next begins, until so many kills have happened. Prints a line of JSON for
each run.
"""

import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import torch

from burnish.core.catalog import stages
from burnish.testing import temporary_context, tiny_model
from burnish.train.checkpoints.checkpoint import CheckpointFolder
from burnish.train.loop import Loop
from burnish.train.rollout.rollouts import Judged

LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}
ROLLOUTS = {
    "rewards": [{"kind": "length", "target": 6, "margin": 9}, {"kind": "repetition", "ngram": 2}],
    "generation": {"max_new_tokens": 12, "batch_size": 8},
    "group_size": 4,
    "mini_batches": 2,
    "passes": 2,
}
STEPS_ON_A_ROLLOUT = 4
PROVED = ("lora", "qlora", "dpo")
"""Runs with the checks of `prove` at the start of each attempt."""
RUNS = {
    "lora": ("sft", {"method": LORA}),
    "qlora": ("sft", {"method": {**LORA, "kind": "qlora"}}),
    "full": ("sft", {"method": {"kind": "full"}}),
    "dpo": ("dpo", {"method": LORA, "sft_weight": 0.5}),
    "dpo-each-step": ("dpo", {"method": LORA, "reference_log_probs": "each_step"}),
    "dpo-full": ("dpo", {"method": {"kind": "full"}, "loss": "ipo"}),
    "kto": ("kto", {"method": LORA, "undesirable_weight": 0.5}),
    "kto-full": ("kto", {"method": {"kind": "full"}}),
    "orpo": ("orpo", {"method": LORA}),
    "simpo": ("simpo", {"method": LORA}),
    "reward": ("reward", {"method": LORA, "center_coefficient": 0.01}),
    "reward-full": ("reward", {"method": {"kind": "full"}}),
    "grpo": ("grpo", {"method": {**LORA, "dropout": 0.0}, **ROLLOUTS, "kl_coefficient": 0.1, "kl_in": "reward"}),
    "ppo": ("ppo", {"method": {**LORA, "dropout": 0.0}, **{k: v for k, v in ROLLOUTS.items() if k != "group_size"}}),
    "grpo-full": ("grpo", {"method": {"kind": "full"}, **ROLLOUTS}),
}
"""Stage and settings by name."""


PLACE = mmap.mmap(-1, 1)
"""What a child does, readable after it is killed."""
FIRST_STEP = [0.0]
LOADING, TRAINING, GENERATING = b"\0", b"\1", b"\2"


def note_places() -> None:
    step, sample = Loop._step, Judged.sample

    def noted_step(loop):
        if PLACE[:] == LOADING:
            FIRST_STEP[:] = [time.monotonic()]
        PLACE[:] = TRAINING
        return step(loop)

    def noted_sample(*arguments, **named):
        PLACE[:] = GENERATING
        found = sample(*arguments, **named)
        PLACE[:] = TRAINING
        return found

    Loop._step, Judged.sample = noted_step, noted_sample


def train(folder: Path, run: str, steps: int) -> None:
    """One attempt: the stage in a folder, resumed from what lies there."""
    name, settings = RUNS[run]
    stage = stages()[name]
    spec = stage.spec_type()(
        data="file:rows.jsonl",
        base="file:base",
        max_steps=steps,
        batch_size=5,
        micro_batch_tokens=64 if name == "sft" else 160,
        learning_rate=1e-2,
        checkpoint={"every": 1},
        threads=1,
        device="cpu",
        prove="auto" if run in PROVED else "off",
        **settings,
    )
    ctx, _ = temporary_context(folder, {"data": folder.parent / "rows.jsonl", "base": folder.parents[1] / "base"})
    stage.function()(spec, ctx)


def rows_of(stage: str) -> list[dict]:
    """Rows of the kind that a stage takes."""
    found = []
    for i in range(17):
        asked, good, bad = (
            [{"role": role, "content": text}]
            for role, text in (
                ("user", f"Say {i}"),
                ("assistant", "yes " * (i % 5 + 1)),
                ("assistant", "no " * (i % 3 + 1)),
            )
        )
        if stage == "sft":
            found.append({"messages": asked + good})
        elif stage == "kto":
            found.append({"prompt": asked, "completion": bad if i % 3 else good, "label": i % 3 == 0})
        elif stage in ("grpo", "ppo"):
            found.append({"prompt": asked})
        else:
            found.append({"prompt": asked, "chosen": good, "rejected": bad})
    return found


def digest(folder: Path) -> str:
    """sha256 over the trained weights and the ledgers of rows and rollouts of a finished run."""
    total = hashlib.sha256()
    for name in ("adapter_model.safetensors", "model.safetensors", "rows.parquet", "rollouts.parquet"):
        path = folder / "out" / name
        total.update(path.read_bytes() if path.exists() else b"-")
    return total.hexdigest()


def attempt(folder: Path, run: str, steps: int, delay: float, while_loading: bool) -> int:
    """Fork an attempt and kill it `delay` seconds after its start or its first step; gives the wait status."""
    PLACE[:] = LOADING
    pid = os.fork()
    if pid == 0:
        try:
            train(folder, run, steps)
        except BaseException:
            (folder / "error.txt").write_text(traceback.format_exc())
            os._exit(7)
        os._exit(0)
    began = time.monotonic()
    while time.monotonic() - began < delay:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if PLACE[:] == LOADING and not while_loading:
            began = time.monotonic()
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def places(folder: Path, run: str) -> list[str]:
    """Where the last kill hit."""
    if PLACE[:] == LOADING:
        return ["before the first step"]
    found = ["in a generation" if PLACE[:] == GENERATING else "in a step"]
    if RUNS[run][0] in ("grpo", "ppo") and PLACE[:] == TRAINING:
        done = max(CheckpointFolder(folder / "scratch/checkpoints").steps(), default=0)
        found += ["between the steps on a rollout"] * bool(done % STEPS_ON_A_ROLLOUT)
    found += ["in a save"] * bool(list((folder / "scratch/checkpoints").glob(".saving-*")))
    return found


def torture(folder: Path, run: str, kills: int, steps: int, draw: random.Random) -> dict:
    rows = rows_of(RUNS[run][0])
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    PLACE[:] = LOADING
    began = time.monotonic()
    train(folder / "whole", run, steps)
    ended = time.monotonic()
    expected, loading, training = digest(folder / "whole"), FIRST_STEP[0] - began, ended - FIRST_STEP[0]
    killed, finished, wrong, failed, number, where = 0, 0, 0, [], 0, Counter()
    while killed < kills:
        place = folder / f"run{number}"
        number += 1
        while True:
            while_loading = killed < kills and draw.random() < 0.15
            delay = draw.uniform(0, loading if while_loading else 0.7 * training) if killed < kills else 60.0
            status = attempt(place, run, steps, delay, while_loading)
            if os.WIFSIGNALED(status):
                killed += 1
                where.update(places(place, run))
                continue
            if os.WEXITSTATUS(status) == 0:
                finished += 1
                wrong += digest(place) != expected
            else:
                failed.append((place / "error.txt").read_text())
            shutil.rmtree(place)
            break
    return {"run": run, "killed": killed, "finished": finished, "wrong": wrong, "failed": failed, "where": where}


def main(folder: Path, seed: int, steps: int, runs: dict[str, int]) -> None:
    torch.set_num_threads(1)
    note_places()
    tiny_model(folder / "base", "qwen3")
    first = next(iter(runs))
    torture(folder / "warm-up", first, 0, 1, random.Random(0))  # imports what a run needs
    for run, kills in runs.items():
        print(json.dumps(torture(folder / run, run, kills, steps, random.Random(f"{seed} {run}"))), flush=True)


if __name__ == "__main__":
    asked = {name: int(kills) for name, _, kills in (word.partition("=") for word in sys.argv[4:])}
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), asked)
