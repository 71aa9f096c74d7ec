"""Every learned turn follows the same tokens as at inference, for every template in TRL.

The tokens before a turn at inference are rendered and tokenised by transformers: the generation prompt of the messages
before the turn, in some reasoning mode.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tokens.rendering.test_ground_truth import SOURCES
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

from burnish.core.errors import BurnishError, DataError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.renderer import Renderer

ROOM = 1_000_000
TWO = [
    {"role": "user", "content": "1+0?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": "2"},
]
OWN_MARKERS = {"deepseek_r1_distill_training", "deepseekv3_training", "diffusion_gemma_training", "gptoss_training"}
"""Their markers do not start where their generation prompts end: used as they are, and counted."""
REFUSED = {"deepseek_r1_distill", "deepseekv3"}


def row(messages: list[dict[str, Any]], tools: Any = None) -> dict[str, Any]:
    return {"kind": "chat", "source": "rows.jsonl:3", "messages": messages, **({"tools": tools} if tools else {})}


def runs(rendered: Any) -> Iterator[tuple[int, int]]:
    """(start, end) of the runs of learned tokens."""
    learned = [*(weight > 0 for weight in rendered.weights.tolist()), False]
    start = None
    for place, is_learned in enumerate(learned):
        if is_learned and start is None:
            start = place
        elif not is_learned and start is not None:
            yield start, place
            start = None


def prompts(renderer: Renderer, messages: list[dict[str, Any]], tools: Any) -> list[list[int]]:
    """The prompt tokens for the turn after `messages`, in each reasoning mode, from transformers."""
    shaped = renderer._dialect.shape_for(messages).messages(messages)
    found = []
    for mode in ({}, *renderer._dialect.modes):
        (text,), _ = render_jinja_template(
            [shaped],
            tools=tools,
            chat_template=renderer.template,
            add_generation_prompt=True,
            **renderer.tokenizer.special_tokens_map,
            **mode,
        )
        found.append(renderer.tokenizer(text, add_special_tokens=False)["input_ids"])
    return found


@pytest.fixture(scope="module")
def qwen_of(toy_tokenizer):
    """A tokenizer for a template; for Qwen's with the real vocabulary, from dashscope."""
    dashscope = pytest.importorskip("dashscope")
    from transformers.convert_slow_tokenizer import TikTokenConverter

    vocabulary = Path(dashscope.__file__).parent / "resources" / "qwen.tiktoken"
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    converted = TikTokenConverter(str(vocabulary), extra_special_tokens=specials).converted()
    converted.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"])

    @functools.cache  # a tokenizer copies the vocabulary of Qwen: 0.5 s
    def make(name: str) -> PreTrainedTokenizerFast:
        if not name.startswith("qwen"):
            return toy_tokenizer(SOURCES[name])
        return PreTrainedTokenizerFast(tokenizer_object=converted, eos_token="<|im_end|>", chat_template=SOURCES[name])

    return make


@pytest.mark.some(every=3)
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_learned_turn_follows_its_generation_prompt_or_is_counted(name, qwen_of, conversations, weather_tools):
    tokenizer, compared = qwen_of(name), 0
    for kind, messages in conversations.items():
        renderer = Renderer(tokenizer, RenderSpec(max_length=ROOM))
        tools = weather_tools if "tool" in kind and renderer._dialect.shows_tools else None
        try:
            samples = renderer.render(row(messages, tools))
        except BurnishError:
            continue
        left = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        asked = {index: prompts(renderer, messages[:index], tools) for index in left}
        for sample in samples:
            ids = sample.ids.tolist()
            for start, end in runs(sample):
                turn = next((i for i in left if any(follows(ids, prompt, start, end) for prompt in asked[i])), None)
                if turn is not None:
                    left.remove(turn)
                    text = tokenizer.decode(ids[start:end])
                    assert messages[turn]["content"] in text
                    assert set(ids[start:end]) & set(renderer.stop_ids) or name in OWN_MARKERS
                else:
                    assert name in OWN_MARKERS, f"{kind}: {tokenizer.decode(ids[:end])}"
        assert len(left) == renderer.counts["unprompted"], kind
        other_mode = renderer.counts["thinking_on"] + renderer.counts["thinking_off"] + renderer.counts["unprompted"]
        asked_as_learned = any(
            sample.ids.tolist()[: len(asked[max(asked)][0])] == asked[max(asked)][0] for sample in samples
        )
        assert asked_as_learned or other_mode, kind
        compared += 1
    assert compared >= 4 or name in REFUSED


