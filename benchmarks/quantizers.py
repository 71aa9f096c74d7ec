"""The values that quantized models have in a certificate: the measured limits of burnish.evals.certificates.limits.

    python benchmarks/quantizers.py [SEEDS] > table.md

The embedded model with a random adapter merged into it, and small random models of several families, are quantized by
every method with every scheme, for 5 seeds; calibrated on texts that the model samples, and compared on others. The
table has the largest value of each check. The environment of the quantizers is made if it is not there.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
from certificates import CPU, FAMILIES, POCKET, adapter_on

from burnish.evals.certificates.compare import Effort, certify
from burnish.evals.certificates.golden import GOLDEN
from burnish.evals.certificates.subject import LocalSubject
from burnish.export.quantize.environment import Installing, environment
from burnish.export.quantize.job import LAUNCHER, Job
from burnish.export.quantize.layers import group_size, layers_of
from burnish.export.quantize.nf4 import write_nf4
from burnish.models.companions import copy_companions
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.merge import merge_adapter
from burnish.specs.evals import GenerationSpec
from burnish.specs.ship import QuantizeSpec
from burnish.specs.ship.quantize import IN_GROUPS, SCHEMES
from burnish.stages.ship.quantize import change_of, settings_of
from burnish.testing import tiny_model

EFFORT = Effort(tokens=4096, answers=8)
SIZES = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "head_dim": 32}
SAMPLED, LONGEST = 64, 96
ALL_JOBS = f"import runpy, sys\nfor job in sys.argv[1:]:\n    runpy.run_path({str(LAUNCHER)!r})['main']([job])\n"
COMBINATIONS = [(method, scheme) for method, schemes in SCHEMES.items() for scheme in schemes or ("NF4",)]


def texts_of(base: Path, seed: int) -> list[list[int]]:
    """Texts that a model samples."""
    subject = LocalSubject(base, "", "", CPU, torch.float32)
    engine = TransformersEngine(subject.model, subject.tokenizer)
    spec = GenerationSpec(max_new_tokens=LONGEST, temperature=1.0, batch_size=SAMPLED, seed=seed)
    start = (subject.ids(GOLDEN[0], True) or [0])[:1]
    return [start + answer.ids for answer in engine.generate([start] * SAMPLED, spec, ()) if answer.ids]


def quantized(python: Path, base: Path, folder: Path, texts: list[list[int]], seed: int) -> Iterator[tuple[str, Path]]:
    """Yield (kind of change with its method, folder) of the base in every form."""
    layers, jobs, made = layers_of(base), [], []
    (folder / "samples.json").write_text(json.dumps(texts))
    for method, scheme in COMBINATIONS:
        out = folder / f"{method}-{scheme}"
        out.mkdir()
        made.append((f"{change_of(method, scheme)} by {method} {scheme}", out))
        if method == "nf4":
            write_nf4(base, out, layers, double=True, device=CPU)
            continue
        samples = None if method == "rtn" else folder / "samples.json"
        size = group_size(layers, "auto") if scheme in IN_GROUPS else None
        settings = settings_of(QuantizeSpec(model="file:x", method=method))
        report = folder / f"{out.name}.json"
        jobs.append(folder / f"{out.name}-job.json")
        Job(base, out, report, samples, method, scheme, size, layers.ignored, settings, seed).write(jobs[-1])
    with (folder / "log").open("w") as log:
        subprocess.run([python, "-I", "-c", ALL_JOBS, *jobs], stdout=log, stderr=log, check=False)
    for name, out in made:
        if not (out / "config.json").is_file():
            print(f"{base}: {name} failed: see {folder / 'log'}", file=sys.stderr)
            print((folder / "log").read_text()[-2000:], file=sys.stderr)
            continue
        copy_companions(base, out)
        yield name, out


def measure(parent: Path, child: Path, change: str, texts: list[list[int]]) -> dict[str, float]:
    """The numbers of one certificate; those of checks that must hold exactly are asserted."""
    ours, theirs = (LocalSubject(path, path.name, "", CPU, torch.float32) for path in (parent, child))
    found = certify(ours, theirs, change, held_out=texts, kind="sampled", effort=EFFORT)
    exact = ("template", "tokens", "tokenizer", "special tokens", "generation config", "config", "finite", "sizes")
    wrong = [check for check in found.checks if check.name in exact and check.verdict != "holds"]
    assert not wrong, wrong
    numbers = found.numbers
    return {
        "kl": numbers["kl"],
        "kl_tail": numbers["kl_tail"],
        "other top": 1 - numbers["top1"],
        "perplexity": max(abs(numbers["perplexity_change_low"]), abs(numbers["perplexity_change_high"])),
        "greedy gap": numbers["greedy_gap"],
    }


def main() -> None:
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    python = environment(Installing(Path(tempfile.mkdtemp()) / "install.log", lambda event: None))
    largest: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for seed in range(seeds):
        for family in ("builtin:pocket", *FAMILIES[:-1]):  # GPT-2 has no linear layers
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                base, models = folder / "base", "random"
                if family == "builtin:pocket":
                    merge_adapter(adapter_on(POCKET, folder / "adapter", seed), POCKET, base)
                    models = "pocket"
                else:
                    tiny_model(base, family, seed=seed, initializer_range=0.08, **SIZES)
                others = texts_of(base, seed + 1000)
                for change, child in quantized(python, base, folder, texts_of(base, seed), seed):
                    for key, value in measure(base, child, change.split(" ")[0], others).items():
                        row = largest[change, models]
                        row[key] = max(row[key], value)
            print(f"{family}: seed {seed}", file=sys.stderr, flush=True)
    columns = list(next(iter(largest.values())))
    print("| change | models | " + " | ".join(columns) + " |")
    print("| --- " * (len(columns) + 2) + "|")
    for (change, models), row in sorted(largest.items()):
        print(f"| {change} | {models} | " + " | ".join(f"{row[column]:.1e}" for column in columns) + " |")


if __name__ == "__main__":
    main()
