"""Text that was decoded with a wrong encoding."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.filters.likely import judged
from burnish.data.texts.block import Block

_CONTINUATION = "".join(map(chr, range(0x80, 0xC0))) + bytes(
    code for code in range(0x80, 0xA0) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
).decode("cp1252")
_LEADS = (
    "".join(map(chr, range(0xC2, 0xE0))),
    "".join(map(chr, range(0xE0, 0xF0))),
    "".join(map(chr, range(0xF0, 0xF5))),
)
"""Characters that the first byte of 2, 3 and 4 looks like in Latin-1 and Windows-1252."""
_SUSPICIOUS = "".join(_LEADS) + "\ufffd" + "".join(map(chr, range(0x80, 0xA0)))
"""Without one of them nothing is wrong, unless it was read as GBK."""
_UTF8_AS_GBK = "鐨勬槸涓嶄簡鏈夊湪鍜屼汉杩欎釜锛銆鏄浜鍦鎴戣鏂囩殑浠ュ彲绗鍚庝細"
_ENOUGH = 3
_SHARE_AS_GBK = 0.1


@dataclass(frozen=True)
class Mojibake:
    """Drop texts of which more than this share of the visible characters is of a wrong encoding.

    Counted are replacement characters, control characters of Latin-1, and what UTF-8 looks like in Latin-1 or
    Windows-1252. UTF-8 that was read as GBK is decoded again, to be sure.
    """

    max_share: float

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        likely = block.count_of(_SUSPICIOUS) > 0
        is_wrong = judged(likely, block, self._has_wrong_characters)
        likely = block.count_of(_UTF8_AS_GBK) > np.maximum(_SHARE_AS_GBK * block.visible, _ENOUGH)
        for i in np.flatnonzero(likely & ~is_wrong).tolist():
            is_wrong[i] = _is_utf8_as_gbk(block.texts[i])
        return {"wrong encoding": is_wrong}

    def _has_wrong_characters(self, block: Block) -> NDArray[np.bool_]:
        wrong = block.has("\ufffd") | ((block.codes >= 0x80) & (block.codes < 0xA0) & (block.codes != 0x85))
        goes_on = block.has(_CONTINUATION)
        run = np.ones(goes_on.size, bool)
        for count, leads in enumerate(_LEADS, 1):
            run[:-count] &= goes_on[count:]  # the last ones are False: the line feed behind a text goes on nothing
            starts = np.flatnonzero(block.has(leads) & run)
            for place in range(count + 1):
                wrong[starts + place] = True
        found = block.count(wrong)
        return (found >= _ENOUGH) & (found > self.max_share * block.visible)


def _is_utf8_as_gbk(text: str) -> bool:
    """Whether most of a text is UTF-8 that was read as GB18030."""
    decoded = text.encode("gb18030", "replace").decode("utf-8", "replace")
    good = sum(character > "\x7f" and character != "\ufffd" for character in decoded)
    return good > 3 * decoded.count("\ufffd")
