"""Topics are found in English and Chinese, and the same seed gives the same ones."""

import random

from burnish.data.profile.topics import topics, words

THEMES = {
    "sea": ["ship", "harbour", "sailor", "wave", "captain", "anchor", "storm", "deck"],
    "kitchen": ["bread", "oven", "flour", "butter", "sugar", "recipe", "dough", "cake"],
    "space": ["rocket", "planet", "orbit", "telescope", "star", "moon", "comet", "galaxy"],
    "海": "轮船港口水手波浪船长风暴甲板",
    "厨": "面包烤箱面粉黄油白糖菜谱蛋糕",
}


def texts_of(*names: str, count: int = 40) -> list[tuple[str, str]]:
    drawn = random.Random(0)
    texts = []
    for name in names:
        joined = "" if isinstance(THEMES[name], str) else " "
        size = 2 if joined == "" else 1
        pieces = [THEMES[name][i : i + size] for i in range(0, len(THEMES[name]), 2)] if size == 2 else THEMES[name]
        texts += [(f"{name}:{i}", joined.join(drawn.choices(pieces, k=14))) for i in range(count)]
    drawn.shuffle(texts)
    return texts


def test_words_are_folded_and_chinese_is_cut_into_pairs():
    assert words("The Cat's 2 café 机器学习!") == ["the", "cat", "café", "机器", "器学", "学习"]
    assert words("한국어 문장") == ["한국어", "문장"]


def test_themes_are_told_apart():
    for names in (("sea", "kitchen", "space"), ("海", "厨"), ("sea", "海")):
        found = topics(texts_of(*names), len(names), 0)
        assert [topic["rows"] for topic in found] == [40] * len(names)
        for topic in found:
            theme = THEMES[topic["example"]["source"].partition(":")[0]]
            assert sum(term in theme for term in topic["terms"]) >= len(topic["terms"]) / 2
        assert abs(sum(topic["share"] for topic in found) - 1) < 0.01


def test_the_same_seed_gives_the_same_topics():
    texts = texts_of("sea", "kitchen", "space")
    assert topics(texts, 4, 1) == topics(texts, 4, 1)


def test_few_texts_have_no_topics_and_equal_ones_are_no_error():
    assert topics(texts_of("sea", count=10), 8, 0) == []
    assert topics(texts_of("sea"), 0, 0) == []
    assert topics([("x:1", "")] * 100, 4, 0) == []
    assert topics([("x:1", "12 345")] * 100, 4, 0) == []
    same = topics([("x:1", "one two three")] * 50 + texts_of("sea"), 4, 0)
    assert sum(topic["rows"] for topic in same) <= 90