def follows(ids: list[int], prompt: list[int], start: int, end: int) -> bool:
    """Whether a sample starts with `prompt`, and its learned run [start, end) starts at its end or before."""
    return ids[: len(prompt)] == prompt and start <= len(prompt) <= end


@pytest.fixture
def make(qwen_of):
    def renderer(name: str = "qwen3", **settings: Any) -> Renderer:
        return Renderer(qwen_of(name), RenderSpec(**{"max_length": ROOM, **settings}))

    return renderer


def learned(renderer: Renderer, samples: list[Any]) -> list[list[str]]:
    """The learned texts of each sample."""
    return [
        [renderer.tokenizer.decode(sample.ids[start:end].tolist()) for start, end in runs(sample)] for sample in samples
    ]


def test_a_turn_that_the_template_rewrites_is_learned_from_a_separate_sample(make):
    renderer = make()
    samples = renderer.render(row(TWO))
    assert learned(renderer, samples) == [
        ["<think>\n\n</think>\n\n2<|im_end|>\n"],
        ["<think>\n\n</think>\n\n1<|im_end|>\n"],
    ]
    assert samples[1].text.endswith("1<|im_end|>\n")
    assert renderer.warnings() == [
        "1 turns are rendered differently when more turns follow: learned from separate samples"
    ]


def test_a_rewritten_turn_is_masked_or_learned_as_shown_on_request(make):
    renderer = make(rewritten_turns="mask")
    assert learned(renderer, renderer.render(row(TWO))) == [["<think>\n\n</think>\n\n2<|im_end|>\n"]]
    assert renderer.counts["rewritten_masked"] == 1
    renderer = make(rewritten_turns="as_shown")
    shown = learned(renderer, renderer.render(row(TWO)))
    assert shown == [["1<|im_end|>\n", "<think>\n\n</think>\n\n2<|im_end|>\n"]]
    assert renderer.counts["rewritten_as_shown"] == 1


