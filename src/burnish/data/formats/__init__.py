"""The known layouts of rows, one module per family, in one table."""

from burnish.data.formats import conversation, kto, pairs, plain, preference, scored, squad
from burnish.data.formats.columns import OPTIONAL
from burnish.data.formats.format import Format

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        conversation.MESSAGES,
        conversation.SHAREGPT,
        conversation.GEMINI,
        *pairs.FORMATS,
        squad.FORMAT,
        plain.TRANSCRIPT,
        plain.TEXT,
        plain.PROMPT,
        preference.FORMAT,
        preference.COMPARED,
        scored.FORMAT,
        kto.FORMAT,
    )
}
COLUMNS = frozenset(OPTIONAL) | {name for format in FORMATS.values() for names in format.needs for name in names}
"""Every column that some format takes."""
