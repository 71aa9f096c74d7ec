"""Where an element of a JSON text ends, found by brackets and quotes alone, so that broken elements end too."""

import re

_OUTSIDE = re.compile(r'["\[\]{},\n]')
_INSIDE = re.compile(r'["\\\n]')


class Brackets:
    """Where an element ends, found by brackets and quotes; the state of a scan that can be continued."""

    def __init__(self, in_list: bool):
        self.in_list, self.inside, self.at = in_list, False, 0
        self.open = bytearray()

    @property
    def is_closed(self) -> bool:
        """No bracket and no quote is open."""
        return not self.open and not self.inside

    def scan(self, text: str, start: int) -> int | None:
        """The end of the element, or None when it is beyond the text; `at` is then where to continue."""
        at = start
        while True:
            match = (_INSIDE if self.inside else _OUTSIDE).search(text, at)
            if match is None:
                self.at = len(text)
                return None
            at, character = match.end(), match[0]
            if character == "\\":
                if at == len(text):
                    self.at = at - 1
                    return None
                at += 1
            elif self.inside:
                self.inside = False  # at the closing quote, or at a line's end, which no JSON string crosses
            elif character == '"':
                self.inside = True
            elif (end := self._at_bracket(character, at)) is not None:
                return end

    def _at_bracket(self, character: str, after: int) -> int | None:
        if character in "{[":
            self.open.append(ord(character))
        elif character in "}]":
            partner = self.open.rfind(b"{" if character == "}" else b"[")
            if partner >= 0:
                del self.open[partner:]
            elif character == "]" and self.in_list:
                return after - 1
            if not self.open and not self.in_list:
                return after
        elif character == "," and self.in_list and not self.open:
            return after - 1
        elif character == "\n" and not self.in_list and not self.open:
            return after
        return None
