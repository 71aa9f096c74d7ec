"""One renderer from training to use: the template that a model was trained with is the one it is met with."""

import json

import pytest

from burnish.core.errors import ModelError
from burnish.core.events import Note
from burnish.specs.evals import EvaluateSpec, GenerationSpec
from burnish.specs.models import GenerateSpec
from burnish.specs.tokens import RenderSpec
from burnish.specs.train import SftSpec
from burnish.stages.evals import evaluate
from burnish.stages.models import generate
from burnish.stages.train import sft
from burnish.testing import temporary_context, tiny_model, tiny_tokenizer
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

SHORT = GenerationSpec(max_new_tokens=3)
OTHER = "{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}"
OTHER += "{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}"


@pytest.fixture
def base(tmp_path):
    """A base model that knows no chats."""
    folder = tiny_model(tmp_path / "base", tokenizer=False)
    return tiny_tokenizer(folder, chat_template=None)


@pytest.fixture
def adapter(rows, base, tmp_path):
    """An adapter on it, trained with burnish's own template."""
    context, _ = temporary_context(tmp_path / "sft", {"data": rows, "base": base})
    sft.run(
        SftSpec(data="file:d", base="file:b", max_steps=1, prove="off", render=RenderSpec(chat_template="chatml")),
        context,
    )
    return context.out


def notes(events):
    return [event.text for event in events if isinstance(event, Note)]


def test_a_requested_template_is_saved_with_the_weights(row, base, adapter):
    trained = Renderer(load_tokenizer(base), RenderSpec(chat_template="chatml"))
    (wanted,) = trained.render({"kind": "chat", **row})
    (met,) = Renderer(load_tokenizer(adapter)).render({"kind": "chat", **row})
    assert met.text == wanted.text
    assert met.weights.tolist() == wanted.weights.tolist()


def test_a_base_without_template_is_compared_under_that_of_the_adapter(rows, adapter, tmp_path):
    context, events = temporary_context(tmp_path / "run", {"model": adapter, "data": rows})
    spec = EvaluateSpec(model="file:m", data="file:d", compare_with="base", generation=SHORT)
    evaluate.run(spec, context)
    first = json.loads((context.out / "items.jsonl").read_text().splitlines()[0])
    assert first["base"]["prompt"] == first["prompt"]
    assert first["base"]["tokens"] == first["tokens"]
    assert any("has no chat template" in note for note in notes(events))
    assert not any("bits_per_byte" in note for note in notes(events))


def test_a_base_without_template_answers_beside_its_adapter(rows, base, adapter, tmp_path):
    context, events = temporary_context(tmp_path / "run", {"model": adapter, "data": rows, "compare_with": base})
    spec = GenerateSpec(model="file:m", data="file:d", compare_with="file:b", generation=SHORT)
    assert generate.run(spec, context).measures["other_answers"] == 4
    assert any("has no chat template" in note for note in notes(events))


def test_a_template_is_not_lent_to_other_tokens(rows, tmp_path):
    model, other = tiny_model(tmp_path / "one"), tiny_model(tmp_path / "two", tokenizer=False)
    tokenizer = load_tokenizer(tiny_tokenizer(other, chat_template=None))
    tokenizer.add_tokens(["<one_more>"])
    tokenizer.save_pretrained(other)
    context, _ = temporary_context(tmp_path / "run", {"model": model, "data": rows, "compare_with": other})
    with pytest.raises(ModelError) as caught:
        evaluate.run(EvaluateSpec(model="file:m", data="file:d", compare_with="file:o", scorers=[]), context)
    assert caught.value.code == "model.no-template"


def test_a_model_alone_without_template_is_refused(rows, base, tmp_path):
    context, _ = temporary_context(tmp_path / "run", {"model": base, "data": rows})
    with pytest.raises(ModelError) as caught:
        evaluate.run(EvaluateSpec(model="file:m", data="file:d", generation=SHORT), context)
    assert caught.value.code == "model.no-template"


@pytest.mark.parametrize("template", ["another", "the same"])
def test_perplexities_that_count_other_tokens_are_reported(template, rows, tmp_path):
    model, other = tiny_model(tmp_path / "one"), tiny_model(tmp_path / "two", seed=1, tokenizer=False)
    tiny_tokenizer(other, **({"chat_template": OTHER} if template == "another" else {}))
    context, events = temporary_context(tmp_path / "run", {"model": model, "data": rows, "compare_with": other})
    evaluate.run(EvaluateSpec(model="file:m", data="file:d", compare_with="file:o", scorers=[]), context)
    assert any("compare bits_per_byte" in note for note in notes(events)) == (template == "another")


def test_a_model_that_learned_no_thoughts_is_prompted_without_them(row, rows, tmp_path):
    switched = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n\n</think>\n\n"
        "{% endif %}{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
        "{% else %}<think>{{ ' ' }}{% endif %}{% endif %}"
    )
    base = tiny_tokenizer(tiny_model(tmp_path / "thinker", tokenizer=False), chat_template=switched)
    context, events = temporary_context(tmp_path / "sft", {"data": rows, "base": base})
    sft.run(SftSpec(data="file:d", base="file:b", max_steps=1, prove="off"), context)
    question = row["messages"][:1]
    assert Renderer(load_tokenizer(base)).prompt(question)[0].endswith("<think> ")
    assert Renderer(load_tokenizer(context.out)).prompt(question)[0].endswith("</think>\n\n")
    assert any("saved as the chat template's default" in note for note in notes(events))
