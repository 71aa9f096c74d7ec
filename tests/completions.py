"""A completion of a prompt row, for tests of rewards."""

from burnish.data.document import make_row
from burnish.train.rewards.reward import Completion


def completion(text, reference=None, *, row=None, ids=None, finish_reason="stop", question="?", **extra):
    prompt = [{"role": "user", "content": question}]
    row = row or make_row("prompt", "rows.jsonl:1", messages=prompt, extra=extra)
    return Completion(row, prompt, text, list(text.encode()) if ids is None else ids, finish_reason, reference)
