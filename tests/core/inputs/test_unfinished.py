"""What changed since an unfinished run that is left behind, said of every kind of input and setting."""

from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.core.files import write_json
from burnish.core.inputs.unfinished import has_checkpoint, left_behind
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import recipe_of


@pytest.fixture
def step(quick_stages, workspace):
    """A step `s` of the recipe `r` with these settings."""

    def step(stage="quick-make", **settings):
        return recipe_of({"name": "r", "steps": {"s": {"stage": stage, **settings}}}).steps[0]

    return step


@pytest.fixture
def left(step, finished, workspace):
    """What is said of a run that was stopped with these inputs, when the step has those."""

    def left(before: dict, now: dict) -> str:
        run = finished("r", 1, "s", state="interrupted", inputs=before, spec={}, plan=False)
        (run.scratch / "checkpoints" / "1").mkdir(parents=True)
        said = left_behind(workspace.all_runs(), "r", step(), now)
        start = "r/1/s (interrupted) is not resumed, since "
        assert said.startswith(start)
        return said.removeprefix(start)

    return left


COMMITS = ("0123456789abcdef" * 3)[:40], ("fedcba9876543210" * 4)[:64]


def test_the_change_of_every_kind_of_input_is_said(left, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for path in (a, b):
        path.write_text("x")

    def made(ref, fingerprint, path=a, revision=""):
        return Input(ref, "file", path, fingerprint, revision=revision)

    before = {
        "same": made("file:x", "1"),
        "moved": made("file:x", "1"),
        "gone": made("file:gone", "1"),
        "other": made("file:x", "1"),
    }
    now = {
        "same": made("file:x", "1"),
        "moved": made("file:y", "1"),
        "other": made("hub:x", "2"),
        "new": made("file:new", "1"),
    }
    assert left(before, now) == (
        "gone was file:gone and is not set, other was file:x and is hub:x, new was not set and is file:new"
    )


@pytest.mark.parametrize(
    ("ref", "revisions", "said"),
    [
        ("git:x", COMMITS, f"in (git:x) was {COMMITS[0][:12]} and is {COMMITS[1][:12]}"),
        ("hub:x", ("main", "v2"), "in (hub:x) was main and is v2"),
        ("r.s@latest", ("r/1/s-of-a-long-name", "r/2/s"), "in (r.s@latest) was r/1/s-of-a-long-name and is r/2/s"),
    ],
)
def test_a_new_revision_is_named_and_a_commit_by_its_first_digits(left, tmp_path, ref, revisions, said):
    one, two = (Input(ref, "folder", tmp_path, number.replace("/", "-"), revision=number) for number in revisions)
    assert left({"in": one}, {"in": two}) == said


def test_a_file_in_the_same_place_is_changed_and_one_elsewhere_is_another(left, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for path in (a, b):
        path.write_text("x")
    before = {
        "file": Input("file:a", "file", a, "1"),
        "builtin": Input("builtin:a", "file", a, "1"),
        "elsewhere": Input("file:a", "file", a, "1"),
        "step": Input("step:a", "file", a, "1"),
    }
    now = {
        "file": Input("file:a", "file", a, "2"),
        "builtin": Input("builtin:a", "file", a, "2"),
        "elsewhere": Input("file:a", "file", b, "2"),
        "step": Input("step:a", "file", a, "2"),
    }
    assert left(before, now) == (
        f"file (file:a): {a} changed, builtin (builtin:a): {a} changed, elsewhere (file:a) is another, "
        "step (step:a) is another"
    )


@pytest.mark.parametrize(
    ("count", "more"), [(3, ""), (4, ""), (5, " and 1 more"), (6, " and 2 more")], ids=lambda value: str(value)
)
def test_four_changes_are_named_and_the_others_counted(left, count, more):
    before = {f"in{number}": Input("file:x", "file", Path(__file__), "1") for number in range(count)}
    listed = ", ".join(f"in{number} was file:x and is not set" for number in range(min(count, 4)))
    assert left(before, {}) == listed + more


def test_a_setting_is_shown_as_json_of_at_most_sixty_characters(planned_after):
    for length in (58, 59):
        before, after = "a" * length, "é"
        shown = f'"{before}"' if length == 58 else f'"{before}…'
        assert planned_after({"word": before}, {"word": after}) == f'word was {shown} and is "é"'


@pytest.fixture
def planned_after(quick_stages, workspace, finished):
    """The reason of a step, after a run with other settings was stopped."""
    numbers = iter(range(1, 100))

    def planned_after(before, after):
        recipes = [
            recipe_of({"name": "r", "steps": {"s": {"stage": "quick-make", **given}}}) for given in (before, after)
        ]
        step = make_plan(recipes[0], workspace).steps[0]
        number = next(numbers)
        run = finished(
            "r", number, "s", fingerprint=step.fingerprint, state="interrupted", plan=False,
            spec=step.step.spec.model_dump(mode="json", exclude_unset=True),
        )  # fmt: skip
        (run.scratch / "checkpoints" / "1").mkdir(parents=True)
        plan = make_plan(recipes[1], workspace)
        said = f"r/{number}/s (interrupted) is not resumed, since "
        assert plan.steps[0].reason.startswith(f"new: {said}")
        assert plan.notes == (plan.steps[0].reason.replace("new: ", "s: ", 1),)
        return plan.steps[0].reason.removeprefix(f"new: {said}")

    return planned_after


def test_a_run_can_be_resumed_if_it_stopped_with_a_checkpoint(finished):
    for number, state in enumerate(("failed", "interrupted", "killed", "running", "succeeded"), start=1):
        run = finished("r", number, state=state)
        assert not has_checkpoint(run)
        (run.scratch / "checkpoints" / "5").mkdir(parents=True)
        expected = state in ("failed", "interrupted", "killed") or state == "running"  # whose worker is gone
        assert has_checkpoint(run) is expected


def test_the_newest_unfinished_run_of_the_step_is_named_and_broken_ones_are_passed_over(step, finished, workspace):
    def stopped(recipe, number, name="s", **more):
        run = finished(recipe, number, name, state="failed", plan=False, spec={"word": f"w{number}"}, **more)
        (run.scratch / "checkpoints" / "5").mkdir(parents=True)
        return run

    def named():
        return left_behind(workspace.all_runs(), "r", step(), {}).partition(" ")[0]

    assert named() == ""
    stopped("r", 1)
    stopped("q", 7)
    stopped("r", 2, "other")
    assert named() == "r/1/s"
    finished("r", 3, "s", state="failed", plan=False)  # without a checkpoint
    broken = stopped("r", 4)
    (broken.folder / "job.json").write_text("{")
    assert named() == "r/1/s"
    (broken.folder / "run.json").write_text("{")
    assert named() == "r/1/s"
    done = finished("r", 5, "s", plan=False)
    assert named() == ""
    assert done.artifact() is not None
    stopped("r", 6)
    assert named() == "r/6/s"
    newest = workspace.run("r", 6, "s")
    write_json(newest.folder / "job.json", {**newest.record_of("job.json"), "stage": "quick-talk"})
    assert left_behind(workspace.all_runs(), "r", step(), {}) == (
        "r/6/s (failed) is not resumed, since its stage was quick-talk and is quick-make"
    )
