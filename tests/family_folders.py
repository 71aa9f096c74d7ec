"""Folders of a Qwen, a Llama, a Mistral and a Gemma as the hub lays out each family's, with small random weights.

Configs, chat templates and vocabularies are the families' own where a Python package carries them: templates come from
TRL, Qwen's vocabulary from dashscope, Mistral's from mistral-common. The vocabularies of Llama and Gemma are in no
package: a small one of the same make, with the same special tokens, is trained here. Mistral's template is written
after the original.
"""

import json
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GemmaTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

from burnish.testing import tiny_model

WORDS = ["The weather in Berlin is fine today, and what is it in Zürich?", "天气很好 🙂", "assistant user system model"]
# what Mistral 7B Instruct v0.3 says, without its tools; no package carries it
MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LARGE: dict[str, Any] = {"vocab_size": 151_936, "hidden_size": 64, "intermediate_size": 96, "head_dim": 16}
Maker = Callable[[Path], Path]


def make_qwen2(folder: Path) -> Path:
    """As Qwen2.5-0.5B-Instruct: biases on q, k and v, embedding and head shared; the first 20,000 of its tokens."""
    _qwen_tokenizer(folder, "qwen2_5", [], tokens=20_000)
    ids = {"eos_token_id": 20_002, "pad_token_id": 20_000}
    return tiny_model(
        folder, "qwen2", tokenizer=False, **_LARGE | {"vocab_size": 20_224}, **ids, tie_word_embeddings=True
    )


def make_qwen3(folder: Path) -> Path:
    """As Qwen3-4B: norms on queries and keys, `head_dim` apart from the width, weights in several files."""
    return _qwen3(folder, tokens=20_000, max_shard_bytes=3_000_000)


def make_whole_qwen3(folder: Path) -> Path:
    """The same with each of its tokens: seconds for every read."""
    return _qwen3(folder, tokens=151_643, max_shard_bytes=20_000_000)


def _qwen3(folder: Path, tokens: int, max_shard_bytes: int) -> Path:
    visible = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
    _qwen_tokenizer(folder, "qwen3", visible, tokens)
    config = _LARGE | {"eos_token_id": tokens + 2, "pad_token_id": tokens, "vocab_size": tokens + 293, "head_dim": 32}
    return tiny_model(folder, "qwen3", tokenizer=False, **config, max_shard_bytes=max_shard_bytes)


def make_llama(folder: Path) -> Path:
    """As Llama-3.2-1B-Instruct: scaled rotary positions, two tokens that end an answer, embedding and head shared."""
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    cuts = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3_WORDS), "isolated"), cuts])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(WORDS, trainer)
    tokenizer.add_special_tokens([*specials, "<|eom_id|>", "<|python_tag|>"])
    begin = tokenizer.token_to_id(specials[0])
    tokenizer.post_processor = processors.TemplateProcessing("<|begin_of_text|> $A", None, [(specials[0], begin)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=specials[0],
        eos_token=specials[4],
        chat_template=template("llama3_2"),
    )
    fast.save_pretrained(folder)
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 256}
    ends = [tokenizer.token_to_id(token) for token in (specials[1], specials[4])]
    return tiny_model(
        folder,
        "llama",
        tokenizer=False,
        bos_token_id=begin,
        eos_token_id=ends,
        pad_token_id=None,
        vocab_size=len(fast),
        tie_word_embeddings=True,
        rope_parameters=rope,
    )


def make_mistral(folder: Path) -> Path:
    """As Mistral-7B-Instruct-v0.3: its SentencePiece file, and no tokenizer.json."""
    vocabulary = package("mistral_common") / "data" / "mistral_instruct_tokenizer_240323.model.v3"
    (folder / "tokenizer.model").write_bytes(vocabulary.read_bytes())
    settings = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": MISTRAL_TEMPLATE}))
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
    return tiny_model(folder, "mistral", tokenizer=False, vocab_size=32768, sliding_window=None, **ids)


def make_gemma2(folder: Path) -> Path:
    """As gemma-2-2b-it: soft-capped logits, every other layer looks only a window back, a system turn is refused."""
    return _gemma(folder, "gemma2", "gemma", sliding_window=16, query_pre_attn_scalar=8)


def make_gemma3(folder: Path) -> Path:
    """As gemma-3-1b-it: two kinds of rotary positions, norms on queries and keys, one id past the embedding."""
    made = _gemma(folder, "gemma3_text", "gemma3", sliding_window=16, query_pre_attn_scalar=8)
    path = made / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    size = json.loads((made / "config.json").read_text())["vocab_size"]
    first = tokenizer["added_tokens"][0]
    tokenizer["added_tokens"].append({**first, "id": size, "content": "<image_soft_token>"})
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    settings = json.loads((made / "tokenizer_config.json").read_text())
    (made / "tokenizer_config.json").write_text(json.dumps({**settings, "image_token": "<image_soft_token>"}))
    return made


def package(name: str) -> Path:
    """Where an installed package lies; it is not imported."""
    found = find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def template(name: str) -> str:
    """A family's chat template, as TRL carries it."""
    return (package("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def _qwen_vocabulary(tokens: int) -> str:
    """The first tokens of Qwen's real vocabulary as a tokenizer.json; each is made of earlier ones."""
    ranks = (package("dashscope") / "resources" / "qwen.tiktoken").read_bytes().splitlines(keepends=True)
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    with tempfile.NamedTemporaryFile(suffix=".tiktoken") as file:
        file.write(b"".join(ranks[:tokens]))
        file.flush()
        return TikTokenConverter(file.name, extra_special_tokens=specials).converted().to_str()


def _qwen_tokenizer(folder: Path, name: str, visible: list[str], tokens: int) -> None:
    tokenizer = Tokenizer.from_str(_qwen_vocabulary(tokens))
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in visible])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>", chat_template=template(name)
    )
    assert fast.convert_tokens_to_ids("<|im_end|>") == tokens + 2
    fast.save_pretrained(folder)


def _gemma(folder: Path, family: str, name: str, **config: Any) -> Path:
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    trained = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False, special_tokens=[*specials, *bytes_])
    trained.train_from_iterator(WORDS, trainer)
    parts = json.loads(trained.to_str())["model"]
    tokenizer = GemmaTokenizer(
        vocab=parts["vocab"],
        merges=[tuple(pair) for pair in parts["merges"]],
        extra_special_tokens=["<start_of_turn>", "<end_of_turn>"],
        chat_template=template(name),
    )
    tokenizer.save_pretrained(folder)
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    return tiny_model(folder, family, tokenizer=False, vocab_size=len(parts["vocab"]), **ids, **config)


FAMILIES: dict[str, Maker] = {
    "qwen2": make_qwen2,
    "qwen3": make_qwen3,
    "llama": make_llama,
    "mistral": make_mistral,
    "gemma2": make_gemma2,
    "gemma3": make_gemma3,
}
WHOLE = {"whole-qwen3": make_whole_qwen3}
"""With a large vocabulary, for `make torture`."""
