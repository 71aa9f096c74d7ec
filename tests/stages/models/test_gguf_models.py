"""GGUF files as models of generate, evaluate, compare and chat: llama.cpp answers, and the numbers are the model's."""

import json
import shutil

import pytest
import torch

from burnish.core.context import Input
from burnish.core.errors import AskError, ModelError
from burnish.core.events import Note
from burnish.core.inputs.gguf import read_keys
from burnish.specs.evals import CompareSpec, EvaluateSpec
from burnish.specs.models import GenerateSpec
from burnish.stages.evals import compare, evaluate
from burnish.stages.models import chat, generate
from burnish.stages.models.tokenizers import tokenizer_of
from burnish.testing import input_at, temporary_context
from burnish.tokens.gguf import template_in
from burnish.tokens.load import load_tokenizer
from certified import make_base
from family_folders import FAMILIES
from gguf_files import written

GENERATION = {"max_new_tokens": 12, "batch_size": 4}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def file(base, tmp_path_factory):
    return written(base, tmp_path_factory.mktemp("file") / "x-F32.gguf")[0]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    lines = [{"prompt": f"What is {n} + {n}?", "completion": f"{2 * n}"} for n in range(7)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def answers(model, rows, folder, **settings):
    ctx, _ = temporary_context(folder, {"model": model, "data": rows})
    generate.run(GenerateSpec(model="file:m", data="file:d", generation=GENERATION, **settings), ctx)
    return [json.loads(line) for line in (ctx.out / "answers.jsonl").read_text().splitlines()]


def test_a_file_answers_as_the_model_that_it_was_made_from(base, file, rows, tmp_path):
    ours, theirs = answers(file, rows, tmp_path / "a"), answers(base, rows, tmp_path / "b")
    assert [line["answer"] for line in ours] == [line["answer"] for line in theirs]
    assert len({line["answer"] for line in ours}) > 3


def test_an_evaluation_has_the_numbers_of_the_model(base, file, rows, tmp_path):
    ctx, events = temporary_context(tmp_path, {"model": file, "compare_with": base, "data": rows})
    scorers = [{"kind": "exact_match"}, {"kind": "chrf"}]
    spec = EvaluateSpec(model="file:m", compare_with="file:b", data="file:d", scorers=scorers, generation=GENERATION)
    evaluate.run(spec, ctx)
    found = json.loads((ctx.out / "metrics.json").read_text())
    for name in ("perplexity", "bits_per_byte"):
        sides = found["likelihood"][name]
        assert sides["model"]["value"] == pytest.approx(sides["base"]["value"], rel=1e-5)
    items = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()]
    assert len(items) == 7
    for item in items:
        assert item["answer"] == item["base"]["answer"]
    assert not [event for event in events if isinstance(event, Note) and "differ" in event.text]


def test_choices_and_tasks_are_scored(base, file, rows, tmp_path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "rows.jsonl").write_text('{"q": "a b c", "a": "d"}\n{"q": "e f", "a": "g"}\n')
    (folder / "tiny.yaml").write_text(
        f"task: tiny\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder}/rows.jsonl}}}}\n"
        "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_target: 0\n"
        "doc_to_choice: ['{{a}}', zzz]\nmetric_list: [{metric: acc}]\n"
    )
    ctx, _ = temporary_context(tmp_path, {"model": file, "compare_with": base, "tasks.names.0.folder": folder})
    tasks = {"names": ["file:tasks/tiny.yaml"], "bootstrap_iters": 0}
    evaluate.run(EvaluateSpec(model="file:m", compare_with="file:b", tasks=tasks), ctx)
    found = json.loads((ctx.out / "metrics.json").read_text())["tasks"]
    assert found["model"]["results"] == found["base"]["results"]


def test_a_comparison_of_a_model_with_its_file_finds_no_difference(base, file, rows, tmp_path):
    inputs = {"candidates.base.ref": base, "candidates.file.ref": file, "data": rows}
    ctx, _ = temporary_context(tmp_path, inputs)
    candidates = {"base": "file:b", "file": "file:x"}
    compare.run(CompareSpec(candidates=candidates, data="file:d", generation=GENERATION), ctx)
    items = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()]
    assert len(items) == 7
    found = json.loads((ctx.out / "comparison.json").read_text())
    assert {one["kind"] for one in found["candidates"].values()} == {"model", "gguf"}


@pytest.mark.parametrize(("field", "value"), [("dtype", "bfloat16"), ("device", "cuda")])
def test_settings_of_transformers_are_refused_by_name(file, rows, tmp_path, field, value):
    ctx, _ = temporary_context(tmp_path, {"model": file, "data": rows})
    with pytest.raises(AskError, match=f"{field}: {value} has no effect on a GGUF file"):
        evaluate.run(EvaluateSpec(model="file:m", data="file:d", **{field: value}), ctx)


def test_a_chat_is_answered(file, base, capsys):
    answered = []
    for model in (file, base):
        given = [json.dumps(input_at(model).to_json()), "--ask", "Hi there", "--max-new-tokens", "9", "--json"]
        assert chat.main(given) == 0
        answered.append(json.loads(capsys.readouterr().out)["answer"])
    assert answered[0] == answered[1] != ""
    assert chat._title(input_at(file)).endswith("(qwen3, a GGUF file of 115 kB)")


def test_the_tokenizer_of_an_artifact_is_that_of_its_model_while_it_is_whole(tmp_path):
    base = FAMILIES["qwen2"](tmp_path / "base")
    (tmp_path / "out").mkdir()
    file, _ = written(base, tmp_path / "out" / "x.gguf", "Q8_0")
    events = []
    made = Input("r.file@1", "gguf", file.parent, inputs={"model": input_at(base)})
    normalised = tokenizer_of(made, events.append)("e\u0301")["input_ids"]
    assert normalised == load_tokenizer(base)("é")["input_ids"] != tokenizer_of(file)("e\u0301")["input_ids"]
    assert not events
    shutil.copytree(FAMILIES["llama"](tmp_path / "other"), base, dirs_exist_ok=True)
    assert tokenizer_of(made, events.append)("e\u0301")["input_ids"] == tokenizer_of(file)("e\u0301")["input_ids"]
    assert "is not used for x.gguf: llama.cpp cuts" in events[0].text


def test_a_file_that_is_cut_off_is_refused(file, tmp_path):
    for size in (0, 3, 40, 900):
        (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:size])
        with pytest.raises(ModelError, match=r"cut.gguf: the keys of the GGUF file cannot be read"):
            tokenizer_of(tmp_path / "cut.gguf")


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{% if"])
def test_a_file_whose_template_renders_nothing_is_refused_where_it_renders(base, tmp_path, template):
    folder = tmp_path / "model"
    shutil.copytree(base, folder)
    (folder / "chat_template.jinja").write_text(template)
    file, _ = written(folder, tmp_path / "x-F32.gguf")
    assert tokenizer_of(file).chat_template == template


def test_a_template_that_is_no_text_is_refused(file):
    keys = {**read_keys(file), "tokenizer.chat_template": ["a"]}
    with pytest.raises(ModelError, match="is list, and a text is expected"):
        template_in(keys)


def test_a_list_of_lists_ends_the_reading(tmp_path):
    deep = b"".join((9).to_bytes(4, "little") + (1).to_bytes(8, "little") for _ in range(5000))
    key = (1).to_bytes(8, "little") + b"x" + (9).to_bytes(4, "little")
    (tmp_path / "x.gguf").write_bytes(
        b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little") + key + deep
    )
    with pytest.raises(ModelError, match="a list of lists"):
        read_keys(tmp_path / "x.gguf")
