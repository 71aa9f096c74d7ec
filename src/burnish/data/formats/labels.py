"""Values of labels: desirable or undesirable."""

from typing import Any

WANTED = ("true", "1", "1.0", "yes", "good", "desirable", "positive", "chosen", "thumbs_up")
UNWANTED = ("false", "0", "0.0", "no", "bad", "undesirable", "negative", "rejected", "thumbs_down")


def label_of(value: Any) -> bool | None:
    """Whether a label means desirable; None for an unknown label."""
    word = str(value).strip().lower() if isinstance(value, bool | int | float | str) else ""
    return True if word in WANTED else False if word in UNWANTED else None
