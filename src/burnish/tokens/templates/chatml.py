"""ChatML with tools, thinking and generation markers: the template of a tokenizer that has none of its own."""

from pathlib import Path

CHATML = Path(__file__).with_name("chatml.jinja").read_text(encoding="utf-8")
