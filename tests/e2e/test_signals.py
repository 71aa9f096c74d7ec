"""SIGTERM and SIGINT in each phase of a real training: it ends within a minute and resumes to the same weights; a
second signal ends it at once (design page 5, row 12)."""

import json
import signal
import time

import pytest

import burnish

ROWS = [
    {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]}
    for n in range(64)
]


@pytest.fixture
def training(workspace):
    """A recipe of a second or two of training, with a validation split and several checkpoints."""
    rows = workspace.root / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    tune = {"stage": "sft", "base": "builtin:pocket", "data": "step:data", "max_steps": 20, "batch_size": 4}
    tune |= {"checkpoint": {"every": 5}, "eval_every": 5}
    data = {"stage": "prepare", "source": f"file:{rows}", "split": {"validation": 0.25}}
    return {"name": "t", "steps": {"data": data, "tune": tune}}


def met(run, holds):
    """Whether an event has come for which something holds."""
    return run.events.path.exists() and any(holds(event) for event, _ in run.events.read())


def measured(step=0, name="loss"):
    return lambda run: met(run, lambda event: event.kind == "metric" and event.step >= step and name in event.values)


PHASES = {
    "planned": lambda run: (run.folder / "run.json").exists(),
    "loading": lambda run: met(run, lambda event: event.kind == "state" and event.state == "running"),
    "first step": measured(),
    "saving": lambda run: any(run.scratch.glob("checkpoints/*")),
    "measured": measured(name="eval_loss"),
    "last step": measured(step=20),
    "writing": lambda run: run.partial.exists() and any(run.partial.iterdir()),
}
"""How to see from outside that a training has come so far."""


@pytest.mark.torture
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_any_phase_is_a_stop_that_resumes_to_the_same_weights(
    command, training, workspace, until, tmp_path, phase, number
):
    process, run = command(training), workspace.run("t", 1, "tune")
    until(lambda: PHASES[phase](run) or process.poll() is not None)
    began = time.monotonic()
    process.send_signal(number)
    _, printed = process.communicate(timeout=60)
    assert process.returncode in (0, 6), printed
    assert (process.returncode == 0) == (run.state == "succeeded")
    print(f"{phase}: {run.state} after {time.monotonic() - began:.1f} s")
    resumed = burnish.run(training, workspace=workspace.root)
    alone = burnish.run(training, workspace=tmp_path / "alone")
    for step in ("data", "tune"):
        assert resumed[step].artifact.as_input("x").digest == alone[step].artifact.as_input("x").digest


@pytest.mark.torture
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_second_signal_ends_a_training_at_once(command, training, workspace, until, number):
    training["steps"]["tune"]["max_steps"] = 2_000
    process, run = command(training), workspace.run("t", 1, "tune")
    until(lambda: PHASES["first step"](run))
    process.send_signal(number)
    until(lambda: "stopping" in (run.folder / "console.log").read_text() or process.poll() is not None)
    began = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 10
    assert process.returncode != 0
    until(lambda: not run.is_alive())
    assert run.state == "interrupted"
