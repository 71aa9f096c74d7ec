"""Acceptance: the folder of a Qwen, a Llama, a Mistral or a Gemma loads, trains, saves, reloads and merges.

The folders are laid out as the hub lays out each family's, with small random weights. Configs, chat templates and
vocabularies are the families' own where a Python package carries them: templates come from TRL, Qwen's vocabulary
from dashscope, Mistral's from mistral-common. The vocabularies of Llama and Gemma are in no package: a small one of
the same make, with the same special tokens, is trained here. Mistral's template is written after the original.
"""

import json
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GemmaTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

from burnish.core.events import Metric
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import describe, load_model
from burnish.specs.evals import GenerationSpec
from burnish.specs.models import MergeSpec
from burnish.specs.train import SftSpec
from burnish.stages.models import merge
from burnish.stages.train import run as training_run
from burnish.stages.train import sft
from burnish.testing import temporary_context, tiny_model
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

CHATS = [
    ("What is the weather in Zürich?", "Fine. 天气很好 🙂"),
    ("And in Berlin?", "It rains all day."),
    ("Say one word.", "Word"),
    ("Say two.", "Two words"),
]
WORDS = ["The weather in Berlin is fine today, and what is it in Zürich?", "天气很好 🙂", "assistant user system model"]
# what Mistral 7B Instruct v0.3 says, without its tools; no package carries it
MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
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
    """As Qwen3-4B: norms on queries and keys, `head_dim` apart from the width, weights in several files, each token."""
    visible = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
    _qwen_tokenizer(folder, "qwen3", visible)
    ids = {"eos_token_id": 151645, "pad_token_id": 151643}
    return tiny_model(folder, "qwen3", tokenizer=False, **ids, **_LARGE | {"head_dim": 32}, max_shard_bytes=20_000_000)


def make_llama(folder: Path) -> Path:
    """As Llama-3.2-1B-Instruct: scaled rotary positions, two tokens that end an answer, embedding and head shared."""
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
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


def _qwen_tokenizer(folder: Path, name: str, visible: list[str], tokens: int = 151_643) -> None:
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


@pytest.fixture
def chats(tmp_path) -> Path:
    path = tmp_path / "chats.jsonl"
    rows = [[{"role": "user", "content": ask}, {"role": "assistant", "content": say}] for ask, say in CHATS]
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_loads_trains_saves_reloads_and_merges(tmp_path, chats, family, monkeypatch):
    (tmp_path / "base").mkdir()
    base = FAMILIES[family](tmp_path / "base")
    assert describe(base).family == {"gemma3": "gemma3_text"}.get(family, family)

    # the real template, through the one renderer
    renderer = Renderer(load_tokenizer(base))
    _, prompt = renderer.prompt([{"role": "user", "content": CHATS[0][0]}])
    ids = torch.tensor([prompt])
    before = load_model(base)(ids).logits

    # trains
    trained: list[torch.Tensor] = []
    save = training_run.save

    def save_and_remember(model, *others):
        with torch.no_grad():
            trained.append(model.eval()(ids).logits)
        return save(model, *others)

    monkeypatch.setattr(training_run, "save", save_and_remember)
    ctx, events = temporary_context(tmp_path / "sft", {"base": base, "data": chats})
    method = {"kind": "lora", "rank": 4}
    settings = {
        "max_steps": 4,
        "batch_size": 4,
        "learning_rate": 2e-2,
        "dtype": "float32",
        "device": "cpu",
        "prove": "off",
    }
    outcome = sft.run(SftSpec(base="file:b", data="file:d", method=method, threads=1, **settings), ctx)
    assert outcome.kind == "adapter"
    losses = [event.values["loss"] for event in events if isinstance(event, Metric) and "loss" in event.values]
    assert losses[-1] < losses[0] - 0.01
    assert (trained[0] - before).abs().max() > 1e-3

    # saves, and reloads to the same bits
    assert torch.equal(load_model(ctx.out)(ids).logits, trained[0])

    # merges, to the bits of PEFT's own merge
    merging, _ = temporary_context(tmp_path / "merge", {"model": ctx.out})
    merge.run(MergeSpec(model="file:a", max_shard_bytes=20_000_000), merging)
    merged = load_model(merging.out)
    assert torch.equal(merged(ids).logits, load_model(ctx.out).merge_and_unload()(ids).logits)
    torch.testing.assert_close(merged(ids).logits, trained[0], atol=1e-4, rtol=1e-4)
    of_base = {name for file in base.glob("*.safetensors") for name in load_file(file)}
    assert {name for file in merging.out.glob("*.safetensors") for name in load_file(file)} == of_base

    # answers, with the tokenizer that the merge took along
    tokenizer = load_tokenizer(merging.out)
    assert Renderer(tokenizer).prompt([{"role": "user", "content": CHATS[0][0]}])[1] == prompt
    engine = TransformersEngine(merged, tokenizer)
    [answer] = engine.generate([prompt], GenerationSpec(max_new_tokens=4), renderer.stop_ids)
    assert "".join(engine.stream(prompt, GenerationSpec(max_new_tokens=4), renderer.stop_ids)) == answer.text


def test_the_ends_of_a_turn_are_known(tmp_path):
    """A model that is asked must stop where its family stops."""
    ends = {"llama": "<|eot_id|>", "mistral": "</s>", "gemma2": "<end_of_turn>", "gemma3": "<end_of_turn>"}
    for family, end in ends.items():
        (tmp_path / family).mkdir()
        tokenizer = load_tokenizer(FAMILIES[family](tmp_path / family))
        assert tokenizer.convert_tokens_to_ids(end) in Renderer(tokenizer).stop_ids
