"""The recipes of a workspace: each file that is one is listed, also one that cannot be planned."""

import pytest

from burnish.core.errors import AskError
from burnish.core.recipes.yaml import MAX_BYTES
from burnish.studio.planning import shipped_recipes
from burnish.studio.recipes.shelf import list_recipes, recipe_file, show_recipe

RECIPE = "# What it does. More of it.\nname: r\nsteps:\n  data: {stage: prepare, source: file:rows.jsonl}\n"


@pytest.fixture
def listed(workspace):
    return lambda: {row["name"]: row for row in list_recipes(workspace=workspace.root)}


def test_recipes_of_the_workspace_come_first_with_what_they_do(workspace, listed):
    (workspace.root / "recipes").mkdir()
    (workspace.root / "recipes" / "own.yaml").write_text(RECIPE)
    (workspace.root / "other.yaml").write_text("services: {}\n")
    rows = listed()
    assert next(iter(rows.values())) == {
        "name": "recipes/own.yaml",
        "origin": "workspace",
        "summary": "What it does",
        "stages": ["prepare"],
        "error": None,
    }
    assert {"recipes/own.yaml", *shipped_recipes()} == set(rows)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("steps: [1]\n", "steps"),
        ("steps: {a: 1", "yaml"),
        ("steps: {}\n#" + "x" * MAX_BYTES, "larger than"),
        (b"steps: \xff\xfe", "yaml"),
    ],
)
def test_a_recipe_that_cannot_be_planned_is_listed_with_the_reason(workspace, listed, text, error):
    (workspace.root / "bad.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert error in listed()["bad.yaml"]["error"]
    shown = show_recipe("bad.yaml", workspace=workspace.root)
    assert error in shown["error"]
    assert len(shown["yaml"]) <= MAX_BYTES


def test_a_link_is_listed_and_not_followed(workspace, listed, tmp_path):
    (tmp_path / "elsewhere.yaml").write_text(RECIPE)
    (workspace.root / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert "link" in listed()["link.yaml"]["error"]
    for name in ("link", "link.yaml"):
        with pytest.raises(AskError, match="there is no file"):
            recipe_file(name, workspace=workspace.root)


def test_a_name_in_the_list_means_the_file_that_is_planned(workspace, listed):
    (workspace.root / "demo.yaml").write_text(RECIPE)
    assert listed()["demo.yaml"]["origin"] == "workspace"
    assert "demo" not in listed()
    assert recipe_file("demo", workspace=workspace.root) == workspace.root / "demo.yaml"
