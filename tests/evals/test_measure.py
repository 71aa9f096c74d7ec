"""From a model's answers to scores: reasoning is removed, prompts that fill the context are unscored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.core.errors import MachineError
from burnish.evals.measure import Item, answer_rows, as_chat, measure_likelihoods
from burnish.evals.scoring.scorers import Score, Unscored, _checked, build_scorers
from burnish.models.engines.protocol import Answer
from burnish.models.load import load_model
from burnish.specs.evals import ContainsSpec, ExactMatchSpec, GenerationSpec
from burnish.specs.tokens import RenderSpec
from burnish.testing import tiny_tokenizer
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer


class ThinkingEngine:
    """Answers every prompt with reasoning and "yes"."""

    def generate(
        self, prompts: Sequence[Sequence[int]], spec: GenerationSpec, stop_ids: Sequence[int], progress: Any
    ) -> list[Answer]:
        progress(len(prompts), len(prompts))
        return [Answer([1], "<think>\nno, surely not\n</think>\n\nyes", "stop") for _ in prompts]


def row(question: str) -> dict[str, Any]:
    return {
        "id": "0",
        "source": "x:1",
        "kind": "chat",
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "yes"}],
    }


def answered(tmp_path: Path, rows: list[dict[str, Any]]) -> list[Item]:
    items = [Item() for _ in rows]
    renderer = Renderer(load_tokenizer(tiny_tokenizer(tmp_path)))
    scorers = build_scorers([ExactMatchSpec()])
    answer_rows(ThinkingEngine(), renderer, rows, items, scorers, GenerationSpec(), context=100, tick=lambda *_: None)
    return items


def test_the_score_is_of_what_follows_the_thinking_and_the_item_keeps_all(tmp_path: Path) -> None:
    [item] = answered(tmp_path, [row("so?")])
    assert item.scores["exact_match"] == Score(1.0, "equal")
    assert item.answer == "<think>\nno, surely not\n</think>\n\nyes"


class UnfinishedEngine(ThinkingEngine):
    """Answers every prompt with reasoning that does not end, after a prompt that opens it."""

    def generate(self, prompts: Sequence[Sequence[int]], *_: Any) -> list[Answer]:
        return [Answer([1], "yes", "length") for _ in prompts]


@pytest.mark.parametrize("opens", [True, False])
def test_reasoning_that_the_template_opens_and_that_does_not_end_is_not_scored(tmp_path: Path, opens: bool) -> None:
    turns = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    start = "<|im_start|>assistant\n" + "<think>\n" * opens
    template = turns + "{% if add_generation_prompt %}" + start + "{% endif %}"
    renderer = Renderer(load_tokenizer(tiny_tokenizer(tmp_path)), RenderSpec(chat_template=template))
    item, one = Item(), {**row("so?"), "messages": row("so?")["messages"][:1], "kind": "prompt"}
    scorers = build_scorers([ContainsSpec(text="yes")])
    answer_rows(
        UnfinishedEngine(), renderer, [one], [item], scorers, GenerationSpec(), context=100, tick=lambda *_: None
    )
    assert item.prompt.endswith(start)
    assert item.scores["contains"].value == float(not opens)


def test_a_prompt_that_fills_the_context_is_unscored_and_the_others_keep_their_answers(tmp_path: Path) -> None:
    items = answered(tmp_path, [row("a" * 100), row("so?")])
    assert items[0].scores["exact_match"] == Unscored("the prompt fills the model's context")
    assert items[0].answer is None
    assert items[1].scores["exact_match"] == Score(1.0, "equal")


@pytest.mark.parametrize(("label", "turns"), [(True, 2), (False, 1)])
def test_only_a_good_completion_is_a_reference(label: bool, turns: int) -> None:
    prompt, completion = [{"role": "user", "content": "?"}], [{"role": "assistant", "content": "!"}]
    given = {"kind": "label", "messages": prompt, "completion": completion, "label": label}
    assert len(as_chat(given)["messages"]) == turns


def test_the_chosen_turns_and_a_good_completion_end_the_conversation() -> None:
    ask, yes, no = ({"role": "user", "content": "?"}, *({"role": "assistant", "content": text} for text in ("y", "n")))
    pair = {"id": "1", "kind": "preference", "messages": [ask], "chosen": [yes], "rejected": [no]}
    assert as_chat(pair) == {**pair, "kind": "chat", "messages": [ask, yes]}
    good = {"id": "2", "kind": "label", "messages": [ask], "completion": [yes], "label": True}
    assert as_chat(good) == {**good, "kind": "chat", "messages": [ask, yes]}
    for row in ({**good, "label": False}, {"id": "3", "kind": "chat", "messages": [ask, no]}, {"kind": "text"}):
        assert as_chat(row) is row


class CountingEngine(ThinkingEngine):
    """Answers each prompt with its length, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def generate(
        self, prompts: Sequence[Sequence[int]], spec: GenerationSpec, stop_ids: Sequence[int], progress: Any
    ) -> list[Answer]:
        self.asked.append((list(prompts), spec, list(stop_ids)))
        progress(1, 7)
        return [Answer([1], str(len(prompt)), "length") for prompt in prompts]


