"""Paths of Windows, of shares and of WSL, translated to what this machine opens.

    C:\\data\\x     C:/data/x     \\\\?\\C:\\data\\x        /mnt/c/data/x in WSL
    \\\\server\\share\\x                                 where WSL has mounted that share
    \\\\wsl$\\Ubuntu\\x     \\\\wsl.localhost\\Ubuntu\\x     /x in that distribution
    /mnt/c/data/x                                     C:\\data\\x on Windows

On other machines they are errors, never names of files.
"""

import re

from burnish.core.errors import AskError
from burnish.core.paths.system import Mount, System

_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
_DRIVE = re.compile(r"([A-Za-z]):")
_SHARE = re.compile(r"\\[\\/]|/\\")
_OF_WSL = re.compile(r"[\\/]{2}(?:wsl\$|wsl\.localhost)(?=[\\/]|$)", re.IGNORECASE)
_LONG = re.compile(r"[\\/]{2}\?[\\/](?:(UNC)[\\/])?", re.IGNORECASE)
_DEVICE = re.compile(r"[\\/]{2}\.[\\/]")
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPES = {"\0": "0", "\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r", "\x1b": "e"}
_MOUNTED = re.compile(r"/mnt/([A-Za-z])(?=/|$)")


def is_windows_path(text: str) -> bool:
    """Whether it starts with a drive (`C:`) or as a share does (two slashes, of which one is backward, or `//wsl$`)."""
    text = _unquoted(text)
    return bool(_DRIVE.match(text) or _SHARE.match(text) or _OF_WSL.match(text))


def native(text: str, system: System) -> str:
    """The path as the machine opens it; a path that is not of Windows is returned as it is.

    Errors: AskError `ask.bad-reference` for a drive-relative path (`C:x`), which is a plain name where there are no
    drives, and for one that the machine cannot open.
    """
    if not is_windows_path(text):
        return _drive_of_mount(text) if system.kind == "windows" else text
    given, text = text, _unquoted(text)
    _refuse_control(given, text)
    if _DEVICE.match(text):
        raise _refused(given, "is a device of Windows, not a file", "name a regular file")
    if long := _LONG.match(text):
        text = f"\\\\{text[long.end() :]}" if long[1] else text[long.end() :]
    if _DRIVE.match(text) and text[2:3] not in ("\\", "/"):
        if system.kind in ("posix", "container"):  # a name with a colon
            return given
        fix = f"write the whole path, such as {text[:2]}\\folder\\{text[2:]}; a file of that name is ./{text}"
        raise _refused(given, f"is relative to the current folder of drive {text[:2]}", fix)
    match system.kind:
        case "windows":
            return text.replace("/", "\\")
        case "wsl":
            return _in_wsl(given, text, system)
        case "container":
            fix = "mount its folder into the container, and name it by the path there"
            raise _refused(given, "is a path of Windows, and this is a container", fix)
        case _:
            fix = f"use a path of this machine; for a file of that name write ./{text}"
            raise _refused(given, "is a path of Windows, and this machine is neither Windows nor WSL", fix)


def as_windows(path: str, system: System) -> str:
    """How Windows names an absolute path of WSL: `C:\\x` for `/mnt/c/x`, else `\\\\wsl.localhost\\Ubuntu\\x`.

    AskError `ask.bad-reference` if the name of the distribution is needed and unknown.
    """
    for mount in _longest(system, by="folder"):
        if path == mount.folder or path.startswith(f"{mount.folder.rstrip('/')}/"):
            return _joined(mount.source, path[len(mount.folder.rstrip("/")) :])
    drive, slash, rest = path.removeprefix(system.automount).partition("/")
    if path.startswith(system.automount) and len(drive) == 1 and drive.isalpha():
        return _joined(f"{drive.upper()}:", slash + rest)
    if not system.distribution:
        raise _refused(path, "is in a WSL distribution of unknown name", "set WSL_DISTRO_NAME, see `wsl.exe --list`")
    return _joined(f"\\\\wsl.localhost\\{system.distribution}", path)


def _in_wsl(given: str, text: str, system: System) -> str:
    if of_wsl := _OF_WSL.match(text):
        name, _, rest = text[of_wsl.end() :].lstrip("\\/").replace("\\", "/").partition("/")
        if not system.distribution:
            fix = f"write the path inside the distribution: /{rest}"
            raise _refused(given, "names a WSL distribution, and the name of this one is unknown", fix)
        if name.lower() != system.distribution.lower():
            fix = f"copy it to a folder that both see, such as {system.automount}c/…, or run burnish there"
            raise _refused(given, f"is in the WSL distribution {name}, and this is {system.distribution}", fix)
        return f"/{rest}"
    parts = _plain_parts(text)
    whole = _joined_parts(text, parts)
    for mount in _longest(system, by="source"):
        start, rest = whole[: len(mount.source)], whole[len(mount.source) :].replace("\\", "/")
        if start.lower() == mount.source.lower() and rest[:1] in ("", "/"):
            return f"{mount.folder.rstrip('/')}{rest}" or "/"
    if drive := _DRIVE.match(text):
        return "/".join([f"{system.automount}{drive[1].lower()}", *parts])
    share = "\\".join(["\\\\" + parts[0], *parts[1:2]]) if parts else whole
    fix = f"mount it, and use that path: sudo mkdir -p /mnt/share && sudo mount -t drvfs '{share}' /mnt/share"
    raise _refused(given, "is on a share that WSL has not mounted", fix)


def _plain_parts(text: str) -> list[str]:
    """The names after the drive or the two slashes, as Windows reads them: without dots and spaces at their ends.

    `..` goes back by name, and never out of the drive or share, whatever links there are.
    """
    drive = _DRIVE.match(text)
    found: list[str] = []
    for name in filter(None, re.split(r"[\\/]+", text[drive.end() :] if drive else text)):
        if name == "..":
            del found[max(len(found) - 1, 0 if drive else 2) :]
        elif name != ".":
            found.append(name if set(name) <= {"."} else name.rstrip(". ") or name)
    return found


def _joined_parts(text: str, parts: list[str]) -> str:
    drive = _DRIVE.match(text)
    return "\\".join([drive[0], *parts]) if drive else "\\\\" + "\\".join(parts)


def _longest(system: System, *, by: str) -> list[Mount]:
    return sorted(system.mounts, key=lambda mount: -len(str(getattr(mount, by))))


def _joined(start: str, rest: str) -> str:
    rest = rest.replace("/", "\\")
    return f"{start}{rest}" if rest or not start.endswith(":") else f"{start}\\"


def _drive_of_mount(text: str) -> str:
    """`/mnt/c/x`, the path that WSL has for `C:\\x`, on Windows."""
    found = _MOUNTED.match(text)
    return text if found is None else _joined(f"{found[1].upper()}:", text[found.end() :])


def _unquoted(text: str) -> str:
    """Without the quotes that Explorer's "Copy as path" adds, which no path of Windows has in it."""
    quoted = _QUOTED.fullmatch(text)
    return quoted[2] if quoted else text


def _refuse_control(given: str, text: str) -> None:
    """A name has no control characters: a backslash and a letter were read as one, as YAML does in double quotes."""
    found = _CONTROL.search(text)
    if found is not None:
        written = _ESCAPES.get(found[0], "…")
        fix = "in a recipe, write the path without quotes, in single quotes, or with forward slashes"
        raise _refused(repr(given), f"has a control character, as from \\{written} in double quotes", fix)


def _refused(given: str, what: str, fix: str) -> AskError:
    return AskError("ask.bad-reference", f"{given} {what}", fix)
