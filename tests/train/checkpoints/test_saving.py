"""Checkpoints written in a thread: the training goes on meanwhile, and nothing that a write raises is lost."""

import errno
import threading

import pytest
import torch

from burnish.core.errors import BurnishError, MachineError, RunError
from burnish.train.checkpoints import checkpoint, saving
from burnish.train.checkpoints.checkpoint import CheckpointFolder, read
from burnish.train.checkpoints.saving import StateCopy
from burnish.train.loop import Loop
from burnish.train.passes import Passes
from burnish.train.reporting.ledger import RowLedger

LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}
FULL = {"kind": "full"}
MUON = {"method": FULL, "optimizer": {"kind": "muon"}}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture
def made(monkeypatch):
    """Steps that were made, as an event for each."""
    steps = {number: threading.Event() for number in range(1, 20)}
    step = Loop._step

    def told(self):
        step(self)
        steps[self.state.step].set()

    monkeypatch.setattr(Loop, "_step", told)
    return steps


@pytest.fixture
def writing(monkeypatch):
    """`writing(step, do)`: what happens in the thread between the copy of a step's state and the write of it."""
    actions, save = {}, CheckpointFolder.save

    def acted(self, step, *others):
        actions.get(step, lambda: None)()
        return save(self, step, *others)

    monkeypatch.setattr(CheckpointFolder, "save", acted)
    return actions.__setitem__


def no_space():
    raise OSError(errno.ENOSPC, "No space left on device")


def test_training_continues_while_a_checkpoint_is_written(run_fit, made, writing):
    reached = []
    writing(3, lambda: reached.append(made[5].wait(30)))
    run_fit("run", method=LORA, checkpoint={"every": 3}, max_steps=6)
    assert reached == [True]


