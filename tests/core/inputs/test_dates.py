"""The date that a chat template prints is pinned by the plan, and stays the same on other days."""

import json
from pathlib import Path

import pytest

from burnish.core.errors import AskError
from burnish.core.files import write_json
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import recipe_of

DATED = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}"
PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"
FIRST, SECOND, THIRD = "1767225600", "1767312000", "1767398400"
"""The first three days of 2026, in seconds since 1970."""


def model(folder: Path, template: str, file: str = "tokenizer_config.json") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps({"chat_template": template}) if file.endswith(".json") else template)
    return folder


@pytest.fixture
def planned(workspace, monkeypatch):
    """Plan a recipe on a day; the steps by name, and the notes."""
    (workspace.root / "rows.jsonl").write_text('{"text": "a"}\n')

    def planned(steps: dict, day: str = FIRST):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", day)
        plan = make_plan(recipe_of({"name": "r", "steps": steps}), workspace)
        return {step.step.name: step for step in plan.steps}, plan.notes

    return planned


def sft(base: str = "file:base", **settings) -> dict:
    return {"stage": "sft", "base": base, "data": "file:rows.jsonl", **settings}


def dated(step) -> str:
    values = step.step.spec.model_dump(mode="json")
    return values["render"]["date"] if "render" in values else values["date"]


def keep(workspace, step, number: int, state: str = "interrupted") -> None:
    """A run folder of a planned step, as running it leaves one."""
    job = {
        "recipe": "r",
        "number": number,
        "step": step.step.name,
        "stage": step.step.stage.name,
        "fingerprint": step.fingerprint,
        "spec": step.step.spec.model_dump(mode="json", exclude_unset=True),
        "inputs": {path: value.to_json(workspace.root) for path, value in step.inputs.items()},
    }
    run = workspace.run("r", number, step.step.name)
    run.create(job)
    run.transition("running")
    (run.scratch / "checkpoints" / "1").mkdir(parents=True)
    if state == "succeeded":
        run.out.mkdir()
        write_json(
            run.folder / "artifact.json",
            {
                **{key: job[key] for key in ("stage", "fingerprint", "inputs")},
                "kind": step.step.stage.kind_for(step.step.spec),
                "name": f"r.{step.step.name}",
                "version": str(number),
                "spec": step.step.spec.model_dump(mode="json"),
                "measures": {},
                "provenance": {},
            },
        )
    run.transition(state)


@pytest.mark.parametrize(
    "file",
    ["tokenizer_config.json", "chat_template.jinja", "chat_template.json", "additional_chat_templates/tool_use.jinja"],
)
def test_a_template_that_prints_the_date_gets_today_and_the_plan_reports_it(planned, workspace, file):
    model(workspace.root / "base", DATED, file)
    steps, notes = planned({"tune": sft()})
    assert dated(steps["tune"]) == "2026-01-01"
    assert [note for note in notes if "date" in note] == [
        "tune.render.date: 2026-01-01 (today), for a chat template that prints the date"
    ]
    assert steps["tune"].step.spec.model_dump(mode="json", exclude_unset=True)["render"] == {"date": "2026-01-01"}


def test_a_step_is_resumed_and_reused_on_another_day(planned, workspace):
    model(workspace.root / "base", DATED)
    steps, _ = planned({"tune": sft()})
    keep(workspace, steps["tune"], 1)
    again, notes = planned({"tune": sft()}, SECOND)
    assert (again["tune"].action, dated(again["tune"])) == ("resume", "2026-01-01")
    assert "as in an earlier run" in notes[-1]
    keep(workspace, again["tune"], 2, "succeeded")
    assert planned({"tune": sft()}, THIRD)[0]["tune"].action == "reuse"


def test_a_changed_step_gets_the_new_date(planned, workspace):
    model(workspace.root / "base", DATED)
    steps, _ = planned({"tune": sft()})
    keep(workspace, steps["tune"], 1)
    changed, _ = planned({"tune": sft(seed=7)}, SECOND)
    assert (changed["tune"].action, dated(changed["tune"])) == ("run", "2026-01-02")


