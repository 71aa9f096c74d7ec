"""The rules of Gopher, C4 and FineWeb: a text that each one drops, and its neighbour that it keeps."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.filters.quality.sentences import sentences
from burnish.data.texts.block import Block
from filtering import reasons

PROSE = "The river rises in the hills above the town. It flows south for miles. In spring it floods the meadows."


@pytest.mark.parametrize(
    ("settings", "dropped", "kept"),
    [
        ({"min_mean_word_length": 3}, "a b c d e f g", PROSE),
        ({"min_mean_word_length": 3}, "a b c d e f g", "天气很好"),
        ({"max_mean_word_length": 10}, "Donaudampfschifffahrtsgesellschaft " * 4, PROSE),
        ({"max_symbols_per_word": 0.1}, "#one #two #three", "#one of many words that are here without a symbol"),
        (
            {"max_symbols_per_word": 0.1},
            "so... and... then",
            "so... and then there were many words without an ellipsis",
        ),
        ({"max_bullet_lines": 0.9}, "- a\n* b\n• c", "- a\n* b\nc"),
        ({"max_ellipsis_lines": 0.3}, "Read on...\nAnd more…\nEnd.", "Read on...\nB.\nC.\nD."),
        ({"max_ellipsis_lines": 0.3}, "Read on... \nAnd more....\nEnd.", "Read on..\nAnd more..\nOr. .\n."),
        ({"min_alphabetic_words": 0.8}, "1 2 3 four", PROSE),
        ({"min_stop_words": 2}, "shoes watches bags", PROSE),
        ({"min_stop_words": 2}, "鞋子手表包包", "我的鞋子是新的"),
        ({"min_stop_words": 2}, "обувь часы сумки", "Это не обувь и не часы"),
        ({"min_stop_words": 2}, "أحذية ساعات حقائب", "الكتاب في البيت على الطاولة"),
        ({"min_stop_words": 2}, "जूते घड़ियाँ", "यह किताब मेज पर है और अच्छी है"),
    ],
)
def test_gophers_rules(settings, dropped, kept):
    settings = {"min_mean_word_length": 0, "max_symbols_per_word": 9, "max_ellipsis_lines": 1} | settings
    assert len(reasons(dropped, gopher=settings)) == 1
    assert reasons(kept, gopher=settings) == []


@pytest.mark.parametrize(
    "text",
    [
        "One. Two! Three? Four. Five.",
        "一。二！三？四。五。",
        "एक। दो। तीन। चार। पाँच।",
        "واحد. اثنان؟ ثلاثة. أربعة! خمسة.",
        "“One.” (Two.) Three... Four?! Five.",
    ],
)
def test_c4_counts_sentences_in_every_script(text):
    assert reasons(text, c4={"min_sentences": 5}) == []
    assert reasons(text, c4={"min_sentences": 6}) == ["fewer than 6 sentences"]


def test_c4_drops_curly_brackets_where_code_is_not_wanted():
    assert reasons("f(x) { return x; }", c4={"min_sentences": 0}) == ["a curly bracket"]
    assert reasons("f(x) { return x; }", c4={"min_sentences": 0, "curly_brackets": True}) == []


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(st.sampled_from('a .!?。") \n'), max_size=20), min_size=1, max_size=4))
def test_sentences_are_those_of_a_plain_loop(texts):
    end = re.compile(r"""[.!?。]""")
    before = re.compile(r"""$|\s|[")]($|\s)""")

    def plain(text):
        ends = [
            text[i] == "。" or before.match(text, i + 1) is not None if end.match(text[i]) else False
            for i in range(len(text))
        ]
        return sum(is_end and not follows for is_end, follows in zip(ends, [*ends[1:], False], strict=False))

    assert sentences(Block(texts)).tolist() == [plain(text) for text in texts]


@pytest.mark.parametrize(
    ("settings", "dropped", "kept"),
    [
        ({"min_lines_with_end": 0.12}, "Home\nAbout us\nContact", "Home\n" + PROSE),
        ({"min_lines_with_end": 0.12}, "首页\n关于我们", "首页\n今天天气很好。"),
        ({"max_short_lines": 0.67, "min_lines_with_end": 0.001}, "One.\nTwo.\nThree.", PROSE),
        (
            {"max_short_lines": 0.67, "min_lines_with_end": 0.001},
            "一。\n二。",
            "这条河发源于城镇上方的山丘，向南流淌四十英里。",
        ),
        ({"max_duplicate_line_characters": 0.1}, f"{PROSE}\n{PROSE}", PROSE),
    ],
)
def test_finewebs_rules(settings, dropped, kept):
    settings = {"max_short_lines": 1, "min_lines_with_end": 0.001, "max_duplicate_line_characters": 1} | settings
    assert len(reasons(dropped, fineweb=settings)) == 1
    assert reasons(kept, fineweb=settings) == []