@pytest.mark.parametrize("settings", [{"method": LORA}, {"method": FULL}, MUON], ids=["lora", "full", "muon"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_checkpoint_holds_the_state_of_its_own_step(run_fit, made, writing, settings, dtype):
    settings = {**settings, "dtype": dtype, "checkpoint": {"every": 3, "keep": 9}}
    run_fit("prompt", **settings)
    waited = []
    for event in made.values():
        event.clear()
    writing(3, lambda: waited.append(made[6].wait(30)))
    run_fit("late", **settings)
    assert waited == [True]
    prompt, late = (
        read(run_fit.last.folder.parent / f"{name}/scratch/checkpoints/step-00000003") for name in ("prompt", "late")
    )
    assert same(prompt.weights, late.weights)
    assert same(prompt.optimizer, late.optimizer)
    assert same(prompt.randomness["torch"], late.randomness["torch"])
    for state in (prompt.state, late.state):
        state["standing"].pop("seconds")
    assert prompt.state == late.state
    assert late.state["ledger_offset"] == 3 * 6 * 20


def test_the_next_save_waits_for_the_write_in_flight(run_fit, made, writing):
    order = []
    writing(3, lambda: (made[5].wait(30), order.append(made[6].wait(0.3)), order.append(made[7].is_set())))
    run_fit("run", method=LORA, checkpoint={"every": 3, "keep": 9}, max_steps=8)
    assert order == [True, False]


def test_a_write_that_fails_ends_the_run_at_the_next_step(run_fit, writing, monkeypatch):
    begun = threading.Event()
    writing(4, lambda: begun.wait(30) and no_space())
    step = Loop._step

    def until_the_write_failed(self):
        if self.state.step == 4:
            begun.set()
            for thread in threading.enumerate():
                if thread.name.startswith("checkpoint-"):
                    thread.join()
        step(self)

    monkeypatch.setattr(Loop, "_step", until_the_write_failed)
    with pytest.raises(MachineError, match=r"step 4 could not be written to .*No space left"):
        run_fit("run", method=LORA, checkpoint={"every": 2, "keep": 9}, max_steps=12)
    assert len(run_fit.last.metrics("loss")) == 5


def test_a_last_write_that_fails_ends_the_run(run_fit, monkeypatch):
    monkeypatch.setattr(checkpoint, "write_tensors", lambda *_: no_space())
    with pytest.raises(MachineError) as caught:
        run_fit("run", method=LORA, checkpoint={"every": 50}, max_steps=4)
    assert caught.value.code == "machine.no-disk"
    assert "step 4 could not be written" in caught.value.what


class CancelledError(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError("12 GB"), "machine.no-memory"),
        (ValueError("no good"), "run.failed"),
        (SystemExit(0), "run.failed"),
        (CancelledError("by a library"), "run.failed"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "machine.no-access"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("in_a_thread", [True, False])
def test_whatever_a_write_raises_ends_the_run_by_the_name_of_its_checkpoint(
    run_fit, writing, monkeypatch, error, code, in_a_thread
):
    def raises():
        raise error

    writing(4, raises)
    if not in_a_thread:
        monkeypatch.setattr(saving, "free_memory", lambda: 1000)
    with pytest.raises(BurnishError) as caught:
        run_fit("run", method=LORA, checkpoint={"every": 2, "keep": 9})
    checkpoints = run_fit.last.folder / "scratch/checkpoints"
    assert caught.value.code == code
    assert f"the checkpoint of step 4 could not be written to {checkpoints}: " in caught.value.what
    assert "from step 2" in caught.value.fix
    assert CheckpointFolder(checkpoints).steps() == [2]


def test_a_checkpoint_is_written_without_a_thread_where_none_can_be_started(run_fit, monkeypatch):
    whole = run_fit("whole", method=LORA, max_steps=6)
    start = threading.Thread.start

    def refuses(self):
        if self.name.startswith("checkpoint-"):
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuses)
    waited = run_fit("waited", method=LORA, max_steps=6)
    (warning,) = waited.notes("warning")
    assert warning.startswith("no thread could be started for checkpoints (can't start new thread): training waits")
    assert [event.step for event in waited.events if event.kind == "checkpoint"] == [1, 2, 3, 4, 5, 6]
    assert same(whole.weights, waited.weights)


def test_a_ledger_that_cannot_be_flushed_is_an_error_of_its_step(run_fit, monkeypatch):
    monkeypatch.setattr(RowLedger, "sync", lambda _: no_space())
    with pytest.raises(MachineError, match="step 4 could not be written"):
        run_fit("run", method=LORA, checkpoint={"every": 4}, max_steps=4)


def test_a_stop_waits_for_the_checkpoint(run_fit, writing, made):
    writing(5, lambda: threading.Event().wait(0.5))
    with pytest.raises(RunError) as caught:
        run_fit("run", method=LORA, stop_before=5, checkpoint={"every": 50})
    assert caught.value.code == "run.interrupted"
    assert CheckpointFolder(run_fit.last.folder / "scratch/checkpoints").steps() == [5]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("checkpoint-")]


def test_a_failed_write_is_reported_beside_the_error_that_ends_the_run(run_fit, writing, monkeypatch):
    def broken(self, *asked):
        if self.state.step == 3:
            raise ValueError("something else")
        return gradient(self, *asked)

    gradient = Passes.gradient
    monkeypatch.setattr(Passes, "gradient", broken)
    writing(3, lambda: (threading.Event().wait(0.5), no_space()))
    with pytest.raises(ValueError, match="something else"):
        run_fit("run", method=LORA, checkpoint={"every": 3})
    assert any("No space left" in note for note in run_fit.last.notes("warning"))


def test_a_checkpoint_is_reported_once_it_is_there(run_fit, made, writing):
    writing(2, lambda: made[3].wait(30))
    ran = run_fit("run", method=LORA, checkpoint={"every": 2, "keep": 9}, max_steps=4)
    order = [(event.kind, event.step) for event in ran.events if event.kind in ("checkpoint", "metric")]
    assert order.index(("checkpoint", 2)) > order.index(("metric", 3))
    assert [step for kind, step in order if kind == "checkpoint"] == [2, 4]


def test_the_memory_of_the_copy_is_reported(run_fit):
    notes = run_fit("run", method=FULL, max_steps=3).notes("info")
    [note] = [text for text in notes if "while training continues" in text]
    assert "copy of 3" in note


def test_training_waits_where_a_copy_does_not_fit_into_memory(run_fit, monkeypatch):
    whole = run_fit("whole", method=FULL, max_steps=3)
    monkeypatch.setattr(saving, "free_memory", lambda: 1000)
    threads, save = [], CheckpointFolder.save

    def watched(self, *others):
        threads.append(threading.current_thread())
        return save(self, *others)

    monkeypatch.setattr(CheckpointFolder, "save", watched)
    waited = run_fit("waited", method=FULL, max_steps=3)
    assert set(threads) == {threading.main_thread()}
    assert [text for text in waited.notes("info") if "training waits while a checkpoint is written" in text]
    assert same(whole.weights, waited.weights)


def test_training_waits_where_memory_for_the_copy_runs_out(run_fit, monkeypatch):
    whole = run_fit("whole", method=FULL, max_steps=3)

    def runs_out(*_):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(StateCopy, "take", runs_out)
    waited = run_fit("waited", method=FULL, max_steps=3)
    assert [text for text in waited.notes("info") if "does not fit into memory (CUDA error: out of memory)" in text]
    assert same(whole.weights, waited.weights)


def test_a_copy_keeps_what_tensors_were_whatever_becomes_of_them():
    copy, tensors = StateCopy(), {"a": torch.ones(3, 2, dtype=torch.bfloat16), "b": torch.tensor(5.0)}
    assert copy.missing(tensors) == 3 * 2 * 2 + 4
    taken = copy.take(tensors)
    assert copy.missing(tensors) == 0
    for tensor in tensors.values():
        tensor.zero_()
    assert taken["a"].eq(1).all()
    assert taken["a"].dtype == torch.bfloat16
    assert taken["b"] == 5
    copy.release()
    assert copy.missing(tensors) == 16
