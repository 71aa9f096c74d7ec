"""Ids of texts and texts of ids: exact tokens, borders, display, the ends of turns, and which template is used."""

import random
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import AddedToken

from burnish.core.errors import DataError, ModelError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.rendered import Rendered
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML

PLAIN = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ASKED = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
ROW = {"kind": "chat", "source": "x:1", "messages": ASKED}


def ids_of(tokenizer, *parts: str) -> list[int]:
    """The ids of tokens written one by one."""
    return [id for part in parts for id in tokenizer(part, add_special_tokens=False)["input_ids"]]


def shown(rendered: Rendered) -> tuple:
    return rendered.text, rendered.ids.tolist(), rendered.weights.tolist()


# Texts


@pytest.mark.parametrize("text", ["", "a", "ab<eos>", "a<eos>b", "<eos>"])
def test_a_text_ends_with_one_eos_and_all_but_its_first_token_is_learned(letters, text):
    tokenizer = letters(None)
    (found,) = Renderer(tokenizer).render({"kind": "text", "source": "x:1", "text": text})
    expected = ids_of(tokenizer, text) + ([] if text.endswith("<eos>") else ids_of(tokenizer, "<eos>"))
    assert shown(found) == (text, expected, [0.0, *[1.0] * (len(expected) - 1)])
    assert (found.ids.dtype, found.weights.dtype) == (np.int32, np.float32)


def test_a_text_of_a_tokenizer_without_eos_just_ends(letters):
    tokenizer = letters(None, eos=None)
    renderer = Renderer(tokenizer)
    (found,) = renderer.render({"kind": "text", "source": "x:1", "text": "ab"})
    assert found.ids.tolist() == ids_of(tokenizer, "ab")
    assert renderer.stop_ids == ()
    assert renderer.decode(found.ids.tolist()) == "ab"


def test_a_split_text_has_its_eos_in_the_last_piece(letters):
    tokenizer = letters(None)
    renderer = Renderer(tokenizer, RenderSpec(max_length=8, over_length="split"))
    pieces = renderer.render({"kind": "text", "source": "x:1", "text": "abcdefghij"})
    assert [shown(piece) for piece in pieces] == [
        ("abcdefgh", ids_of(tokenizer, "abcdefgh"), [0.0, *[1.0] * 7]),
        ("hij", ids_of(tokenizer, "hij<eos>"), [0.0, *[1.0] * 3]),
    ]
    assert +renderer.counts == {"rows": 1, "split": 1, "pieces": 2}


@pytest.mark.parametrize("text", ["a<eos><eos>", "<bos><bos>a", "a<eos><eos>b"])
def test_a_text_with_a_doubled_special_token_is_refused(letters, text):
    with pytest.raises(ModelError) as caught:
        Renderer(letters(None)).render({"kind": "text", "source": "x:1", "text": text})
    token = "<eos>" if "eos" in text else "<bos>"
    assert caught.value.what == f"x:1: the special token {token} occurs twice in succession"
    assert caught.value.code == "model.doubled-special"


@pytest.mark.parametrize("text", ["<bos>a<eos>", "<bos>a<bos>", "<eos>a<eos>", "<bos><eos>"])
def test_special_tokens_that_do_not_follow_themselves_are_kept(letters, text):
    tokenizer = letters(None)
    (found,) = Renderer(tokenizer).render({"kind": "text", "source": "x:1", "text": text})
    assert found.ids.tolist()[: len(ids_of(tokenizer, text))] == ids_of(tokenizer, text)


