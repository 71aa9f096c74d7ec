"""Unmapped keys of an object: kept in `extra` under its dotted path, so that it is named and counted."""

from collections.abc import Collection
from typing import Any


def keep_rest(value: dict[str, Any], used: Collection[str], path: str, extra: dict[str, Any]) -> None:
    """Put the keys of `value` that are not `used`, and that are not null, into `extra`."""
    for key, rest in value.items():
        if key not in used and rest is not None:
            extra[f"{path}.{key}"] = rest
