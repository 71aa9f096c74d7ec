"""Why a step is run again although its recipe has not changed."""

import json

STEPS = {
    "make": {"stage": "quick-make"},
    "join": {"stage": "quick-join", "source": "step:make"},
}


def test_the_plan_and_the_run_say_why_a_step_is_not_reused(burnish, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(json.dumps({"name": "r", "steps": STEPS}))
    assert burnish("run", recipe).status == 0
    planned = burnish("plan", recipe, "--force", "make", "--json")
    reasons = [step["reason"] for step in json.loads(planned.out)["steps"]]
    assert reasons == ["forced", "made by r/1/join if make gives the same files"]
    found = burnish("run", recipe, "--set", "make.machine=elsewhere", "--force", "make")
    why = "r/1/join was made of other files: source (step:make, of r/1/make and not r/2/make)"
    assert f"join running quick-join: {why}" in " ".join(f"{found.out} {found.err}".split())
