"""A tokenizer as keys of a GGUF file: byte-level BPE, and SentencePiece's BPE with bytes.

llama.cpp cuts texts by regular expressions that have a name each; a tokenizer with another expression is refused. What
comes out is compared with the tokenizer itself in `proof`.
"""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from burnish.core.errors import ModelError
from burnish.tokens.cuts import DIGITS, NAMES, WORDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TAKEN = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"),
        *("<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<eos>"),
        *("<end_of_utterance>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[", "<|ifm|im_end|>"),
        *("<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>"),
        *("<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>"),
        *("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>"),
        *("<|prefix|>", "<|suffix|>", "<|fim_pad|>", "<fim-pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>"),
        *("<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>", "<|channel|>", "<|message|>", "<|start|>"),
        "<|constrain|>",
    )
)
"""Texts that llama.cpp takes for special tokens, whatever their type in the file (src/llama-vocab.cpp)."""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_NO_MERGE = "\uffff \uffff"
"""llama.cpp needs a list of merges, and a list cannot be empty; no text has this one."""

_NAMED = re.compile(r"(phi|modern)-?(3|bert)", re.IGNORECASE)
"""Names of models by which llama.cpp changes tokens, whatever the file says of them (src/llama-vocab.cpp)."""
_OF_PHI = ("<unk>", "<s>", "</s>", "<|endoftext|>")
"""Tokens that it needs in a model named Phi-3, whose special tokens then strip the white space after them."""

Keys = dict[str, Any]


def vocabulary_keys(tokenizer: "PreTrainedTokenizerBase", rows: int, ends: Sequence[int], name: str = "") -> Keys:
    """The keys of a tokenizer whose model has `rows` embeddings and ends answers at `ends`; `name` is the model's.

    The name is written so that llama.cpp treats special tokens as this tokenizer does.

    Errors: ModelError `model.unsupported` for a kind of tokenizer that a GGUF file cannot hold.
    """
    if not tokenizer.is_fast:
        raise _unsupported(f"{type(tokenizer).__name__} is no fast tokenizer")
    parts = _parts(tokenizer)
    model = parts["model"]
    if model["type"] != "BPE":
        raise _unsupported(f"it is a {model['type']} tokenizer, and BPE is needed")
    steps = _steps(parts["pre_tokenizer"])
    is_byte_level = any(step["type"] == "ByteLevel" for step in steps)
    if not is_byte_level and not model.get("byte_fallback"):
        raise _unsupported("it is neither byte-level nor falls back to bytes")
    tokens, types = _tokens(parts, rows, is_byte_level)
    for number in _hidden(tokenizer, tokens, types):
        tokens[number], types[number] = f"[UNUSED{number}]", UNUSED
    keys: Keys = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    if is_byte_level:
        keys |= {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": _name_of(steps, bool(model.get("ignore_merges"))),
            "tokenizer.ggml.merges": merges or [_NO_MERGE],
        }
    else:
        keys |= {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.pre": "default",
            "tokenizer.ggml.scores": _scores(tokens, types, merges),
            "tokenizer.ggml.add_space_prefix": _puts_a_space_first(parts),
        }
    keys |= {"general.name": _safe_name(name, parts)} if name else {}
    return keys | _special_tokens(tokenizer, rows, ends) | _template(tokenizer)


def _parts(tokenizer: "PreTrainedTokenizerBase") -> Any:
    """The definition of a fast tokenizer, as in tokenizer.json."""
    backend: Any = tokenizer.backend_tokenizer
    return json.loads(backend.to_str())


def _safe_name(name: str, parts: Any) -> str:
    added = {token["content"]: token for token in parts["added_tokens"]}
    strips = any(token["rstrip"] for token in added.values()) and all(
        token in added or token in parts["model"]["vocab"] for token in _OF_PHI
    )
    return f"{name} (phi-3)" if strips else _NAMED.sub(r"\1 \2", name)


def _steps(part: Any) -> list[Any]:
    """The steps of a normalizer or pre-tokenizer, those of sequences one after another."""
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    inner = part.get("pretokenizers") or part.get("normalizers") or []
    return [step for one in inner for step in _steps(one)]


def _name_of(steps: Sequence[Any], ignores_merges: bool) -> str:
    found: list[str] = []
    for step in steps:
        if step["type"] == "Split":
            pattern = step["pattern"].get("Regex")
            if pattern is None or step["behavior"] not in ("Isolated", "Removed"):
                raise _unsupported(f"it cuts texts by {step['pattern']} ({step['behavior']})")
            found.append(pattern)
        elif step["type"] == "Digits" and step.get("individual_digits"):
            found.append(DIGITS)
        elif step["type"] == "ByteLevel":
            if step.get("add_prefix_space"):
                raise _unsupported("it puts a space before each text")
            found += [WORDS] if step.get("use_regex", True) else []
        else:
            raise _unsupported(f"it cuts texts by {step['type']}")
    name = NAMES.get((", ".join(found), ignores_merges))
    if name is None:
        how = " with whole words as tokens" if ignores_merges else ""
        raise _unsupported(f"llama.cpp has no name for how it cuts texts: {', '.join(found) or 'not at all'}{how}")
    return name


