"""The layouts that people write rows in, one module per family, in one table."""

from burnish.data.formats import alpaca, kto, messages, pairs, plain, preference, sharegpt
from burnish.data.formats.format import Format

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        alpaca.FORMAT,
        pairs.INPUT_OUTPUT,
        sharegpt.FORMAT,
        messages.FORMAT,
        pairs.PROMPT_COMPLETION,
        pairs.QUESTION_ANSWER,
        plain.TEXT,
        preference.FORMAT,
        kto.FORMAT,
        plain.PROMPT,
    )
}
