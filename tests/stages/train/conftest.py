"""Files of judged rows, a tiny base, and a run of a training stage as a worker does it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.core.catalog import stages
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.testing import temporary_context, tiny_model
from burnish.train.reporting import curve


@pytest.fixture(scope="session", autouse=True)
def _curves_of_a_kind():
    """A curve takes a tenth of a second: that of each kind is drawn once, and is that of the other trainings too."""
    draw, drawn = curve.draw, {}

    def draw_once(visits, weights, evaluations, target, per, score):
        kind = per, score, bool(evaluations), len(set(visits["step"].tolist()))
        if kind not in drawn:
            draw(visits, weights, evaluations, target, per, score)
            drawn[kind] = target.read_bytes()
        target.write_bytes(drawn[kind])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(curve, "draw", draw_once)
        yield


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of two layers."""
    return tiny_model(tmp_path_factory.mktemp("base"), "qwen3", tie_word_embeddings=True, initializer_range=0.2)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def rows_of(kind: str, count: int = 12) -> list[dict[str, Any]]:
    """Rows of a kind: short questions, of which the good answer repeats one letter and the bad one another."""
    found = []
    for number in range(count):
        prompt = [turn("user", f"Say {'abc'[number % 3]} {number}")]
        good, bad = ([turn("assistant", letter * (3 + number % 4))] for letter in ("abc"[number % 3], "z"))
        found.append(
            {
                "preference": {"prompt": prompt, "chosen": good, "rejected": bad},
                "label": {"prompt": prompt, "completion": bad if number % 3 else good, "label": number % 3 == 0},
                "chat": {"messages": prompt + good},
                "text": {"text": f"one two three {number}"},
                "prompt": {"prompt": prompt},
            }[kind]
        )
    return found


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., Path]:
    """`rows(kind, count)`: a file of such rows; `rows(list)`: a file of these."""

    def write(kind: Any, count: int = 12, name: str | None = None) -> Path:
        listed = rows_of(kind, count) if isinstance(kind, str) else kind
        path = tmp_path / f"{name or (kind if isinstance(kind, str) else 'rows')}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in listed))
        return path

    return write


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., Any]:
    """`run_stage(name, folder, inputs, **settings)`: (outcome, output folder, events) of a stage."""

    def run(
        stage: str,
        folder: str,
        inputs: dict[str, Any],
        stopping: Callable[[], bool] = lambda: False,
        **settings: Any,
    ) -> Any:
        row = stages()[stage]
        spec_type = row.spec_type()
        usual = {"prove": "off"} if "prove" in spec_type.__pydantic_fields__ else {}
        spec = spec_type(**{name: f"file:{name}" for name in inputs}, **usual | settings)
        context, events = temporary_context(tmp_path / folder, inputs, stopping)
        with ConsumptionLedger(spec) as ledger:
            for name in inputs:
                ledger.input_was_read(name)
            context.check_settings = ledger.check
            outcome = row.function()(spec, context)
        return outcome, context.out, events

    return run