def test_with_other_templates_the_step_is_the_same_every_day(planned, workspace):
    model(workspace.root / "base", PLAIN)
    one, notes = planned({"tune": sft()})
    two, _ = planned({"tune": sft()}, SECOND)
    assert one["tune"].fingerprint == two["tune"].fingerprint
    assert dated(one["tune"]) == "auto"
    assert not any("date" in note for note in notes)


def test_a_given_date_is_kept_and_part_of_the_fingerprint(planned, workspace):
    model(workspace.root / "base", DATED)
    given, notes = planned({"tune": sft(render={"date": "2025-12-31"})})
    assert dated(given["tune"]) == "2025-12-31"
    assert notes == ()
    other, _ = planned({"tune": sft(render={"date": "2025-12-30"})})
    assert given["tune"].fingerprint != other["tune"].fingerprint


def test_a_date_without_effect_is_reported(planned, workspace):
    model(workspace.root / "base", PLAIN)
    _, notes = planned({"tune": sft(render={"date": "2025-12-31"})})
    assert notes == ("tune.render.date has no effect: the chat template does not print the date",)


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", "20260101", "2026-1-1"])
def test_an_invalid_date_is_refused(planned, workspace, date):
    model(workspace.root / "base", DATED)
    with pytest.raises(AskError, match="YYYY-MM-DD"):
        planned({"tune": sft(render={"date": date})})


def test_a_template_in_the_recipe_overrides_that_of_the_model(planned, workspace):
    model(workspace.root / "base", DATED)
    assert dated(planned({"tune": sft(render={"chat_template": "chatml"})})[0]["tune"]) == "auto"
    model(workspace.root / "plain", PLAIN)
    asked = sft("file:plain", render={"chat_template": DATED})
    assert dated(planned({"tune": asked})[0]["tune"]) == "2026-01-01"


def test_an_evaluation_uses_the_date_of_the_training(planned, workspace):
    model(workspace.root / "base", DATED)
    recipe = {
        "tune": sft(),
        "merged": {"stage": "merge", "model": "step:tune"},
        "score": {"stage": "evaluate", "model": "step:tune", "data": "file:rows.jsonl"},
        "answer": {"stage": "generate", "model": "step:merged", "data": "file:rows.jsonl"},
    }
    steps, notes = planned(recipe)
    assert [dated(steps[name]) for name in ("tune", "score", "answer")] == ["2026-01-01"] * 3
    assert "score.date: 2026-01-01 (as step:tune was trained), for a chat template that prints the date" in notes
    keep(workspace, steps["tune"], 1, "succeeded")
    later, _ = planned({**recipe, "score": {**recipe["score"], "max_rows": 3}}, SECOND)
    assert [dated(later[name]) for name in ("tune", "score", "answer")] == ["2026-01-01"] * 3
    assert later["tune"].action == "reuse"


def test_a_model_that_is_not_downloaded_yet_may_print_the_date(planned, workspace, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    base = sft(f"hub:somebody/model@{'a' * 40}")
    assert dated(planned({"tune": base})[0]["tune"]) == "2026-01-01"
    model(tmp_path / "hub" / "models--somebody--model" / "snapshots" / ("a" * 40), PLAIN)
    assert dated(planned({"tune": base})[0]["tune"]) == "auto"


@pytest.mark.parametrize(("state", "action"), [("interrupted", "resume"), ("succeeded", "reuse")])
def test_a_step_stays_the_same_when_its_model_is_downloaded(planned, workspace, monkeypatch, tmp_path, state, action):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    base = sft(f"hub:somebody/model@{'a' * 40}")
    keep(workspace, planned({"tune": base})[0]["tune"], 1, state)
    model(tmp_path / "hub" / "models--somebody--model" / "snapshots" / ("a" * 40), PLAIN)
    steps, notes = planned({"tune": base}, SECOND)
    assert steps["tune"].action == action
    assert notes == ()
    changed, _ = planned({"tune": {**base, "seed": 7}}, SECOND)
    assert dated(changed["tune"]) == "auto"
