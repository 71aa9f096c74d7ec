"""The lineage of a version or an artifact: what it was made from."""

import contextlib
from pathlib import Path

from burnish.core.errors import AskError
from burnish.core.files import write_atomically
from burnish.core.inputs.references import resolve
from burnish.core.paths import expanded
from burnish.core.registry.drawing import is_drawing, svg
from burnish.core.registry.lineage import Node
from burnish.core.registry.lineage import lineage as tree_of
from burnish.core.registry.names import LATEST, is_name
from burnish.core.registry.registry import Registry
from burnish.core.runs.records import is_there
from burnish.core.runs.workspace import Workspace

_ANY = ("model", "adapter", "dataset", "rows", "tokenizer", "evaluation", "generations", "file", "folder")


def lineage(ref: str, *, svg_file: Path | str | None = None, workspace: Path | str | None = None) -> Node:
    """The tree of what an artifact was made from; `ref` is a name of the registry or any reference.

    With `svg_file` it is also drawn there. Errors: AskError `ask.bad-reference`.
    """
    place = Workspace.find(workspace)
    if svg_file is not None:
        _refuse_other_file(expanded(svg_file))
    if is_name(ref):
        Registry(place).entry(ref)
        ref = f"{ref}@{LATEST}"
    found = tree_of(resolve(ref, _ANY, place, place.hashes()), place)
    if svg_file is not None:
        path = expanded(svg_file)
        if not path.parent.is_dir():
            raise AskError("ask.bad-reference", f"there is no folder {path.parent}", "create it, or use another --svg")
        write_atomically(path, svg(found))
    return found


def _refuse_other_file(path: Path) -> None:
    """AskError `ask.wrong-value` for an existing file that is not a drawing of a lineage."""
    if path.is_dir():
        raise AskError("ask.wrong-value", f"--svg: {path} is a folder", "name a file, such as lineage.svg")
    if not is_there(path):
        return
    start = ""
    with contextlib.suppress(OSError), path.open("rb") as file:
        start = file.read(2_000).decode(errors="replace")
    if not is_drawing(start):
        what = f"--svg: {path} exists, and is not a drawing of a lineage"
        raise AskError("ask.wrong-value", what, "use another name, or remove the file")
