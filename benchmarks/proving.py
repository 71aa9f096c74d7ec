"""How long the checks of `burnish prove` take on a random dense model of 520M parameters.

    python benchmarks/proving.py [--layers 24] [--hidden 1152]

Prints the seconds of each check, and the wall and CPU time of the whole command, which includes loading the model.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import burnish
from burnish.testing import tiny_tokenizer

WORDS = ["red", "green", "blue", "one", "two", "three", "four", "five", "six", "seven"]


def model(folder: Path, layers: int, hidden: int) -> int:
    """Write a random model of Qwen2's shape in bfloat16; returns its parameters."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config = Qwen2Config(
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 192,
        vocab_size=48_000,
        tie_word_embeddings=True,
    )
    made = Qwen2ForCausalLM(config)
    made.save_pretrained(folder)
    tiny_tokenizer(folder)
    return sum(weight.numel() for weight in made.parameters())


def rows(file: Path) -> None:
    """Write 64 short conversations."""
    lines = []
    for number in range(64):
        turns = [
            {"role": "user", "content": f"Say {WORDS[number % 10]}"},
            {"role": "assistant", "content": " ".join(WORDS[: 1 + number * 7 % 9])},
        ]
        lines.append(json.dumps({"messages": turns}) + "\n")
    file.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Build, prove, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=1152)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        parameters = model(Path("base"), asked.layers, asked.hidden)
        rows(Path("rows.jsonl"))
        step = {"stage": "sft", "data": "file:rows.jsonl", "base": "file:base", "max_steps": 4, "batch_size": 8}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        found = burnish.prove({"name": "big", "steps": {"tune": step}}, workspace=folder).proof
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        for check in found["checks"]:
            print(f"{check['seconds']:8.2f}  {check['name']:18} {check['verdict']:15} {check['found'][:70]}")
        print(f"{parameters / 1e6:.0f}M parameters, {found['sample']}: {found['seconds']} s for the checks;")
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        print(f"the command {wall:.0f} s, {cpu:.0f} s of CPU time; {load}")


if __name__ == "__main__":
    main()
