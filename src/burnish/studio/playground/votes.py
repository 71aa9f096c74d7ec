"""Votes on answers side by side, as rows of preferences in `data/votes.jsonl`: `prepare` makes them data of `dpo`."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.files import parsed_json
from burnish.core.printable import encodable
from burnish.core.runs.locks import held
from burnish.core.runs.workspace import Workspace

FILE = "data/votes.jsonl"


def record_vote(
    prompt: str | Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, str]],
    better: int,
    *,
    who: str = "",
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """Add a row for each answer that the better one was preferred to; `answers` have `model` and `answer`.

    Returns the `file`, relative to the workspace, the rows that were `added`, and all its `rows`. An answer that is the
    better one word for word makes no row. Errors: AskError `ask.wrong-value`, `ask.nothing-to-do`; RunError `run.busy`.
    """
    if not 0 <= better < len(answers):
        fix = f"name one of 0 to {len(answers) - 1}"
        raise AskError("ask.wrong-value", f"there is no answer {better} among {len(answers)}", fix)
    chosen = answers[better]
    rows = [
        {
            "prompt": prompt if isinstance(prompt, str) else [dict(message) for message in prompt],
            "chosen": [{"role": "assistant", "content": chosen["answer"]}],
            "rejected": [{"role": "assistant", "content": other["answer"]}],
            "chosen_model": chosen["model"],
            "rejected_model": other["model"],
            "voter": who,
            "voted": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for other in answers
        if other["answer"] != chosen["answer"]
    ]
    if not rows:
        raise AskError(
            "ask.nothing-to-do", "all answers are the same: there is nothing to prefer", "ask something else"
        )
    place = Workspace.find(workspace)
    place.refuse_missing()
    path = place.root / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    (place.root / ".burnish").mkdir(exist_ok=True)
    with held(place.root / ".burnish" / "votes.lock", f"adding to {path}"):
        _append(path, "".join(encodable(json.dumps(row, ensure_ascii=False)) + "\n" for row in rows))
        return {"file": FILE, "added": len(rows), "rows": _count(path)}


def tally(*, workspace: Path | str | None = None) -> dict[str, Any]:
    """The `file` of votes, its `rows`, and of each of the `models` how often it was preferred (`won`) and passed over
    (`lost`), the most preferred first. Lines that cannot be read are counted as `damaged`."""
    path = Workspace.find(workspace).root / FILE
    counts: dict[str, list[int]] = {}
    rows = damaged = 0
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for line in lines:
        try:
            vote = parsed_json(line)
            chosen, rejected = str(vote["chosen_model"]), str(vote["rejected_model"])
        except (ValueError, KeyError, TypeError):
            damaged += bool(line.strip())
            continue
        rows += 1
        counts.setdefault(chosen, [0, 0])[0] += 1
        counts.setdefault(rejected, [0, 0])[1] += 1
    best = sorted(counts.items(), key=lambda one: (one[1][1] - one[1][0], one[0]))
    models = [{"model": model, "won": won, "lost": lost} for model, (won, lost) in best]
    return {"file": FILE, "rows": rows, "damaged": damaged, "models": models}


def _append(path: Path, text: str) -> None:
    """Add lines; one that a crash has left unfinished stays a line of its own, which `prepare` reports."""
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
