"""The API keys of a server: add, list, remove."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from burnish.core.access.keys import Key
from burnish.core.access.keys import add_key as _add
from burnish.core.access.keys import read_keys as _read
from burnish.core.access.keys import remove_key as _remove
from burnish.core.errors import AskError
from burnish.core.paths import expanded
from burnish.core.runs.workspace import Workspace


def add_key(
    name: str,
    *,
    file: str | Path | None = None,
    models: Sequence[str] | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    days: float | None = None,
    admin: bool = False,
    workspace: str | Path | None = None,
) -> tuple[str, str]:
    """A new key, which is kept nowhere, and the file that has its hash.

    Errors: AskError `ask.wrong-value` for a name that is taken, or a file that is none of keys.
    """
    path = _path(file, workspace)
    try:
        expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    except OverflowError:
        fix = "give fewer, or leave it out: the key does not expire then"
        raise AskError("ask.wrong-value", f"days: {days:g} end after the year 9999", fix) from None
    key = Key(
        name,
        "",
        expires=expires,
        models=None if models is None else tuple(models),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        admin=admin,
    )
    return _add(path, key), str(path)


def list_keys(*, file: str | Path | None = None, workspace: str | Path | None = None) -> list[dict[str, Any]]:
    """The keys with their limits, without hashes. Errors: AskError `ask.bad-reference` if there is no such file."""
    found = [asdict(key) for key in _read(_path(file, workspace))]
    return [{name: value for name, value in key.items() if name != "sha256"} for key in found]


def remove_key(name: str, *, file: str | Path | None = None, workspace: str | Path | None = None) -> str:
    """Remove a key; returns its file. Errors: AskError `ask.bad-reference` for an unknown file or name."""
    path = _path(file, workspace)
    _remove(path, name)
    return str(path)


def _path(file: str | Path | None, workspace: str | Path | None) -> Path:
    if file is not None:
        return expanded(str(file))
    return Workspace.find(workspace).root / ".burnish" / "keys.json"
