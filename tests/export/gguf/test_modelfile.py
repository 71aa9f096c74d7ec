"""Modelfiles for Ollama: a template is rewritten only if it prints the golden conversations as the original does."""

from pathlib import Path

import pytest

import burnish
from burnish.export.gguf.modelfile import modelfile, turns_of
from burnish.testing import CHATML, tiny_tokenizer
from burnish.tokens.load import load_tokenizer
from family_folders import template

POCKET = Path(burnish.__file__).parent / "builtin" / "pocket"
TURNS = "{{ bos_token }}{% for m in messages %}<s{{ loop.index }}>{{ m.content }}{% endfor %}"
REFUSES_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer_with(folder, chat_template):
    return load_tokenizer(tiny_tokenizer(folder, chat_template))


@pytest.mark.parametrize("name", ["chatml", "qwen2_5", "qwen3", "refuses system"])
def test_a_template_of_turns_is_rewritten(tmp_path, name):
    texts = {"chatml": CHATML, "refuses system": REFUSES_SYSTEM}
    found = turns_of(tokenizer_with(tmp_path, texts.get(name) or template(name)))
    assert found is not None
    turns = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "C"}]
    parts = ["<|im_start|>user\nA", "<|im_start|>assistant\nB", "<|im_start|>user\nC", "<|im_start|>assistant\n"]
    assert found.text(turns).endswith("<|im_end|>\n".join(parts))
    assert ("You are Qwen" in found.head) == (name == "qwen2_5")


@pytest.mark.parametrize("name", ["numbered", "gpt_oss", "none"])
def test_another_template_is_left_out(tmp_path, name):
    texts = {"numbered": TURNS, "none": None}
    tokenizer = tokenizer_with(tmp_path, texts[name] if name in texts else template("gptoss"))
    text = modelfile("x.gguf", tokenizer, [2], 512)
    assert "TEMPLATE" not in text
    assert ("no equal in Ollama's form" in text) == (name != "none")


def test_the_modelfile_of_the_embedded_model():
    text = modelfile("pocket-Q8_0.gguf", load_tokenizer(POCKET), [2], 1024)
    assert text.startswith('FROM ./pocket-Q8_0.gguf\nPARAMETER num_ctx 1024\nPARAMETER stop "<|im_end|>"\n')
