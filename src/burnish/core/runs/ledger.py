"""The consumption ledger: finds settings that were given but never read.

It records every read of a spec's field (`burnish.specs.base.watch`) while a stage runs.
"""

from collections.abc import Callable, Iterator

from burnish.core.errors import RunError
from burnish.specs.base import Spec, specs_within, watch


class ConsumptionLedger:
    """Tracks reads of one spec. A context manager around the stage's function."""

    def __init__(self, spec: Spec):
        self._spec = spec
        self._reads: set[tuple[int, str]] = set()
        self._inputs_read: set[str] = set()
        self._unwatch: Callable[[], None] | None = None

    def __enter__(self) -> "ConsumptionLedger":
        self._unwatch = watch(lambda spec, name: self._reads.add((id(spec), name)))
        return self

    def __exit__(self, *_: object) -> None:
        if self._unwatch is not None:
            self._unwatch()

    def input_was_read(self, path: str) -> None:
        """Mark an input as read; called when the stage requests it from the context."""
        self._inputs_read.add(path)

    def unread(self) -> list[str]:
        """Dotted paths of settings that were given but not read so far."""
        return list(self._unread_in(self._spec, ""))

    def check(self) -> None:
        """Raise RunError `run.unread-setting` naming each unread setting."""
        unread = self.unread()
        if unread:
            names = ", ".join(unread)
            raise RunError(
                "run.unread-setting",
                f"{'unused setting' if len(unread) == 1 else 'unused settings'}: {names}",
                "remove it, or change the settings that it depends on",
            )

    def _unread_in(self, spec: Spec, prefix: str) -> Iterator[str]:
        for name in sorted(spec.model_fields_set):
            path, value = f"{prefix}{name}", spec.__dict__[name]
            if name == "kind":  # a variant's tag is read by validation
                continue
            is_read_input = any(read == path or read.startswith(f"{path}.") for read in self._inputs_read)
            if not is_read_input and (id(spec), name) not in self._reads:
                yield path
                continue
            for key, child in specs_within(value):
                yield from self._unread_in(child, f"{path}.{key}." if key else f"{path}.")