@pytest.mark.parametrize("change", ["truncation", "padding", "encode_special_tokens"])
def test_settings_saved_with_a_tokenizer_change_no_token(letters, change):
    expected = shown(Renderer(letters(PLAIN)).render(ROW)[0])
    tokenizer = letters(PLAIN)
    renderer, core = Renderer(tokenizer), tokenizer.backend_tokenizer
    assert len(expected[1]) == 10
    for _ in range(2):
        match change:
            case "truncation":
                core.enable_truncation(3)
            case "padding":
                core.enable_padding(length=64)
            case _:
                core.encode_special_tokens = True
        assert shown(renderer.render(ROW)[0]) == expected


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_a_border_is_a_place_where_no_token_continues(toy_tokenizer, length):
    renderer = Renderer(toy_tokenizer(PLAIN, PLAIN + "<|user|><|assistant|>"))
    chance = random.Random(length)
    parts = ["hello", " there", "<|end|>", "<|user|>", "\n", "\n\n", " weather", "天气很好", "assistant", " "]
    text = "".join(chance.choice(parts) for _ in range(length))
    tokens = renderer.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    inside = {place for start, end in tokens for place in range(start + 1, end)}
    found = {place for place in range(len(text) + 1) if not renderer._is_border(text, place)}
    specials = {place for m in renderer._dialect.special.finditer(text) for place in range(m.start() + 1, m.end())}
    assert found - specials == inside - specials


# Ids


def test_ids_are_decoded_up_to_the_first_end_of_a_turn(letters):
    tokenizer = letters(CHATML)
    renderer = Renderer(tokenizer)
    assert renderer.stop_ids == tuple(sorted(ids_of(tokenizer, "<eos>", "<|im_end|>")))
    other = Renderer(letters(PLAIN))
    assert other.stop_ids == (*ids_of(tokenizer, "<eos>"), *ids_of(tokenizer, "<|end|>"))
    for text, expected in (
        ("a . b<|im_end|>c<eos>", "a . b"),
        ("a 'm<eos>c<|im_end|>", "a 'm"),
        ("<eos>a", ""),
        ("<|im_start|>no end ?", "<|im_start|>no end ?"),
        ("", ""),
    ):
        given = ids_of(tokenizer, text)
        assert renderer.decode(given) == expected
        assert given == ids_of(tokenizer, text)


def test_pieces_join_the_tokens_of_a_character_and_eight_at_most(letters):
    tokenizer = letters(CHATML)
    renderer = Renderer(tokenizer)

    def pieces(ids: list[int]) -> list[tuple[str, float]]:
        weights = np.arange(len(ids), dtype=np.float32)
        return renderer.pieces(Rendered("", np.array(ids, np.int32), weights))

    text = ids_of(tokenizer, "a<|im_end|>é🙂 .")
    assert pieces(text) == [("a", 0.0), ("<|im_end|>", 1.0), ("é", 3.0), ("🙂", 7.0), (" ", 8.0), (".", 9.0)]
    torn = ids_of(tokenizer, "🙂")[1] * np.ones(10, int)
    assert pieces(torn.tolist()) == [("\N{REPLACEMENT CHARACTER}" * 8, 7.0), ("\N{REPLACEMENT CHARACTER}" * 2, 9.0)]
    first = ids_of(tokenizer, "🙂")[:1]
    assert pieces([*first, *ids_of(tokenizer, "ab")]) == [("\N{REPLACEMENT CHARACTER}a", 1.0), ("b", 2.0)]
    assert pieces(first) == [("\N{REPLACEMENT CHARACTER}", 0.0)]
    assert pieces([]) == []
    spaced = Renderer(letters(CHATML, more=(" .",)))
    shown_dot = spaced.pieces(Rendered("", np.array(ids_of(spaced.tokenizer, " .")), np.ones(1, np.float32)))
    assert shown_dot == [(" .", 1.0)]


# Templates


def test_the_used_template_is_the_requested_one_or_that_of_the_tokenizer(letters):
    for own, requested, used in (
        (PLAIN, None, PLAIN),
        (PLAIN, "chatml", CHATML),
        (PLAIN, "{{ messages[0].content }}", "{{ messages[0].content }}"),
        (None, "chatml", CHATML),
        ({"default": PLAIN, "tool_use": CHATML}, None, CHATML),
        ({"default": PLAIN, "rag": CHATML}, None, PLAIN),
    ):
        renderer = Renderer(letters(own), RenderSpec(chat_template=requested))
        assert renderer.template == used
    for own in (None, {"rag": CHATML}):
        with pytest.raises(ModelError) as caught:
            Renderer(letters(own)).render(ROW)
        assert caught.value.code == "model.no-template"
        assert caught.value.what.startswith("x:1: ")


