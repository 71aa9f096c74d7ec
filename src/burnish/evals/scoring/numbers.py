"""Parse the last number of a text as an exact fraction.

Defines the rule of GSM8K (arXiv 2110.14168), where the last number is the answer:
- thousands commas, currency signs and `%` are dropped: `$1,234.50` is 1234.5, `50%` is 50 (not 0.5);
- a comma only separates groups of three digits: `1,234` is 1234, while `1,2,3` ends in 3 and a decimal comma,
  `1,5`, in 5;
- a minus counts if no digit, letter or closing bracket directly precedes it and the number follows
  immediately: `10-5` ends in 5, `- 5 eggs` (a list) in 5, `is -5` and `-$5` in -5;
- `3/4` and `\\frac{3}{4}` are fractions and `1 1/2` is 1.5; a date such as `12/05/2024` is three numbers;
- `1.5e-3` is scientific notation; the full stop of `It is 5.` is not a decimal point;
- a number directly after a letter, as in `CO2`, is part of a word.
"""

import re
import unicodedata
from fractions import Fraction

_NUMBER = re.compile(
    r"""
    (?<![A-Za-z_\d])                                               # not inside a word or a number
    (?P<sign>(?<![\dA-Za-z)\]}])[-+])? (?:[$€£¥]\s?(?P<inner>-)?)?
    (?:
        (?:(?P<mixed>\d{1,3})[ ]?)? \\[dt]?frac\{(?P<over>\d+)\}\{(?P<under>\d+)\}
      | (?<!/) (?:(?P<whole>\d{1,3})[ ])? (?P<top>\d+)/(?P<bottom>\d+) (?![\d/]|\.\d)
      | (?P<plain>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+) (?:[eE](?P<exponent>[-+]?\d{1,4})(?!\w))?
    )
    """,
    re.VERBOSE,
)
_MAX_LENGTH = 1000
_VULGAR_FRACTION = re.compile("[¼½¾⅐-⅞]")
_TO_ASCII = {0xFF01 + offset: 0x21 + offset for offset in range(94)} | {ord("−"): "-"}


def last_number(text: str) -> Fraction | None:
    """The last number of a text, or None. Full-width digits, `½` and the Unicode minus are supported."""
    text = _VULGAR_FRACTION.sub(lambda sign: f" {unicodedata.normalize('NFKC', sign[0]).replace('⁄', '/')}", text)
    matches = [match for match in _NUMBER.finditer(text.translate(_TO_ASCII)) if _is_number(match)]
    return _value(matches[-1]) if matches else None


def _is_number(match: re.Match[str]) -> bool:
    """False for a division by zero, and for excessively long runs of digits."""
    return len(match[0]) <= _MAX_LENGTH and all(int(match[name] or 1) for name in ("under", "bottom"))


def _value(match: re.Match[str]) -> Fraction:
    if match["over"]:
        size = int(match["mixed"] or 0) + Fraction(int(match["over"]), int(match["under"]))
    elif match["top"]:
        size = int(match["whole"] or 0) + Fraction(int(match["top"]), int(match["bottom"]))
    else:
        size = Fraction(match["plain"].replace(",", "")) * Fraction(10) ** int(match["exponent"] or 0)
    negative = match["sign"] == "-" or match["inner"]
    return -size if negative else size
