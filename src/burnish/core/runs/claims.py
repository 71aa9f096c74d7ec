"""What runs say of the registry: run.json of a registered artifact names its versions, as `registered`.

The registry says which runs it needs. Where it was lost (a folder that is not mounted, a name that was moved away),
only the runs can say so.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

from burnish.core.errors import BurnishError
from burnish.core.files import write_json
from burnish.core.runs.records import is_there, read_record
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace

_KEY = "registered"


def claim(run: Run, ref: str) -> bool:
    """Record in a run that its artifact was registered; whether it was not recorded yet.

    A second protection: where it cannot be written, the registry still protects the run.
    """
    with contextlib.suppress(OSError, BurnishError):
        before = _refs(run.record) if is_there(run.folder / "run.json") else [ref]
        if ref not in before:
            write_json(run.folder / "run.json", {**run.record, _KEY: [*before, ref]})
            return True
    return False


def claims_of(workspace: Workspace) -> Iterator[tuple[Run, list[str]]]:
    """The runs whose artifacts are there and were registered, each with its versions."""
    for path in workspace.runs.glob("*/*/*/run.json"):
        with contextlib.suppress(OSError, BurnishError):  # a damaged record is reported as such
            if f'"{_KEY}"' in path.read_text(encoding="utf-8", errors="replace"):
                refs = _refs(read_record(path))
                if refs and (path.parent / "out").is_dir():
                    yield Run(path.parent), refs


def _refs(record: Mapping[str, Any]) -> list[str]:
    found: Any = record.get(_KEY)
    return [str(ref) for ref in cast(list[Any], found)] if isinstance(found, list) else []
