"""LoRA on a CPU, here and in TRL's SFTTrainer: CPU-seconds per real token and peak memory, on the same model and rows.

    .venv/bin/python benchmarks/training.py             rows of mixed lengths, less than half of each learned
    .venv/bin/python benchmarks/training.py --dense     the control: rows of one length, all learned

A model of 26M parameters (Qwen3's shape) and rows of mixed lengths are made on the spot. Each program trains in a
process of its own, on one thread; only training is timed, without imports and loading. `trl, its defaults` pads and
computes activations again; the other lines of TRL are the settings that were found to help it. What burnish does
besides (checkpoints, the row ledger, the plot) is in its time.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROWS, BATCH, RANK, VOCABULARY = 32, 8, 16, 32_000
TRL_SETTINGS: dict[str, dict[str, Any]] = {
    "trl, its defaults": {},
    "trl, no checkpointing": {"gradient_checkpointing": False},
    "trl, no checkpointing, like lengths together": {
        "gradient_checkpointing": False,
        "train_sampling_strategy": "group_by_length",
    },
    "trl, no checkpointing, packed": {
        "gradient_checkpointing": False,
        "packing": True,
        "per_device_train_batch_size": 2,  # packed rows of 1,024 tokens: about as many tokens a step
    },
    "trl, the same with weights in bf16": {
        "gradient_checkpointing": False,
        "packing": True,
        "per_device_train_batch_size": 2,
        "model_init_kwargs": {"dtype": "bfloat16"},
    },
}
BURNISH = "burnish"


def rows(dense: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """(ids, weights) of rows of log-normal lengths (median 150, at most 1,024), the last 40 % of each learned.

    Dense rows have 180 tokens each, all of them learned.
    """
    random = np.random.default_rng(0)
    made = []
    for _ in range(ROWS):
        length = 180 if dense else int(np.clip(random.lognormal(np.log(150), 0.8), 16, 1024))
        weights = (np.arange(length) >= (0 if dense else 0.6 * length)).astype(np.float32)
        made.append((random.integers(10, VOCABULARY, length).astype(np.int32), weights))
    return made


def make_model(folder: Path) -> None:
    from burnish.testing import tiny_model

    sizes: dict[str, Any] = {"hidden_size": 384, "intermediate_size": 1152, "num_hidden_layers": 8, "head_dim": 64}
    heads: dict[str, Any] = {"num_attention_heads": 6, "num_key_value_heads": 2}
    tiny_model(
        folder, "qwen3", vocab_size=VOCABULARY, max_position_embeddings=2048, tie_word_embeddings=True, **sizes, **heads
    )


def train_with_burnish(model_folder: Path, folder: Path, dense: bool) -> dict[str, float]:
    import matplotlib.figure  # noqa: F401  # imports are not timed
    import torch

    from burnish.models.adapters.attach import attach_lora
    from burnish.models.load import load_model
    from burnish.specs.train import LoraSpec, SftSpec
    from burnish.testing import temporary_context
    from burnish.train.batches import TokenisedRows
    from burnish.train.fit import fit, seed_everything
    from burnish.train.resolve import Machine, ModelShape, resolve

    method = LoraSpec(rank=RANK)
    spec = SftSpec(data="file:rows", base="file:model", batch_size=BATCH, threads=1, device="cpu", method=method)
    data = TokenisedRows.of((f"row{number}", ids, weights) for number, (ids, weights) in enumerate(rows(dense)))
    seed_everything(spec.seed)
    config = load_model(model_folder).config
    resolved, _ = resolve(spec, Machine.here(), ModelShape.of(config), int(data.lengths.max()), trains_all=False)
    torch.set_num_threads(resolved.threads)
    model = attach_lora(load_model(model_folder, dtype=resolved.dtype), method)
    context, _ = temporary_context(folder)
    began = _now()
    measures = fit(spec, context, model, data, None, resolved).measures
    return _since(began) | {"loss": measures["last_loss"]}


def train_with_trl(model_folder: Path, folder: Path, dense: bool, settings: dict[str, Any]) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(1)
    made = rows(dense)
    data = Dataset.from_dict(
        {
            "input_ids": [ids.tolist() for ids, _ in made],
            "labels": [np.where(weights > 0, ids, -100).tolist() for ids, weights in made],
        }
    )
    usual: dict[str, Any] = {
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 1,
        "learning_rate": 2e-4,
        "use_cpu": True,
    }
    quiet: dict[str, Any] = {
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_steps": 1,
        "seed": 0,
    }
    trainer = SFTTrainer(
        model=str(model_folder),
        args=SFTConfig(output_dir=str(folder), **{**usual, **quiet, **settings}),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(model_folder),
        peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"),
    )
    began = _now()
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return _since(began) | {"loss": losses[-1]}


def _now() -> tuple[float, float, float]:
    """(CPU seconds, those of the kernel among them, resident megabytes) of this process."""
    used, pages = resource.getrusage(resource.RUSAGE_SELF), int(Path("/proc/self/statm").read_text().split()[1])
    return used.ru_utime + used.ru_stime, used.ru_stime, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _since(began: tuple[float, float, float]) -> dict[str, float]:
    total, kernel, _ = _now()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {
        "cpu_seconds": total - began[0],
        "kernel_seconds": kernel - began[1],
        "peak_mb": peak,
        "above_model_mb": peak - began[2],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("NAME", "MODEL", "FOLDER"), help="Train with one program only.")
    parser.add_argument("--dense", action="store_true", help="Rows of one length, all learned.")
    asked = parser.parse_args()
    if asked.one:
        name, model, folder = asked.one[0], Path(asked.one[1]), Path(asked.one[2])
        if name == BURNISH:
            found = train_with_burnish(model, folder, asked.dense)
        else:
            found = train_with_trl(model, folder, asked.dense, TRL_SETTINGS[name])
        print(json.dumps(found))
        return
    tokens = sum(len(ids) for ids, _ in rows(asked.dense))
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "trl"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread; python {platform.python_version()}, {packages}")
    print(f"{ROWS} rows, {tokens} tokens, {BATCH} rows a step, LoRA rank {RANK}")
    with tempfile.TemporaryDirectory() as place:
        make_model(Path(place, "model"))
        results = {name: _measure(name, Path(place), asked.dense) for name in (BURNISH, *TRL_SETTINGS)}
    ours = results[BURNISH]
    print("program | CPU-ms per token | of it the kernel's | times burnish | peak MB | above the model | last loss")
    for name, found in results.items():
        print(
            f"{name} | {1000 * found['cpu_seconds'] / tokens:.2f} | "
            f"{1000 * found['kernel_seconds'] / tokens:.2f} | {found['cpu_seconds'] / ours['cpu_seconds']:.2f} | "
            f"{found['peak_mb']:.0f} | {found['above_model_mb']:.0f} | {found['loss']:.3f}"
        )


def _measure(name: str, place: Path, dense: bool) -> dict[str, float]:
    alone = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", __file__, "--one", name, str(place / "model"), str(place / "run")]
    command += ["--dense"] if dense else []
    done = subprocess.run(command, env={**os.environ, **alone}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
