"""Names of recipes, steps and runs: each is that of one folder, so that no path made of them leads elsewhere."""

import re

from burnish.core.errors import AskError

_PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_NUMBER = r"[1-9][0-9]{0,17}"
PLAIN, NUMBER = re.compile(_PLAIN), re.compile(_NUMBER)
_RUN_FOLDER = re.compile(f"{_PLAIN}/{_NUMBER}/{_PLAIN}")
RESERVED = ("latest", "latest.txt", "plan.json", "plan.lock", "stop")
_NO_FILE = frozenset(("", ".", ".."))


def plain_name(name: str) -> str:
    """Check that a name can be used as a folder: letters, digits, dot, dash, underscore."""
    if not PLAIN.fullmatch(name) or name in RESERVED:
        raise AskError(
            "ask.wrong-value",
            f"'{name}' is not a valid name of a recipe or step",
            f"use letters, digits, '.', '-' and '_', starting with a letter or digit; not {', '.join(RESERVED)}",
        )
    return name


def is_plain(name: str) -> bool:
    """Whether a name is that of one folder or file, beside others."""
    return PLAIN.fullmatch(name) is not None


def is_number(name: str) -> bool:
    """Whether a folder in that of a recipe is a run, and not such as `3.bak`."""
    return NUMBER.fullmatch(name) is not None


def is_run_folder(name: str) -> bool:
    """Whether a name is `<recipe>/<number>/<step>`, a folder below `runs/`."""
    return _RUN_FOLDER.fullmatch(name) is not None


def is_inner_file(name: str) -> bool:
    """Whether a name, of parts joined by `/`, is that of a file below some folder."""
    return _NO_FILE.isdisjoint(name.split("/"))


def is_one_part(name: str) -> bool:
    """Whether a path that ends with a name, such as a fingerprint, stays in its folder."""
    return "/" not in name and name not in (".", "..")