def test_the_date_is_the_given_one_or_today_and_none_if_none_is_printed(letters, monkeypatch):
    printing = "{{ strftime_now('%d %b %Y') }}" + PLAIN
    renderer = Renderer(letters(printing), RenderSpec(date="2024-02-29"))
    assert renderer.date == "2024-02-29"
    assert renderer.render(ROW)[0].text == "29 Feb 2024<|user|>one<|end|><|assistant|>two<|end|>"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert Renderer(letters(printing), RenderSpec(date="auto")).date == "1970-01-02"
    assert Renderer(letters(None), RenderSpec(chat_template=printing)).date == "1970-01-02"
    assert Renderer(letters(PLAIN)).date is None
    assert Renderer(letters(None)).date is None
    assert Renderer(letters(printing), RenderSpec(chat_template=PLAIN)).date is None


def test_without_a_template_a_text_ends_with_eos(letters):
    tokenizer = letters(None)
    renderer = Renderer(tokenizer)
    assert renderer.stop_ids == tuple(ids_of(tokenizer, "<eos>"))
    assert renderer.decode(ids_of(tokenizer, "a<|im_end|>b<eos>c")) == "a<|im_end|>b"
    assert Renderer(letters(None), RenderSpec(chat_template="chatml")).stop_ids == tuple(
        sorted(ids_of(tokenizer, "<|im_end|>", "<eos>"))
    )


# Prompts, answers, errors


def test_a_prompt_uses_the_tools_of_the_row_or_the_given_ones(letters, weather_tools):
    renderer = Renderer(letters(CHATML))
    plain, _ = renderer.prompt(ROW)
    shown_tools, ids = renderer.prompt({**ROW, "tools": weather_tools})
    assert "weather" not in plain
    assert "weather" in shown_tools
    assert ids == ids_of(renderer.tokenizer, shown_tools)
    assert renderer.prompt(ASKED, weather_tools)[0] == shown_tools
    assert renderer.prompt(ROW, weather_tools)[0] == shown_tools
    assert renderer.prompt({**ROW, "tools": weather_tools}, [])[0] == shown_tools
    assert renderer.prompt(ASKED[:1])[0] == plain


def test_an_answer_without_a_question_is_the_whole_turn(letters):
    row = {**ROW, "messages": ASKED[1:]}
    assert Renderer(letters(CHATML)).answer(row) == "two"
    last_has_calls = [*ASKED, ASKED[0], {**ASKED[1], "content": "new<think>"}]
    assert Renderer(letters(CHATML)).answer({**ROW, "messages": last_has_calls}) == "new<think>"


