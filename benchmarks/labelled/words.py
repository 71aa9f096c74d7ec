"""Junk made of words: keyword spam, Markov text, lorem ipsum, repeated lines, mojibake."""

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

_GOODS = (
    *("shoes", "watches", "handbags", "insurance", "loans", "pills", "flights", "hotels", "casino", "phones"),
    *("laptops", "wigs", "mattress", "vpn", "essay", "seo", "backlinks", "tickets", "coupons"),
)
_SELLING = (
    "cheap {g}, buy {g} online, best {g}, discount {g}, {g} sale, {g} outlet, {g} {year}",
    "best {g} reviews top 10 {g} {year} {g} near me {g} price {g} coupon code",
    "Looking for {g}? Buy {g} here! The best {g} at the best {g} price. {g} {g} {g} free shipping.",
    "{g} online {g} store {g} wholesale {g} for men {g} for women {g} for kids",
    "Click here for {g}!!! 100% guaranteed {g} >>> www.{g}-{other}.example <<<",
    "How to get {g} without {other}: get {g} now, {g} and {other}, {other} or {g}, cheap {other} {g}",
)
_CHINESE_GOODS = ("贷款", "彩票", "减肥药", "代孕", "发票", "手机", "网赚", "刷单", "皮草", "名表", "私服", "办证")
_CHINESE_SELLING = (
    "{g}公司,{g}平台,{g}价格,{g}哪家好,{g}官网,{g}排行榜",
    "专业{g}!正规{g}!加微信{year}即可办理{g},{g}当天到账!!!",
    "想要{g}就来{g}网,{g}、{other}一站式服务,{g}电话{year}",
    "{g}{other}{g}{g}{other}{g}最新{g}免费{g}在线{g}",
)
_LATIN = re.findall(
    r"\w+",
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna "
    "aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea commodo consequat duis "
    "aute irure in reprehenderit voluptate velit esse cillum eu fugiat nulla pariatur excepteur sint occaecat "
    "cupidatat non proident sunt culpa qui officia deserunt mollit anim id est laborum",
)


def keywords(rand: random.Random) -> str:
    """A page stuffed with the keywords of one or two goods."""
    return _stuffed(rand, _GOODS, _SELLING)


def chinese_keywords(rand: random.Random) -> str:
    return _stuffed(rand, _CHINESE_GOODS, _CHINESE_SELLING)


def markov(rand: random.Random, texts: Sequence[str]) -> str:
    """Words that follow one another as in 40 texts, without any sense: sentences, paragraphs, and stray markup."""
    followers: dict[str, list[str]] = defaultdict(list)
    for text in rand.sample(texts, min(40, len(texts))):
        split = text[:2000].split()
        for word, after in pairwise(split):
            followers[word].append(after)
    word, written = rand.choice(sorted(followers)), []
    for _ in range(rand.randint(100, 700)):
        written.append(word)
        word = rand.choice(followers[word]) if followers[word] else rand.choice(sorted(followers))
    return " ".join(written)


def lorem(rand: random.Random) -> str:
    """Filler text of printers, most of it after the usual start."""
    paragraphs = []
    for _ in range(rand.randint(1, 6)):
        sentences = [rand.choices(_LATIN, k=rand.randint(5, 18)) for _ in range(rand.randint(2, 8))]
        paragraphs.append(" ".join(" ".join(words).capitalize() + "." for words in sentences))
    start = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " if rand.random() < 0.8 else ""
    return start + "\n\n".join(paragraphs)


def repeated_lines(rand: random.Random, text: str) -> str:
    """A few lines of a text again and again, in turn or at random, now and then with a number."""
    lines = [line for line in text.split("\n") if len(line) > 10][:30] or [text[:80]]
    lines = rand.sample(lines, min(len(lines), rand.randint(1, 4)))
    numbered = rand.random() < 0.2
    count = rand.randint(12, 80)
    return "\n".join(rand.choice(lines) + (f" {number}" if numbered else "") for number in range(count))


def mojibake(rand: random.Random, text: str) -> str:
    """UTF-8 read as an 8-bit encoding, once or twice, or with replacement characters; needs text beyond ASCII."""
    beyond = [part for part in text.split("\n\n") if sum(map(str.isascii, part)) < 0.97 * len(part)]
    text = "\n\n".join(beyond) or text
    style = rand.randrange(3)
    if style == 2:
        return text.encode()[:4000].decode("ascii", "replace")
    for _ in range(style + 1):
        text = text[:3000].encode().decode("cp1252" if style else "latin-1", "replace")
    return text


def _stuffed(rand: random.Random, goods: Sequence[str], selling: Sequence[str]) -> str:
    main, other = rand.sample(goods, 2)
    lines = []
    for _ in range(rand.randint(6, 40)):
        if rand.random() < 0.1:
            main, other = other, main
        lines.append(rand.choice(selling).format(g=main, other=other, year=rand.randint(2015, 2024)))
    return rand.choice((" ", "\n", "\n\n")).join(lines)
