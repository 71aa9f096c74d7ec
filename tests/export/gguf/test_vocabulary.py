"""Tokenizers in GGUF files: llama.cpp gives the tokens that transformers gives, or no file is made."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from burnish.core.errors import ModelError
from burnish.export.gguf.proof import fuzzed_strings, prove_tokenizer
from burnish.export.gguf.vocabulary import CONTROL, UNUSED, USER_DEFINED, vocabulary_keys
from burnish.models.engines.llama.model import LlamaModel
from burnish.testing import tiny_model
from gguf_files import written

WORDS = ["The weather in Berlin is fine today, isn't it? 12345", "天气很好 🙂 Zürich", "def f(x):\n    return x\n\n"]
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")
QWEN35 = QWEN.replace(r"?\p{L}+|\p{N}| ?[^\s\p{L}", r"?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}")


def byte_level(*steps, regex=False, ignore_merges=False, normalizer=None, bos=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    cuts = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, *cuts])
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(WORDS, trainer)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|begin|>"])
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    if bos:
        number = tokenizer.token_to_id("<|begin|>")
        tokenizer.post_processor = processors.TemplateProcessing("<|begin|> $A", None, [("<|begin|>", number)])
    return fast(tokenizer, eos_token="<|endoftext|>", bos_token="<|begin|>")


def sentencepiece(prepends=False):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prepends else replace
    if not prepends:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=420, show_progress=False, special_tokens=["<unk>", "<s>", "</s>", *bytes_])
    tokenizer.train_from_iterator(WORDS, trainer)
    parts = json.loads(tokenizer.to_str())
    parts["added_tokens"] = parts["added_tokens"][:3]  # bytes are plain tokens
    tokenizer = Tokenizer.from_str(json.dumps(parts))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    return fast(tokenizer, eos_token="</s>", bos_token="<s>", unk_token="<unk>")


def fast(tokenizer, **tokens):
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)


def split(pattern):
    from tokenizers import Regex

    return pre_tokenizers.Split(Regex(pattern), "isolated")


MADE = {
    "gpt-2": lambda: byte_level(regex=True),
    "qwen2": lambda: byte_level(split(QWEN)),
    "qwen2, normalised": lambda: byte_level(split(QWEN), normalizer=normalizers.NFC()),
    "qwen35": lambda: byte_level(split(QWEN35)),
    "llama-bpe": lambda: byte_level(split(LLAMA3), ignore_merges=True, bos=True),
    "dbrx": lambda: byte_level(split(LLAMA3)),
    "smollm": lambda: byte_level(pre_tokenizers.Digits(individual_digits=True), regex=True),
    "sentencepiece": sentencepiece,
    "sentencepiece, prepending": lambda: sentencepiece(prepends=True),
}


def of_phi3():
    """As Phi-3-mini's: special tokens strip the white space after them, but for those of the text."""
    parts = json.loads(sentencepiece(prepends=True).backend_tokenizer.to_str())
    first, size = parts["added_tokens"][0], len(parts["model"]["vocab"])
    parts["added_tokens"][2] |= {"rstrip": True, "special": False}
    for place, text in enumerate(["<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>"]):
        parts["added_tokens"].append({**first, "id": size + place, "content": text, "rstrip": place > 0})
    tokenizer = Tokenizer.from_str(json.dumps(parts))
    return fast(tokenizer, eos_token="<|endoftext|>", bos_token="<s>", unk_token="<unk>")


def file_with(tokenizer, folder, name=""):
    tokenizer.save_pretrained(folder)
    tiny_model(folder, tokenizer=False, vocab_size=len(tokenizer) + 9)
    return written(folder, folder / "x.gguf", name=name)[0]


@pytest.mark.parametrize("name", MADE)
def test_llama_cpp_gives_the_same_tokens(tmp_path, name):
    tokenizer = MADE[name]()
    model = LlamaModel(file_with(tokenizer, tmp_path), vocabulary_only=True)
    pre = model.metadata("tokenizer.ggml.pre")
    proof = prove_tokenizer(model, tokenizer, strings=1500)
    assert pre == ("default" if "sentence" in name else name.partition(",")[0])
    assert proof.strings == 1500
    assert proof.normalization == ("NFC" if "normalised" in name else "")
    assert bool(proof.differ_unnormalized) == ("normalised" in name)


