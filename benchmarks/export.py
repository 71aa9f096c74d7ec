"""Adapter to merged safetensors, and adapter to GGUF Q4_K_M: burnish beside the ways of PEFT and llama.cpp.

    python benchmarks/export.py [--runs 5] [--layers 24] [--hidden 1152] [--only merge|gguf]    (merge unless said)

A random model of 520M parameters (Qwen2's shape, bfloat16, six files) with a LoRA of rank 16 on every linear layer is
made in a temporary folder (5 GB). Both ways alternate, each run in a fresh process with the files in the page cache:

    merge   burnish   `merge_adapter`: what `burnish merge` calls, without its certificate
            PEFT      `from_pretrained`, `merge_and_unload`, `save_pretrained`
    gguf    burnish   base and adapter to Q4_K_M in one pass: what `burnish gguf` calls, without tokenizer proof
            steps     PEFT's merge; the merged model to a GGUF file in F16, by burnish's writer;
                      that file tensor by tensor to Q4_K_M, by ggml (the wheel of llama.cpp has no `llama-quantize`)

Prints medians of the whole process (wall, CPU, peak memory), of the work after imports, and their ratios; the merged
weights of both ways are compared bit for bit.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = 6


def prepare(folder: Path, layers: int, hidden: int) -> int:
    """Write a random model of Qwen2's shape in bfloat16, in several files, and an adapter; returns its parameters."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from burnish.testing import tiny_tokenizer

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config = Qwen2Config(
        hidden_size=hidden,
        intermediate_size=hidden * 2304 // 512 // 256 * 256,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 192,
        vocab_size=48_000,
        tie_word_embeddings=True,
    )
    made = Qwen2ForCausalLM(config)
    count = sum(weight.numel() for weight in made.parameters())
    made.save_pretrained(folder / "base", max_shard_size=2 * count // FILES + 60_000_000)
    tiny_tokenizer(folder / "base")
    torch.set_default_dtype(torch.float32)
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(made, LoraConfig(r=16, lora_alpha=32, target_modules=names, task_type="CAUSAL_LM"))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.01)
    adapted.peft_config["default"].base_model_name_or_path = str(folder / "base")
    adapted.save_pretrained(folder / "adapter")
    return count


def ours_merge(folder: Path, out: Path, threads: int) -> float:
    from burnish.models.merge import merge_adapter

    began = time.monotonic()
    merge_adapter(folder / "adapter", folder / "base", out, max_shard_bytes=200_000_000)
    return time.monotonic() - began


def peft_merge(folder: Path, out: Path, threads: int) -> float:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    began = time.monotonic()
    model = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.bfloat16)
    merged = PeftModel.from_pretrained(model, str(folder / "adapter")).merge_and_unload()
    merged.save_pretrained(out, max_shard_size="200MB")
    return time.monotonic() - began


