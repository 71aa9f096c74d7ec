"""Names: the nearest known one for an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches

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