@pytest.mark.parametrize("name", ["tune", "Phi-3-tune", "my.phi3", "modern-bert"])
@pytest.mark.parametrize("make", [of_phi3, sentencepiece, MADE["qwen2"]])
def test_a_name_does_not_change_the_tokens(tmp_path, make, name):
    """llama.cpp strips white space after special tokens in models named Phi-3, and before masks in ModernBERT."""
    model = LlamaModel(file_with(make(), tmp_path, name), vocabulary_only=True)
    prove_tokenizer(model, make(), strings=300)
    assert name.partition("-")[0] in (model.metadata("general.name") or "").replace("phi 3", "phi3")
    text = "<|user|>\n Hi<|end|>\n\n<|assistant|>\nx</s> y<|endoftext|> z"
    assert model.tokenize(text) == make()(text, add_special_tokens=False)["input_ids"]


def test_a_tokenizer_that_llama_cpp_cuts_otherwise_is_found(tmp_path):
    tokenizer = byte_level(split(QWEN))
    file = file_with(tokenizer, tmp_path)
    other = byte_level(split(LLAMA3))
    model = LlamaModel(file, vocabulary_only=True)
    with pytest.raises(ModelError, match=r"llama.cpp cuts '.*' into other tokens than the tokenizer: from token \d+"):
        prove_tokenizer(model, other, strings=1000)


def test_the_fuzzed_strings_are_the_same_each_time_and_differ_among_themselves():
    tokenizer = byte_level(regex=True)
    found = fuzzed_strings(tokenizer, 300)
    assert found == fuzzed_strings(tokenizer, 300)
    assert len(set(found)) > 290
    assert any("<|endoftext|>" in text for text in found)


def test_types_of_tokens_and_rows_without_one():
    tokenizer = byte_level(regex=True)
    keys = vocabulary_keys(tokenizer, len(tokenizer) + 3, [])
    types = keys["tokenizer.ggml.token_type"]
    assert types[-3:] == [UNUSED] * 3
    assert types[tokenizer.convert_tokens_to_ids("<think>")] == USER_DEFINED
    assert types[tokenizer.convert_tokens_to_ids("<|begin|>")] == CONTROL
    assert not keys["tokenizer.ggml.add_bos_token"]


def test_a_token_that_llama_cpp_would_take_for_a_special_one_is_hidden(tmp_path):
    """Qwen's vocabulary has `</s>` as a token that its rules never give."""
    parts = json.loads(byte_level(split(QWEN)).backend_tokenizer.to_str())
    number = len(parts["model"]["vocab"]) + len(parts["added_tokens"])
    parts["model"]["vocab"] |= {"</s>": number}
    tokenizer = fast(Tokenizer.from_str(json.dumps(parts)), eos_token="<|endoftext|>")
    assert tokenizer("</s>")["input_ids"] != [number]
    model = LlamaModel(file_with(tokenizer, tmp_path), vocabulary_only=True)
    assert model.tokenize("a</s>b") == tokenizer("a</s>b")["input_ids"]
    assert number not in model.ends()


def unigram():
    return fast(Tokenizer(models.Unigram([("a", 0.0), ("<unk>", -1.0)], unk_id=1)), unk_token="<unk>")


REFUSED = {
    "it is a Unigram tokenizer": unigram,
    "no name for how it cuts texts: words with whole words": lambda: byte_level(regex=True, ignore_merges=True),
    "no name for how it cuts texts: \\\\w": lambda: byte_level(split(r"\w+")),
    "it cuts texts by Punctuation": lambda: byte_level(pre_tokenizers.Punctuation()),
    "no name for how it cuts texts: not at all": byte_level,
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_tokenizer_that_a_file_cannot_hold_is_refused(why):
    with pytest.raises(ModelError, match=why) as caught:
        vocabulary_keys(REFUSED[why](), 500, [])
    assert caught.value.code == "model.unsupported"
