"""Kills a real training run again and again: `python kill_zygote.py FOLDER KILLS METHOD SEED`.

Everything is imported once here; each attempt is a fork of this process that runs the sft stage and is ended
with SIGKILL at a random moment, saves included, until so many kills have happened. A run that reaches its end
is compared with one that was never interrupted, and the next begins. Prints one JSON object.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from burnish.specs.train import SftSpec
from burnish.stages.train import sft
from burnish.testing import temporary_context, tiny_model

STEPS = 24
METHODS = {
    "lora": {"kind": "lora", "rank": 4, "dropout": 0.1},
    "qlora": {"kind": "qlora", "rank": 4, "dropout": 0.1},
    "full": {"kind": "full"},
}


def train(folder: Path, method: str, steps: int = STEPS) -> None:
    """One attempt: the stage in a folder, gone on with from what lies there."""
    spec = SftSpec(
        data="file:rows.jsonl",
        base="file:base",
        method=METHODS[method],
        max_steps=steps,
        batch_size=5,
        micro_batch_tokens=64,
        learning_rate=1e-2,
        checkpoint={"every": 1},
        threads=1,
        device="cpu",
    )
    ctx, _ = temporary_context(folder, {"data": folder.parent / "rows.jsonl", "base": folder.parent / "base"})
    sft.run(spec, ctx)


def digest(folder: Path) -> str:
    """sha256 over the trained weights and the row ledger of a finished run."""
    total = hashlib.sha256()
    for name in ("adapter_model.safetensors", "model.safetensors", "rows.parquet"):
        path = folder / "out" / name
        total.update(path.read_bytes() if path.exists() else b"-")
    return total.hexdigest()


def attempt(folder: Path, method: str, delay: float) -> int:
    """Fork an attempt, kill it after `delay` seconds; gives the wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            train(folder, method)
        except BaseException:
            (folder / "error.txt").write_text(traceback.format_exc())
            os._exit(7)
        os._exit(0)
    end = time.monotonic() + delay
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def main(folder: Path, kills: int, method: str, seed: int) -> None:
    torch.set_num_threads(1)
    draw = random.Random(seed)
    tiny_model(folder / "base", "qwen3")
    rows = [
        {"messages": [{"role": "user", "content": f"Say {i}"}, {"role": "assistant", "content": "yes " * (i % 5 + 1)}]}
        for i in range(17)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train(folder / "whole", method)
    expected = digest(folder / "whole")
    began = time.monotonic()  # the first run also imported what a run needs
    train(folder / "again", method)
    usual = time.monotonic() - began
    killed, finished, wrong, failed, during_save, number = 0, 0, 0, [], 0, 0
    while killed < kills:
        run = folder / f"run{number}"
        number += 1
        while True:
            delay = draw.uniform(0.02, 0.7 * usual) if killed < kills else 60.0
            status = attempt(run, method, delay)
            during_save += bool(list((run / "scratch/checkpoints").glob(".saving-*")))
            if os.WIFSIGNALED(status):
                killed += 1
                continue
            if os.WEXITSTATUS(status) == 0:
                finished += 1
                wrong += digest(run) != expected
            else:
                failed.append((run / "error.txt").read_text())
            break
    print(
        json.dumps({"killed": killed, "finished": finished, "wrong": wrong, "failed": failed, "in_save": during_save})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
