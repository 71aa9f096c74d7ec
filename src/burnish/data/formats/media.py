"""Rows with images, video or audio are refused: only text is trained on, and a placeholder is not a picture."""

import re
from typing import Any

from burnish.data.record import RowError

MEDIA = ("image", "images", "video", "videos", "audio", "audios")
_PLACEHOLDER = re.compile(r"<(image|video|audio)>")


def refuse_media(raw: dict[str, Any], content: dict[str, Any]) -> None:
    """RowError when a column holds media, or a turn a placeholder such as `<image>` that is not markup."""
    for name in MEDIA:
        if raw.get(name):
            raise RowError(name, holds_media(name))
    for name in ("messages", "chosen", "rejected", "completion"):
        for i, message in enumerate(content.get(name) or ()):
            for found in _PLACEHOLDER.finditer(message["content"]):
                if f"</{found[1]}>" not in message["content"]:
                    reason = f"the text holds the placeholder {found[0]}: only text is trained on, leave such rows out"
                    raise RowError(f"{name}.{i}", reason)


def holds_media(name: str) -> str:
    """Why a column or key of media is refused."""
    return (
        f"the row has '{name}': only text is trained on; leave such rows out, or where it only describes "
        f"the row rename it with `columns: {{{name}: {name}_file}}`"
    )
