"""System prompts, tools, several turns and calls in judged rows reach the model: every token is checked."""

import json

import pytest

from burnish.core.context import Input
from burnish.data.document import make_row
from burnish.specs.tokens import RenderSpec
from burnish.stages.tokens.rendering import LABELS, PAIRS, RowRenderer
from burnish.stages.tokens.tokenising import tokenised_split
from burnish.testing import temporary_context
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

TEMPLATE = (
    "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}[{{ call.function.name }} {{ call.function.arguments | tojson }}]{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find",
            "description": "Finds.",
            "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
        },
    }
]
CALL = {"type": "function", "function": {"name": "find", "arguments": {"what": "a"}}}
PROMPT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "Where is a?"},
]
GOOD = [
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "in the box"},
    {"role": "assistant", "content": "In the box."},
]
BAD = [{"role": "assistant", "content": "No idea."}]
PREFIX = (
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi.<|im_end|>\n"
    "<|im_start|>user\nWhere is a?<|im_end|>\n<|im_start|>assistant\n"
)
LEARNED = {
    "good": '[find {"what": "a"}]<|im_end|>\nIn the box.<|im_end|>\n',
    "bad": "No idea.<|im_end|>\n",
}


@pytest.mark.parametrize("kind", ["preference", "label"])
@pytest.mark.parametrize("with_tools", [False, True])
def test_prompt_and_answers_are_rendered_whole_and_only_the_answers_turns_are_learned(base, tmp_path, kind, with_tools):
    row = {"prompt": PROMPT} | ({"tools": TOOLS} if with_tools else {})
    row |= {"chosen": GOOD, "rejected": BAD} if kind == "preference" else {"completion": GOOD, "label": False}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    tokenizer = load_tokenizer(base)
    renderer = RowRenderer(tokenizer, RenderSpec(chat_template=TEMPLATE))
    context, _ = temporary_context(tmp_path / "run")
    layout = PAIRS if kind == "preference" else LABELS
    rows = tokenised_split(renderer, Input("file:d", "file", path), "train", context, layout=layout, processes=1).rows
    assert len(rows) == 1
    names = ("good", "bad") if kind == "preference" else ("good",)
    for name, span in zip(names, rows.spans(0), strict=True):
        text = tokenizer.decode(rows.ids[span])
        assert ("Finds." in text) is with_tools
        assert text.split("<|im_end|>\n", 1)[1].startswith(PREFIX) if with_tools else text.startswith(PREFIX)
        learned = rows.ids[span][rows.weights[span] > 0]
        assert tokenizer.decode(learned) == LEARNED[name]
    if kind == "label":
        assert rows.values["label"].tolist() == [0.0]


def test_a_reward_model_is_trained_on_the_tokens_that_it_scores_as_a_reward(base, tmp_path):
    tokenizer = load_tokenizer(base)
    row = make_row("preference", "a:1", messages=PROMPT, chosen=GOOD[-1:], rejected=BAD)
    trained = RowRenderer(tokenizer, RenderSpec()).to_train(row, PAIRS)
    scorer = Renderer(tokenizer, RenderSpec(train_on="all", max_length=512, over_length="drop"))  # as RewardModel does
    for piece, answer in zip(trained, (GOOD[-1:], BAD), strict=True):
        (scored,) = scorer.render(make_row("chat", "a:1", messages=PROMPT + answer))
        assert piece.ids.tolist() == scored.ids.tolist()
