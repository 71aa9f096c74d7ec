"""The file of API keys: each key's sha256, name and limits. A key itself is shown once, when it is made."""

import hashlib
import re
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from burnish.core.access.owners import keep_owner, refuse_of_others
from burnish.core.errors import AskError
from burnish.core.files import write_json
from burnish.core.runs.locks import held

PREFIX = "burnish-"
_NAME = re.compile(r"[\w][\w.@-]{0,63}")
_FORMAT = 1
_LARGEST = 1 << 24
ADDING = "burnish keys add NAME"
"""The command that makes a key of `burnish serve`."""
SCOPES = ("read", "run", "admin")
"""Of a token of the studio; each includes those before it."""


@dataclass(frozen=True)
class Key:
    """What is known of a key. `sha256` is that of the whole key, which has 256 random bits: no salt is needed."""

    name: str
    sha256: str
    made: str = ""
    expires: str | None = None
    """A time in ISO 8601, with its offset."""
    models: tuple[str, ...] | None = None
    """The models it may ask; None: all."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    admin: bool = False
    """Whether it may load and unload adapters."""
    scope: str | None = None
    """Of a token of the studio: read, run or admin."""

    @property
    def has_expired(self) -> bool:
        return self.expires is not None and datetime.fromisoformat(self.expires) <= datetime.now(UTC)


def digest_of(key: str) -> str:
    """The digest that the file has of a key."""
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).hexdigest()


def read_keys(path: Path, adding: str = ADDING) -> list[Key]:
    """The keys of a file. Errors: AskError `ask.bad-reference`, `ask.wrong-value` that name the file and the entry, and
    `adding`, the command that makes a key of this file."""
    import json

    try:
        _check_file(path)  # to open a pipe would wait for its writer
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)
    except FileNotFoundError:
        raise AskError("ask.bad-reference", f"{path}: there is no such file of keys", f"make one: {adding}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, str(error), adding) from error
    if isinstance(value, dict) and cast(dict[str, Any], value).get("format", _FORMAT) != _FORMAT:
        raise _broken(path, f"its format is not {_FORMAT}: it was made by another version of burnish", adding)
    entries: Any = cast(dict[str, Any], value).get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise _broken(path, "it has no list 'keys'", adding)
    found: list[Key] = []
    for number, entry in enumerate(cast(list[Any], entries), start=1):
        try:
            found.append(_key_of(entry))
        except (TypeError, ValueError) as error:
            raise _broken(path, f"key {number}: {error}", adding) from error
    names = [key.name for key in found]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise _broken(path, f"the name '{double}' is given twice", adding)
    return found


def add_key(path: Path, key: Key, adding: str = ADDING) -> str:
    """Add a key of these limits to a file, which is made if there is none; returns the new key. Of a link, the file
    that it leads to is changed.

    Errors: AskError `ask.wrong-value` for a name that is taken or invalid, or a file that cannot be read; RunError
    `run.busy` if another process holds the file for long.
    """
    if not _NAME.fullmatch(key.name):
        fix = "use letters, digits, '.', '@', '-' and '_'"
        raise AskError("ask.wrong-value", f"'{key.name}' is not a name for a key", fix)
    path = path.resolve()
    made = PREFIX + secrets.token_urlsafe(32)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, adding):
        keys = read_keys(path, adding) if path.exists() else []
        if any(other.name == key.name for other in keys):
            fix = "choose another name, or remove that key first"
            raise AskError("ask.wrong-value", f"{path}: there is a key '{key.name}' already", fix)
        _write(path, [*keys, replace(key, sha256=digest_of(made), made=now)])
    return made


def remove_key(path: Path, name: str, adding: str = ADDING) -> None:
    """Remove a key: a running server refuses it from then on.

    Errors: AskError `ask.bad-reference`; RunError `run.busy` if another process holds the file for long.
    """
    path = path.resolve()
    if not path.exists():
        read_keys(path, adding)  # its error: no lock is made where there is no file
    with _locked(path, adding):
        keys = read_keys(path, adding)
        if all(key.name != name for key in keys):
            known = ", ".join(key.name for key in keys) or "none"
            raise AskError("ask.bad-reference", f"{path}: there is no key '{name}'", f"its keys are: {known}")
        _write(path, [key for key in keys if key.name != name])


@contextmanager
def _locked(path: Path, adding: str) -> Generator[None]:
    """Hold the lock beside a file, so that no change of another process is lost between reading and writing."""
    if path.is_dir():
        raise _broken(path, "it is a folder", adding)
    refuse_of_others(path)
    with held(path.with_name(f".{path.name}.lock"), f"changing {path}"):
        yield


def _write(path: Path, keys: list[Key]) -> None:
    """Replace the file; who may read it stays as it was, so that the server still can."""
    before = path.stat() if path.exists() else None
    mode = 0o600 if before is None else stat.S_IMODE(before.st_mode)
    write_json(path, {"format": _FORMAT, "keys": [_entry_of(key) for key in keys]}, mode=mode)
    keep_owner(path, before)


def _entry_of(key: Key) -> dict[str, Any]:
    """What the file has of a key; an older burnish knows no scopes, and reads files without them."""
    entry = asdict(key)
    if key.scope is None:
        del entry["scope"]
    return entry


def _check_file(path: Path) -> None:
    """Errors: ValueError for what is no file, OSError."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    if found.st_size > _LARGEST:
        raise ValueError(f"it has {found.st_size:,} bytes")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name of a field is given twice")
    return found


def _key_of(entry: Any) -> Key:
    if not isinstance(entry, dict):
        raise ValueError("an object is expected")
    values = cast(dict[str, Any], entry)
    if unknown := sorted(values.keys() - Key.__dataclass_fields__.keys()):
        raise ValueError(f"unknown field '{unknown[0]}'")
    key = Key(**values)
    models = cast(Any, key.models)
    names = cast(list[Any], models) if isinstance(models, list) else None
    if not isinstance(key.name, str) or not re.fullmatch(r"[0-9a-f]{64}", str(key.sha256)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("a name and a sha256 are expected")
    if models is not None and (names is None or not all(isinstance(name, str) for name in names)):
        raise ValueError("models is a list of names")
    for limit in (key.requests_per_minute, key.tokens_per_minute):
        if limit is not None and (type(limit) is not int or limit < 0):
            raise ValueError("a limit is a whole number")
    if type(key.admin) is not bool:
        raise ValueError("admin is true or false")
    if key.scope is not None and key.scope not in SCOPES:
        raise ValueError(f"scope is one of {', '.join(SCOPES)}")
    if key.expires is not None and datetime.fromisoformat(key.expires).tzinfo is None:
        raise ValueError("expires is a time with an offset, such as 2027-01-31T00:00:00+00:00")
    return replace(key, models=None if names is None else tuple(names))


def _broken(path: Path, why: str, adding: str) -> AskError:
    fix = f"restore it from a copy; or remove it, and make its keys anew: {adding}"
    return AskError("ask.wrong-value", f"{path}: not a file of keys: {why}", fix)
