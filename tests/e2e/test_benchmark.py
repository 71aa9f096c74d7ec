"""The recipe of tasks, run as it ships, with fewer rows."""

import shutil
from pathlib import Path

import pytest

import burnish

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.torture  # three processes, two of them with a model: 20 s of one core
def test_the_recipe_of_tasks_runs_as_it_ships(tmp_path, monkeypatch):
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    shutil.copytree(RECIPES / "tasks", tmp_path / "recipes" / "tasks")
    settings = ["tasks.tasks.limit=8", "choices.max_rows=8"]
    result = burnish.run(RECIPES / "benchmark.yaml", settings=settings, workspace=tmp_path)
    tasks, choices = result["tasks"].metrics, result["choices"].metrics
    assert (tasks["dates/acc"], tasks["dates_written/exact_match"]) == (1.0, 1.0)
    assert (choices["multiple_choice"], choices["rows"]) == (1.0, 8)
    with (tmp_path / "recipes" / "tasks" / "dates.jsonl").open("a") as file:
        file.write('{"question": "What is 1/2/2020 in ISO format?", "choices": ["2020-02-01", "b"], "answer": 0}\n')
    again = burnish.run(RECIPES / "benchmark.yaml", settings=settings, workspace=tmp_path)
    assert again["tasks"].path != result["tasks"].path, "a row of a task is part of its fingerprint"
