"""Normalised texts have one form; indentation, code, and joiners that scripts and emoji need stay."""

import pickle
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.rewriting import normalize
from burnish.data.rewriting.normalize import Normalize
from burnish.data.rewriting.table import rewrites
from burnish.specs.data import RewritingSpec
from filtering import ODD

ALL = RewritingSpec.model_validate({"boilerplate_lines": {}, "pii": {}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("cafe\u0301", "café"),
        ("zero\u200bwidth \ufeffmark soft\u00adhyphen", "zerowidth mark softhyphen"),
        ("nul\x00 bell\x07 \x1b[31mred\x1b[0m", "nul bell red"),
        ("trailing  \nspaces\t\n\u3000\nend ", "trailing\nspaces\n\nend"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("join\u200ded", "joined"),
        ("left\u202eright\u202c", "leftright"),
    ],
)
def test_what_cannot_be_seen_is_removed(text, expected):
    assert Normalize()(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "    def f():\n\treturn  'a   b'\n",
        "می\u200cخواهم",
        "क्\u200dष",
        "👩\u200d👩\u200d👧 ❤\ufe0f\u200d🔥",
        "ภาษา\u200bไทย",
        "עברית\u200f (abc)",
        "全角　空白，中文。",
        "ﬁ ① Ａ",
        "한글 日本語 naïve",
        "",
    ],
)
def test_what_scripts_and_code_need_stays(text):
    assert Normalize()(text) is text


def test_compatibility_characters_and_blank_lines_are_settings():
    assert Normalize(unicode="NFKC")("ﬁ Ａ①") == "fi A1"
    assert Normalize(unicode=None)("e\u0301") == "e\u0301"
    assert Normalize(max_blank_lines=0)("a\n\n\nb") == "a\nb"
    assert Normalize(max_blank_lines=None)("a\n\n\n\n\nb") == "a\n\n\n\n\nb"


@settings(deadline=None)
@given(st.text(st.characters() | st.sampled_from(" \n\t\r\u200b\u200d\x1b[1m e\u0301\u3000"), max_size=40))
def test_a_normalised_text_is_normal(text):
    once = Normalize()(text)
    assert Normalize()(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(
    st.text(st.characters(max_codepoint=0xFF) | st.sampled_from("ab \n\t\u00a0\u3000\u200b\u2028\ufeffé中"), max_size=9)
)
@settings(deadline=None)
def test_the_quick_searches_find_what_the_plain_ones_find(text):
    for part in (text, *text):
        assert normalize._has_invisible(part) == (normalize._ANY.search(part) is not None)
    is_trailing = any(f"{space}\n" in text for space in normalize._SPACES)
    assert (normalize._TRAILING.search(text) is not None) == is_trailing


@pytest.mark.parametrize("rewrite", rewrites(ALL), ids=lambda rewrite: rewrite.name)
def test_no_rewriting_breaks_on_odd_texts_and_each_can_be_pickled(rewrite):
    again = pickle.loads(pickle.dumps(rewrite))
    for text in (
        *ODD,
        "<" * 50_000 + ">",
        "<div>" * 50_000,
        "<!--" * 20_000 + ">",
        "eyJ" * 50_000,
        "1." * 50_000 + "@",
    ):
        assert isinstance(rewrite(text), str)
        assert rewrite(text) == again(text)


def test_each_rewriting_has_a_name_of_its_own():
    names = [rewrite.name for rewrite in rewrites(ALL)]
    assert len(set(names)) == len(names) == 11
    assert [rewrite.name for rewrite in rewrites(RewritingSpec())] == ["HTML to text", "normalised"]
    assert rewrites(RewritingSpec(html=None, normalize=None)) == []
