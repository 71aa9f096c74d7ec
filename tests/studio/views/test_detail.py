"""One run as a page shows it has the states of the list of runs."""

import shutil

import burnish
from burnish.studio.listing.pages import runs_page
from burnish.studio.views.detail import run_detail


def test_a_step_that_was_removed_is_so_in_the_run_and_in_the_list(quick_stages, workspace):
    steps = {
        "make": {"stage": "quick-make", "word": "hi"},
        "join": {"stage": "quick-join", "source": [{"ref": "step:make", "take": 1}]},
    }
    burnish.run({"name": "r", "steps": steps}, workspace=workspace.root)
    shutil.rmtree(workspace.run("r", 1, "make").folder)
    detail = run_detail("r", 1, workspace=workspace.root)
    (item,) = runs_page(workspace=workspace.root).items
    for found in (detail, item):
        assert (found["state"], [step["state"] for step in found["steps"]]) == ("succeeded", ["removed", "succeeded"])
