"""Every recipe that ships is one that burnish can run."""

from pathlib import Path

import pytest

from burnish.core.recipes.recipe import load_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_fits_the_specs_and_bears_its_files_name(path):
    recipe = load_recipe([path])
    assert recipe.name == path.stem
    assert recipe.steps


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_begins_by_saying_what_it_is_for(path):
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_demo_downloads_nothing():
    (demo,) = (path for path in RECIPES if path.stem == "demo")
    references = [ref for step in load_recipe([demo]).steps for ref, _ in step.references().values()]
    assert {ref.partition(":")[0] for ref in references} == {"step", "builtin"}


def test_both_tries_of_the_demo_differ_in_their_data_alone():
    (demo,) = (path for path in RECIPES if path.stem == "demo")
    recipe = load_recipe([demo])
    first, second = (recipe.step(name).spec.model_dump(exclude={"data"}) for name in ("tune", "tune_replay"))
    assert first == second
