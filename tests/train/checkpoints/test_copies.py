"""Copies of the training state in memory, and the writer that publishes them, with folders that only remember."""

import threading
from types import SimpleNamespace

import pytest
import torch

from burnish.core.errors import RunError
from burnish.train.checkpoints import saving
from burnish.train.checkpoints.checkpoint import Checkpoint
from burnish.train.checkpoints.saving import CheckpointWriter, StateCopy


def there(nbytes, is_cuda=True, shape=(2,), dtype=torch.float32):
    """As much of a tensor as the need of memory depends on."""
    return SimpleNamespace(nbytes=nbytes, is_cuda=is_cuda, shape=torch.Size(shape), dtype=dtype)


def test_pinned_memory_is_counted_in_powers_of_two_and_other_memory_as_it_is():
    for nbytes, pinned in ((0, 0), (1, 1), (2, 2), (3, 4), (1000, 1024), (1024, 1024), (1025, 2048)):
        assert StateCopy().missing({"a": there(nbytes)}) == pinned
        assert StateCopy().missing({"a": there(nbytes, is_cuda=False)}) == nbytes
    assert StateCopy().missing({"a": there(1000), "b": there(3), "c": there(7, is_cuda=False)}) == 1024 + 4 + 7


def test_buffers_are_used_again_while_they_fit_and_freed_when_told():
    copy, tensors = StateCopy(), {"a": torch.arange(4.0), "b": torch.ones(2, 3)}
    assert copy.missing(tensors) == 16 + 24
    first = copy.take(tensors)
    assert list(first) == ["a", "b"]
    assert copy.missing(tensors) == 0
    assert all(torch.equal(first[name], tensor) and first[name] is not tensor for name, tensor in tensors.items())
    tensors["a"].add_(1)
    second = copy.take({"a": tensors["a"]})
    assert second["a"] is first["a"]
    assert second["a"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert copy.missing({"a": torch.zeros(5)}) == 20
    assert copy.missing({"a": torch.zeros(4, dtype=torch.bfloat16)}) == 8
    assert copy.missing({"c": torch.zeros(4)}) == 16
    assert copy.take({"a": torch.zeros(5)})["a"].shape == (5,)
    copy.forget()
    assert copy.missing(tensors) == 40


def test_only_pinned_buffers_outlive_a_write(monkeypatch):
    copy, tensors = StateCopy(), {"a": torch.arange(4.0), "b": torch.ones(2)}
    copy.take(tensors)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: len(tensor) == 4)
    copy.release()
    assert copy.missing(tensors) == 8


def test_the_last_copy_from_a_device_is_waited_for_by_host_and_stream():
    copy, calls = StateCopy(), []
    copy.wait()
    copy.before_change()
    copy._copied = SimpleNamespace(synchronize=lambda: calls.append("host"), wait=lambda: calls.append("stream"))
    copy.before_change()
    copy.wait()
    assert calls == ["stream", "host"]
    CheckpointWriter.before_change(SimpleNamespace(_copy=copy))
    assert calls[-1] == "stream"


class Folder:
    """Remembers what was saved in which thread; `errors` are raised by the next saves."""

    def __init__(self):
        self.saved, self.errors, self.wait = [], [], None

    def save(self, step, checkpoint, best):
        if self.wait is not None:
            assert self.wait.wait(30)
        if self.errors:
            raise self.errors.pop(0)
        values = {name: tensor.clone() for name, tensor in checkpoint.weights.items()}
        self.saved.append((step, values, best, threading.current_thread().name))
        return f"step-{step}"

    def save_error(self, step, error):
        return error if isinstance(error, RunError) else RunError("run.failed", f"step {step}: {error}", "x")


@pytest.fixture
def writer(monkeypatch):
    monkeypatch.setattr(saving, "free_memory", lambda: 1_000_000)
    folder, events = Folder(), []
    made = CheckpointWriter(folder, events.append)
    made.folder, made.events = folder, events
    yield made
    made.close()


def checkpoint(count=4, value=1.0) -> Checkpoint:
    return Checkpoint("id", {"s": 1}, {"w": torch.full((count,), value)}, {"w|m": torch.zeros(2)}, {"python": 3})


def texts(writer, level="info"):
    return [event.text for event in writer.events if event.kind == "note" and event.level == level]


def nothing():
    pass


def test_a_checkpoint_is_written_in_a_thread_from_a_copy_and_reported_when_it_is_there(writer):
    writer.folder.wait, order = threading.Event(), []
    given = checkpoint()
    writer.save(7, given, 3, lambda: order.append(threading.current_thread().name))
    given.weights["w"].zero_()
    writer.check()
    assert [event.kind for event in writer.events] == ["note"]
    writer.folder.wait.set()
    writer.wait()
    [(step, values, best, thread)] = writer.folder.saved
    assert (step, best, thread) == (7, 3, "checkpoint-7")
    assert values["w"].tolist() == [1.0] * 4
    assert order == ["checkpoint-7"]
    assert (writer.events[-1].kind, writer.events[-1].step, writer.events[-1].path) == ("checkpoint", 7, "step-7")
    writer.check()
    assert len(writer.events) == 2
    assert writer._copy.missing({"weights/w": given.weights["w"]}) == 16


def test_the_next_save_waits_for_the_write_in_flight(writer):
    writer.save(1, checkpoint(value=1.0), None, nothing)
    writer.save(2, checkpoint(value=2.0), None, nothing)
    writer.wait()
    assert [(step, values["w"][0].item()) for step, values, *_ in writer.folder.saved] == [(1, 1.0), (2, 2.0)]


