"""LoRA on a CPU, here and in TRL's SFTTrainer: CPU-seconds per real token and peak memory, on the same model and rows.

    .venv/bin/python benchmarks/training.py             rows of mixed lengths, less than half of each learned
    .venv/bin/python benchmarks/training.py --dense     the control: rows of one length, all learned
    .venv/bin/python benchmarks/training.py --against CHECKOUT [--rounds 5]     burnish here and in another checkout

A model of 26M parameters (Qwen3's shape) and rows of mixed lengths are made on the spot. Each program trains in a
process of its own, on one thread; only training is timed, without imports and loading. burnish runs in the environment
that its launcher gives a worker. `trl, its defaults` pads and
computes activations again; the other lines of TRL are the settings that were found to help it. What burnish does
besides (checkpoints, the row ledger, the plot) is in its time.

`--against` runs benchmarks/training.py of the other checkout with its own source, in turn with this one, and gives the
ratio of each round. The share of the peak is the arithmetic that LoRA needs, 4·N + 4·f·H a token (N weights of linear
layers, H of the head, f the share of learned tokens; attention and the adapters themselves are left out), over what one
thread does in plain matrix products: the largest of several shapes, measured before each round.
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
SIZES: dict[str, Any] = {"hidden_size": 384, "intermediate_size": 1152, "num_hidden_layers": 8, "head_dim": 64}
HEADS: dict[str, Any] = {"num_attention_heads": 6, "num_key_value_heads": 2}
SHAPES = [(1024, 384, 1152), (1440, 1152, 384), (1440, 384, 384), (1024, 1024, 1024), (2048, 2048, 2048)]
"""Of the products whose rate is the peak: rows, shared, columns."""


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

    tiny_model(
        folder, "qwen3", vocab_size=VOCABULARY, max_position_embeddings=2048, tie_word_embeddings=True, **SIZES, **HEADS
    )


def needed_flops(dense: bool) -> float:
    """What LoRA needs for one pass over the rows: forward and backward without weight gradients."""
    hidden, width = SIZES["hidden_size"], SIZES["head_dim"]
    queries, keys = HEADS["num_attention_heads"] * width, HEADS["num_key_value_heads"] * width
    layer = hidden * (2 * queries + 2 * keys + 3 * SIZES["intermediate_size"])
    made = rows(dense)
    tokens, learned = sum(len(ids) for ids, _ in made), sum(float(weights[1:].sum()) for _, weights in made)
    return 4 * layer * SIZES["num_hidden_layers"] * tokens + 4 * hidden * VOCABULARY * learned


def peak_rates() -> dict[str, float]:
    """FLOPs per CPU-second of plain matrix products on one thread, by number format: the best of SHAPES."""
    import time

    import torch

    torch.set_num_threads(1)
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        rates = []
        for count, shared, columns in SHAPES:
            left, right = torch.randn(count, shared).to(dtype), torch.randn(columns, shared).to(dtype).T
            work = 2 * count * shared * columns
            for _ in range(4):
                repeats, began = max(1, int(1e10 / work)), time.process_time()
                for _ in range(repeats):
                    torch.mm(left, right)
                rates.append(work * repeats / (time.process_time() - began))
        found[str(dtype).removeprefix("torch.")] = max(rates)
    return found


def train_with_burnish(model_folder: Path, folder: Path, dense: bool, threads: int) -> dict[str, Any]:
    import time

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
    spec = SftSpec(data="file:rows", base="file:model", batch_size=BATCH, threads=threads, device="cpu", method=method)
    data = TokenisedRows.of((f"row{number}", ids, weights) for number, (ids, weights) in enumerate(rows(dense)))
    seed_everything(spec.seed)
    config = load_model(model_folder).config
    resolved, _ = resolve(spec, Machine.here(), ModelShape.of(config), int(data.lengths.max()), trains_all=False)
    torch.set_num_threads(resolved.threads)
    model = attach_lora(load_model(model_folder, dtype=resolved.dtype), method)
    context, _ = temporary_context(folder)
    began, started = _now(), time.monotonic()
    measures = fit(spec, context, model, data, None, resolved).measures
    more = {"wall_seconds": time.monotonic() - started, "dtype": str(resolved.dtype).removeprefix("torch.")}
    return _since(began) | {"loss": measures["last_loss"]} | more


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=3, metavar=("NAME", "MODEL", "FOLDER"), help="Train with one program only.")
    parser.add_argument("--peak", action="store_true", help="Measure matrix products only.")
    parser.add_argument("--dense", action="store_true", help="Rows of one length, all learned.")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="Compare with another checkout of burnish.")
    parser.add_argument("--rounds", type=int, default=3, help="Of --against.")
    parser.add_argument("--threads", type=int, default=1, help="Of burnish here, with --one.")
    given = parser.parse_args()
    if given.peak:
        print(json.dumps(peak_rates()))
        return
    if given.one:
        name, model, folder = given.one[0], Path(given.one[1]), Path(given.one[2])
        if name == BURNISH:
            found = train_with_burnish(model, folder, given.dense, given.threads)
        else:
            found = train_with_trl(model, folder, given.dense, TRL_SETTINGS[name])
        print(json.dumps(found))
        return
    tokens = sum(len(ids) for ids, _ in rows(given.dense))
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "trl"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread; python {platform.python_version()}, {packages}")
    print(f"{ROWS} rows, {tokens} tokens, {BATCH} rows a step, LoRA rank {RANK}")
    with tempfile.TemporaryDirectory() as place:
        make_model(Path(place, "model"))
        if given.against is not None:
            compare(given.against.resolve(), Path(place), given.dense, given.rounds, tokens)
        else:
            compare_with_trl(Path(place), given.dense, tokens)


def compare_with_trl(place: Path, dense: bool, tokens: int) -> None:
    peak = _child(["--peak"])
    results = {name: _measure(name, place, dense) for name in (BURNISH, *TRL_SETTINGS)}
    ours = results[BURNISH]
    print("program | CPU-ms per token | of it the kernel's | times burnish | peak MB | above the model | last loss")
    for name, found in results.items():
        print(
            f"{name} | {1000 * found['cpu_seconds'] / tokens:.2f} | "
            f"{1000 * found['kernel_seconds'] / tokens:.2f} | {found['cpu_seconds'] / ours['cpu_seconds']:.2f} | "
            f"{found['peak_mb']:.0f} | {found['above_model_mb']:.0f} | {found['loss']:.3f}"
        )
    print(f"{_rates(peak)}; burnish reaches {_share(ours, peak, dense):.0%} of the {ours['dtype']} peak")
    if (os.cpu_count() or 1) > 1:
        two = _measure(BURNISH, place, dense, threads=2)
        gain = ours["wall_seconds"] / two["wall_seconds"]
        print(f"burnish on two threads: {two['wall_seconds']:.2f} s of wall time, {gain:.2f} times as fast as on one")


def compare(other: Path, place: Path, dense: bool, rounds: int, tokens: int) -> None:
    """The same training with this source and another's, in turn; the other's own script runs it."""
    print(
        "round | CPU-ms per token here | there | ratio | share of the peak here | there | peak MB here | there | losses"
    )
    ratios = []
    for number in range(1, rounds + 1):
        peak = _child(["--peak"])
        there, here = _measure(BURNISH, place, dense, checkout=other), _measure(BURNISH, place, dense)
        ratios.append(there["cpu_seconds"] / here["cpu_seconds"])
        there["dtype"] = there.get("dtype", here["dtype"])
        print(
            f"{number} | {1000 * here['cpu_seconds'] / tokens:.3f} | {1000 * there['cpu_seconds'] / tokens:.3f} | "
            f"{ratios[-1]:.2f} | {_share(here, peak, dense):.0%} | {_share(there, peak, dense):.0%} | "
            f"{here['peak_mb']:.0f} | {there['peak_mb']:.0f} | {here['loss']:.4f} {there['loss']:.4f} | {_rates(peak)}",
            flush=True,
        )
    print(f"median ratio {np.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")


def _share(found: dict[str, Any], peak: dict[str, float], dense: bool) -> float:
    return needed_flops(dense) / found["cpu_seconds"] / peak[found["dtype"]]


def _rates(peak: dict[str, float]) -> str:
    return ", ".join(f"{dtype} {rate / 1e9:.0f}" for dtype, rate in peak.items()) + " GFLOP per CPU-second"


def _measure(name: str, place: Path, dense: bool, *, checkout: Path | None = None, threads: int = 1) -> dict[str, Any]:
    run = tempfile.mkdtemp(dir=place)  # a run in the folder of another would resume it
    arguments = ["--one", name, str(place / "model"), run] + (["--dense"] if dense else [])
    if threads > 1:
        arguments += ["--threads", str(threads)]
    return _child(arguments, checkout, as_worker=name == BURNISH, threads=threads)


def _child(
    arguments: list[str], checkout: Path | None = None, *, as_worker: bool = True, threads: int = 1
) -> dict[str, Any]:
    """What a script of a checkout prints, in the environment that burnish there gives a worker."""
    checkout = checkout or Path(__file__).resolve().parents[1]
    source = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    if as_worker:
        program = (
            "import json; from burnish.jobs.environment import worker_environment as found; print(json.dumps(found()))"
        )
        source = json.loads(subprocess.check_output([sys.executable, "-c", program], env=source))
    alone = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", str(checkout / "benchmarks" / "training.py"), *arguments]
    done = subprocess.run(command, env=source | alone, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} in {checkout} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
