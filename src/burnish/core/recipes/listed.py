"""Read a YAML file that is a list of settings, such as a gate or checks, and check each with its place."""

from pathlib import Path
from typing import Any, cast

from burnish.core.errors import AskError
from burnish.core.recipes.validation import make_spec
from burnish.core.recipes.yaml import Where, read_yaml
from burnish.specs.base import Listed


def read_listed(path: Path, mark: Listed) -> tuple[Any, list[str]]:
    """The spec of the mark, whose field `mark.key` is the list, and the place (`file:line`) of each of its items.

    The file is the list, or a mapping with the key. Errors: AskError with file and line.
    """
    document, key = read_yaml(path), mark.key
    given = document.value
    is_nested = isinstance(given, dict) and key in given
    values = cast(dict[str, Any], given if is_nested else {key: given})
    listed: Any = values[key]
    if not isinstance(listed, list) or not listed:
        raise AskError("ask.wrong-value", f"{document.where(())}: {mark.what}", f"write {mark.example}")

    def where(place: Where) -> str:
        return document.where(place if is_nested else place[1:])

    places = [where((key, number)) for number, _ in enumerate(cast(list[Any], listed))]
    return make_spec(mark.spec, values, where), places
