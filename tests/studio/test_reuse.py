"""A step that is run again may give other files: then what was made of the first is made again, else it is reused."""

import pytest

import burnish

STEPS = {
    "make": {"stage": "quick-make"},
    "join": {"stage": "quick-join", "source": "step:make"},
    "end": {"stage": "quick-join", "source": "step:join"},
}
ELSEWHERE = ["make.machine=elsewhere"]


@pytest.fixture
def run(quick_stages, workspace):
    def run(*settings, **options):
        found = burnish.run({"name": "r", "steps": STEPS}, settings=settings, workspace=workspace.root, **options)
        return {name: (step.action, step.run.name) for name, step in found.steps.items()}

    return run


def test_what_was_made_of_other_files_is_made_again(run, workspace):
    first = run()
    assert run(*ELSEWHERE) == {name: ("reuse", of) for name, (_, of) in first.items()}, "nothing ran elsewhere"
    again = run(*ELSEWHERE, force=["make"])
    assert again == {name: ("run", f"r/3/{name}") for name in STEPS}
    assert (workspace.run("r", 3, "end").out / "words.txt").read_text() == "helloelsewhere\n"
    plan = workspace.plan_of("r", 3)["steps"]
    assert plan[1]["reason"] == "r/1/join was made of other files: source (step:make, of r/1/make and not r/3/make)"
    assert [step["folder"] for step in plan] == [f"r/3/{name}" for name in STEPS]
    assert run() == {name: ("reuse", f"r/3/{name}") for name in STEPS}


def test_what_was_made_of_the_same_files_is_reused(run):
    run()
    again = run(force=["make"])
    assert again == {"make": ("run", "r/2/make"), "join": ("reuse", "r/1/join"), "end": ("reuse", "r/1/end")}
    assert run() == {"make": ("reuse", "r/2/make"), "join": ("reuse", "r/1/join"), "end": ("reuse", "r/1/end")}


def test_an_artifact_that_is_damaged_and_made_again_with_other_files(run, workspace):
    run()
    (workspace.run("r", 1, "make").out / "words.txt").write_text("damage")
    assert {name: action for name, (action, _) in run(*ELSEWHERE).items()} == dict.fromkeys(STEPS, "run")
