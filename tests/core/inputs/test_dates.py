"""The date that a chat template prints is pinned by the plan, and stays the same on other days."""

import datetime
import json
from pathlib import Path

import pytest

from burnish.core.errors import AskError
from burnish.core.files import write_json
from burnish.core.inputs.dates import today
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


def test_today_is_the_date_of_the_build_or_of_the_calendar(monkeypatch):
    for epoch, date in (("0", "1970-01-01"), ("86399", "1970-01-01"), ("86400", "1970-01-02"), (FIRST, "2026-01-01")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        assert today() == date
    for epoch in ("", "tomorrow", "-1", None):
        if epoch is None:
            monkeypatch.delenv("SOURCE_DATE_EPOCH")
        else:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        before = datetime.date.today().isoformat()
        assert before <= today() <= datetime.date.today().isoformat()


PRINTED = "for a chat template that prints the date"


def test_every_place_of_a_step_that_prints_a_date_is_pinned_and_noted(planned, workspace):
    model(workspace.root / "base", DATED)
    model(workspace.root / "plain", PLAIN)
    steps = {
        "tune": sft(),
        "prepare": {"stage": "prepare", "source": "file:rows.jsonl", "tokenizer": "file:base"},
        "unread": {"stage": "prepare", "source": "file:rows.jsonl"},
        "score": {"stage": "evaluate", "model": "file:plain", "data": "file:rows.jsonl"},
        "given": {"stage": "evaluate", "model": "file:plain", "data": "file:rows.jsonl", "date": "2024-02-29"},
        "kept": {"stage": "evaluate", "model": "file:base", "data": "file:rows.jsonl", "date": "2024-02-29"},
    }
    made, notes = planned(steps)
    assert {name: dated(step) for name, step in made.items()} == {
        "tune": "2026-01-01",
        "prepare": "2026-01-01",
        "unread": "auto",
        "score": "auto",
        "given": "2024-02-29",
        "kept": "2024-02-29",
    }
    assert notes == (
        f"tune.render.date: 2026-01-01 (today), {PRINTED}",
        f"prepare.render.date: 2026-01-01 (today), {PRINTED}",
        "given.date has no effect: the chat template does not print the date",
    )


def test_one_of_two_templates_is_enough_to_print_the_date(planned, workspace):
    folder = model(workspace.root / "base", PLAIN)
    (folder / "chat_template.jinja").write_text(DATED)
    assert dated(planned({"tune": sft()})[0]["tune"]) == "2026-01-01"
    model(workspace.root / "other", PLAIN)
    score = {"stage": "evaluate", "model": "file:other", "data": "file:rows.jsonl", "compare_with": "file:base"}
    assert dated(planned({"score": score})[0]["score"]) == "2026-01-01"


def test_the_template_of_a_step_that_is_not_made_yet_is_that_of_its_recipe_or_its_base(planned, workspace):
    model(workspace.root / "dated", DATED)
    model(workspace.root / "plain", PLAIN)
    score = {"stage": "evaluate", "data": "file:rows.jsonl"}
    steps = {
        "by-base": sft("file:dated", render={"date": "2025-05-05"}),
        "by-recipe": sft("file:plain", render={"chat_template": DATED, "date": "2025-06-06"}),
        "by-neither": sft("file:plain"),
        "merged": {"stage": "merge", "model": "step:by-base"},
        **{
            f"score-{name}": {**score, "model": f"step:{name}"}
            for name in ("by-base", "by-recipe", "by-neither", "merged")
        },
    }
    made, notes = planned(steps)
    assert {name: dated(made[name]) for name in made if name.startswith("score")} == {
        "score-by-base": "2025-05-05",
        "score-by-recipe": "2025-06-06",
        "score-by-neither": "auto",
        "score-merged": "2025-05-05",
    }
    assert notes == (
        f"score-by-base.date: 2025-05-05 (as step:by-base was trained), {PRINTED}",
        f"score-by-recipe.date: 2025-06-06 (as step:by-recipe was trained), {PRINTED}",
        f"score-merged.date: 2025-05-05 (as step:merged was trained), {PRINTED}",
    )


def test_of_several_earlier_runs_the_date_is_that_of_the_same_step(planned, workspace):
    model(workspace.root / "base", DATED)
    for number, (seed, day) in enumerate([(1, FIRST), (2, SECOND), (2, SECOND), (3, THIRD)], start=1):
        steps, _ = planned({"tune": sft(seed=seed)}, day)
        keep(workspace, steps["tune"], number)
    plain = {"stage": "prepare", "source": "file:rows.jsonl"}
    keep(workspace, planned({"rows": plain})[0]["rows"], 5)
    (workspace.run("r", 4, "tune").folder / "job.json").write_text("{")
    later = "1798761600"
    for seed, date in ((1, "2026-01-01"), (2, "2026-01-02"), (3, "2027-01-01"), (4, "2027-01-01")):
        steps, notes = planned({"tune": sft(seed=seed)}, later)
        assert dated(steps["tune"]) == date
        reason = "as in an earlier run" if seed < 3 else "today"
        assert [note for note in notes if note.startswith("tune.render")] == [
            f"tune.render.date: {date} ({reason}), {PRINTED}"
        ]


def test_a_step_of_another_stage_gives_no_date(planned, workspace):
    model(workspace.root / "base", DATED)
    steps, _ = planned({"tune": {**sft(), "stage": "pretrain"}})
    keep(workspace, steps["tune"], 1)
    assert dated(planned({"tune": sft()}, SECOND)[0]["tune"]) == "2026-01-02"


def test_the_date_of_a_trained_model_is_found_through_what_was_made_of_it(planned, workspace):
    model(workspace.root / "base", DATED)
    recipe = {"tune": sft(), "merged": {"stage": "merge", "model": "step:tune"}}
    steps, _ = planned(recipe)
    keep(workspace, steps["tune"], 1, "succeeded")
    workspace.record_plan("r", 1, {"recipe": "r", "steps": [{"step": "tune", "folder": "r/1/tune"}]})
    score = {"stage": "evaluate", "model": "r.tune@1", "data": "file:rows.jsonl"}
    made, notes = planned({"score": score}, SECOND)
    assert dated(made["score"]) == "2026-01-01"
    assert f"score.date: 2026-01-01 (as r.tune@1 was trained), {PRINTED}" in notes
    again, _ = planned({"tune": sft("file:base", seed=2), "merged": recipe["merged"]}, SECOND)
    assert dated(again["tune"]) == "2026-01-02"


def test_a_gguf_file_whose_template_prints_the_date_gets_one(planned, workspace):
    gguf = pytest.importorskip("gguf")
    for name, template in (("dated", DATED), ("plain", PLAIN)):
        writer = gguf.GGUFWriter(workspace.root / f"{name}.gguf", "llama")
        writer.add_token_list(["a", "b"])
        writer.add_chat_template(template)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
    steps = {
        name: {"stage": "generate", "model": f"file:{name}.gguf", "data": "file:rows.jsonl"}
        for name in ("dated", "plain")
    }
    found, notes = planned(steps)
    assert {name: dated(step) for name, step in found.items()} == {"dated": "2026-01-01", "plain": "auto"}
    assert any("dated.date: 2026-01-01 (today)" in note for note in notes)
