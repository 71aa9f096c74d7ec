"""The values that faithful changes have in a certificate: the measured limits of burnish.evals.certificates.limits.

    python benchmarks/certificates.py [SEEDS] > table.md

Each change is made of the embedded model and of small random models of several families, with a random adapter each,
for 20 seeds; the table has the largest value of each check.
"""

import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

import burnish
from burnish.evals.certificates.compare import Effort, certify
from burnish.evals.certificates.subject import LocalSubject
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import LoraSpec
from burnish.testing import input_at, tiny_model

FAMILIES = ("qwen3", "llama", "mistral", "gemma2", "gemma3_text", "gpt2")
SIZES: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "head_dim": 16}
EFFORT = Effort(tokens=2048, answers=8)
CPU = torch.device("cpu")
POCKET = Path(burnish.__file__).parent / "builtin" / "pocket"


def adapter_on(base: Path, folder: Path, seed: int) -> Path:
    """An adapter whose change is about a tenth of the weights."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = attach_lora(load_model(base, dtype=torch.float32), LoraSpec(rank=8))
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.03)
    save_adapter(model, folder, input_at(base))
    return folder


def changes(base: Path, seed: int, folder: Path) -> Any:
    """Yield (parent, child, kind of change)."""
    adapter = adapter_on(base, folder / "adapter", seed)
    names = {"float32": "merge fp32", "bfloat16": "merge bf16", "float16": "merge fp16"}
    for dtype, change in names.items():
        merge_adapter(adapter, base, folder / dtype, dtype=dtype)
        yield adapter, folder / dtype, change
    exact = folder / "float32"
    for dtype, change in (("bfloat16", "BF16"), ("float16", "F16"), ("float32", "same")):
        with quiet_transformers():
            load_model(exact, dtype=getattr(torch, dtype)).save_pretrained(folder / change, max_shard_size="200KB")
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(exact / name, folder / change / name)
        yield exact, folder / change, change


def measure(parent: Path, child: Path, change: str) -> dict[str, float]:
    """The numbers of one certificate; those of checks that a faithful copy must pass exactly are asserted."""
    ours, theirs = (LocalSubject(path, path.name, "", CPU, torch.float32) for path in (parent, child))
    found = certify(ours, theirs, change, effort=EFFORT)
    exact = ("template", "tokens", "tokenizer", "special tokens", "generation config", "config", "finite", "weights")
    wrong = [check for check in found.failed if check.name in exact]
    assert not wrong, wrong
    numbers = found.numbers
    interval = (numbers["perplexity_change_low"], numbers["perplexity_change_high"])
    return {
        "kl": numbers["kl"],
        "kl_tail": numbers["kl_tail"],
        "other top": 1 - numbers["top1"],
        "perplexity": max(map(abs, interval)),
        "greedy gap": numbers["greedy_gap"],
    }


def main() -> None:
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    largest: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for family in ("builtin:pocket", *FAMILIES):
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                if family == "builtin:pocket":
                    base = POCKET
                else:
                    sizes = {} if family == "gpt2" else SIZES
                    base = tiny_model(folder / "base", family, seed=seed, initializer_range=0.08, **sizes)
                for parent, child, change in changes(base, seed, folder):
                    for key, value in measure(parent, child, change).items():
                        row = largest[change, "pocket" if family == "builtin:pocket" else "random"]
                        row[key] = max(row[key], value)
        print(f"{family}: {seeds} seeds", file=sys.stderr)
    columns = list(next(iter(largest.values())))
    print("| change | models | " + " | ".join(columns) + " |")
    print("| --- " * (len(columns) + 2) + "|")
    for (change, models), row in sorted(largest.items()):
        print(f"| {change} | {models} | " + " | ".join(f"{row[column]:.1e}" for column in columns) + " |")


if __name__ == "__main__":
    main()
