"""float32 against bfloat16 on a CPU, by the size of the model: CPU time per token, and the held-out loss they reach.

    .venv/bin/python benchmarks/dtypes.py                    LoRA on models of 1M to 93M parameters, one thread
    .venv/bin/python benchmarks/dtypes.py --sizes 1M 5M      some of them
    .venv/bin/python benchmarks/dtypes.py --steps 60         more steps, for the loss
    .venv/bin/python benchmarks/dtypes.py --full             all weights are trained

Rows are drawn from a random automaton, so that there is something to learn. The runs of the two formats alternate,
each in a process of its own; the smaller of the rounds' times counts. Questions to the model and checkpoints are in it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = ("float32", "bfloat16")
SIZES: dict[str, tuple[int, int, int, int]] = {  # hidden, intermediate, layers, vocabulary
    "1M": (128, 384, 4, 1024),
    "6M": (256, 768, 6, 4096),
    "20M": (384, 1152, 8, 16_000),
    "26M": (384, 1152, 8, 32_000),
    "93M": (768, 2304, 10, 32_000),
}
ROWS, BATCH, HELD_OUT = 32, 8, 32


def make_model(folder: Path, size: str) -> None:
    from burnish.testing import tiny_model

    hidden, intermediate, layers, vocabulary = SIZES[size]
    sizes: dict[str, Any] = {"hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers}
    heads: dict[str, Any] = {"num_attention_heads": hidden // 64, "num_key_value_heads": max(1, hidden // 192)}
    tiny_model(
        folder,
        "qwen3",
        vocab_size=vocabulary,
        max_position_embeddings=2048,
        head_dim=64,
        tie_word_embeddings=True,
        **sizes,
        **heads,
    )


def rows(count: int, seed: int, median: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Rows of log-normal lengths in which each of 500 tokens is followed by one of four; the last 40 % are learned."""
    follow = np.random.default_rng(7).integers(10, 510, (510, 4))
    random, made = np.random.default_rng(seed), []
    for number in range(count):
        length = int(np.clip(random.lognormal(np.log(median), 0.8), 8, 1024))
        ids = [int(random.integers(10, 510))]
        while len(ids) < length:
            ids.append(int(follow[ids[-1], random.integers(4)]))
        weights = (np.arange(length) >= 0.6 * length).astype(np.float32)
        made.append((f"row{number}", np.array(ids, dtype=np.int32), weights))
    return made


def train(model_folder: Path, folder: Path, dtype: str, steps: int, median: int, full: bool) -> dict[str, float]:
    import time

    import matplotlib.figure  # noqa: F401  # imports are not timed
    import torch

    from burnish.models.adapters.attach import attach_lora
    from burnish.models.load import load_model
    from burnish.specs.train import FullSpec, LoraSpec, SftSpec
    from burnish.testing import temporary_context
    from burnish.train.batches import TokenisedRows
    from burnish.train.fit import fit, seed_everything
    from burnish.train.resolve import Machine, ModelShape, resolve

    spec = SftSpec(
        data="file:rows",
        base="file:model",
        batch_size=BATCH,
        threads=1,
        device="cpu",
        dtype=dtype,  # pyright: ignore[reportArgumentType]
        max_steps=steps,
        learning_rate=5e-4 if full else 2e-3,
        method=FullSpec() if full else LoraSpec(rank=16),
    )
    data = TokenisedRows.of(rows(ROWS if steps <= ROWS // BATCH else BATCH * steps, 0, median))
    held_out = TokenisedRows.of(rows(HELD_OUT, 1, median)) if steps > ROWS // BATCH else None
    seed_everything(spec.seed)
    shape = ModelShape.of(load_model(model_folder).config)
    resolved, _ = resolve(spec, Machine.here(), shape, int(data.lengths.max()), trains_all=full)
    torch.set_num_threads(1)
    model: Any = load_model(model_folder, dtype=resolved.dtype)
    model = model.requires_grad_(True) if isinstance(spec.method, FullSpec) else attach_lora(model, spec.method)
    context, _ = temporary_context(folder)
    began = time.process_time()
    measures = fit(spec, context, model, data, held_out, resolved).measures
    used = time.process_time() - began
    loss = measures.get("last_eval_loss", measures["last_loss"])
    return {"ms": 1000 * used / measures["tokens"], "loss": loss, "parameters": shape.parameters}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=3, metavar=("DTYPE", "MODEL", "FOLDER"), help="Train once, in this process.")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="Models.")
    parser.add_argument("--steps", type=int, default=ROWS // BATCH, help="Steps of 8 rows.")
    parser.add_argument("--median", type=int, default=150, help="Tokens of the row in the middle.")
    parser.add_argument("--rounds", type=int, default=2, help="Runs of each.")
    parser.add_argument("--full", action="store_true", help="Train all weights, not an adapter.")
    given = parser.parse_args()
    if given.one:
        dtype, *folders = given.one
        print(json.dumps(train(Path(folders[0]), Path(folders[1]), dtype, given.steps, given.median, given.full)))
        return
    print("model | parameters | float32 CPU-ms per token | bfloat16 | gain | loss float32 | loss bfloat16")
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as place:
            make_model(Path(place, "model"), size)
            found: dict[str, list[dict[str, float]]] = {dtype: [] for dtype in DTYPES}
            for _ in range(given.rounds):
                for dtype in DTYPES:
                    found[dtype].append(_measure(dtype, Path(place), given))
        ms = {dtype: min(one["ms"] for one in found[dtype]) for dtype in DTYPES}
        loss = {dtype: found[dtype][0]["loss"] for dtype in DTYPES}
        print(
            f"{size} | {found['float32'][0]['parameters']:,} | {ms['float32']:.3f} | {ms['bfloat16']:.3f} | "
            f"{ms['float32'] / ms['bfloat16']:.2f} | {loss['float32']:.4f} | {loss['bfloat16']:.4f}",
            flush=True,
        )


def _measure(dtype: str, place: Path, given: argparse.Namespace) -> dict[str, float]:
    from burnish.jobs.environment import worker_environment

    run = tempfile.mkdtemp(dir=place)  # a run in the folder of another would resume it
    command = [sys.executable, "-W", "ignore", __file__, "--one", dtype, str(place / "model"), run]
    command += ["--steps", str(given.steps), "--median", str(given.median)] + (["--full"] if given.full else [])
    environment = worker_environment() | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{dtype} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
