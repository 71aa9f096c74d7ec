"""The text of a row is all that its layout makes of it, in every layout; personal data is masked in results, too."""

import copy
import json

import pytest

from burnish.data.cleaning.source import layout_of
from burnish.data.cleaning.views import places, view
from burnish.data.rewriting.calls import rewritten_calls
from burnish.data.rewriting.personal import Masked
from layouts import EXAMPLES

TURNS = ("messages", "chosen", "rejected", "completion")


def is_data(text: str) -> bool:
    """Numbers, true and false, and results of tools as JSON: no prose."""
    try:
        return json.loads(text) is not None
    except ValueError:
        return False


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_line_of_every_turn_is_in_the_text_of_a_row(tmp_path, name):
    raw, expected = copy.deepcopy(EXAMPLES[name])
    (tmp_path / "rows.jsonl").write_text(json.dumps(raw) + "\n")
    layout = layout_of(tmp_path / "rows.jsonl", "rows.jsonl", name.split()[0], (), None, None)
    text = view(places(raw, layout.columns))
    said = [turn["content"] for part in TURNS for turn in expected.get(part, ()) if not is_data(turn["content"])]
    lines = [line for content in [*said, expected.get("text", "")] for line in content.split("\n")]
    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize(
    "result",
    [
        {"toolResult": {"toolUseId": "1", "content": [{"json": {"mail": "ann@example.org"}}]}},
        {"functionResponse": {"name": "find", "response": {"mail": ["ann@example.org"]}}},
    ],
)
def test_personal_data_is_masked_in_results_of_tools(result):
    row = {"messages": [{"role": "user", "content": [result]}]}
    assert rewritten_calls(row["messages"], Masked("email", "[EMAIL]"))
    assert "ann@" not in json.dumps(row)
    assert "[EMAIL]" in json.dumps(row)
