"""The consumption ledger: which settings were given, which were read, and which nothing read.

It listens to every read of a spec's field (`burnish.specs.base.watch`) while a stage runs.
"""

from collections.abc import Callable, Iterator

from burnish.core.errors import RunError
from burnish.specs.base import Spec, specs_within, watch


class ConsumptionLedger:
    """Follows one spec. Use as a context manager around the stage's function."""

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
        """An input counts as read when the stage asks the context for it."""
        self._inputs_read.add(path)

    def unread(self) -> list[str]:
        """Dotted paths of the settings that were given and that nothing has read so far."""
        return list(self._unread_in(self._spec, ""))

    def check(self) -> None:
        """Raise RunError `run.unread-setting` naming each unread setting."""
        unread = self.unread()
        if unread:
            names = ", ".join(unread)
            raise RunError(
                "run.unread-setting",
                f"{'a setting was' if len(unread) == 1 else 'settings were'} given and nothing read "
                f"{'it' if len(unread) == 1 else 'them'}: {names}",
                "remove it, or set what it depends on: with these other settings it has no effect",
            )

    def _unread_in(self, spec: Spec, prefix: str) -> Iterator[str]:
        for name in sorted(spec.model_fields_set):
            path, value = f"{prefix}{name}", spec.__dict__[name]
            if name == "kind":  # the tag of a variant is read by the validation that chose it
                continue
            asked_for = any(read == path or read.startswith(f"{path}.") for read in self._inputs_read)
            if not asked_for and (id(spec), name) not in self._reads:
                yield path
                continue
            for key, child in specs_within(value):
                yield from self._unread_in(child, f"{path}.{key}." if key else f"{path}.")
