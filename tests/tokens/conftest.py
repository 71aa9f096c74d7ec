"""A small byte-level tokenizer with the special tokens of any template, and conversations of all kinds."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = re.compile(
    r"<[^<>\s{}'\"$=+]*[|｜][^<>\s{}'\"$=+]*>"
    r"|<(?:start_of_turn|end_of_turn|start_of_image|end_of_utterance|image)>|</s>"
)
VISIBLE = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
WORDS = ["hello there, what is the weather in Berlin today? assistant user system model tool"] * 4 + ["天气很好"] * 4

ToyTokenizer = Callable[..., PreTrainedTokenizerFast]


@pytest.fixture(scope="session")
def toy_tokenizer() -> ToyTokenizer:
    """Make a tokenizer for a template: a few byte merges, and the special tokens in `source`."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained.train_from_iterator(
        WORDS, trainers.BpeTrainer(vocab_size=400, show_progress=False, initial_alphabet=alphabet)
    )
    saved = trained.to_str()

    def make(template: str | None, source: str | None = None) -> PreTrainedTokenizerFast:
        tokenizer = Tokenizer.from_str(saved)
        specials = set(SPECIAL.findall(source or template or ""))
        tokenizer.add_special_tokens(["<bos>", "<eos>", *sorted(specials)])
        tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in VISIBLE])
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", chat_template=template
        )

    return make


LETTER_SPECIALS = ["<bos>", "<eos>", "<|im_start|>", "<|im_end|>"]
LETTER_SPECIALS += ["<|user|>", "<|assistant|>", "<|system|>", "<|tool|>", "<|end|>", "<|call|>"]


@pytest.fixture(scope="session")
def letters() -> ToyTokenizer:
    """Make a tokenizer in which each character, or byte outside ASCII, is a token, and each of LETTER_SPECIALS."""
    vocabulary = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}

    def make(template: str | None, eos: str | None = "<eos>", more: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([*LETTER_SPECIALS, *more])
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<bos>", eos_token=eos, chat_template=template
        )

    return make


def make_message(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def call(arguments: str = '{"place": "Köln", "days": 2}', number: int = 1) -> dict[str, Any]:
    return {
        "id": f"callid00{number}",
        "type": "function",
        "function": {"name": "weather", "arguments": arguments},
    }


def result(content: str, number: int = 1) -> dict[str, Any]:
    return make_message("tool", content, name="weather", tool_call_id=f"callid00{number}")


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "place": {"type": "string", "description": "Where"},
                    "days": {"type": "integer", "description": "How many"},
                },
                "required": ["place"],
            },
        },
    }
]
TWO_CALLS = [call(), call('{"place": "北京"}', 2)]


@pytest.fixture(scope="session")
def conversations() -> dict[str, list[dict[str, Any]]]:
    """Messages by name; those with a tool call use `tools`."""
    return {
        "single": [make_message("user", "Hello 你好"), make_message("assistant", "Hi 🙂 there, 天气很好")],
        "several turns": [
            make_message("user", "Hello"),
            make_message("assistant", "One"),
            make_message("user", "And?"),
            make_message("assistant", "Two 🙂"),
            make_message("user", "Then?"),
            make_message("assistant", "Three 三"),
        ],
        "system": [
            make_message("system", "Be brief. 简短"),
            make_message("user", "Hello"),
            make_message("assistant", "Hi"),
            make_message("user", "More"),
            make_message("assistant", "No"),
        ],
        "tool call": [make_message("user", "Weather?"), make_message("assistant", "", tool_calls=[call()])],
        "tool result": [
            make_message("user", "Weather?"),
            make_message("assistant", "", tool_calls=[call()]),
            result("sunny 🙂"),
            make_message("assistant", "It is sunny"),
        ],
        "two tool results": [
            make_message("system", "S"),
            make_message("user", "Weather?"),
            make_message("assistant", "", tool_calls=TWO_CALLS),
            result("sunny"),
            result("rain", 2),
            make_message("assistant", "Mixed"),
            make_message("user", "Thanks"),
            make_message("assistant", "Welcome"),
        ],
        "thinking": [
            make_message("user", "1+1?"),
            make_message("assistant", "2", reasoning_content="One and one, 想 🙂"),
        ],
        "thinking in several turns": [
            make_message("user", "1+1?"),
            make_message("assistant", "2", reasoning_content="Hm"),
            make_message("user", "2+2?"),
            make_message("assistant", "4", reasoning_content="So"),
        ],
        "thinking and tools": [
            make_message("user", "Weather?"),
            make_message("assistant", "", reasoning_content="Ask", tool_calls=[call()]),
            result("sunny"),
            make_message("assistant", "Sun", reasoning_content="Good"),
        ],
    }


@pytest.fixture(scope="session")
def weather_tools() -> list[dict[str, Any]]:
    return TOOLS
