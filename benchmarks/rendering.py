"""How fast conversations become tokens and masks, beside transformers' own way, in one process and on one thread.

.venv/bin/python benchmarks/rendering.py

Rows are made here: seeded words, one question and one answer of mixed lengths. The tokenizer and the template with its
generation markers are the embedded model's. Prints rows per CPU-second; each is the best of three passes.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import burnish
from burnish.specs.tokens import RenderSpec
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

ROWS, PASSES = 1000, 3
WORDS = (
    "order",
    "of",
    "a",
    "person",
    "who",
    "asks",
    "where",
    "it",
    "is",
    "and",
    "what",
    "the",
    "weather",
    "will",
    "be",
)


def main() -> None:
    tokenizer = load_tokenizer(Path(burnish.__file__).parent / "builtin" / "pocket")
    marked = Path(burnish.__file__).parent / "tokens" / "chatml.jinja"
    template = marked.read_text(encoding="utf-8")
    conversations = list(_conversations())
    texts = [f"{asked['content']}\n{answer['content']}" for asked, answer in conversations]
    core: Any = tokenizer.backend_tokenizer
    measured = {
        "the tokenizer alone, text only": lambda: [core.encode(text, add_special_tokens=False) for text in texts],
        "burnish: tokens and weights": lambda: _with_burnish(tokenizer, template, conversations),
        "transformers: tokens only": lambda: [
            tokenizer.apply_chat_template(turns, chat_template=template) for turns in conversations
        ],
        "transformers: tokens and mask": lambda: [
            tokenizer.apply_chat_template(
                turns, chat_template=template, return_dict=True, return_assistant_tokens_mask=True
            )
            for turns in conversations
        ],
    }
    for name, work in measured.items():
        print(f"{name}: {ROWS / min(_seconds(work) for _ in range(PASSES)):,.0f} rows per CPU-second")


def _conversations() -> Any:
    chance = random.Random(0)
    for _ in range(ROWS):
        said = [" ".join(chance.choices(WORDS, k=chance.randint(5, 60))) for _ in range(2)]
        yield [{"role": role, "content": text} for role, text in zip(("user", "assistant"), said, strict=True)]


def _with_burnish(tokenizer: Any, template: str, conversations: list[Any]) -> None:
    renderer = Renderer(tokenizer, RenderSpec(chat_template=template))
    for turns in conversations:
        renderer.render({"kind": "chat", "source": "made", "messages": turns})


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
