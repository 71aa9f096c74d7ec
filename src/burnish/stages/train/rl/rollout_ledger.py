"""Answers the control plane: the completions of a step, from a rollout ledger."""

import json
from pathlib import Path
from typing import Any

from burnish.stages.answer import answer
from burnish.train.rollout.ledger import completions_at


def look(ledger: Path, at: int | None, worst: int, best: int) -> dict[str, Any]:
    """The completions with the lowest and the highest reward at an optimizer step, and the mean reward of all.

    A completion without a reward counts as the lowest. Errors: those of `completions_at`.
    """
    lines = completions_at(ledger, at)
    for line in lines:
        line["prompt"] = json.loads(line["prompt"])
    ranked = sorted(lines, key=lambda line: float("-inf") if line["reward"] is None else line["reward"])
    known = [line["reward"] for line in lines if line["reward"] is not None]
    about = {"rollout": lines[0]["rollout"], "first_step": lines[0]["step"], "completions": len(lines)}
    about |= {} if at is None else {"at": at}
    about["reward"] = sum(known) / len(known) if known else None
    return {**about, "worst": ranked[:worst], "best": ranked[::-1][:best]}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    return look(Path(request["ledger"]), request["at"], request["worst"], request["best"])


if __name__ == "__main__":
    answer(_answer)
