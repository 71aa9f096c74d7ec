"""Kills a real training run again and again: `python kill_zygote.py FOLDER KILLS RUN SEED`.

Everything is imported once here; each attempt is a fork of this process that runs a stage and is ended
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

from burnish.core.catalog import stages
from burnish.testing import temporary_context, tiny_model

STEPS = 24
LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}
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
}
"""Stage and settings by name."""


def train(folder: Path, run: str, steps: int = STEPS) -> None:
    """One attempt: the stage in a folder, gone on with from what lies there."""
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
        **settings,
    )
    ctx, _ = temporary_context(folder, {"data": folder.parent / "rows.jsonl", "base": folder.parent / "base"})
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
        else:
            found.append({"prompt": asked, "chosen": good, "rejected": bad})
    return found


def digest(folder: Path) -> str:
    """sha256 over the trained weights and the row ledger of a finished run."""
    total = hashlib.sha256()
    for name in ("adapter_model.safetensors", "model.safetensors", "rows.parquet"):
        path = folder / "out" / name
        total.update(path.read_bytes() if path.exists() else b"-")
    return total.hexdigest()


def attempt(folder: Path, run: str, delay: float) -> int:
    """Fork an attempt, kill it after `delay` seconds; gives the wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            train(folder, run)
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


def main(folder: Path, kills: int, run: str, seed: int) -> None:
    torch.set_num_threads(1)
    draw = random.Random(seed)
    tiny_model(folder / "base", "qwen3")
    rows = rows_of(RUNS[run][0])
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train(folder / "whole", run)
    expected = digest(folder / "whole")
    began = time.monotonic()  # the first run also imported what a run needs
    train(folder / "again", run)
    usual = time.monotonic() - began
    killed, finished, wrong, failed, during_save, number = 0, 0, 0, [], 0, 0
    while killed < kills:
        place = folder / f"run{number}"
        number += 1
        while True:
            delay = draw.uniform(0.02, 0.7 * usual) if killed < kills else 60.0
            status = attempt(place, run, delay)
            during_save += bool(list((place / "scratch/checkpoints").glob(".saving-*")))
            if os.WIFSIGNALED(status):
                killed += 1
                continue
            if os.WEXITSTATUS(status) == 0:
                finished += 1
                wrong += digest(place) != expected
            else:
                failed.append((place / "error.txt").read_text())
            break
    print(
        json.dumps({"killed": killed, "finished": finished, "wrong": wrong, "failed": failed, "in_save": during_save})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
