"""Personal data: what is found by its shape, and by its checksum where it has one, is replaced by a placeholder."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from burnish.data.rewriting.checksums import iban_length, is_card, is_chinese_id, is_iban

if TYPE_CHECKING:  # processes that rewrite texts start in half the time without the settings
    from burnish.specs.data.filters import PiiKind

_EMAIL = re.compile(
    r"(?<![\w.+%-])(?!git@)[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}(?:(?<=[A-Za-z])'[A-Za-z][A-Za-z0-9._%+-]{0,63})?"
    r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])",
    re.A,
)
_PHONE = re.compile(
    r"""(?<![\w.+/=#-])(?:
      \+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}
    | (?:1[ -]?)?\(\d{3}\)[ ]?\d{3}[ -]\d{4}
    | (?:1-)?\d{3}-\d{3}-\d{4}
    | (?:1\.)?\d{3}\.\d{3}\.\d{4}
    )(?![\w-]|\.\d)""",
    re.VERBOSE | re.A,
)
_ADDRESS_4 = re.compile(r"(?<![\w.=<>~^-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\w)", re.A)
_ADDRESS_6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:]|\.\d)", re.A)
_VERSION = re.compile(r"(?:\bv|\bver\.?|version|release|build|update|版本|版)\s*[:=]?\s*$", re.IGNORECASE)
_PRODUCT = re.compile(r"(?<![\w/.])[A-Z][A-Za-z]{1,20}/$")
"""Stands before a version, as in Chrome/108.0.0.0."""
_KEY = re.compile(
    r"""(?<![A-Za-z0-9_-])(?:
      (?:AKIA|ASIA)[0-9A-Z]{16}
    | gh[pousr]_[A-Za-z0-9]{36,255} | github_pat_[A-Za-z0-9_]{60,255} | glpat-[A-Za-z0-9_-]{20,64}
    | sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,255} | [sr]k_(?:live|test)_[A-Za-z0-9]{20,255}
    | xox[abeoprs]-[A-Za-z0-9-]{10,255} | AIza[A-Za-z0-9_-]{35} | ya29\.[A-Za-z0-9_-]{20,255}
    | hf_[A-Za-z0-9]{30,64} | npm_[A-Za-z0-9]{36} | pypi-AgE[A-Za-z0-9_-]{50,255} | SG\.[\w-]{16,32}\.[\w-]{16,64}
    | eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,1000}
    )(?![A-Za-z0-9_-])
    | -----BEGIN[ ](?:[A-Z]{1,12}[ ]){0,3}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
      (?:(?!-----)[\s\S]){0,20000}-----END[ ][A-Z ]{3,40}-----""",
    re.VERBOSE | re.A,
)
_KEY_STARTS = (
    *("AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "sk-", "sk_", "rk_", "xox"),
    *("AIza", "ya29.", "hf_", "npm_", "pypi-AgE", "SG.", "eyJ", "PRIVATE KEY"),
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.A)
_CARD = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)", re.A)
_MOBILE = re.compile(r"(?<![\w.+/=-])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?![\w-]|\.\d)", re.A)
_IDENTITY = re.compile(r"(?<![\w.-])[1-9]\d{16}[\dXx](?![\w-])", re.A)
_LIKE_ADDRESS = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9a-fA-F]{0,4}:", re.A)
_TOKEN = re.compile(r"[A-Z0-9]+", re.A)
_OF_CARD = tuple(
    re.compile(rf"(?:{digits})(?![0-9])", re.A)
    for digits in (
        r"\d{13,19}",
        r"\d{4}(?:[ -]\d{4}){3}[ -]\d{1,3}",
        r"\d{4}(?:[ -]\d{4}){3}",
        r"\d{4}[ -]\d{6}[ -]\d{4,5}",
    )
)
"""Card numbers as people write them: in one, or in groups."""
Span = tuple[int, int]
Part = Callable[[re.Match[str]], Span | None]
"""Where in a text a match has the data, which may end before or behind it; None where it has none."""
_DIGITS = re.compile(r"[0-9](?:[ .()-]{0,2}[0-9]){7}", re.A)


@lru_cache(maxsize=1)  # several kinds ask it of one text
def _has_digits(text: str) -> bool:
    return _DIGITS.search(text) is not None


def _whole(found: re.Match[str]) -> Span:
    return found.span()


def _whole_if(holds: Callable[[re.Match[str]], bool]) -> Part:
    return lambda found: found.span() if holds(found) else None


def _digits_of(found: re.Match[str]) -> str:
    return "".join(filter(str.isdigit, found[0]))


def _is_phone(found: re.Match[str]) -> bool:
    return 8 <= len(_digits_of(found)) <= 15


def _is_public(found: re.Match[str]) -> bool:
    return _is_address(found) and ipaddress.ip_address(found[0]).is_global


def _is_address(found: re.Match[str]) -> bool:
    before = found.string[max(0, found.start() - 24) : found.start()]
    if ":" not in found[0] and (_VERSION.search(before[-12:]) or _PRODUCT.search(before)):
        return False
    if set(found[0]) <= set(":"):
        return False
    try:
        ipaddress.ip_address(found[0])
    except ValueError:
        return False
    return True


def _card(found: re.Match[str]) -> Span | None:
    """The match, or a number in it as people write one: a code or a date may stand behind it."""
    if is_card(_digits_of(found)):
        return found.span()
    for token in _TOKEN.finditer(found.string, *found.span()):
        for pattern in _OF_CARD:
            part = pattern.match(found.string, token.start(), found.end())
            if part is not None and is_card(_digits_of(part)):
                return part.span()
    return None


def _account(found: re.Match[str]) -> Span | None:
    """The first IBAN that begins with a group of the match; it is as long as its country says."""
    text = found.string
    for token in _TOKEN.finditer(text, *found.span()):
        length = iban_length(token[0])
        bare, end = "", token.start()
        while len(bare) < length and end < len(text) and (text[end] in " -" or _TOKEN.match(text[end])):
            bare += text[end].strip(" -")
            end += 1
        if length and is_iban(bare) and not text[end : end + 1].isalnum():
            return token.start(), end
    return None


@dataclass(frozen=True)
class Shape:
    """What a kind of personal data looks like."""

    name: str
    patterns: tuple[re.Pattern[str], ...]
    may_have: Callable[[str], bool]
    """A quick test of a text."""
    part: Part = _whole


SHAPES: "dict[PiiKind, Shape]" = {
    "key": Shape("keys masked", (_KEY,), lambda text: any(start in text for start in _KEY_STARTS)),
    "email": Shape("e-mail addresses masked", (_EMAIL,), lambda text: "@" in text),
    "ip": Shape(
        "IP addresses masked",
        (_ADDRESS_4, _ADDRESS_6),
        lambda text: (text.count(".") > 2 or text.count(":") > 1) and _LIKE_ADDRESS.search(text) is not None,
        _whole_if(_is_public),
    ),
    "iban": Shape("bank accounts masked", (_IBAN,), _has_digits, _account),
    "chinese_id": Shape(
        "Chinese ID numbers masked", (_IDENTITY,), _has_digits, _whole_if(lambda found: is_chinese_id(found[0]))
    ),
    "card": Shape("card numbers masked", (_CARD,), _has_digits, _card),
    "chinese_mobile": Shape("Chinese mobile numbers masked", (_MOBILE,), _has_digits),
    "phone": Shape("phone numbers masked", (_PHONE,), _has_digits, _whole_if(_is_phone)),
}
"""In the order in which they are replaced: longer and surer shapes first."""
PLACEHOLDERS: "dict[PiiKind, str]" = {
    "key": "[KEY]",
    "email": "[EMAIL]",
    "ip": "[IP]",
    "iban": "[IBAN]",
    "chinese_id": "[ID]",
    "card": "[CARD]",
    "chinese_mobile": "[PHONE]",
    "phone": "[PHONE]",
}


@dataclass(frozen=True)
class Masked:
    """Replace one kind of personal data. A rewriting for each kind, so that the texts it changed are counted."""

    kind: "PiiKind"
    placeholder: str
    private_addresses: bool = False

    @property
    def name(self) -> str:
        return SHAPES[self.kind].name

    def __call__(self, text: str) -> str:
        shape = SHAPES[self.kind]
        if not shape.may_have(text):
            return text
        part = _whole_if(_is_address) if self.kind == "ip" and self.private_addresses else shape.part
        for pattern in shape.patterns:
            text = self._replaced(text, pattern, part)
        return text

    def _replaced(self, text: str, pattern: re.Pattern[str], part: Part) -> str:
        """The text with each part replaced. What follows a part is searched again: two numbers may be one match."""
        made: list[str] = []
        done, at = 0, pattern.search(text)
        while at is not None:
            found = part(at)
            if found is not None:
                made += [text[done : found[0]], self.placeholder]
                done = found[1]
            at = pattern.search(text, at.end() if found is None else found[1])
        return "".join([*made, text[done:]]) if made else text
