"""Where chunks are worked on: in processes of this machine, or on a Ray cluster. The results are the same, in order."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from burnish.core.processes import map_in_order, usable_cores

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


class Pool(Protocol):
    """Applies a function to chunks; `make` returns it, once in each process."""

    def map(
        self, make: Callable[[], Callable[[Chunk], Result]], chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Chunk, Result]]:
        """Yield each chunk with its result, in order."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...


class LocalPool:
    """Processes of this machine, all cores by default; short work is done in this process."""

    def __init__(self, workers: int | None = None):
        self._workers = workers or usable_cores()

    def map(
        self, make: Callable[[], Callable[[Chunk], Result]], chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Chunk, Result]]:
        yield from map_in_order(make, chunks, self._workers, alone_for=2.0)

    def close(self) -> None:
        pass


def pool_of(on: str, workers: int | None, folder: Path, source: Path) -> Pool:
    """The pool that a setting names; its workers must see the folder and the source. Errors: those of `RayPool`."""
    if on == "local":
        return LocalPool(workers)
    from burnish.data.cleaning.ray_pool import RayPool

    return RayPool(on, workers, folder, source)
