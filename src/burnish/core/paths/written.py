"""Paths as users write them: `~` and `~name` are home folders, relative paths start at the current folder."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from burnish.core.errors import AskError
from burnish.core.paths.system import System, this_system
from burnish.core.paths.windows import native

_URL = re.compile(r"//(?P<host>[^/\\]*)(?P<path>[/\\].*)?", re.DOTALL)
_LOCAL_HOSTS = ("", "localhost", "127.0.0.1")
_SLASH_BEFORE_DRIVE = re.compile(r"[\\/]+(?=[A-Za-z]:(?:[\\/]|$))")


def of_reference(rest: str, system: System | None = None) -> Path:
    """The path in a `file:` reference: as it is written, or a URL: `///C:/my%20data` of file:///C:/my%20data.

    Errors: AskError `ask.bad-reference`, as of `expanded`, and for a URL with a host on a machine without shares.
    """
    url = _URL.fullmatch(rest)
    if url is None or url["host"].lower() in ("wsl$", "wsl.localhost"):
        return expanded(unquote(rest) if url else rest, system)
    host, path = url["host"], unquote(url["path"] or "")
    system = system or this_system()
    if re.fullmatch(r"[A-Za-z]:", host):  # file://C:/x, which lacks a slash
        return expanded(host + path, system)
    if host.lower() in _LOCAL_HOSTS:
        return expanded(_SLASH_BEFORE_DRIVE.sub("", path) or "/", system)
    if system.kind in ("posix", "container"):
        what = f"file:{rest} names the host '{host}', whose files this machine cannot open"
        fix = f"write file:{host}{path} for a path of the workspace, or file://{path} for an absolute one"
        raise AskError("ask.bad-reference", what, fix)
    return expanded(f"\\\\{host}{path}", system)


def expanded(path: str | Path, system: System | None = None) -> Path:
    """Expand `~` and `~name`, and translate a path of Windows. AskError `ask.bad-reference` for an unknown user, or
    for a path that the machine cannot open."""
    path = native(str(path), system or this_system())
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = Path(path).parts[0]
        raise AskError(
            "ask.bad-reference",
            f"{path}: the home folder of {user} is unknown",
            "write the full path; for a name that starts with ~ write ./~name",
        ) from error


def resolved(path: Path) -> Path:
    """An absolute path without links; a loop of links, for which `Path.resolve` raises RuntimeError, stays."""
    return Path(os.path.realpath(path))


def current_folder() -> Path:
    """The current folder. AskError `ask.bad-reference` if it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise current_folder_gone() from error


def current_folder_gone() -> AskError:
    gone = os.environ.get("PWD", "")
    return AskError(
        "ask.bad-reference",
        f"the current folder{f' {gone}' if gone else ''} was removed or renamed",
        "change to an existing folder (cd), and run the command again",
    )


def refuse_undecodable(path: Path, subject: str) -> None:
    """AskError `ask.wrong-value` for a path that is not UTF-8: records contain paths, and are UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise AskError(
            "ask.wrong-value", f"{subject}: the path {path} is not UTF-8", "rename the file or folder, or use another"
        ) from error