COUNTING = PLAIN.replace("{{ m.content }}", "{{ m.content }}{{ tools | length if tools else 0 }}")
TWO_PARTS = (
    "{% for m in messages %}<|{{ m.role }}|>{% generation %}{{ m.content }}{% endgeneration %}-"
    "{% generation %}!<|end|>{% endgeneration %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
THINKING = PLAIN.replace("{{ m.content }}", "{{ '<t>' if m.role == 'assistant' }}{{ m.content }}")
THINKING = THINKING.replace("<|assistant|>{% endif", "{{ '<|assistant|>' }}{{ '<n>' if thinking else '<t>' }}{% endif")
FIRST = "{% if messages[0].role == 'system' %}!{% endif %}" + PLAIN
OTHER_END = PLAIN.replace("<|end|>", "{{ '<|call|>' if m.content == 'two' else '<|end|>' }}")


@pytest.mark.parametrize(
    ("template", "row", "answer"),
    [
        (PLAIN, {}, "two"),
        (PLAIN.replace("<|end|>", "<|end|>{{ '<eos>' if loop.last }}"), {}, "two"),
        (PLAIN, {"messages": [ASKED[0], {"role": "assistant", "content": ""}]}, ""),
        (COUNTING, {}, "two0"),
        (COUNTING, {"tools": [{"function": {"name": "f"}}]}, "two1"),
        (TWO_PARTS, {}, "two!"),
        (THINKING, {}, "two"),
        (FIRST, {"messages": ASKED[1:]}, "two"),
        (OTHER_END, {}, "two<|call|>"),
        (OTHER_END.replace("<|call|>", "<|call|><|end|>"), {}, "two<|call|>"),
    ],
)
def test_an_answer_is_what_follows_the_prompt_before_the_end_of_the_turn(letters, template, row, answer):
    if "tools" in row:
        template = "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}" + template
    assert Renderer(letters(template)).answer({**ROW, **row}) == answer


def test_a_prompt_of_no_message_is_the_generation_prompt(letters):
    assert Renderer(letters(PLAIN)).prompt([])[0] == "<|assistant|>"
    assert Renderer(letters(PLAIN)).prompt(ASKED[1:])[0] == "<|assistant|>"


REFUSING = "{% if messages | length > 3 %}{{ raise_exception('too many') }}{% endif %}" + PLAIN


@pytest.mark.parametrize("name", ["render", "prompt", "answer"])
def test_an_error_names_the_source_of_its_row(letters, name):
    renderer = Renderer(letters(REFUSING))
    row = {**ROW, "messages": [*ASKED, *ASKED, *ASKED]}
    with pytest.raises(ModelError) as caught:
        getattr(renderer, name)(row)
    assert caught.value.what == "x:1: the chat template refuses the conversation: too many"
    if name == "prompt":
        with pytest.raises(ModelError, match=r"^the chat template refuses"):
            renderer.prompt(row["messages"])


def test_a_prompt_with_a_control_token_is_refused(letters):
    with pytest.raises(Exception, match=r"x:1: message 1 \(user\) contains the control token <\|end\|>"):
        Renderer(letters(PLAIN)).prompt({**ROW, "messages": [{"role": "user", "content": "a<|end|>"}]})


def test_one_answer_is_learned_though_more_follows_and_several_are_masked(letters):
    """A template that renders earlier turns differently: a single answer gets a sample of its own."""
    renderer = Renderer(
        letters(PLAIN.replace("}}<|end|>", "}}{{ '!' if loop.last and m.role == 'assistant' }}<|end|>"))
    )
    after = [*ASKED[1:], {"role": "user", "content": "and?"}]
    found = renderer.render_answer(ASKED[:1], after)
    assert found is not None
    assert found.text == "<|user|>one<|end|><|assistant|>two!<|end|>"
    assert found.learned == len("two!") + 1
    found = renderer.render_answer(ASKED[:1], [*after, {"role": "assistant", "content": "three"}])
    assert found is not None
    assert found.text == "<|user|>one<|end|><|assistant|>two<|end|><|user|>and?<|end|><|assistant|>three!<|end|>"
    assert found.learned == len("three!") + 1


def test_the_answer_has_weight_one_and_other_weights_are_counted(letters):
    renderer = Renderer(letters(PLAIN))
    found = renderer.render_answer(ASKED[:1], [{**ASKED[1], "weight": 0.5}])
    assert found is not None
    assert set(found.weights.tolist()) == {0.0, 1.0}
    assert renderer.counts["overruled"] == 1
    renderer.render_answer([{**ASKED[0], "weight": 0.0}], [{**ASKED[1], "weight": 1.0}])
    assert renderer.counts["overruled"] == 1


def test_an_answer_is_not_split_into_two(letters):
    renderer = Renderer(letters(PLAIN), RenderSpec(max_length=8, over_length="split"))
    with pytest.raises(
        DataError, match="the row has an answer of 10 tokens with its prompt, and cannot be split"
    ) as caught:
        renderer.render_answer(ASKED[:1], ASKED[1:], source="y:2")
    assert caught.value.what.startswith("y:2: ")


STAR = PLAIN.replace("}}<|end|>", "}}{{ '*' if loop.last and m.role == 'assistant' }}<|end|>")
TWICE = {**ROW, "messages": [*ASKED, *ASKED]}


def test_a_sample_that_is_too_long_is_dropped_and_counted_apart_from_its_row(letters):
    for length, kept, counts in ((20, 1, {"samples_dropped": 1}), (21, 2, {}), (8, 0, {"dropped": 1})):
        renderer = Renderer(letters(STAR), RenderSpec(max_length=length, over_length="drop"))
        assert len(renderer.render(TWICE)) == kept
        assert +renderer.counts == {"rows": 1, "turns": 2, "rewritten": 1, **counts}


def broken(template: str) -> str:
    """The template with a line break after each header."""
    return template.replace("|>{{", "|>\n{{").replace("<|assistant|>{%", "<|assistant|>\n{%")


def test_a_token_across_the_start_of_a_turn_is_counted_and_not_learned(letters):
    tokenizer = letters(broken(PLAIN))
    tokenizer.add_tokens(["\ntw"])
    renderer = Renderer(tokenizer)
    (found,) = renderer.render(ROW)
    assert [text for text, weight in renderer.pieces(found) if weight] == ["o", "<|end|>"]
    assert +renderer.counts == {"rows": 1, "turns": 1, "straddling": 1}


def test_a_row_of_which_no_sample_has_a_learned_token_is_one_piece(letters):
    tokenizer = letters(broken(STAR))
    tokenizer.add_tokens([AddedToken("\ntwo*<|end|>", normalized=False)])
    renderer = Renderer(tokenizer)
    (found,) = renderer.render(TWICE)
    assert found.learned == 0
    assert +renderer.counts == {"rows": 1, "turns": 2, "rewritten": 1, "straddling": 2, "unlearned": 1}


def test_a_form_that_differs_from_its_template_is_reported(letters):
    renderer = Renderer(letters(PLAIN))
    rows = [{**ROW, "messages": [{**m, "content": f"{m['content']} {n}"} for m in ASKED]} for n in range(5)]
    renderer.render(rows[0])
    renderer.render(rows[1])  # builds the form, and verifies its first use
    forms = renderer._forms_made["separate"]
    ((shape, form),) = forms._forms.items()
    assert form is not None
    (sample,) = form.samples
    forms._forms[shape] = replace(form, samples=(replace(sample, literals=("?", *sample.literals[1:])),))
    with pytest.raises(RuntimeError, match="please report the template"):
        renderer.render(rows[2])


# Warnings

COUNTED = ["dropped", "samples_dropped", "truncated", "split", "unlearned", "pieces_unlearned", "straddling"]
COUNTED += ["thinking_left_out", "content_left_out", "calls_left_out", "tools_left_out", "names_left_out"]
COUNTED += ["call_ids_left_out", "rewritten", "rewritten_masked", "rewritten_as_shown", "thinking_on", "thinking_off"]
COUNTED += ["unprompted", "overruled"]


def test_every_counter_is_reported_with_its_number_in_a_fixed_order(letters):
    renderer = Renderer(letters(PLAIN))
    assert renderer.warnings() == []
    sentences = []
    for number, name in enumerate(COUNTED, 1000):
        renderer.counts.clear()
        renderer.counts.update({name: number, "rows": 1, "turns": 2, "pieces": 3})
        (sentence,) = renderer.warnings()
        assert sentence.startswith(f"{number:,} ")
        sentences.append(sentence)
    renderer.counts.update(dict(zip(COUNTED, range(1000, 2000), strict=False)) | {"overruled": 0})
    assert renderer.warnings() == sentences
