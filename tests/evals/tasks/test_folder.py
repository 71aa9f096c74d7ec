"""A folder of tasks: what is run, and what is refused before anything is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from burnish.core.errors import BurnishError
from burnish.core.recipes.task_folder import read_folder
from burnish.evals.tasks.library import contained
from burnish.evals.tasks.run import FewShot, TaskRun
from burnish.specs.evals import EvaluateSpec, TasksSpec

PLAIN = FewShot(examples=None, seeds=[0, 1, 2, 3], applies_chat_template=False, is_multiturn=True, system=None)


def test_a_folder_runs_its_groups_and_the_tasks_of_none(tasks: Path) -> None:
    read = read_folder(tasks, [], trusts_code=False)
    assert [file.name for file in read.chosen] == ["answers", "choices", "texts"]
    assert read.is_complete
    [one] = read_folder(tasks, ["letters.yaml"], trusts_code=False).chosen
    assert (one.name, one.config["dataset_path"], one.config["doc_to_choice"]) == ("letters", "json", ["A", "B", "C"])


def change(tasks: Path, name: str, text: str) -> None:
    path = tasks / f"{name}.yaml"
    path.write_text(path.read_text() + text)


FAULTS: list[tuple[str, str, str, str]] = [
    (
        "answers",
        "process_docs: !function code.docs\n",
        "ask.wrong-value",
        "answers.yaml: the task runs code: process_docs",
    ),
    ("letters", "doc_to_decontamination_query: {a: [!function os.system]}\n", "ask.wrong-value", "os.system (line 6)"),
    ("answers", "use_prompt: promptsource:x\n", "ask.wrong-value", "runs code: use_prompt: promptsource:x"),
    ("texts", "metric: {metric: x, hf_evaluate: true}\n", "ask.wrong-value", "runs code: hf_evaluate: True"),
    ("texts", "unsafe_code: true\n", "ask.wrong-value", "runs code: unsafe_code: True"),
    ("texts", "x: !!python/object/apply:os.getcwd []\n", "data.unreadable", "cannot be read as a task"),
    ("texts", "x: [\n", "data.unreadable", "texts.yaml"),
    ("texts", "include: ../other.yaml\n", "ask.wrong-value", "include: ../other.yaml is outside of"),
    ("texts", "include: texts.yaml\n", "data.unreadable", "includes itself"),
    ("texts", "include: none.yaml\n", "ask.bad-reference", "include: none.yaml: there is no"),
    ("texts", "dataset_path: ../elsewhere\n", "ask.wrong-value", "../elsewhere is outside of"),
    ("texts", "dataset_kwargs: {data_files: [/etc/passwd]}\n", "ask.wrong-value", "/etc/passwd is outside of"),
    ("texts", "dataset_kwargs: {data_files: {test: gone.jsonl}}\n", "ask.bad-reference", "gone.jsonl: there is no"),
    ("texts", "dataset_kwargs: {data_files: '../s/*.jsonl'}\n", "ask.wrong-value", "../s/*.jsonl is outside of"),
    ("texts", "dataset_kwargs: {data_files: '/etc/p*d'}\n", "ask.wrong-value", "/etc/p*d is outside of"),
    ("texts", "dataset_kwargs: {data_files: '*/../../s/a'}\n", "ask.wrong-value", "has '..' after a pattern"),
    ("texts", "dataset_kwargs: {data_files: 'file:///etc/passwd'}\n", "ask.wrong-value", "address of files on this"),
    ("texts", "dataset_kwargs: {data_files: 'zip://a::/b.zip'}\n", "ask.wrong-value", "address of files on this"),
    ("texts", "dataset_path: x/../../y\n", "ask.wrong-value", "x/../../y is outside of"),
    ("texts", "task: sky\n", "data.unreadable", "both define 'sky'"),
]


@pytest.mark.parametrize(("name", "text", "code", "what"), FAULTS)
def test_a_file_that_would_run_code_or_leave_the_folder_is_refused(
    name: str, text: str, code: str, what: str, tasks: Path
) -> None:
    change(tasks, name, text)
    with pytest.raises(BurnishError) as caught:
        read_folder(tasks, [], trusts_code=False)
    assert caught.value.code == code
    assert what in str(caught.value)


def test_a_pattern_in_the_folder_is_read_but_not_a_link_out_of_it(tasks: Path) -> None:
    change(tasks, "texts", "dataset_kwargs: {data_files: {test: 'tex*.jsonl', train: 'https://host/a.jsonl'}}\n")
    read_folder(tasks, [], trusts_code=False)
    (tasks / "text-link.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(BurnishError, match="is outside of"):
        read_folder(tasks, [], trusts_code=False)


def test_code_of_a_task_runs_with_consent(tasks: Path) -> None:
    (tasks / "code.py").write_text("def docs(rows):\n    return rows.select([2])\n")
    change(tasks, "answers", "process_docs: !function code.docs\n")
    run = TaskRun([], [(tasks, ["answers.yaml"])], None, PLAIN, trusts_code=True)
    run.check()
    assert run._loaded()["tasks"]["answers"].eval_docs["question"] == ["A cat says"]


def test_a_folder_without_tasks_and_a_file_that_is_none_are_refused(tmp_path: Path, tasks: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BurnishError, match="has no task"):
        read_folder(tmp_path / "empty", [], trusts_code=False)
    with pytest.raises(BurnishError, match=r"choice.jsonl has neither"):
        read_folder(tasks, ["choice.jsonl"], trusts_code=False)


def test_templates_of_tasks_are_rendered_in_a_sandbox_without_consent(tmp_path: Path) -> None:
    from jinja2.exceptions import SecurityError
    from lm_eval import utils

    mark = tmp_path / "mark"
    code = "{{ cycler.__init__.__globals__.os.mkdir(path) }}"
    with contained(False):
        assert utils.apply_template("{{ a | regex_replace('b', 'c') }}", {"a": "abc"}) == "acc"
        with pytest.raises(SecurityError):
            utils.apply_template(code, {"path": str(mark)})
    assert not mark.exists()
    with contained(True):
        utils.apply_template(code, {"path": str(mark)})
    assert mark.exists()


def test_a_task_that_cannot_be_made_names_itself(tasks: Path) -> None:
    change(tasks, "texts", "output_type: poetry\n")
    with pytest.raises(BurnishError) as caught:
        TaskRun([], [(tasks, [])], None, PLAIN, trusts_code=False)._loaded()
    assert "texts.yaml cannot be loaded" in str(caught.value)


def test_rows_on_a_hub_that_cannot_be_reached_are_named(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    change(tasks, "texts", "dataset_path: someone/rows\ndataset_kwargs: {}\n")
    with pytest.raises(BurnishError) as caught:
        TaskRun([], [(tasks, ["texts.yaml"])], None, PLAIN, trusts_code=False)._loaded()
    assert caught.value.code == "machine.no-network"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("hellaswag", [{"name": "hellaswag"}]),
        (
            ["a", "file:t/b.yaml", "file:c/"],
            [{"name": "a"}, {"folder": "file:t", "files": ["b.yaml"]}, {"folder": "file:c/"}],
        ),
        ({"names": "file:b.yaml", "num_fewshot": 3}, [{"folder": "file:.", "files": ["b.yaml"]}]),
    ],
)
def test_tasks_have_short_forms(given: Any, expected: list[dict[str, Any]]) -> None:
    spec = TasksSpec.model_validate(given)
    assert [task.model_dump(exclude_defaults=True) for task in spec.names] == expected
    assert json.loads(spec.model_dump_json())["names"]


def test_one_seed_is_all_four_and_nothing_to_measure_is_refused() -> None:
    assert TasksSpec(names=["a"], seeds=5).seeds == [5, 5, 5, 5]
    with pytest.raises(ValidationError, match="set data, tasks or checks"):
        EvaluateSpec(model="builtin:pocket")
    with pytest.raises(ValidationError, match="either a name or a folder"):
        TasksSpec(names=[{"name": "a", "folder": "file:b"}])
