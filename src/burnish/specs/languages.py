"""The languages that py3langid recognises, as a type of settings."""

from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator

_CODES = """
ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr
fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn ko
ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru
rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue
zh zu zxx
"""
LANGUAGES = tuple(_CODES.split())
"""The codes of the classes of py3langid's model: those of ISO 639-1, or of 639-3 where there is none."""


def _is_known(code: str) -> str:
    if code not in LANGUAGES:
        close = get_close_matches(code.lower(), LANGUAGES)
        hint = f"did you mean '{close[0]}'?" if close else "write its ISO 639-1 code, such as en, de or zh"
        raise ValueError(f"unknown language '{code}': {hint}")
    return code


Language = Annotated[str, AfterValidator(_is_known)]