@pytest.mark.parametrize(("free", "copies"), [(48, True), (47, False), (49, True)])
def test_a_copy_may_take_half_of_the_free_memory(writer, monkeypatch, free, copies):
    monkeypatch.setattr(saving, "free_memory", lambda: free)
    for step in (1, 2):
        writer.save(step, checkpoint(), None, nothing)
        writer.wait()
    threads = [thread for *_, thread in writer.folder.saved]
    assert threads == (["checkpoint-1", "checkpoint-2"] if copies else [threading.main_thread().name] * 2)
    [told] = texts(writer)
    assert told.startswith(
        "checkpoints are written while" if copies else "training waits while a checkpoint is written"
    )
    assert ("would take more than half of the 4" in told) is not copies


def test_a_copy_for_which_memory_runs_out_is_not_made_and_a_real_fault_is_raised(writer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(StateCopy, "take", lambda *_: (_ for _ in ()).throw(MemoryError("can't allocate memory")))
        writer.save(1, checkpoint(), None, nothing)
        assert writer.folder.saved[0][3] == threading.main_thread().name
        assert "does not fit into memory (" in texts(writer)[0]
        patch.setattr(StateCopy, "take", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
        with pytest.raises(RuntimeError, match="shapes differ"):
            writer.save(2, checkpoint(), None, nothing)
    writer.save(3, checkpoint(), None, nothing)
    writer.wait()
    assert [text.split()[0] for text in texts(writer)] == ["training", "checkpoints"]


def test_a_checkpoint_without_tensors_is_not_called_a_copy(writer):
    writer.save(1, Checkpoint("id", {}, {}, {}, {}), None, nothing)
    writer.wait()
    assert texts(writer) == []


@pytest.mark.parametrize("way", ["check", "wait", "save", "close"])
def test_an_error_of_a_write_is_raised_once_or_becomes_a_warning(writer, way):
    writer.folder.errors = [ValueError("broken")]
    writer.save(1, checkpoint(), None, nothing)
    writer._thread.join()
    if way == "close":
        writer.close()
        assert texts(writer, "warning") == ["step 1: broken"]
    else:
        with pytest.raises(RunError, match="step 1: broken") as caught:
            writer.save(2, checkpoint(), None, nothing) if way == "save" else getattr(writer, way)()
        assert isinstance(caught.value.__cause__, ValueError)
    writer.check()
    assert writer.folder.saved == []
    assert not [event for event in writer.events if event.kind == "checkpoint"]


def test_an_error_with_a_code_is_its_own_cause(writer):
    error = RunError("run.failed", "full", "x")
    writer.folder.errors = [error]
    writer.save(1, checkpoint(), None, nothing)
    with pytest.raises(RunError) as caught:
        writer.wait()
    assert caught.value is error
    assert caught.value.__cause__ is None


def test_a_step_whose_first_part_fails_is_not_written(writer):
    def fails():
        raise OSError(5, "Input/output error")

    writer.save(1, checkpoint(), None, fails)
    with pytest.raises(RunError, match="Input/output error"):
        writer.wait()
    assert writer.folder.saved == []


def test_a_checkpoint_is_written_by_the_run_itself_where_no_thread_starts(writer, monkeypatch):
    monkeypatch.setattr(
        saving.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("can't start new thread"))
    )
    for step in (1, 2):
        writer.save(step, checkpoint(), None, nothing)
        assert writer.events[-1].kind == "checkpoint"
    assert [thread for *_, thread in writer.folder.saved] == [threading.main_thread().name] * 2
    [told] = texts(writer, "warning")
    assert told.startswith("no thread could be started for checkpoints (can't start new thread")
    writer.folder.errors = [ValueError("broken")]
    with pytest.raises(RunError, match="step 3: broken"):
        writer.save(3, checkpoint(), None, nothing)


class OnDevice(torch.Tensor):
    """A tensor of the CPU that says it is on a CUDA device; its copies say whether they are waited for."""

    is_cuda = property(lambda self: True)
    device = property(lambda self: torch.device("cuda", 1))


def test_tensors_of_a_device_are_copied_on_one_stream_of_its_own_into_pinned_memory(monkeypatch):
    calls, empty, copy_ = [], torch.empty, torch.Tensor.copy_

    class Stream:
        def __init__(self, device):
            calls.append(("stream", device))

        def wait_stream(self, other):
            calls.append(("wait", other))

        def record_event(self):
            calls.append(("event",))
            return SimpleNamespace(synchronize=lambda: calls.append(("synchronized",)))

        def __enter__(self):
            calls.append(("enter",))

        def __exit__(self, *_):
            calls.append(("exit",))

    def made(shape, *, dtype, pin_memory):
        calls.append(("empty", tuple(shape), dtype, pin_memory))
        return empty(shape, dtype=dtype)

    def copied(target, source, non_blocking=False):
        calls.append(("copy", tuple(source.shape), non_blocking))
        return copy_(target, source.as_subclass(torch.Tensor))

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: ("current", device))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(torch, "empty", made)
    monkeypatch.setattr(torch.Tensor, "copy_", copied)
    device = torch.device("cuda", 1)
    tensors = {"host": torch.ones(2), "a": torch.arange(3.0).as_subclass(OnDevice)}
    copy = StateCopy()
    found = copy.take(tensors)
    assert found["a"].tolist() == [0.0, 1.0, 2.0]
    assert calls == [
        ("empty", (2,), torch.float32, False),
        ("empty", (3,), torch.float32, True),
        ("stream", device),
        ("wait", ("current", device)),
        ("enter",),
        ("copy", (2,), False),
        ("copy", (3,), True),
        ("event",),
        ("exit",),
    ]
    calls.clear()
    copy.wait()
    copy.take(tensors)
    assert calls[:2] == [("synchronized",), ("wait", ("current", device))]
    assert ("stream", device) not in calls
