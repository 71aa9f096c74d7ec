"""How to run an exported model in other tools: only what holds for this model, and why a tool is left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from burnish.models.adapters.vllm import fitting_rank, rank_of, reason_not_loaded

HERE = "path/to/this/folder"
"""Stands for the model in a card; an upload replaces it by the name of the repository."""
_VLLM = (
    *("LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "Qwen2ForCausalLM", "Qwen2MoeForCausalLM"),
    *("Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM"),
    *("Phi3ForCausalLM", "GPT2LMHeadModel", "OlmoForCausalLM", "Olmo2ForCausalLM"),
    *("CohereForCausalLM", "Cohere2ForCausalLM", "GraniteForCausalLM", "DeepseekV3ForCausalLM", "GptOssForCausalLM"),
)
"""Architectures in vLLM's own registry of models; of others nothing is said."""


@dataclass(frozen=True)
class Runnable:
    """What decides how a model is run."""

    kind: str
    """`causal`, `reward`, or another pipeline."""
    architecture: str
    has_template: bool
    has_tokenizer: bool
    is_adapter: bool
    is_quantized: bool
    base: str
    """The name of an adapter's base on the hub; "" if it is elsewhere."""
    adapter: dict[str, Any]
    """PEFT's config of an adapter."""
    gguf: bool
    """Whether `burnish gguf` writes this family."""
    stages: frozenset[str]
    """The stages of this burnish."""


@dataclass(frozen=True)
class Snippet:
    """One tool: code in a language, or `text` alone where it does not run the model."""

    tool: str
    text: str = ""
    code: str = ""
    language: str = "sh"


def snippets(model: Runnable) -> Iterator[Snippet]:
    """The tools, in the order in which a card shows them."""
    if model.kind == "reward":
        merged = Snippet(
            "transformers", "Export the merged model (`form: model`): this adapter holds a head of its own."
        )
        yield merged if model.is_adapter else _reward(model)
        yield Snippet("burnish", code=f"burnish evaluate --model file:{HERE} --data file:rows.jsonl")
        return
    if model.kind != "causal" or not model.has_tokenizer:
        return
    yield _transformers(model)
    yield _burnish(model)
    yield _vllm(model)
    yield from _llama(model)
    yield _harness(model)


def _transformers(model: Runnable) -> Snippet:
    load = f'''from transformers import AutoModelForCausalLM, AutoTokenizer

name = "{HERE}"
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
'''
    if model.is_adapter:
        load = f'''from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

name = "{HERE}"
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoPeftModelForCausalLM.from_pretrained(name, dtype="auto")
'''
    ask = """prompt = tokenizer("Once upon a time", return_tensors="pt")
"""
    if model.has_template:
        ask = """messages = [{"role": "user", "content": "Hello"}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
"""
    end = """answer = model.generate(**prompt, max_new_tokens=200)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
"""
    extra = "pip install transformers"
    if model.is_adapter:
        extra += " peft"
    if model.is_quantized:
        extra += ", and the package of the quantization, as transformers names it"
    tool = "PEFT and transformers" if model.is_adapter else "transformers"
    return Snippet(tool, f"`{extra}`" if not model.is_quantized else extra, load + ask + end, "python")


def _reward(model: Runnable) -> Snippet:
    code = f'''import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

name = "{HERE}"
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoModelForSequenceClassification.from_pretrained(name, dtype="auto")
messages = [{{"role": "user", "content": "Hello"}}, {{"role": "assistant", "content": "Hello, how can I help?"}}]
ids = tokenizer.apply_chat_template(messages, return_dict=True, return_tensors="pt")
with torch.no_grad():
    print(model(**ids).logits[0, 0].item())
'''
    return Snippet("transformers", "`pip install transformers`", code, "python")


def _burnish(model: Runnable) -> Snippet:
    lines = [f"burnish chat file:{HERE}"]
    if "serve" in model.stages:
        lines.append(f"burnish serve file:{HERE}")
    extras = "train,serve" if "serve" in model.stages else "train"
    return Snippet("burnish", f"`pip install 'burnish[{extras}]'`", "\n".join(lines) + "\n")


def _vllm(model: Runnable) -> Snippet:
    if not model.is_adapter:
        if model.architecture not in _VLLM:
            return Snippet("vLLM", f"Unknown: `{model.architecture}` is not among the families that were looked up.")
        text = "" if model.has_template else "It has no chat template: use `/v1/completions`."
        return Snippet("vLLM", text, f"vllm serve {HERE}\n")
    if why := reason_not_loaded(model.adapter):
        return Snippet("vLLM", f"vLLM does not load {why}: export the merged model (`form: model`).")
    if not model.base:
        return Snippet("vLLM", "The base is not on a hub: export the merged model (`form: model`).")
    allowed = fitting_rank(rank_of(model.adapter))
    serve = f"vllm serve {model.base} --enable-lora --max-lora-rank {allowed} --lora-modules tuned={HERE}\n"
    return Snippet("vLLM", "Ask for the model `tuned`.", serve)


def _llama(model: Runnable) -> Iterator[Snippet]:
    if model.is_quantized or not model.gguf:
        why = "its weights are quantized" if model.is_quantized else "burnish does not write this family"
        yield Snippet("llama.cpp and Ollama", f"Not as GGUF from this folder: {why}.")
        return
    code = f"burnish gguf --model file:{HERE} --type Q4_K_M --name model\n"
    code += "# in the folder that it prints:\nllama-server -m model-Q4_K_M.gguf\nollama create my-model -f Modelfile\n"
    yield Snippet("llama.cpp and Ollama", "As one GGUF file; the Modelfile is Ollama's.", code)


def _harness(model: Runnable) -> Snippet:
    arguments = f"pretrained={HERE}"
    if model.is_adapter:
        if not model.base:
            return Snippet(
                "lm-evaluation-harness", "Name the folder of the base as `pretrained`, and this one as `peft`."
            )
        arguments = f"pretrained={model.base},peft={HERE}"
    chat = " --apply_chat_template" if model.has_template else ""
    return Snippet(
        "lm-evaluation-harness", "", f"lm_eval --model hf --model_args {arguments} --tasks hellaswag{chat}\n"
    )
