"""Local tasks of every kind, and lm-evaluation-harness's own numbers for the built-in model."""

import json
from pathlib import Path
from typing import Any

import pytest

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "examples": {"num_fewshot": 2, "limit": 5},
    "chat": {"apply_chat_template": True, "num_fewshot": 1, "system_instruction": "Answer in one word.", "limit": 4},
}
"""The settings of the comparison, by name."""

ROWS = [
    ("The sky on a clear day is", ["blue", "a kind of metal", "seven"], 0),
    ("Two and two are", ["green", "four", "a long river in the north"], 1),
    ("A cat says", ["meow", "nothing that anybody could understand", "stop"], 0),
    ("Ice is made of", ["fire", "wood", "water"], 2),
    ("The capital of France is", ["Paris", "Berlin", "a city"], 0),
    ("Bread is made of", ["stones", "flour and water", "air"], 1),
]
TEXTS = [
    "The cat sat on the mat, and looked at the rain.",
    "A model of language gives a probability to every next token; the product of these is that of the text. " * 12,
    "Größe, naïve, 你好 — and an emoji 🙂.",
]

CHOICE = """
task: sky
dataset_path: json
dataset_kwargs: {data_files: {test: choice.jsonl, train: choice.jsonl}}
test_split: test
fewshot_split: train
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: brier_score, aggregation: brier_score, higher_is_better: false}
"""
LETTERS = """
task: letters
include: choice.yaml
doc_to_text: "{{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nAnswer:"
doc_to_choice: ["A", "B", "C"]
"""
ANSWERS = """
task: answers
dataset_path: json
dataset_kwargs: {data_files: {test: choice.jsonl, train: choice.jsonl}}
test_split: test
fewshot_split: train
output_type: generate_until
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {until: ["\\n", "e "], max_gen_toks: 24}
filter_list:
  - name: whole
    filter: [{function: take_first}]
  - name: word
    filter: [{function: regex, regex_pattern: "(\\\\w+)"}, {function: take_first}]
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
"""
TEXT = """
task: texts
dataset_path: json
dataset_kwargs: {data_files: {test: texts.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: text
metric_list:
  - {metric: word_perplexity}
  - {metric: byte_perplexity}
  - {metric: bits_per_byte}
num_fewshot: 0
"""
GROUP = """
group: choices
task: [sky, letters]
aggregate_metric_list:
  - {metric: acc, aggregation: mean, weight_by_size: true}
"""


def write_tasks(folder: Path) -> Path:
    """Tasks of all kinds, with their rows."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"choice": CHOICE, "letters": LETTERS, "answers": ANSWERS, "texts": TEXT, "group": GROUP}
    for name, content in names.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    rows = [{"question": question, "choices": choices, "answer": answer} for question, choices, answer in ROWS]
    (folder / "choice.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return folder


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    return write_tasks(tmp_path / "tasks")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `datasets` keeps is in a folder of its own."""
    with pytest.MonkeyPatch.context() as patched:
        folder = str(tmp_path_factory.mktemp("cache"))
        patched.setenv("HF_DATASETS_CACHE", folder)
        import datasets

        patched.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        yield


@pytest.fixture(scope="session")
def own_numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """lm-evaluation-harness's own results with its own model class, by the names of SETTINGS."""
    import os

    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from burnish.core.inputs.references import built_ins
    from burnish.models.load import load_model
    from burnish.tokens.load import load_tokenizer

    folder = write_tasks(tmp_path_factory.mktemp("own"))
    pocket = built_ins()["pocket"]
    import torch

    model = load_model(pocket, dtype=torch.float32)
    theirs = HFLM(pretrained=model, tokenizer=load_tokenizer(pocket), batch_size=1)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    before = os.getcwd()
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("DISABLE_MULTIPROC", "1")
            patched.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
            names = ["choices", "answers", "texts"]
            return {
                name: simple_evaluate(theirs, tasks=list(names), task_manager=manager, **settings)
                for name, settings in SETTINGS.items()
            }
    finally:
        os.chdir(before)
