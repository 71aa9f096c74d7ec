"""Tells GB18030 (including GBK and GB2312) from UTF-8 and other encodings by the decoded characters."""

import codecs

_MOST_FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
)
_LEAST_CHARACTERS, _LEAST_COMMON, _LEAST_FREQUENT = 10, 0.95, 0.1


def is_utf8(sample: bytes) -> bool:
    """Whether the start of a file is UTF-8; a character cut off at its end is allowed."""
    return _decoded(sample, "utf-8") is not None


def is_gb18030(sample: bytes) -> bool:
    """Whether the start of a file is Chinese in GB18030: it decodes to common characters, frequent ones among them.

    Most bytes of any encoding decode as GB18030; Korean in EUC-KR even gives common characters, but not the frequent.
    """
    text = _decoded(sample, "gb18030")
    characters = [c for c in text or "" if not c.isascii()]
    if len(characters) < _LEAST_CHARACTERS:
        return False
    common = sum(map(_is_common, characters))
    frequent = sum(c in _MOST_FREQUENT for c in characters)
    return common >= _LEAST_COMMON * len(characters) and frequent >= _LEAST_FREQUENT * len(characters)


def _is_common(character: str) -> bool:
    """Punctuation and full-width forms, or one of the 3,755 characters of GB2312's first level."""
    encoded = character.encode("gb18030")
    return len(encoded) == 2 and (0xA1 <= encoded[0] <= 0xA3 or 0xB0 <= encoded[0] <= 0xD7) and encoded[1] >= 0xA1


def _decoded(sample: bytes, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(sample)
    except UnicodeDecodeError:
        return None
