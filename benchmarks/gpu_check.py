"""Confirms on a GPU what no other machine can, and measures training there; `make gpu-check` runs it.

python benchmarks/gpu_check.py [--out FOLDER] [--only NAME ...] [--no-benchmark]

Writes `gpu-check.json` and `gpu-check.md` to FOLDER, else to $OUT, else to the current folder. Each check has a process
and two minutes of its own: an error of CUDA ends one of them. Ends with 1 where one failed or there is no CUDA device.
`BURNISH_GPU_CHECK_DEVICE=cpu` rehearses everything on a CPU, small and with a stand-in for the kernel.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NEEDED = ("torch", "transformers", "peft", "pydantic", "filelock", "pyarrow", "matplotlib", "pytest")
SECONDS = 120
DEVICE = os.environ.get("BURNISH_GPU_CHECK_DEVICE", "cuda")
# (name, hidden, intermediate, layers, heads, keys, head size, vocabulary, longest row, method)
SHAPES = [
    ("0.6B, LoRA", 1024, 3072, 28, 16, 8, 128, 151_936, 2048, "lora"),
    ("0.6B, full", 1024, 3072, 28, 16, 8, 128, 151_936, 2048, "full"),
    ("1.7B, LoRA", 2048, 6144, 28, 16, 8, 128, 151_936, 2048, "lora"),
    ("8B, LoRA", 4096, 12288, 36, 32, 8, 128, 151_936, 4096, "lora"),
]
REHEARSED = [(f"tiny, {method}", 32, 64, 2, 4, 2, 16, 1024, 64, method) for method in ("lora", "full")]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or "."))
    parser.add_argument("--only", nargs="*", help="names of checks")
    parser.add_argument("--no-benchmark", action="store_true")
    asked = parser.parse_args()
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(f"gpu-check: {sys.executable} lacks {', '.join(missing)}: install them or bring them as wheels")
        return 1
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # looking for a device must not prevent a fork
    import torch

    if DEVICE == "cuda" and not torch.cuda.is_available():
        print(f"gpu-check: no CUDA device: torch {torch.__version__} finds none on this machine; nothing was checked")
        return 1
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    from gpu_checks import CHECKS

    names = [name for name in CHECKS if not asked.only or name in asked.only]
    results = [_apart(name, _check, name) for name in names]
    benchmark = [] if asked.no_benchmark else [_apart(s[0], _train, s) for s in (SHAPES if _is_real() else REHEARSED)]
    report = {"machine": _apart("machine", _machine)["found"], "checks": results, "benchmark": benchmark}
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "gpu-check.json").write_text(json.dumps(report, indent=2, default=str) + "\n")
    (asked.out / "gpu-check.md").write_text(markdown(report))
    failed = [result["name"] for result in [*results, *benchmark] if not result["passed"]]
    print(
        f"gpu-check: {len(results) + len(benchmark) - len(failed)} passed, {len(failed)} failed: {asked.out.resolve()}"
    )
    return 1 if failed else 0


def _is_real() -> bool:
    return DEVICE == "cuda"


def _apart(name: str, work: Any, *args: Any) -> dict[str, Any]:
    """Run in a process of its own; what it found, or why it failed."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, work, *args))
    began = time.monotonic()
    process.start()
    theirs.close()
    passed, found = False, f"not done after {SECONDS} s"
    try:
        if ours.poll(SECONDS):
            passed, found = ours.recv()
    except EOFError:
        found = "its process ended without an answer"
    if process.is_alive() and not passed:
        process.kill()
    process.join()
    result = {"name": name, "passed": passed, "seconds": round(time.monotonic() - began, 1), "found": found}
    print(f"{'passed' if passed else 'FAILED'}  {result['seconds']:6.1f} s  {name}: {found}", flush=True)
    return result


def _answer(pipe: Any, work: Any, *args: Any) -> None:
    try:
        answer = True, work(*args)
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        answer = False, f"{type(error).__name__}: {str(error)[:500]} ({Path(last.filename).name}:{last.lineno})"
    pipe.send(answer)


def _check(name: str) -> Any:
    import torch

    from gpu_checks import CHECKS, Place

    return CHECKS[name](Place(torch.device(DEVICE), is_rehearsal=not _is_real()))


def _machine() -> dict[str, Any]:
    """The GPU, the versions, and what a large product reaches."""
    import torch
    import transformers

    found: dict[str, Any] = {"torch": torch.__version__, "transformers": transformers.__version__}
    size = 8192 if _is_real() else 256
    if _is_real():
        device = torch.cuda.get_device_properties(0)
        found |= {"GPU": device.name, "memory": device.total_memory, "capability": f"{device.major}.{device.minor}"}
    a, b = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    seconds = _timed(lambda: a @ b, 10)
    return found | {"bf16 TFLOP/s": round(2 * size**3 / seconds / 1e12, 3)}


def _timed(work: Any, times: int) -> float:
    """Seconds for one, after three that warm up."""
    import torch

    for count in (3, times):
        if _is_real():
            torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(count):
            work()
        if _is_real():
            torch.cuda.synchronize()
    return (time.perf_counter() - began) / times


