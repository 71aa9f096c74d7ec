"""The recipe of rows from code runs in short form on the built-in model, from a repository to its evaluation."""

import json
import subprocess
from pathlib import Path

import pytest

import burnish
from burnish.data.dataset import read_rows
from small_projects import GO, MARKDOWN

RECIPE = Path(__file__).parents[2] / "recipes" / "docs-assistant.yaml"
SHORT = [
    "rows.generator.limit=80",
    "rows.generator.split={validation: 0.2, test: 0.2}",
    "tune.base=builtin:pocket",
    "tune.render={max_length: 700, over_length: drop}",
    "tune.epochs=1",
    "tune.prove=off",
    "score.generation={max_new_tokens: 4}",
    "score.max_rows=4",
    "rows.generator.sources=[{ref: 'git:my-project'}, {ref: 'package:json'}]",
]


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.timeout(300)
def test_from_a_repository_to_an_evaluation(tmp_path):
    repository = tmp_path / "my-project"
    repository.mkdir()
    for name, text in {**GO, **MARKDOWN}.items():
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(text)
    git(repository, "init", "-q")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "x")
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "shelf.go").write_text("package shelf\n")  # not committed, so not read

    run = burnish.run(RECIPE, settings=SHORT, workspace=tmp_path)
    rows = [row for split in ("train", "validation", "test") for row in read_rows(run["rows"].path, split)]
    assert len(rows) == 80
    assert {row["extra"]["revision"] for row in rows if row["extra"]["repository"] == "my-project"} == {commit}
    found = json.loads((run["score"].path / "metrics.json").read_text())
    assert found["title"] == "step:tune against base"
    assert "rougeL" in str(found["scores"])

    again = burnish.run(RECIPE, settings=SHORT, workspace=tmp_path)
    assert again["rows"].path == run["rows"].path  # the commit and the package are those of before
