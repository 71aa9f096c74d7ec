"""How a card says that a model is run: only what holds for it."""

from dataclasses import replace

import pytest

from burnish.export.folder.snippets import Runnable, snippets

MODEL = Runnable(
    kind="causal",
    architecture="Qwen3ForCausalLM",
    has_template=True,
    has_tokenizer=True,
    is_adapter=False,
    is_quantized=False,
    base="",
    adapter={},
    gguf=True,
    stages=frozenset(),
)
ADAPTER = replace(MODEL, is_adapter=True, base="owner/base", adapter={"r": 20})


def said(model, tool):
    return next(one for one in snippets(model) if one.tool == tool)


def test_a_model_is_run_in_five_tools():
    tools = [one.tool for one in snippets(MODEL) if one.code]
    assert tools == ["transformers", "burnish", "vLLM", "llama.cpp and Ollama", "lm-evaluation-harness"]


def test_the_rank_that_vllm_must_allow_is_the_next_that_it_knows():
    assert "--max-lora-rank 32 " in said(ADAPTER, "vLLM").code
    patterns = {"rank_pattern": {"q_proj": 40}, "alpha_pattern": {"q_proj": 40}}
    of_modules = replace(ADAPTER, adapter={"r": 20, "lora_alpha": 20, **patterns})
    assert "--max-lora-rank 64 " in said(of_modules, "vLLM").code


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "trained in full"),
        ({"trainable_token_indices": [1]}, "trained tokens"),
        ({"target_parameters": ["experts.gate_up_proj"]}, "stacked experts"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "biases"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"layer_replication": [[0, 2]]}, "replicate"),
        ({"r": 513}, "a rank above 512"),
        ({"r": 8, "rank_pattern": {"q_proj": 600}}, "a rank above 512"),
    ],
)
def test_an_adapter_that_vllm_does_not_load_says_so(config, why):
    found = said(replace(ADAPTER, adapter=config), "vLLM")
    assert why in found.text
    assert not found.code


@pytest.mark.parametrize(
    ("change", "tool", "text"),
    [
        ({"architecture": "OddForCausalLM"}, "vLLM", "Unknown"),
        ({"has_template": False}, "vLLM", "no chat template"),
        ({"gguf": False}, "llama.cpp and Ollama", "does not write this family"),
        ({"is_quantized": True}, "llama.cpp and Ollama", "quantized"),
    ],
)
def test_what_does_not_hold_is_not_shown(change, tool, text):
    assert text in said(replace(MODEL, **change), tool).text


def test_without_a_template_the_prompt_is_text():
    code = said(replace(MODEL, has_template=False), "transformers").code
    assert "apply_chat_template" not in code
    assert "--apply_chat_template" not in said(replace(MODEL, has_template=False), "lm-evaluation-harness").code


def test_a_model_without_a_tokenizer_or_next_token_has_no_snippet():
    assert list(snippets(replace(MODEL, has_tokenizer=False))) == []
    assert list(snippets(replace(MODEL, kind="masked"))) == []
    assert "AutoModelForSequenceClassification" in said(replace(MODEL, kind="reward"), "transformers").code


def test_serving_is_shown_once_burnish_serves():
    assert "burnish serve" not in said(MODEL, "burnish").code
    assert "burnish serve" in said(replace(MODEL, stages=frozenset(["serve"])), "burnish").code
