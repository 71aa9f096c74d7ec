"""The learned tokens of real templates, compared with the manual generation markers in TRL.

TRL has the plain templates of model families (NAME.jinja) and, for most, one with markers (NAME_training.jinja).
burnish only gets the plain one; the marked one defines the expected tokens, computed independently of burnish.
Differences are listed in differences.json with reasons, and the list must be exact.

    BURNISH_WRITE_DOCS=1 pytest tests/tokens/rendering/test_ground_truth.py  # writes chat-templates.md
"""

import itertools
import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from burnish.core.errors import BurnishError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.conversation import Shape

pytest.importorskip("trl")
FOLDER = Path(str(files("trl"))) / "chat_templates"
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.jinja")}
PAIRS = sorted(name for name in SOURCES if f"{name}_training" in SOURCES)
ALONE = sorted(name for name in SOURCES if name not in PAIRS and not name.endswith("_training"))
MARKED = sorted(name for name in SOURCES if "generation %}" in SOURCES[name] or "generation -%}" in SOURCES[name])
LISTED = json.loads(Path(__file__).with_name("differences.json").read_text(encoding="utf-8"))
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "chat-templates.md"
ROOM = RenderSpec(max_length=1_000_000, rewritten_turns="as_shown")  # as the training templates render
_BAR = "\\|"  # a bar inside a Markdown table


def by_markers(tokenizer: Any, messages: list[dict[str, Any]], tools: Any) -> tuple[list[int], list[bool]]:
    """Ids, and which of them overlap marked text, from transformers' rendering and offsets."""
    (text,), (marked,) = render_jinja_template(
        [messages],
        tools=tools,
        chat_template=tokenizer.chat_template,
        return_assistant_tokens_mask=True,
        **tokenizer.special_tokens_map,
    )
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    learned = [any(s < end and e > start for start, end in marked) for s, e in found["offset_mapping"]]
    return found["input_ids"], learned


def outcome(plain: Any, training: Any, messages: list[dict[str, Any]], tools: Any) -> str:
    """Compare our rendering with the plain template to the training template's markers."""
    ours, theirs = Renderer(plain, ROOM), Renderer(training, ROOM)
    row = {"kind": "chat", "source": "test:1", "messages": messages}
    if tools and ours._dialect.shows_tools:
        row["tools"] = tools
    try:
        shape: Shape = theirs._dialect.shape_for(messages)
        ids, learned = by_markers(training, shape.messages(messages), row.get("tools"))
    except BurnishError:  # the family does not support tool calls
        ids, learned = [], []
    except Exception:  # the template refuses
        ids, learned = [], []
    try:
        (rendered,) = ours.render(row)
    except BurnishError:
        return "refused" if ids else "not expressible"
    ours_learned = [weight > 0 for weight in rendered.weights]
    if rendered.ids.tolist() == ids:
        only_ours = runs(plain, ids, [a and not b for a, b in zip(ours_learned, learned, strict=True)])
        only_theirs = runs(plain, ids, [b and not a for a, b in zip(ours_learned, learned, strict=True)])
        notes = [f"more: {text!r}" for text in only_ours] + [f"less: {text!r}" for text in only_theirs]
        return ", ".join(notes) or "equal"
    same = _spoken(runs(plain, rendered.ids.tolist(), ours_learned)) == _spoken(runs(training, ids, learned))
    return "other text, equal but for thoughts" if same else "other text"


def runs(tokenizer: Any, ids: list[int], chosen: list[bool]) -> list[str]:
    """The distinct texts of the runs of chosen tokens."""
    found: list[str] = []
    for wanted, run in itertools.groupby(zip(ids, chosen, strict=True), key=lambda pair: pair[1]):
        if wanted and (text := tokenizer.decode([token for token, _ in run])) not in found:
            found.append(text)
    return found


def _spoken(turns: list[str]) -> list[str]:
    return [re.sub(r"<think>.*?</think>\s*", "", turn, flags=re.DOTALL) for turn in turns]


@pytest.fixture(scope="module")
def outcomes(toy_tokenizer, conversations, weather_tools) -> dict[str, dict[str, str]]:
    """Per family and conversation."""
    found: dict[str, dict[str, str]] = {}
    for name in PAIRS:
        source = SOURCES[name] + SOURCES[f"{name}_training"]
        plain = toy_tokenizer(SOURCES[name], source)
        training = toy_tokenizer(SOURCES[f"{name}_training"], source)
        found[name] = {
            kind: outcome(plain, training, messages, weather_tools if "tool" in kind else None)
            for kind, messages in conversations.items()
        }
    return found