def _train(shape: tuple[Any, ...]) -> dict[str, Any]:
    """Tokens per second of whole steps on rows of mixed lengths, half of each learned, and their share of the peak."""
    import numpy as np
    import torch

    from burnish.models.adapters.attach import attach_lora
    from burnish.specs.train import AdamWSpec, LoraSpec
    from burnish.train.batches import TokenisedRows, make_batch
    from burnish.train.forecast.footprint import Footprint, ModelShape
    from burnish.train.optim.optimizers import Optimizer
    from burnish.train.scoring import Scorer
    from gpu_checks import Place

    _, hidden, intermediate, layers, heads, keys, size, vocabulary, longest, method = shape
    model = Place(torch.device(DEVICE)).model(
        hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=keys, head_dim=size, vocab_size=vocabulary, tie_word_embeddings=hidden < 2500,
    )  # fmt: skip
    counted = ModelShape.of(model.config)
    model = attach_lora(model, LoraSpec(rank=16)) if method == "lora" else model.requires_grad_(True)
    for weight in model.parameters():
        weight.data = weight.data.to(torch.bfloat16)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    footprint = Footprint(counted, torch.bfloat16, trained, checkpointing=False)
    memory = 0.8 * torch.cuda.mem_get_info()[1] if _is_real() else 2e9
    tokens = min(footprint.tokens_within(memory), 16 * longest)
    if tokens < longest:
        return {"not run": f"the longest row needs {footprint.peak(longest):,} bytes"}
    random, lengths = np.random.default_rng(0), []
    while sum(lengths) + longest <= tokens:
        lengths.append(int(np.clip(random.lognormal(np.log(longest / 4), 0.8), 16, longest)))
    weights = [(np.arange(n) >= n // 2).astype(np.float32) for n in lengths]
    rows = TokenisedRows.of(
        (str(i), random.integers(4, 1000, n).astype(np.int32), weights[i]) for i, n in enumerate(lengths)
    )
    scorer, optimizer = Scorer(model), Optimizer(model, AdamWSpec())
    model.train()
    batch = make_batch(rows, np.arange(len(rows)), scorer.causal.device)

    def step() -> None:
        scorer(batch, 1.0)[0].backward()
        optimizer.gather()
        optimizer.clip(1.0)
        optimizer.step(1e-4)
        optimizer.zero_grad()

    if _is_real():
        torch.cuda.reset_peak_memory_stats()
    seconds = _timed(step, 8 if _is_real() else 2)
    head = vocabulary * hidden
    blocks = counted.parameters - head * (1 if hidden < 2500 else 2)
    share = float(len(batch.positions)) / batch.tokens
    passes = 4 if method == "lora" else 6  # frozen weights get no gradient
    scores = sum(n * n for n in lengths) / 2 * 2 * heads * size * layers * 2 * 3  # causal; forward, and twice backward
    work = batch.tokens * (passes * blocks + passes * share * head) + scores
    return {
        "tokens per step": batch.tokens,
        "sequences": len(lengths),
        "tokens per second": round(batch.tokens / seconds, 1),
        "TFLOP/s": round(work / seconds / 1e12, 3),
        "peak memory": torch.cuda.max_memory_allocated() if _is_real() else 0,
        "estimated": footprint.peak(batch.tokens),
        "packed": scorer.packs,
        "attention": scorer.kernel_reason or ("flash" if _is_real() else "one sequence after the other"),
    }


def markdown(report: dict[str, Any]) -> str:
    """The tables that go to docs/benchmarks.md and docs/limits.md."""
    machine = report["machine"]
    peak = machine.get("bf16 TFLOP/s") if isinstance(machine, dict) else None
    described = ", ".join(f"{k} {v}" for k, v in machine.items()) if isinstance(machine, dict) else str(machine)
    kind = "" if _is_real() else " (a rehearsal on a CPU: it says nothing of a GPU)"
    lines = [f"`make gpu-check`{kind}: {described}.", "", "| check | result | s |", "|---|---|---|"]
    for result in report["checks"]:
        found = result["found"]
        said = ", ".join(f"{k}: {_short(v)}" for k, v in found.items()) if isinstance(found, dict) else found
        lines.append(f"| {result['name'].replace('_', ' ')} | {'passed' if result['passed'] else 'FAILED'}: {said} | "
                     f"{result['seconds']} |")  # fmt: skip
    lines += [
        "",
        "| model | tokens per second | share of the bf16 peak | peak memory, GB | attention |",
        "|---" * 5 + "|",
    ]
    for result in report["benchmark"]:
        found = result["found"]
        if not isinstance(found, dict) or "tokens per second" not in found:
            lines.append(f"| {result['name']} | {found} | | | |")
            continue
        share = f"{found['TFLOP/s'] / peak:.0%}" if peak else "–"
        lines.append(f"| {result['name']} | {found['tokens per second']:,.0f} | {share} | "
                     f"{found['peak memory'] / 1e9:.1f} | {found['attention']} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
