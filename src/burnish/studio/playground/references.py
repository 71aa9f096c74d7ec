"""Which process answers for a model: an adapter is loaded beside its base, all else has a process of its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from burnish.core.context import Input
from burnish.core.runs.workspace import Workspace
from burnish.studio.exploration import resolve_model
from burnish.studio.recipes.given import refuse_path_outside

_KINDS = ("model", "adapter", "gguf")


@dataclass(frozen=True)
class Placed:
    """A model that was asked for by `ref`: the one that a process has, and the adapter that is loaded into it."""

    ref: str
    source: Input
    adapter: Input | None = None

    @property
    def key(self) -> str:
        """What the process is known by."""
        return f"{self.source.kind}-{self.source.content or self.source.path}"

    @property
    def name(self) -> str | None:
        """What the process knows the adapter by; None for the model itself."""
        return None if self.adapter is None else f"a{(self.adapter.content or str(self.adapter.path))[:32]}"

    def alone(self) -> "Placed":
        """The adapter in a process of its own, merged into its base: for engines that cannot load it beside."""
        return Placed(self.ref, self.source if self.adapter is None else self.adapter)


def placed(
    ref: str,
    *,
    workspace: Path | str | None = None,
    allowed: Iterable[Path] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Placed:
    """Where a model answers: a reference to a model, an adapter or a GGUF file, which is fetched if it is on a hub.

    With `allowed`, files outside of the workspace and of these folders are refused: AskError `ask.not-allowed`. Other
    errors: those of the reference.
    """
    place = Workspace.find(workspace)
    if allowed is not None:
        refuse_path_outside(ref, (place.root, *allowed), place, f"'{ref}'")
    found = resolve_model(ref, workspace=place.root, kinds=_KINDS, say=say)
    base = found.base
    if found.kind == "adapter" and base is not None and base.kind != "adapter" and base.base is None:
        return Placed(ref, base, found)
    return Placed(ref, found)
