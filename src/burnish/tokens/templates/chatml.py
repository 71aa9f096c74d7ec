"""ChatML with tools, reasoning and generation markers, for tokenizers without a chat template."""

from pathlib import Path

CHATML = Path(__file__).with_name("chatml.jinja").read_text(encoding="utf-8")
