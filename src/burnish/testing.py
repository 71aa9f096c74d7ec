"""Public doubles for tests of stages, inside burnish and in packages that extend it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from burnish.core.context import Context, Input
from burnish.core.events import Event


def temporary_context(
    folder: Path,
    inputs: Mapping[str, Input | Path | str] = MappingProxyType({}),
    stopping: Callable[[], bool] = lambda: False,
) -> tuple[Context, list[Event]]:
    """A context whose `out` and `scratch` lie in `folder`, and the list that every emitted event lands in.

    Paths become inputs by what lies there: a model, adapter or tokenizer folder, a prepared dataset, a folder or a file.
    Calling it again with the same folder finds the same scratch, as a resumed run does.
    """
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    events: list[Event] = []
    resolved = {name: value if isinstance(value, Input) else input_at(Path(value)) for name, value in inputs.items()}
    return Context(out, scratch, resolved, events.append, stopping, lambda: None), events


def input_at(path: Path) -> Input:
    """An input for what lies at `path`, its kind told from the files."""
    if not path.is_dir():
        kind = "file"
    elif (path / "adapter_config.json").exists():
        kind = "adapter"
    elif (path / "config.json").exists():
        kind = "model"
    elif (path / "tokenizer_config.json").exists():
        kind = "tokenizer"
    elif (path / "stats.json").exists() and any(path.glob("*.parquet")):
        kind = "dataset"
    else:
        kind = "folder"
    return Input(ref=f"file:{path}", kind=kind, path=path)
