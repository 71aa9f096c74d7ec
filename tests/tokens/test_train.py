"""Training of a byte-level BPE tokenizer."""

import json

import pytest
from pydantic import ValidationError

from burnish.specs.tokens import TokenizerTrainSpec
from burnish.tokens.templates.chatml import CHATML
from burnish.tokens.train import train_bpe

TEXTS = [
    "The order A47 of Mira Olsen moves to 2024-05-13, please.",
    "def add(a, b):\n    return a + b  # 1234567\n",
    "把订单 A47 改到 2024 年 5 月 13 日。谢谢!",
] * 20

STRANGE = [
    "今天天气怎么样?我想去北京。",
    "naïve café — Ωμέγα 🎉👩‍👩‍👧‍👦 \u200b\u00a0end",
    "if x < 10:\n\treturn {'a': [1, 2,  3]}\r\n\n\n  # done   ",
    "١٢٣٤٥ ½ 12345678901234567890",
    "",
    " ",
    "\x00\x01\x7f",
    "They'LL say don't, won't; it's Pocket's.",
]


def spec(**settings) -> TokenizerTrainSpec:
    return TokenizerTrainSpec(**{"data": "file:rows.jsonl", "vocabulary": 400, **settings})


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(iter(TEXTS), spec(), CHATML)


@pytest.mark.parametrize("text", STRANGE)
def test_any_text_round_trips(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_saved_tokenizer_returns_the_same_tokens(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*STRANGE, "<|im_start|>user\nhello<|im_end|>\n<tool_call>"]:
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert (loaded.eos_token, loaded.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert loaded.chat_template == tokenizer.chat_template
    assert set(loaded.all_special_tokens) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}


def test_the_vocabulary_has_the_requested_size():
    many = (f"word{number} another{number * 7} third{number * 13}" for number in range(3_000))
    assert len(train_bpe(many, spec(vocabulary=600, digits=3), "")) == 600


def test_special_tokens_come_first_and_visible_ones_last(tokenizer):
    ids = tokenizer.convert_tokens_to_ids
    assert [ids(token) for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] == [0, 1, 2]
    assert ids("</think>") == len(tokenizer) - 1


def test_visible_tokens_are_one_token_and_stay_in_the_text(tokenizer):
    text = '<tool_call>{"name": "x"}</tool_call><|im_end|>'
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.convert_tokens_to_ids("<tool_call>")
    assert tokenizer.decode(ids, skip_special_tokens=True) == '<tool_call>{"name": "x"}</tool_call>'


@pytest.mark.parametrize(("digits", "longest"), [(1, 1), (3, 3), (4, 4)])
def test_no_token_has_more_digits_than_allowed(digits, longest):
    numbers = (str(number) for number in list(range(2015, 2030)) * 200)
    tokenizer = train_bpe(numbers, spec(digits=digits), "")
    runs = [token for token in tokenizer.get_vocab() if token.isdigit()]
    assert max(map(len, runs)) == longest


def test_text_is_split_as_by_llama_3(tokenizer):
    cut = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("don'T say_it 12345 !!\n\n  end")
    pieces = ["don", "'T", "Ġsay", "_it", "Ġ", "123", "45", "Ġ!!ĊĊ", "Ġ", "Ġend"]
    assert [piece for piece, _ in cut] == pieces


def test_frequent_text_takes_fewer_tokens_than_bytes(tokenizer):
    assert len(tokenizer(TEXTS[0])["input_ids"]) < len(TEXTS[0].encode()) / 2


def test_a_rare_pair_is_not_merged():
    tokenizer = train_bpe(iter(["zq", "ab", "ab", "ab"]), spec(min_frequency=3), "")
    assert tokenizer.tokenize("ab") == ["ab"]
    assert tokenizer.tokenize("zq") == ["z", "q"]


def test_the_same_texts_give_the_same_tokenizer(tokenizer):
    again = train_bpe(iter(TEXTS), spec(), CHATML)
    assert json.loads(again._tokenizer.to_str()) == json.loads(tokenizer._tokenizer.to_str())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": 260}, "at least 265"),
        ({"end_of_turn": "</s>"}, "not in special_tokens"),
        ({"special_tokens": ["<|im_end|>", "<think>"]}, "duplicates in"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        spec(**settings)


LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
LLAMA_3 += r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.mark.parametrize(
    ("digits", "pattern"),
    [(1, QWEN_2), (2, LLAMA_3.replace("{1,3}", "{1,2}")), (3, LLAMA_3), (9, LLAMA_3.replace("3}", "9}"))],
)
def test_the_saved_pattern_is_the_one_that_other_programs_know(digits, pattern):
    made = json.loads(train_bpe(iter(["a b"]), spec(digits=digits), "").backend_tokenizer.to_str())
    split, bytes_ = made["pre_tokenizer"]["pretokenizers"]
    assert (split["type"], split["pattern"], split["behavior"], split["invert"]) == (
        "Split",
        {"Regex": pattern},
        "Isolated",
        False,
    )
    assert (bytes_["type"], bytes_["add_prefix_space"], bytes_["use_regex"]) == ("ByteLevel", False, False)
    assert made["normalizer"] is None


def test_the_given_tokens_have_their_roles_and_nothing_is_printed(capfd):
    made = train_bpe(
        iter(["a , b ."] * 3),
        spec(special_tokens=["<pad>", "<x>", "<end>"], end_of_turn="<end>", visible_tokens=["<see>"], min_frequency=9),
        "template",
    )
    assert (made.pad_token, made.eos_token, made.chat_template) == ("<pad>", "<end>", "template")
    assert sorted(made.all_special_tokens) == ["<end>", "<pad>", "<x>"]
    assert made.convert_tokens_to_ids(["<pad>", "<x>", "<end>", "<see>"]) == [0, 1, 2, len(made) - 1]
    assert len(made) == 3 + 256 + 1
    assert made.decode(made("a , b . <see><x>")["input_ids"]) == "a , b . <see><x>"
    assert made.decode(made("a<see><x>")["input_ids"], skip_special_tokens=True) == "a<see>"
    added = {token.content: (token.special, token.normalized) for token in made.added_tokens_decoder.values()}
    assert added["<see>"] == (False, False)
    assert all(added[token] == (True, False) for token in ("<pad>", "<x>", "<end>"))
    assert made.clean_up_tokenization_spaces is False
    assert capfd.readouterr() == ("", "")
