"""The answers of preferences and labels: only the answer is learned, not the prompt's turns."""

import pytest

from burnish.core.errors import DataError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML

ASKED = [
    {"role": "system", "content": "Be brief"},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two", "weight": 1.0},
    {"role": "user", "content": "three"},
]
ANSWER = [{"role": "assistant", "content": "four"}]
CALLING = [
    {"role": "assistant", "content": "first"},
    {"role": "user", "content": "and?"},
    {"role": "assistant", "content": "second"},
]


@pytest.fixture
def make(toy_tokenizer):
    def renderer(**settings) -> Renderer:
        return Renderer(toy_tokenizer(CHATML), RenderSpec(**{"max_length": 4096, **settings}))

    return renderer


def learned(renderer: Renderer, answer: list[dict]) -> str:
    rendered = renderer.render_answer(ASKED, answer, source="rows.jsonl:1")
    assert set(rendered.weights.tolist()) == {0.0, 1.0}
    return renderer.tokenizer.decode(rendered.ids[rendered.weights > 0])


@pytest.mark.parametrize("train_on", ["assistant", "completion", "all"])
def test_the_turns_of_the_answer_are_learned_and_those_of_the_prompt_are_not(make, train_on):
    renderer = make(train_on=train_on)
    assert learned(renderer, ANSWER) == "four<|im_end|>\n"
    assert learned(renderer, CALLING) == "first<|im_end|>\nsecond<|im_end|>\n"


def test_both_answers_follow_the_same_prompt(make):
    renderer = make()
    prompt = renderer.prompt(ASKED)[1]
    for answer in (ANSWER, CALLING):
        rendered = renderer.render_answer(ASKED, answer)
        assert rendered.ids[: len(prompt)].tolist() == prompt
        assert not rendered.weights[: len(prompt)].any()


def test_an_answer_that_is_too_long_is_dropped_or_cut_on_the_left_and_never_split(make):
    whole = make().render_answer(ASKED, CALLING)
    length = len(whole) - 3
    assert make(max_length=length, over_length="drop").render_answer(ASKED, CALLING) is None
    cut = make(max_length=length, over_length="truncate_left").render_answer(ASKED, CALLING)
    assert cut.ids.tolist() == whole.ids[3:].tolist()
    with pytest.raises(DataError, match=r"^rows\.jsonl:1: the row has an answer of .* tokens") as caught:
        make(max_length=16, over_length="split").render_answer(ASKED, CALLING, source="rows.jsonl:1")
    assert caught.value.code == "data.too-long"


ROW = {"kind": "preference", "messages": ASKED, "source": "rows.jsonl:1"}
LONG = [{"role": "assistant", "content": "four " * 20}]


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("answers", [[LONG, ANSWER], [ANSWER, LONG], [LONG], [CALLING, ANSWER]], ids=len)
def test_a_prompt_is_cut_once_for_all_answers(toy_tokenizer, answers, bos):
    template = "{{ bos_token }}" + CHATML if bos else CHATML
    tokenizer = toy_tokenizer(template)
    if bos:
        tokenizer.bos_token = tokenizer.eos_token
    whole = Renderer(tokenizer, RenderSpec(max_length=4096)).render_answers(ROW, answers)
    extra = 5
    spec = RenderSpec(max_length=max(map(len, whole)) - extra, over_length="truncate_left")
    renderer = Renderer(tokenizer, spec)
    for one, cut in zip(whole, renderer.render_answers(ROW, answers), strict=True):
        assert cut.ids.tolist() == [*one.ids[:bos].tolist(), *one.ids[extra + bos :].tolist()]
        assert cut.weights.tolist() == [*one.weights[:bos].tolist(), *one.weights[extra + bos :].tolist()]
    assert (renderer.counts["rows"], renderer.counts["truncated"]) == (1, 1)


def test_a_pair_with_an_answer_that_alone_is_too_long_is_dropped_and_counted(make):
    prompt, long = len(make().prompt(ASKED)[1]), len(make().render_answer(ASKED, LONG))
    kept = make(max_length=long - prompt + 1, over_length="truncate_left")
    assert [int((one.weights == 0).sum()) for one in kept.render_answers(ROW, [LONG, ANSWER])] == [1, 1]
    renderer = make(max_length=long - prompt, over_length="truncate_left")
    assert renderer.render_answers(ROW, [LONG, ANSWER]) == []
    assert "1 rows have an answer that alone is longer than max_length and were dropped" in renderer.warnings()


@pytest.mark.parametrize("answers", [[ANSWER, ANSWER], [LONG, ANSWER]], ids=["long prompt", "long answer"])
def test_answers_are_never_split(make, answers):
    length = len(make().render_answer(ASKED, ANSWER)) - 1
    with pytest.raises(DataError, match=r"rows.jsonl:1: the row has an answer .* cannot be split"):
        make(max_length=length, over_length="split").render_answers(ROW, answers)
