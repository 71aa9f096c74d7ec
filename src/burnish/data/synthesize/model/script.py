"""Whether a text is written in the language that was asked for."""

import re

_HAN = re.compile(r"[\u3400-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")
_CHINESE = 0.2
"""The share of Chinese characters among the letters from which a text is Chinese: names and code are Latin."""


def is_in(language: str, text: str) -> bool:
    """Whether the script of a text is that of its language, `en` or `zh`; a text without letters is in any."""
    letters = len(_LETTER.findall(text))
    return not letters or (len(_HAN.findall(text)) / letters >= _CHINESE) == (language == "zh")
