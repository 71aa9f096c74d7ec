"""Listed words and addresses are found whole, in any case, and in Chinese wherever they stand."""

import pytest

from burnish.core.errors import AskError, DataError
from burnish.data.filters.blocklist import entries_of
from filtering import reasons

WORDS = {"entries": ["casino", "free money", "赌博", "カジノ", "çay", "c3po"]}
URLS = {"entries": ["bad.example", "https://www.site.example/ads/", "例子.测试"]}


@pytest.mark.parametrize(
    "text",
    [
        "A casino.",
        "CASINO!",
        "free\nmoney",
        "Free, money",
        "在线赌博网站",
        "オンラインカジノ",
        "Çay",
        "x (c3po)",
        "casino",
    ],
)
def test_a_listed_word_is_found(text):
    assert reasons(text, words=WORDS) == ["a listed word"]


@pytest.mark.parametrize("text", ["casinos", "money free", "free the money", "赌一博", "cay", "c3 po", "", "x_casino"])
def test_parts_of_words_are_not_found(text):
    assert reasons(text, words=WORDS) == []


@pytest.mark.parametrize(
    "text",
    [
        "http://bad.example/x",
        "see BAD.example.",
        "https://www.bad.example",
        "a.b.bad.example:80",
        "ann@bad.example",
        "site.example/ads/1",
        "(https://www.site.example/ads)",
        "去 例子.测试 看",
    ],
)
def test_a_listed_address_is_found_with_hosts_below_it(text):
    assert reasons(text, urls=URLS) == ["a listed address"]


@pytest.mark.parametrize(
    "text",
    ["notbad.example", "bad.example.org", "bad-example", "bad example", "site.example/x", "site.example/adsense"],
)
def test_other_addresses_are_not_found(text):
    assert reasons(text, urls=URLS) == []


def test_several_matches_can_be_required():
    assert reasons("casino and casino", words=WORDS | {"min_matches": 2}) == ["a listed word"]
    assert reasons("casino", words=WORDS | {"min_matches": 2}) == []
    assert reasons("bad.example, bad.example", urls=URLS | {"min_matches": 3}) == []


def test_a_list_can_be_a_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# comment\ncasino\n\n 赌博 \n", encoding="utf-8")
    assert entries_of(path) == ["casino", "赌博"]
    spec = {"file": "file:words.txt", "entries": ["poker"]}
    for text in ("casino", "赌博", "poker"):
        assert reasons(text, files={"words.file": path}, words=spec) == ["a listed word"]


def test_lists_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing is listed"):
        reasons("x", words={})
    with pytest.raises(ValueError, match="an entry is empty"):
        reasons("x", words={"entries": [" "]})
    with pytest.raises(AskError, match="has no word"):
        reasons("x", words={"entries": ["!!"]})
    with pytest.raises(AskError, match="names no host"):
        reasons("x", urls={"entries": ["https://"]})
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"list\.txt"):
        entries_of(path)
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="no entries"):
        entries_of(path)
