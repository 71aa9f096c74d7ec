"""Answers the control plane: the completions of a step, from a rollout ledger."""

import json
import sys
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
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
    about["reward"] = sum(known) / len(known) if known else None
    return {**about, "worst": ranked[:worst], "best": ranked[::-1][:best]}


def main() -> None:
    """Entry point for the control plane: a request as JSON on stdin, the answer or an error as JSON on stdout."""
    request = json.load(sys.stdin)
    try:
        found = look(Path(request["ledger"]), request["at"], request["worst"], request["best"])
    except BurnishError as error:
        json.dump({"error": error.as_dict()}, sys.stdout)
    else:
        json.dump(found, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
