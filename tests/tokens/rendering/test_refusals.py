"""Exact refusals: which tokens are control tokens, where one is named, parts that are omitted, rows of other kinds."""

import pytest
from tests.tokens.conftest import LETTER_SPECIALS

from burnish.core.catalog import stages
from burnish.core.errors import BurnishError, DataError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.refusals import wrong_kind
from burnish.tokens.rendering.renderer import Renderer

CALLS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
    "({{ c.function.arguments.place }})<|call|>{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ASKED = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]


def refusal(renderer: Renderer, messages, tools=None) -> BurnishError | None:
    try:
        renderer.render({"kind": "chat", "source": "x:1", "messages": messages, **({"tools": tools} if tools else {})})
    except BurnishError as error:
        return error
    return None


def named(error: BurnishError | None) -> str:
    """Where a control token is, and which."""
    if error is None:
        return ""
    assert error.code == "data.control-token"
    return error.what.removeprefix("x:1: ").removesuffix(", which would end or open a turn")


@pytest.mark.parametrize("token", LETTER_SPECIALS)
@pytest.mark.parametrize(
    ("template", "control"),
    [
        (CALLS, {"<bos>", "<eos>", "<|user|>", "<|assistant|>", "<|end|>"}),
        (
            CALLS.replace("<|call|>", "").replace("<|end|>", "{{ '<|call|>' if m.tool_calls else '<|end|>' }}"),
            {"<bos>", "<eos>", "<|user|>", "<|assistant|>", "<|end|>", "<|call|>"},
        ),
        (
            CALLS.replace("<|call|>", "")
            .replace("%}<|assistant|>{%", "%}<|assistant|><|tool|>{%")
            .replace("{{ m.content", "{{ '<|tool|>' if m.role == 'assistant' }}{{ m.content"),
            {"<bos>", "<eos>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>"},
        ),
    ],
    ids=["plain", "the end of a call", "of the prompt"],
)
def test_control_tokens_are_those_of_a_simple_conversation(letters, template, control, token):
    renderer = Renderer(letters(template))
    expected = f"message 1 (user) contains the control token {token}" if token in control else ""
    assert named(refusal(renderer, [{"role": "user", "content": f"a {token} b"}, ASKED[1]])) == expected


def test_a_tokenizer_without_bos_and_eos_has_the_control_tokens_of_its_template(letters):
    tokenizer = letters(CALLS, eos=None)
    tokenizer.bos_token = None
    assert named(refusal(Renderer(tokenizer), [{"role": "user", "content": "a<eos><bos>"}, ASKED[1]])) == ""
    assert named(refusal(Renderer(tokenizer), [{"role": "user", "content": "a<|end|>"}, ASKED[1]])) != ""


def test_the_longest_control_token_is_named(letters):
    for longer in ("<|end|>x", "<|end|>!"):
        template = CALLS.replace("<|end|>{%", "{{ '" + longer + "' if m.role == 'user' else '<|end|>' }}{%")
        renderer = Renderer(letters(template, more=(longer,)))
        for text, token in ((f"a{longer}b", longer), ("a<|end|>b", "<|end|>")):
            assert named(refusal(renderer, [{"role": "user", "content": text}, ASKED[1]])).endswith(f"token {token}")


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("messages", "tools", "place"),
    [
        ([ASKED[0], {"role": "assistant", "content": "<|end|>"}], None, "message 2 (assistant)"),
        (
            [*ASKED, {"role": "user", "content": "<|end|>"}, {**ASKED[1], "content": "<|user|>"}],
            None,
            "message 3 (user)",
        ),
        ([ASKED[0], {**ASKED[1], "reasoning_content": "<|end|>"}], None, "message 2 (assistant)"),
        ([ASKED[0], {**ASKED[1], "tool_calls": [{**CALL, "id": "<|end|>"}]}], None, "message 2 (assistant)"),
        (ASKED, [{"function": {"name": "f", "parameters": {"properties": {"<|end|>": {}}}}}], "a tool"),
        ([{**ASKED[0], "content": "<|end|>"}, ASKED[1]], [{"function": {"name": "<|end|>"}}], "message 1 (user)"),
    ],
)
def test_the_message_or_tool_with_a_control_token_is_named(letters, messages, tools, place):
    assert named(refusal(Renderer(letters(CALLS)), messages, tools)) == f"{place} contains the control token <|end|>"


@pytest.mark.parametrize("train_on", ["assistant", "all"])
def test_a_control_token_is_refused_whatever_is_learned(letters, train_on):
    renderer = Renderer(letters(CALLS), RenderSpec(train_on=train_on))
    assert named(refusal(renderer, [{"role": "user", "content": "a<|end|>"}, ASKED[1]])) != ""


DEAF = CALLS.replace("for m in messages", "for m in messages if m.role != 'system'")
SHOWING = "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}"
TOOLS = [{"type": "function", "function": {"name": "f"}}]
SYSTEM = [{"role": "system", "content": "be brief"}, *ASKED]


@pytest.mark.parametrize(
    ("template", "messages", "tools", "missing"),
    [
        (CALLS, ASKED, TOOLS, "tools"),
        (SHOWING + CALLS, ASKED, TOOLS, ""),
        (CALLS, SYSTEM, None, ""),
        (DEAF, SYSTEM, None, "system messages"),
        (DEAF, ASKED, None, ""),
        (DEAF, SYSTEM, TOOLS, "tools"),
        (SHOWING + DEAF, SYSTEM, TOOLS, "system messages"),
    ],
)
def test_tools_and_system_messages_that_are_omitted_are_refused(letters, template, messages, tools, missing):
    error = refusal(Renderer(letters(template)), messages, tools)
    if not missing:
        assert error is None
        return
    assert error is not None
    assert (error.code, error.what) == (
        "model.inexact-template",
        f"x:1: the row has {missing}, which the chat template omits",
    )
    assert "remove them from the rows" in error.fix


@pytest.mark.parametrize(
    ("kind", "purpose", "known"),
    [
        ("preference", "preference training", {"dpo", "orpo", "simpo", "cpo", "ipo", "reward"}),
        ("label", "training on good and bad answers", {"kto"}),
        ("prompt", "generation", {"grpo", "ppo", "generate"}),
        ("other", "another purpose", set()),
    ],
)
def test_a_row_of_another_kind_names_the_stages_that_exist(kind, purpose, known):
    error = wrong_kind(kind)
    assert isinstance(error, DataError)
    assert error.what == f"the row is of kind {kind}, for {purpose}; this stage supports rows of kind chat and text"
    present = [name for name in error.fix.split() if name.strip(";,") in known]
    assert {name.strip(";,") for name in present} == known & set(stages())
    begin = f"for {kind} rows use the stage " if present else f"for {kind} rows no stage supports them yet; "
    assert error.fix.startswith(begin)
    assert error.code == "data.unknown-format"


@pytest.mark.parametrize("kind", ["text", "label", "preference"])
def test_a_stage_that_samples_answers_asks_for_prompts(kind):
    fix = wrong_kind(kind, ("prompt", "chat")).fix
    assert "this stage needs prompts" in fix
    assert "sft, write the answer" not in fix