def test_plain_templates_give_the_learned_tokens_of_the_training_templates_but_for_the_listed(outcomes):
    found = {
        (name, kind, result)
        for name, results in outcomes.items()
        for kind, result in results.items()
        if result not in ("equal", "not expressible")
    }
    listed = {(entry["family"], kind, entry["outcome"]) for entry in LISTED for kind in entry["conversations"]}
    assert found - listed == set(), "differences that are not listed"
    assert listed - found == set(), "listed differences that no longer exist"
    assert all(entry["reason"] for entry in LISTED)


def test_most_conversations_are_equal(outcomes):
    results = [result for each in outcomes.values() for result in each.values() if result != "not expressible"]
    assert len(PAIRS) >= 30
    assert results.count("equal") / len(results) > 0.6


@pytest.mark.some(every=2)
@pytest.mark.parametrize("name", MARKED)
def test_markers_of_a_template_are_used_as_they_are(name, toy_tokenizer, conversations, weather_tools):
    renderer = Renderer(toy_tokenizer(SOURCES[name]), ROOM)
    compared = 0
    for kind, messages in conversations.items():
        row: dict[str, Any] = {"kind": "chat", "source": "test:1", "messages": messages}
        if "tool" in kind and renderer._dialect.shows_tools:
            row["tools"] = weather_tools
        try:
            (rendered,) = renderer.render(row)
        except BurnishError:
            continue
        shape = renderer._dialect.shape_for(messages)
        ids, learned = by_markers(renderer.tokenizer, shape.messages(messages), row.get("tools"))
        assert rendered.ids.tolist() == ids
        assert [weight > 0 for weight in rendered.weights] == learned
        compared += 1
    assert renderer.method == "generation markers"
    assert compared >= 4


@pytest.mark.parametrize("name", sorted({*PAIRS, *ALONE}))
def test_an_answer_follows_its_prompt_and_ends_with_a_stop_token(name, toy_tokenizer, conversations):
    renderer = Renderer(toy_tokenizer(SOURCES[name]), ROOM)
    messages = conversations["single"]
    row = {"kind": "chat", "source": "test:1", "messages": messages}
    if any(entry["family"] == name and entry["outcome"] == "refused" for entry in LISTED):
        with pytest.raises(BurnishError, match="test:1"):
            renderer.render(row)
        return
    (rendered,) = renderer.render(row)
    _, prompt = renderer.prompt(row)
    answer = renderer.answer(row)
    learned = [token for token, weight in zip(rendered.ids.tolist(), rendered.weights, strict=True) if weight]
    assert messages[-1]["content"] in answer
    assert "Hello" not in answer
    assert set(learned) & set(renderer.stop_ids)
    assert answer in renderer.tokenizer.decode(learned)
    if rendered.ids.tolist()[: len(prompt)] == prompt:
        assert renderer.decode(rendered.ids.tolist()[len(prompt) :]) == answer


def table(outcomes: dict[str, dict[str, str]], methods: dict[str, str]) -> str:
    """The reference page."""
    lines = [
        "# Chat templates",
        "",
        "How burnish locates the learned tokens of real templates, compared with the manually marked training",
        "templates of TRL, on conversations with one or several turns, a system message, tool calls and results,",
        "and reasoning. Generated by `tests/tokens/rendering/test_ground_truth.py`.",
        "",
        "| Template | Method | Equal | Listed differences |",
        "|---|---|---|---|",
    ]
    for name in PAIRS:
        results = [result for result in outcomes[name].values() if result != "not expressible"]
        reasons = [
            f"{entry['outcome'].replace('|', _BAR)} ({', '.join(entry['conversations'])}): "
            f"{entry['reason'].replace('|', _BAR)}"
            for entry in LISTED
            if entry["family"] == name
        ]
        method = "refused" if set(results) == {"refused"} else methods[name]
        lines.append(
            f"| {name} | {method} | {results.count('equal')} of {len(results)} | {'; '.join(reasons) or 'none'} |"
        )
    for name in ALONE:
        lines.append(f"| {name} | {methods[name]} | no training template to compare with | |")
    return "\n".join(lines) + "\n"


def test_the_reference_page_is_up_to_date(outcomes, toy_tokenizer):
    methods = {name: Renderer(toy_tokenizer(SOURCES[name])).method for name in [*PAIRS, *ALONE]}
    page = table(outcomes, methods)
    if os.environ.get("BURNISH_WRITE_DOCS"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "update it with BURNISH_WRITE_DOCS=1"
