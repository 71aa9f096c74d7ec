"""Turn weights of rows; weights without effect are reported."""

import pytest

from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML


@pytest.mark.parametrize(
    ("train_on", "weights", "overruled"),
    [
        ("assistant", {1: 0.0, 3: 0.5}, 0),
        ("assistant", {0: 1.0}, 1),
        ("assistant", {0: 0.0}, 0),
        ("completion", {1: 1.0, 3: 1.0}, 1),
        ("completion", {1: 0.0}, 0),
        ("all", {1: 0.0}, 1),
        ("all", {1: 1.0}, 0),
    ],
)
def test_a_weight_without_effect_is_reported(toy_tokenizer, train_on, weights, overruled):
    roles = ("user", "assistant", "user", "assistant")
    messages = [{"role": role, "content": f"turn {index}"} for index, role in enumerate(roles)]
    for index, weight in weights.items():
        messages[index]["weight"] = weight
    renderer = Renderer(toy_tokenizer(CHATML), RenderSpec(train_on=train_on))
    renderer.render({"kind": "chat", "source": "rows.jsonl:7", "messages": messages})
    assert renderer.counts["overruled"] == overruled
    assert renderer.warnings() == ["1 rows have a turn weight that train_on overrides"] * overruled
