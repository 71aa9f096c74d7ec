"""Who may use the server of the page: one-time tokens that log a browser in, sessions, and tokens of programs."""

import html
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from burnish.core.access.keys import SCOPES, Key, add_key, read_keys, remove_key
from burnish.core.access.tickets import Tickets
from burnish.core.errors import AskError
from burnish.core.files import read_json, write_atomically, write_json
from burnish.core.naming import nearest
from burnish.core.runs.workspace import Workspace
from burnish.jobs.identity import ProcessIdentity, numbering, this_process

ADDING = "burnish tokens add NAME"
LOGIN_SECONDS = 15 * 60
SESSION_SECONDS = 30 * 86_400


def folder_of(workspace: Path | str | None = None) -> Path:
    """The folder with the hashes of all who may use the server of a workspace."""
    return Workspace.find(workspace).root / ".burnish" / "access"


def logins(workspace: Path | str | None = None) -> Tickets:
    """The one-time login tokens of a workspace's server."""
    return Tickets(folder_of(workspace) / "logins.json", "burnish-login-")


def sessions(workspace: Path | str | None = None) -> Tickets:
    """The sessions of browsers that are logged in."""
    return Tickets(folder_of(workspace) / "sessions.json")


def tokens_file(workspace: Path | str | None = None) -> Path:
    """The file with the hashes of the tokens of programs."""
    return folder_of(workspace) / "tokens.json"


def new_login(*, workspace: Path | str | None = None) -> str:
    """A token that logs one browser in, once, within `LOGIN_SECONDS`."""
    return logins(workspace).issue("browser", LOGIN_SECONDS)


def login_address(address: str, token: str) -> str:
    """The address that logs in. The token is in the fragment, which browsers send to nobody, so no log has it."""
    return f"{address}/login#token={token}"


def redirect_to(address: str, *, workspace: Path | str | None = None) -> Path:
    """A file that only its owner reads, which leads a browser to an address that logs in.

    Who starts a browser with the address itself shows it to all users of the machine, in the list of processes.
    """
    path = folder_of(workspace) / "open.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    target = html.escape(address, quote=True)
    leading = f'<meta charset="utf-8"><meta http-equiv="refresh" content="0; url={target}">'
    write_atomically(path, f"<!doctype html>{leading}<title>burnish</title>\n", mode=0o600)
    return path


def add_token(name: str, scope: str, *, days: float | None = None, workspace: Path | str | None = None) -> str:
    """A new token for a program, which is kept nowhere: it may look (`read`), start and change (`run`), or also manage
    access and settings (`admin`).

    Errors: AskError `ask.wrong-value` for a name that is taken or invalid, another scope, or a wrong number of days.
    """
    if scope not in SCOPES:
        raise AskError("ask.wrong-value", f"there is no scope '{scope}'", nearest(scope, SCOPES, len(SCOPES)))
    if days is not None and not 0 < days <= 36_500:
        raise AskError("ask.wrong-value", f"a token cannot expire in {days:g} days", "give 1 to 36500")
    expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    return add_key(tokens_file(workspace), Key(name, "", expires=expires, scope=scope), ADDING)


def list_tokens(*, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """The tokens of programs: `name`, `scope`, `made`, `expires`, `has_expired`."""
    path = tokens_file(workspace)
    found = read_keys(path, ADDING) if path.exists() else []
    kept = ("name", "scope", "made", "expires")
    return [{**{k: v for k, v in asdict(key).items() if k in kept}, "has_expired": key.has_expired} for key in found]


def remove_token(name: str, *, workspace: Path | str | None = None) -> None:
    """Remove a token: a running server refuses it within a second. Errors: AskError `ask.bad-reference`."""
    path = tokens_file(workspace)
    if not path.exists():
        raise AskError(
            "ask.bad-reference", f"there is no token '{name[:80]}'", "there are none; see `burnish tokens list`"
        )
    remove_key(path, name, ADDING)


@contextmanager
def announced(address: str, *, workspace: Path | str | None = None) -> Generator[None]:
    """While the server answers at `address`, other processes of this machine find it (see `server_address`). Each
    server of a workspace has a file of its own. Errors: OSError if it cannot be written."""
    folder = folder_of(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    own = this_process()
    path = folder / f"server-{own.pid}-{urlsplit(address).port}.json"
    written = {"address": address, "process": asdict(own)}
    write_json(path, written, mode=0o600)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            if read_json(path) == written:
                os.unlink(path)


def server_address(*, workspace: Path | str | None = None) -> str:
    """Where a server of a workspace answers: the one that was started last, on this machine if there is one.

    Errors: AskError `ask.nothing-to-do` if none runs.
    """
    here, found = numbering(), _servers(folder_of(workspace))
    if not found:
        raise AskError("ask.nothing-to-do", "no server of this workspace runs", "start one: burnish ui")
    _, _, address = max((process.boot == here, changed, address) for process, changed, address in found)
    return address


def _servers(folder: Path) -> list[tuple[ProcessIdentity, int, str]]:
    """The processes of those that run, when they were started, and their addresses. A file of one that was killed is
    removed."""
    found: list[tuple[ProcessIdentity, int, str]] = []
    for path in folder.glob("server-*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):  # it has just ended, or is damaged
            said = read_json(path)
            process = ProcessIdentity(**said["process"])
            if process.has_ended():
                path.unlink()
            else:
                found.append((process, path.stat().st_mtime_ns, str(said["address"])))
    return found