def test_every_row_with_a_prompt_that_leaves_room_is_answered_in_its_place(tmp_path: Path) -> None:
    renderer = Renderer(load_tokenizer(tiny_tokenizer(tmp_path)))
    length = len(renderer.prompt(row("12345678"))[1])
    bare = {"id": "1", "kind": "prompt", "messages": [{"role": "user", "content": "12345"}]}
    text = {"id": "0", "kind": "text", "text": "x"}
    rows = [text, row("12345678"), row("1234567"), text, bare]
    items, engine, ticks, spec = [Item() for _ in rows], CountingEngine(), [], GenerationSpec(max_new_tokens=3)
    answer_rows(
        engine,
        renderer,
        rows,
        items,
        build_scorers([ExactMatchSpec()]),
        spec,
        context=length,
        tick=lambda *words: ticks.append(words),
    )
    prompts = [renderer.prompt(rows[place])[1] for place in (2, 4)]
    assert [list(prompt) for prompt in engine.asked[0][0]] == [list(prompt) for prompt in prompts]
    assert (len(engine.asked), engine.asked[0][1:]) == (1, (spec, list(renderer.stop_ids)))
    assert ticks == [("answers", 1, 7)]
    no_prompt = {"exact_match": Unscored("the row has no prompt")}
    no_room = {"exact_match": Unscored("the prompt fills the model's context")}
    wrong = {"exact_match": Score(0.0, "differs from the reference")}
    no_reference = {"exact_match": Unscored("the row has no reference answer")}
    shown = [renderer.prompt(one)[0] if "messages" in one else "" for one in rows]
    assert items == [
        Item("", None, None, "", no_prompt, unanswered="the row has no prompt"),
        Item(shown[1], "yes", None, "", no_room, unanswered="the prompt fills the model's context"),
        Item(shown[2], "yes", str(length - 1), "length", wrong, answer_tokens=1),
        Item("", None, None, "", no_prompt, unanswered="the row has no prompt"),
        Item(shown[4], None, str(length - 3), "length", no_reference, answer_tokens=1),
    ]


def test_likelihoods_tick_once_in_64_rows_and_at_the_end(base_model: Path) -> None:
    model, tokenizer, ticks = load_model(base_model), load_tokenizer(base_model), []
    asked = {"id": "a", "kind": "prompt", "messages": [{"role": "user", "content": "?"}]}
    rows = [asked, *({"id": str(n), "source": "x:1", "kind": "text", "text": "ab"} for n in range(130))]
    items = [Item() for _ in rows]
    measure_likelihoods(
        model, tokenizer, rows, items, train_on="all", max_length=9, tick=lambda *words: ticks.append(words)
    )
    assert ticks == [("perplexity", done, 130) for done in (0, 64, 128, 130)]
    assert items[0] == Item()
    assert len({item.likelihood for item in items[1:]}) == 1


@pytest.mark.parametrize(("more", "too_long"), [(-1, False), (0, False), (1, True)])
def test_a_conversation_may_have_as_many_tokens_as_allowed(base_model: Path, more: int, too_long: bool) -> None:
    model, tokenizer = load_model(base_model), load_tokenizer(base_model)
    given = row("a" * 200)
    [rendered] = Renderer(tokenizer, RenderSpec(max_length=10_000)).render(given)
    items = [Item()]
    longest = len(rendered.ids) - more
    measure_likelihoods(
        model, tokenizer, [given], items, train_on="assistant", max_length=longest, tick=lambda *_: None
    )
    assert (items[0].too_long, items[0].likelihood is None) == (too_long, too_long)


def test_a_conversation_longer_than_the_settings_default_is_measured(base_model: Path) -> None:
    """The limit is the model's, not the default of the render settings."""
    model, tokenizer = load_model(base_model), load_tokenizer(base_model)
    given = row("a" * 5000)
    items = [Item()]
    measure_likelihoods(model, tokenizer, [given], items, train_on="assistant", max_length=9000, tick=lambda *_: None)
    assert (items[0].too_long, items[0].likelihood.tokens) == (False, 4)


