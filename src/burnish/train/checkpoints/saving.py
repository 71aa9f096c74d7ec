"""Writes checkpoints in a thread, from a copy of the training state, while the training continues.

    training    step 40 | copy | step 41 | step 42 | … | raise the error of a write, if any | step 60 | copy …
    thread                     | flush the ledger, write, fsync, rename |

One write is in flight at most: the next save waits for it. A copy needs main memory, pinned for state on a CUDA
device; if it does not fit, training waits while the checkpoint is written.
"""

from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

import torch
from torch import Tensor

from burnish.core.events import CheckpointSaved, Event, Note
from burnish.core.faults import first_line, is_out_of_memory, reason
from burnish.core.files import file_size
from burnish.train.checkpoints.checkpoint import Checkpoint, CheckpointFolder
from burnish.train.resolve import free_memory

_SHARE_OF_FREE = 0.5
"""Share of the free main memory: no larger copy is made, since the training needs memory too."""


class StateCopy:
    """Copies of tensors in main memory.

    Tensors of a CUDA device are copied on a separate stream, without waiting: the buffers are valid after `wait`, and
    the tensors may change after `before_change`.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
        self._stream: torch.cuda.Stream | None = None
        self._copied: Any = None
        """Recorded after the last copy; also used by the writing thread."""

    def missing(self, tensors: Mapping[str, Tensor]) -> int:
        """Bytes of main memory that a copy of these tensors needs beyond the existing buffers.

        torch rounds pinned memory up to a power of two.
        """
        new = [tensor for name, tensor in tensors.items() if not self._fits(name, tensor)]
        return sum(1 << (t.nbytes - 1).bit_length() if t.is_cuda and t.nbytes else t.nbytes for t in new)

    def take(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Buffers that hold the tensors' current values after `wait`; the last copy is overwritten."""
        for name, tensor in tensors.items():
            if not self._fits(name, tensor):
                self._buffers[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
        device = next((tensor.device for tensor in tensors.values() if tensor.is_cuda), None)
        if device is None:
            self._copy(tensors)
        else:
            if self._stream is None:
                self._stream = torch.cuda.Stream(device)
            self._stream.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(self._stream):
                self._copy(tensors)
                self._copied = self._stream.record_event()
        return {name: self._buffers[name] for name in tensors}

    def wait(self) -> None:
        """Wait until the last copy is in main memory."""
        if self._copied is not None:
            self._copied.synchronize()

    def before_change(self) -> None:
        """Make the device's current stream, not the host, wait for the last copy before the tensors change."""
        if self._copied is not None:
            self._copied.wait()

    def release(self) -> None:
        """Free the buffers that are cheap to allocate; pinned ones are kept for the next copy."""
        self._buffers = {name: buffer for name, buffer in self._buffers.items() if buffer.is_pinned()}

    def forget(self) -> None:
        """Free all buffers."""
        self._buffers.clear()

    def _fits(self, name: str, tensor: Tensor) -> bool:
        buffer = self._buffers.get(name)
        return buffer is not None and buffer.shape == tensor.shape and buffer.dtype == tensor.dtype

    def _copy(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self._buffers[name].copy_(tensor, non_blocking=tensor.is_cuda)


class CheckpointWriter:
    """Publishes the checkpoints of a training loop, which calls every method from its own thread."""

    def __init__(self, folder: CheckpointFolder, emit: Callable[[Event], None]):
        self._folder, self.emit = folder, emit
        self._copy = StateCopy()
        self._thread: Thread | None = None
        self._done: list[Event] = []
        self._error: BaseException | None = None
        self._last_note = ""
        self._lacks_threads = False

    def save(self, step: int, checkpoint: Checkpoint, best: int | None, first: Callable[[], None]) -> None:
        """Copy the state and start to write it, after the write in flight; the thread calls `first` before.

        Errors: those of the write in flight, or of this one if it is written without a thread.
        """
        self.wait()
        copied = self._copied(checkpoint)
        thread = Thread(target=self._write, args=(step, copied or checkpoint, best, first), name=f"checkpoint-{step}")
        if copied is not None and self._started(thread):
            self._thread = thread
            return
        self._write(step, copied or checkpoint, best, first)
        self._copy.release()
        self.check()

    def check(self) -> None:
        """Report what was published; raise what the last write raised. Does not wait."""
        while self._done:
            self.emit(self._done.pop(0))
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def wait(self) -> None:
        """Wait for the write in flight. Errors: those of `check`."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._copy.release()
        self.check()

    def before_change(self) -> None:
        """Call it before the weights or the optimizer's state change."""
        self._copy.before_change()

    def close(self) -> None:
        """Wait for the write in flight when the loop ends with an error; an error of the write becomes a warning."""
        try:
            self.wait()
        except Exception as error:
            self.emit(Note(level="warning", text=first_line(error)))

    def _copied(self, checkpoint: Checkpoint) -> Checkpoint | None:
        """The checkpoint with copies of its tensors; None if they do not fit into memory."""
        groups = {"weights": checkpoint.weights, "optimizer": checkpoint.optimizer}
        tensors = {f"{group}/{name}": value for group, named in groups.items() for name, value in named.items()}
        size, free = self._copy.missing(tensors), free_memory()
        waits = f"training waits while a checkpoint is written: a copy of {file_size(size)}"
        if size > _SHARE_OF_FREE * free:
            self._note(f"{waits} would take more than half of the {file_size(free)} of free main memory")
            return None
        try:
            copies = self._copy.take(tensors)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._note(f"{waits} does not fit into memory ({first_line(error)})")
            self._copy.forget()
            return None
        if size:
            self._note(f"checkpoints are written while training continues, from a copy of {file_size(size)} in memory")
        kept = {group: {name: copies[f"{group}/{name}"] for name in named} for group, named in groups.items()}
        return Checkpoint(
            checkpoint.identity, checkpoint.state, kept["weights"], kept["optimizer"], checkpoint.randomness
        )

    def _started(self, thread: Thread) -> bool:
        """Start a thread; without one, training waits for the write, which is reported once."""
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            if not self._lacks_threads:
                text = f"no thread could be started for checkpoints ({reason(error)}): training waits for their writes"
                self.emit(Note(level="warning", text=text))
            self._lacks_threads = True
            return False
        return True

    def _note(self, text: str) -> None:
        kind = text.split()[0]
        if kind != self._last_note:
            self.emit(Note(text=text))
        self._last_note = kind

    def _write(self, step: int, checkpoint: Checkpoint, best: int | None, first: Callable[[], None]) -> None:
        try:
            self._copy.wait()
            first()
            path = self._folder.save(step, checkpoint, best)
            self._done.append(CheckpointSaved(step=step, path=str(path)))
        except KeyboardInterrupt as error:
            self._error = error
        except BaseException as error:  # raised in the loop's thread
            self._error = self._folder.save_error(step, error)
            if self._error is not error:
                self._error.__cause__ = error