def _tokens(parts: Any, rows: int, is_byte_level: bool) -> tuple[list[str], list[int]]:
    """The text and type of each id; ids past the embedding, such as placeholders of images, are left out."""
    tokens, types = [f"[PAD{number}]" for number in range(rows)], [UNUSED] * rows
    model = parts["model"]
    for token, number in model["vocab"].items():
        if number < rows:
            tokens[number], types[number] = token, NORMAL
            if not is_byte_level and _is_byte(token):
                types[number] = BYTE
            elif not is_byte_level and token == model.get("unk_token"):
                types[number] = UNKNOWN
    for added in parts["added_tokens"]:
        if added["id"] < rows:
            number, text = added["id"], added["content"]
            if types[number] != UNKNOWN:
                types[number] = CONTROL if added["special"] else USER_DEFINED
            tokens[number] = text if added["special"] or is_byte_level else text.replace("▁", " ")
    return tokens, types


def _hidden(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[str], types: Sequence[int]) -> list[int]:
    """Tokens that llama.cpp would find in a text, and the tokenizer never gives for theirs, such as Qwen's `</s>`."""
    found = [number for number, token in enumerate(tokens) if types[number] == NORMAL and token in _TAKEN]
    backend: Any = tokenizer.backend_tokenizer
    return [number for number in found if backend.encode(tokens[number], add_special_tokens=False).ids != [number]]


def _is_byte(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _scores(tokens: Sequence[str], types: Sequence[int], merges: Sequence[str]) -> list[float]:
    """Of each token: the earlier its merge, the higher."""
    rank: dict[str, int] = {}
    for number, merge in enumerate(merges):
        rank.setdefault(merge.replace(" ", "", 1), number)
    last = float(len(merges) + 1)
    return [
        -float(rank.get(token, last)) if kind == NORMAL else -1000.0 for token, kind in zip(tokens, types, strict=True)
    ]


def _puts_a_space_first(parts: Any) -> bool:
    for step in (*_steps(parts["normalizer"]), *_steps(parts["pre_tokenizer"])):
        if step["type"] == "Prepend" or (step["type"] == "Metaspace" and step.get("prepend_scheme") != "never"):
            return True
    return False


def _special_tokens(tokenizer: "PreTrainedTokenizerBase", rows: int, ends: Sequence[int]) -> Keys:
    keys: Keys = {}
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None and number < rows:
            key = {"unk": "unknown", "pad": "padding"}.get(name, name)
            keys[f"tokenizer.ggml.{key}_token_id"] = int(number)
    plain, whole = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (False, True))
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    before, after = _around(list(plain), list(whole))
    if before not in ([], [bos]) or after not in ([], [eos]):
        raise _unsupported(f"it puts tokens {before} before and {after} after each text")
    keys["tokenizer.ggml.add_bos_token"], keys["tokenizer.ggml.add_eos_token"] = bool(before), bool(after)
    other = [number for number in ends if number != keys.get("tokenizer.ggml.eos_token_id") and number < rows]
    if "tokenizer.ggml.eos_token_id" not in keys and other:
        keys["tokenizer.ggml.eos_token_id"] = int(other.pop(0))
    for name, number in zip(("eot", "eom"), other, strict=False):
        keys[f"tokenizer.ggml.{name}_token_id"] = int(number)
    return keys


def _around(plain: list[int], whole: list[int]) -> tuple[list[int], list[int]]:
    """What stands before and after `plain` in `whole`."""
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    raise _unsupported("the special tokens that it adds change the others")


def _template(tokenizer: "PreTrainedTokenizerBase") -> Keys:
    template: Any = tokenizer.chat_template
    if template is None:
        return {}
    if isinstance(template, str):
        return {"tokenizer.chat_template": template}
    named = {name: text for name, text in template.items() if name != "default"}
    keys: Keys = {f"tokenizer.chat_template.{name}": text for name, text in named.items()}
    if named:
        keys["tokenizer.chat_templates"] = sorted(named)
    return keys | ({"tokenizer.chat_template": template["default"]} if "default" in template else {})


def _unsupported(why: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"the tokenizer cannot be written to a GGUF file: {why}",
        "serve the safetensors model with another engine, or use llama.cpp's own converter",
    )