DATED = """{{ strftime_now('%Y-%m-%d') }}
{%- for message in messages %}|{% if message.role == 'assistant' -%}
{% generation %}{{ message.content }}{% endgeneration %}{% else %}{{ message.content }}{% endif %}{% endfor %}"""


def test_the_date_of_the_prompt_is_the_given_one(tmp_path: Path, base_model: Path) -> None:
    model, tokenizer = load_model(base_model), load_tokenizer(tiny_tokenizer(tmp_path, DATED))
    nats = []
    for date in ("2024-01-02", "2024-01-02", "1999-12-31"):
        items = [Item()]
        measure_likelihoods(
            model, tokenizer, [row("?")], items, train_on="all", max_length=99, date=date, tick=lambda *_: None
        )
        nats.append(items[0].likelihood.nats)
    [rendered] = Renderer(tokenizer, RenderSpec(train_on="all", date="1999-12-31")).render(row("?"))
    assert "1999-12-31" in tokenizer.decode(rendered.ids)
    assert nats[0] == nats[1] != nats[2]


def test_a_long_text_is_split_and_a_long_conversation_is_excluded(base_model: Path) -> None:
    """A split text predicts as many tokens, each once, but with less context."""
    model, tokenizer = load_model(base_model), load_tokenizer(base_model)
    text = {"id": "0", "source": "x:1", "kind": "text", "text": "what is asked is answered, " * 8}

    def measured(rows: list[dict[str, Any]], longest: int) -> list[Item]:
        items = [Item() for _ in rows]
        measure_likelihoods(
            model, tokenizer, rows, items, train_on="assistant", max_length=longest, tick=lambda *_: None
        )
        return items

    [whole] = measured([text], 1000)
    [pieces, conversation] = measured([text, row("a" * 100)], 32)
    assert whole.likelihood is not None
    assert pieces.likelihood is not None
    assert pieces.likelihood.tokens == whole.likelihood.tokens > 32
    assert pieces.likelihood.nats != pytest.approx(whole.likelihood.nats)
    assert not pieces.too_long
    assert conversation.too_long
    assert conversation.likelihood is None


@pytest.mark.parametrize("train_on", ["assistant", "completion", "all"])
def test_a_likelihood_is_of_the_turns_that_are_learned_with_their_weights(base_model: Path, train_on: str) -> None:
    model, tokenizer = load_model(base_model), load_tokenizer(base_model)
    said = [("user", "one?", None), ("assistant", "abcd", 0.5), ("user", "two?", None), ("assistant", "efghij", 0.25)]
    turns = [{"role": role, "content": text} | ({"weight": w} if w else {}) for role, text, w in said]
    given = {"id": "0", "source": "x:1", "kind": "chat", "messages": turns}
    items = [Item()]
    measure_likelihoods(model, tokenizer, [given], items, train_on=train_on, max_length=100, tick=lambda *_: None)
    [rendered] = Renderer(tokenizer, RenderSpec(train_on=train_on)).render(given)
    ids = torch.tensor(rendered.ids, dtype=torch.long)
    with torch.no_grad():
        nats = -model(input_ids=ids[None]).logits[0].log_softmax(-1)[:-1].gather(1, ids[1:, None])[:, 0]
    expected = float((nats * torch.tensor(rendered.weights[1:])).sum())
    first, last = len("abcd") + 1, len("efghij") + 1  # each with its end
    tokens = {"assistant": 0.5 * first + 0.25 * last, "completion": 0.25 * last, "all": len(ids) - 1}[train_on]
    assert items[0].likelihood is not None
    assert items[0].likelihood.nats == pytest.approx(expected, rel=1e-5)
    assert items[0].likelihood.tokens == pytest.approx(tokens)


@pytest.mark.parametrize(
    "found", [Score(0), Score(1), Score(0.5, "half"), Score(True), Unscored("no reference")], ids=str
)
def test_a_score_from_0_to_1_is_kept(found: Score | Unscored) -> None:
    assert _checked(build_scorers([ExactMatchSpec()])[0], found, {"id": "7"}) == found


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01, 7, None, "1"], ids=str)
@pytest.mark.parametrize("wrapped", [True, False])
def test_any_other_answer_of_a_plugin_names_the_scorer_the_row_and_the_value(value: Any, wrapped: bool) -> None:
    with pytest.raises(MachineError) as caught:
        _checked(build_scorers([ExactMatchSpec()])[0], Score(value) if wrapped else value, {"id": "7"})
    what = f"the scorer 'exact_match' gave {value!r} for row 7: a score is a number from 0 to 1"
    assert (caught.value.code, caught.value.what) == ("machine.broken-plugin", what)
