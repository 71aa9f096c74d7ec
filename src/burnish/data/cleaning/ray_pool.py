"""Chunks on a Ray cluster. Its workers read the inputs and write the files of chunks where this process finds them.

A task is a function of its chunk alone: one whose worker was lost is done again elsewhere, with the same result.
"""

import pickle
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from burnish.core.errors import BurnishError, MachineError
from burnish.core.faults import reason
from burnish.core.version import VERSION

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
_AHEAD = 2
"""Chunks in flight per core, where the number of workers is not set."""
_RETRIES = 5
_made: dict[str, Callable[[Any], Any]] = {}
"""In a worker: the function of each `make`."""


class RayPool:
    """Tasks on a cluster: that of RAY_ADDRESS or one started here (`ray`), or that of an address (`ray://…`).

    Errors: MachineError `machine.no-package` without ray, `machine.no-cluster` where none answers, or where its workers
    have another burnish or do not see the workspace.
    """

    def __init__(self, on: str, workers: int | None, folder: Path, source: Path):
        self._ray = _library()
        self._owns = not self._ray.is_initialized()
        if self._owns:
            try:
                self._ray.init(**_arguments(on, workers))
            except Exception as error:  # ConnectionError, and what the cluster's client raises
                fix = "check the address and RAY_AUTH_MODE, or start a cluster: ray start --head"
                raise MachineError(
                    "machine.no-cluster", f"on: {on}: no cluster answers: {reason(error)}", fix
                ) from error
        self._in_flight = workers or _AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        try:
            self._check(folder, source)
        except MachineError:
            self.close()
            raise

    def _check(self, folder: Path, source: Path) -> None:
        """Refuse a cluster whose workers have another version or do not see the folder and the source."""
        mark = folder / f"{uuid.uuid4().hex}.mark"
        mark.touch()
        try:
            version, unseen = self._ray.get(self._ray.remote(num_cpus=1)(_look).remote([str(mark), str(source)]))
        except self._ray.exceptions.RayError as error:
            what = f"a worker of the cluster cannot run burnish: {reason(error)}"
            fix = f"install burnish {VERSION} with burnish[data] on all its machines"
            raise MachineError("machine.no-cluster", what, fix) from error
        finally:
            mark.unlink(missing_ok=True)
        if version != VERSION:
            what = f"the cluster's workers have burnish {version}, and this is {VERSION}"
            raise MachineError("machine.no-cluster", what, "install the same version on all machines")
        if unseen:
            what = f"the cluster's workers do not see {source if str(source) in unseen else folder}"
            fix = "keep workspace and data in a folder that all machines mount under the same path"
            raise MachineError("machine.no-cluster", what, fix)

    def map(
        self, make: Callable[[], Callable[[Chunk], Result]], chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Chunk, Result]]:
        """Yield each chunk with its result, in order. Errors: those of the function; MachineError `machine.no-memory`
        for a chunk whose workers were lost again and again."""
        name, made = uuid.uuid4().hex, self._ray.put(pickle.dumps(make))
        task = self._ray.remote(num_cpus=1, max_retries=_RETRIES)(_work)
        waiting: deque[tuple[Chunk, Any]] = deque()
        for chunk in chunks:
            waiting.append((chunk, task.remote(name, made, chunk)))
            if len(waiting) >= self._in_flight:
                yield self._next(waiting)
        while waiting:
            yield self._next(waiting)

    def _next(self, waiting: deque[tuple[Chunk, Any]]) -> tuple[Chunk, Any]:
        chunk, task = waiting.popleft()
        try:
            return chunk, self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, BurnishError):
                raise error.cause from error
            raise
        except self._ray.exceptions.RayError as error:
            what = f"a chunk's workers were lost {_RETRIES + 1} times: {reason(error)}"
            raise MachineError(
                "machine.no-memory", what, "give the workers more memory, or set fewer `workers`"
            ) from error

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._owns:
            self._ray.shutdown()


def _arguments(on: str, workers: int | None) -> dict[str, Any]:
    common = {"log_to_driver": False, "configure_logging": False, "include_dashboard": False}
    return {"address": on, "log_to_driver": False} if on.startswith("ray://") else common


def _work(name: str, made: bytes, chunk: Any) -> Any:
    if name not in _made:
        _made.clear()
        _made[name] = pickle.loads(made)()
    return _made[name](chunk)


def _look(paths: list[str]) -> tuple[str, list[str]]:
    """The worker's version, and which of the paths it does not see."""
    return VERSION, [path for path in paths if not Path(path).exists()]


def _library() -> Any:
    try:
        return import_module("ray")
    except ImportError as error:
        raise MachineError(
            "machine.no-package", "`on: ray` needs the package ray", "pip install 'burnish[ray]'"
        ) from error