def test_turns_in_one_prefix_share_a_sample(make, conversations, weather_tools):
    renderer = make()
    messages = [
        *conversations["thinking and tools"],
        {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": "Welcome", "reasoning_content": "Done"},
    ]
    last, earlier = learned(renderer, renderer.render(row(messages, weather_tools)))
    assert [text.split("<think>\n")[1].split("\n")[0] for text in last + earlier] == ["Done", "Ask", "Good"]
    assert renderer.counts["rewritten"] == 2


def test_samples_keep_the_weights_of_their_turns(make):
    messages = [dict(message) for message in TWO]
    messages[1]["weight"], messages[3]["weight"] = 0.5, 2.0
    weights = [set(sample.weights.tolist()) for sample in make().render(row(messages))]
    assert weights == [{0.0, 2.0}, {0.0, 0.5}]


def test_a_length_limit_applies_to_each_sample(make):
    renderer = make()
    longer, shorter = (len(sample) for sample in renderer.render(row(TWO)))
    assert shorter < longer
    with pytest.raises(DataError, match=r"rows\.jsonl:3"):
        make(max_length=shorter).render(row(TWO))
    renderer = make(max_length=shorter, over_length="drop")
    (kept,) = renderer.render(row(TWO))
    assert len(kept) == shorter
    assert renderer.counts["samples_dropped"] == 1
    assert renderer.counts["dropped"] == 0
    renderer = make(max_length=8, over_length="drop")
    assert renderer.render(row(TWO)) == []
    assert (renderer.counts["samples_dropped"], renderer.counts["dropped"]) == (0, 1)


def test_a_turn_that_no_rendering_contains_is_composed_as_at_inference(make, conversations, weather_tools):
    """gpt-oss renders the reasoning before a call until the call is answered, and drops it from finished answers."""
    renderer, messages = make("gptoss"), conversations["thinking and tools"]
    answer, _ = renderer.render(row(messages, weather_tools))
    text, ids = renderer.prompt(row(messages, weather_tools))
    assert "Ask" in text
    assert answer.ids.tolist()[: len(ids)] == ids
    assert answer.text.startswith(text)
    assert "Good" in answer.text


def test_an_answer_of_several_turns_stays_one_sample_for_preferences(make, conversations, weather_tools):
    question, *answer = conversations["tool result"]
    renderer = make()
    whole = renderer.render_answer([question], answer, weather_tools)
    assert whole is not None
    assert learned(renderer, [whole]) == [["<think>\n\n</think>\n\nIt is sunny<|im_end|>\n"]]
    assert renderer.counts["rewritten_masked"] == 1


@pytest.mark.parametrize("name", ["qwen3", "qwen3_5_nothink", "qwen2_5", "llama3", "gptoss"])
def test_inference_matches_what_was_learned(make, name):
    renderer = make(name)
    samples = [sample.ids.tolist() for sample in renderer.render(row(TWO))]
    for count in (2, 4):
        _, ids = renderer.prompt(row(TWO[:count]))
        assert sum(sample[: len(ids)] == ids for sample in samples) >= 1
        assert renderer.answer(row(TWO[:count])).endswith(TWO[count - 1]["content"])


def test_turns_without_reasoning_are_rendered_as_at_inference_without_thinking(make):
    renderer = make("qwen3_8")
    (sample,) = renderer.render(row(TWO))
    assert "Reasoning effort" not in sample.text
    assert renderer.counts["thinking_off"] == 2
    renderer = make("qwen3_8")
    thinking = [*TWO[:3], {**TWO[3], "reasoning_content": "One and one"}]
    (sample,) = renderer.render(row(thinking[2:]))
    assert "Reasoning effort" in sample.text
    assert renderer.counts["thinking_off"] == 0


@pytest.mark.parametrize("name", ["qwen3_8", "qwen3_6", "nemotron_3_nano", "qwen3_5_nothink"])
def test_the_mode_in_which_all_turns_were_learned_becomes_the_default(make, name):
    other, thought = make(name), name == "qwen3_5_nothink"
    messages = [TWO[0], {**TWO[1], **({"reasoning_content": "Hm"} if thought else {})}]
    (sample,) = other.render(row(messages))
    assert other.counts["thinking_on" if thought else "thinking_off"] == 1
    saved = Renderer(other.tokenizer, RenderSpec(max_length=ROOM, chat_template=other.template_in_use))
    _, ids = saved.prompt(row(messages))
    assert sample.ids.tolist()[: len(ids)] == ids
    assert other.prompt(row(messages))[1] != ids
    assert saved.render(row(messages))[0].ids.tolist() == sample.ids.tolist()
    assert saved.counts["thinking_on"] == saved.counts["thinking_off"] == 0
    for mode in other._dialect.modes:  # an explicit mode still has an effect
        asked = [each._dialect.trace(messages[:1], prompt=True, mode=mode).text for each in (saved, other)]
        assert asked[0] == asked[1]


def test_a_default_mode_is_only_changed_for_all_turns(make):
    renderer = make("qwen3_6")
    renderer.render(row(TWO[:2]))
    renderer.render(row([TWO[0], {**TWO[1], "reasoning_content": "Hm"}]))
    assert (renderer.counts["thinking_off"], renderer.counts["turns"]) == (1, 2)
    assert renderer.template_in_use == renderer.template
