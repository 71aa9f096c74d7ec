"""How fast conversations become tokens and weights at 1, 10 and 40 turns, beside transformers, in one process.

.venv/bin/python benchmarks/rendering.py            rows per CPU-second beside transformers, under ChatML
.venv/bin/python benchmarks/rendering.py --families burnish alone, under templates of several families

A turn is a question and its answer, seeded words of mixed lengths; the tokenizer is the embedded model's. Both programs
tokenize the same conversations on one thread. Prints medians of alternating passes: rows per CPU-second, CPU-ms for
each turn (constant where the time is linear in turns), and the peak of Python's memory for each token of one row.
"""

import argparse
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import burnish
from burnish.specs.tokens import RenderSpec
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML

TURNS = {1: 1000, 10: 200, 40: 100}  # turns of a row: rows
PASSES = 3
WORDS = "order,of,a,person,who,asks,where,it,is,and,what,the,weather,will,be".split(",")  # noqa: SIM905
TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look a word up",
        "parameters": {"type": "object", "properties": {"word": {"type": "string", "description": "The word"}}},
    },
}
FAMILIES = ("qwen2_5", "qwen3_instruct_2507", "lfm2", "qwen3")
WITH_TOOLS = ("qwen2_5", "qwen3_instruct_2507")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--families", action="store_true", help="several chat templates, burnish alone")
    tokenizer = load_tokenizer(Path(burnish.__file__).parent / "builtin" / "pocket")
    print("| program | turns | rows per CPU-second | CPU-ms a turn | learned and other tokens per CPU-second |")
    print("|---|---|---|---|---|")
    if parser.parse_args().families:
        templates = _templates()
        for name, template in templates.items():
            for turns, count in TURNS.items():
                rows = conversations(turns, count)
                _report({name: lambda t=template, r=rows: _burnish(tokenizer, t, r)}, turns, count)
        for name in WITH_TOOLS:
            for turns, count in TURNS.items():
                rows = conversations(turns, max(5, count // 20), with_tools=True)
                work = {f"{name}, tools": lambda t=templates[name], r=rows: _burnish(tokenizer, t, r, [TOOL])}
                _report(work, turns, len(rows))
        return
    for turns, count in TURNS.items():
        rows = conversations(turns, count)
        programs = {
            "burnish, tokens and weights": lambda r=rows: _burnish(tokenizer, CHATML, r),
            "transformers, tokens and mask": lambda r=rows: _transformers(tokenizer, r),
        }
        _report(programs, turns, count)
    _report_memory(tokenizer)


def conversations(turns: int, count: int, with_tools: bool = False) -> list[list[dict[str, Any]]]:
    """Rows of so many questions and answers; with tools, each answer follows a call and its result."""
    chance = random.Random(0)

    def said(role: str, **more: Any) -> dict[str, Any]:
        return {"role": role, "content": " ".join(chance.choices(WORDS, k=chance.randint(5, 60))), **more}

    rows = []
    for _ in range(count):
        row: list[dict[str, Any]] = []
        for _ in range(turns):
            row.append(said("user"))
            if with_tools:
                call = {"type": "function", "function": {"name": "lookup", "arguments": '{"word": "order"}'}}
                row += [{"role": "assistant", "content": "", "tool_calls": [call]}, said("tool", name="lookup")]
            row.append(said("assistant"))
        rows.append(row)
    return rows


def _burnish(tokenizer: Any, template: str, rows: list[Any], tools: list[Any] | None = None) -> int:
    renderer = Renderer(tokenizer, RenderSpec(chat_template=template, max_length=10**6))
    more = {"tools": tools} if tools else {}
    rendered = [renderer.render({"kind": "chat", "source": "made", "messages": row, **more}) for row in rows]
    return sum(len(piece) for pieces in rendered for piece in pieces)


def _transformers(tokenizer: Any, rows: list[Any]) -> int:
    settings = {"chat_template": CHATML, "return_dict": True, "return_assistant_tokens_mask": True}
    return sum(len(tokenizer.apply_chat_template(row, **settings)["input_ids"]) for row in rows)


def _templates() -> dict[str, str]:
    import trl

    folder = Path(trl.__file__).parent / "chat_templates"
    return {name: (folder / f"{name}.jinja").read_text(encoding="utf-8") for name in FAMILIES}


def _report(programs: dict[str, Callable[[], int]], turns: int, rows: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    tokens = {}
    for _ in range(PASSES):
        for name, work in programs.items():
            began = time.process_time()
            tokens[name] = work()
            seconds[name].append(time.process_time() - began)
    for name, times in seconds.items():
        each = statistics.median(times)
        speed = f"{rows / each:,.0f} | {1000 * each / rows / turns:.2f} | {tokens[name] / each:,.0f}"
        print(f"| {name} | {turns} | {speed} |", flush=True)


def _report_memory(tokenizer: Any) -> None:
    (row,) = conversations(400, 1)
    renderer = Renderer(tokenizer, RenderSpec(chat_template=CHATML, max_length=10**6))
    renderer.render({"kind": "chat", "source": "made", "messages": row[:4]})
    tracemalloc.start()
    (piece,) = renderer.render({"kind": "chat", "source": "made", "messages": row})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\nOne row of {len(piece):,} tokens: {peak / len(piece):.0f} bytes a token at the peak of Python's memory")


if __name__ == "__main__":
    main()
