"""Names: the nearest known one for an unknown one, and short ones for references."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

MOST_NAMES = 16


def nearest(name: str, known: Iterable[str], most: int = MOST_NAMES) -> str:
    """A hint: `did you mean 'x'?`, or the first `most` known names when none is close."""
    names = sorted(known)
    close = get_close_matches(name, names)  # the nearest first
    if close:
        return f"did you mean '{close[0]}'?"
    if not names:
        return "there are none yet"
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"known names: {', '.join(names[:most])}{rest}"


def short_name(ref: str) -> str:
    """`tune` of step:tune, the last part of a path or of a hub's name, an artifact's name as it is."""
    scheme, _, rest = ref.partition(":")
    name = (rest if scheme == "step" else Path(rest).name) if rest else ref
    return ref if name in ("", "model") else name  # "model" is the other column