def _gguf(source: object, out: Path, kind: str, threads: int) -> None:
    from burnish.export.gguf.tensors import planned
    from burnish.export.gguf.writer import write

    plan, weights = planned(source)
    words = [f"w{number}" for number in range(plan.keys[f"{plan.architecture}.vocab_size"])]
    keys = {"general.name": "bench", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": words}
    keys |= {"tokenizer.ggml.token_type": [1] * len(words), "tokenizer.ggml.merges": ["w 1"]}
    write(out, plan, weights, keys, kind, threads=threads)


def ours_gguf(folder: Path, out: Path, threads: int) -> float:
    from burnish.core.context import Input

    began = time.monotonic()
    out.mkdir()
    base = Input("file:base", "model", folder / "base")
    _gguf(
        Input("file:adapter", "adapter", folder / "adapter", inputs={"base": base}),
        out / "model.gguf",
        "Q4_K_M",
        threads,
    )
    return time.monotonic() - began


def three_steps(folder: Path, out: Path, threads: int) -> float:
    """Each step in a process of its own, as its tools are."""
    began = time.monotonic()
    for step in ("peft_merge", "whole_f16", "quantize"):
        subprocess.run([sys.executable, __file__, "--step", step, str(folder), str(out), str(threads)], check=True)
    return time.monotonic() - began


def whole_f16(folder: Path, out: Path, threads: int) -> float:
    from burnish.core.context import Input

    _gguf(Input("file:merged", "model", out), out / "model-f16.gguf", "F16", threads)
    return 0.0


def quantize(folder: Path, out: Path, threads: int) -> float:
    """Each tensor of the F16 file to the type that llama.cpp's mix gives it, by ggml, written to a file."""
    import numpy as np
    from gguf import GGUFReader

    from burnish.export.gguf.types import Mix, encode

    layers = json.loads((out / "config.json").read_text())["num_hidden_layers"]
    mix = Mix("Q4_K_M", "qwen2", layers, 0, True, 3)
    with (out / "model.gguf").open("wb") as file:
        for tensor in GGUFReader(out / "model-f16.gguf").tensors:
            values = np.ascontiguousarray(tensor.data, dtype=np.float32)
            file.write(encode(tensor.name, values, mix.of(tensor.name, values.shape), threads))
    return 0.0


WAYS = {"merge": (ours_merge, peft_merge), "gguf": (ours_gguf, three_steps)}
STEPS = {step.__name__: step for step in (*WAYS["merge"], *WAYS["gguf"], whole_f16, quantize)}


def measured(step: str, folder: Path, out: Path, threads: int) -> dict[str, float]:
    """One run in a fresh process: seconds, CPU seconds, peak of the largest process in MB, seconds after imports."""
    report = folder / "report.json"
    began = time.monotonic()
    words = [sys.executable, __file__, "--step", step, str(folder), str(out), str(threads), str(report)]
    pid = os.posix_spawn(sys.executable, words, os.environ)
    _, status, used = os.wait4(pid, 0)
    wall = time.monotonic() - began
    if status:
        raise SystemExit(f"{step} failed with status {os.waitstatus_to_exitcode(status)}")
    found = json.loads(report.read_text())
    return {
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": max(used.ru_maxrss / 1024, found["peak"]),
        "work": found["seconds"],
    }


def run_step(step: str, folder: Path, out: Path, threads: int, report: Path | None) -> None:
    import resource

    os.environ["HF_HUB_OFFLINE"] = "1"
    import peft  # noqa: F401  (both ways need them: `work` is without imports)
    import torch
    import transformers  # noqa: F401

    torch.set_num_threads(threads)
    seconds = STEPS[step](folder, out, threads)
    if report is not None:
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        report.write_text(json.dumps({"seconds": seconds, "peak": peak}))


def digest(folder: Path) -> str:
    """sha256 over the names and the bytes of all tensors, in the order of their names."""
    from burnish.models.weights import read_tensors

    content = hashlib.sha256()
    for name, tensor in sorted(read_tensors(folder).items()):
        content.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        with tensor.file.open("rb") as file:
            file.seek(tensor.start)
            content.update(file.read(tensor.bytes))
    return content.hexdigest()


def main() -> None:
    """Prepare, run in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=1152)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=list(WAYS), default="merge")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.prepare is not None:
        print(prepare(asked.prepare, asked.layers, asked.hidden))
        return
    if asked.step:
        step, folder, out, threads, *report = asked.step
        run_step(step, Path(folder), Path(out), int(threads), Path(report[0]) if report else None)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in a process of its own: the peak of a process begins with that of the one that starts it
        sizes = ["--layers", str(asked.layers), "--hidden", str(asked.hidden)]
        made = [sys.executable, __file__, "--prepare", str(folder), *sizes]
        count = int(subprocess.run(made, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])
        files = len(list((folder / "base").glob("*.safetensors")))
        print(f"{count / 1e6:.0f}M parameters in {files} files; {asked.threads} threads; load {os.getloadavg()[0]:.1f}")
        for kind, ways in WAYS.items():
            if asked.only in (None, kind):
                compare(kind, [way.__name__ for way in ways], folder, asked.runs, asked.threads)


def compare(kind: str, ways: list[str], folder: Path, runs: int, threads: int) -> None:
    """Alternate two ways, print medians and the ratios pair by pair."""
    import shutil

    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    digests = set()
    for number in range(runs + 1):  # the first pair warms the page cache and is not counted
        for way in ways:
            out = folder / "out"
            one = measured(way, folder, out, threads)
            if kind == "merge" and number == 0:
                digests.add(digest(out))
            shutil.rmtree(out)
            if number:
                found[way].append(one)
    for way, all_runs in found.items():
        middle = {name: statistics.median(one[name] for one in all_runs) for name in all_runs[0]}
        figures = f"{middle['wall']:6.2f} s wall {middle['cpu']:6.2f} s CPU {middle['peak']:7.0f} MB"
        print(f"{way:12} {figures} {middle['work']:6.2f} s after imports")
    first, second = ways
    pairs = list(zip(found[first], found[second], strict=True))
    ratio = {name: statistics.median(b[name] / a[name] for a, b in pairs) for name in ("wall", "cpu", "peak", "work")}
    print(f"{kind}: {first} is {ratio['wall']:.2f}x as fast by wall, {ratio['work']:.2f}x after imports, ", end="")
    print(f"{ratio['cpu']:.2f}x by CPU, at {1 / ratio['peak']:.2f}x the memory")
    if kind == "merge":
        print("the merged weights are", "equal bit for bit" if len(digests) == 1 else "NOT EQUAL")


if __name__ == "__main__":
    main()
