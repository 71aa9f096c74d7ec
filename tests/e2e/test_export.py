"""From rows to a folder with its card on a local hub: one workspace, and what later runs do with it."""

import json
import os
import re
from types import SimpleNamespace

import pytest
import typer
import yaml

import burnish
from burnish.core.errors import RunError
from burnish.core.recipes.recipe import recipe_of
from burnish.core.runs.workspace import Workspace
from burnish.studio.planning import plan
from hub_server import TOKEN, HubServer, faults_of

ROWS = [
    {"messages": [{"role": "user", "content": f"What is the date {n} days on?"}, {"role": "assistant", "content": "X"}]}
    for n in range(60)
]
RECIPE = {
    "name": "ship",
    "steps": {
        "data": {"stage": "prepare", "source": "file:rows.jsonl", "split": {"test": 0.2}},
        "tune": {
            "stage": "sft",
            "base": "builtin:pocket",
            "data": "step:data",
            "max_steps": 3,
            "batch_tokens": 256,
            "method": {"kind": "lora", "rank": 4},
            "learning_rate": 0.01,
            "threads": 1,
        },
        "score": {
            "stage": "evaluate",
            "model": "step:tune",
            "data": "step:data",
            "max_rows": 4,
            "threads": 1,
            "generation": {"max_new_tokens": 8},
        },
        "folder": {
            "stage": "export",
            "model": "step:tune",
            "evaluations": {"skill": "step:score"},
            "push_to": "hub:me/tuned",
            "title": "Dates",
        },
    },
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The recipe ran twice: the hub failed in the first commit."""
    root = tmp_path_factory.mktemp("work")
    (root / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    burnish.run(RECIPE, only=["data", "tune", "score"], workspace=root)  # by workers of usual surroundings
    with HubServer() as hub, pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_ENDPOINT", hub.url)
        patched.setenv("HF_TOKEN", TOKEN)
        patched.delenv("HF_HUB_OFFLINE", raising=False)
        hub.faults["/commit/"] = [500]
        with pytest.raises(RunError) as failed:
            burnish.run(RECIPE, workspace=root)
        first = hub.uploads
        result = burnish.run(RECIPE, workspace=root)
        folder = result["folder"]
        yield SimpleNamespace(root=root, hub=hub, failed=failed.value, folder=folder, before=first, result=result)


def card_of(shipped):
    text = (shipped.folder.path / "README.md").read_text()
    front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    return yaml.safe_load(front[1]), text


def events_of(shipped):
    return (shipped.folder.run.folder / "events.jsonl").read_text()


def test_a_failed_upload_leaves_the_artifact_and_the_next_run_uploads_it(shipped):
    assert shipped.failed.code == "run.not-pushed"
    assert "the hub fails" in shipped.failed.what
    assert set(shipped.failed.result["steps"]) == {"data", "tune", "score", "folder"}
    assert {step.action for step in shipped.result.steps.values()} == {"reuse"}
    there = shipped.hub.repos["me/tuned"].files()
    assert there["model.safetensors"] == (shipped.folder.path / "model.safetensors").read_bytes()
    assert shipped.folder.pushed.endswith(shipped.hub.repos["me/tuned"].branches["main"])
    assert shipped.result.as_dict()["steps"]["folder"]["pushed"] == shipped.folder.pushed


def test_a_third_run_uploads_nothing_and_says_so(shipped):
    uploads = shipped.hub.uploads
    again = burnish.run(RECIPE, workspace=shipped.root)["folder"]
    assert (again.pushed, shipped.hub.uploads) == (shipped.folder.pushed, uploads)
    assert "nothing to upload: all is there" in events_of(shipped)


def test_what_was_deleted_on_the_hub_is_uploaded_again(shipped):
    repo = shipped.hub.repos["me/tuned"]
    repo.commit("main", {name: one for name, one in repo.files().items() if name != "config.json"}, "by hand")
    assert burnish.run(RECIPE, workspace=shipped.root)["folder"].pushed != shipped.folder.pushed
    assert "config.json" in repo.files()


def test_an_upload_of_before_is_not_an_error_where_the_hub_is_away(shipped):
    shipped.hub.faults["GET"] = ["break"] * 99
    try:
        assert burnish.run(RECIPE, workspace=shipped.root)["folder"].action == "reuse"
    finally:
        shipped.hub.faults.clear()
    assert "the hub cannot be reached to compare" in events_of(shipped)


def test_the_token_is_in_no_file(shipped):
    for base, _, names in os.walk(shipped.root):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                assert TOKEN.encode() not in file.read(), name


def test_the_front_matter_is_what_the_hub_accepts(shipped):
    front, text = card_of(shipped)
    assert faults_of(front) == []
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "transformers"
    assert front["pipeline_tag"] == "text-generation"
    assert {"burnish", "sft", "lora"} <= set(front["tags"])
    assert "base_model" not in front  # it is on no hub
    assert "builtin:pocket" in text
    [model] = front["model-index"]
    metrics = {metric["name"]: metric["value"] for one in model["results"] for metric in one["metrics"]}
    found = json.loads((shipped.result["score"].path / "metrics.json").read_text())
    entries = {**found["scores"], **found["likelihood"]}
    assert metrics == {name: round(one["model"]["value"], 6) for name, one in entries.items()}

    from huggingface_hub import ModelCard

    card = ModelCard.load(shipped.folder.path / "README.md")
    assert card.data.eval_results


def test_the_card_shows_scores_with_intervals_settings_proof_and_licence(shipped):
    _, text = card_of(shipped)
    found = json.loads((shipped.result["score"].path / "metrics.json").read_text())
    for name, one in found["scores"].items():
        assert (
            f"| `{name}` | {one['model']['value']:.4g} | {one['model']['low']:.4g} to {one['model']['high']:.4g} |"
            in text
        )
    assert "| `method.rank` | 4 |" in text
    assert "| `learning_rate` | 0.01 |" in text
    proof = json.loads((shipped.result["tune"].path / "proof.json").read_text())
    assert f"{proof['held']} hold, {proof['failed']} do not" in text
    assert "shared with the notice of the licence, because of builtin:pocket (apache-2.0)" in text
    assert "unknown: file:rows.jsonl (unknown)" in text
    assert "The weights of this model were changed" in (shipped.folder.path / "NOTICE").read_text()
    assert str(shipped.root) not in text


def test_the_recipe_in_the_card_makes_the_same_model(shipped):
    """Planned in the same workspace, every step of it is reused."""
    _, text = card_of(shipped)
    values = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert list(values["steps"]) == ["data", "tune", "score", "export"]
    found = plan(recipe_of(values), workspace=Workspace(shipped.root).root)
    assert {step.action for step in found.steps} == {"reuse"}


def test_the_snippet_for_transformers_runs(shipped, capsys):
    _, text = card_of(shipped)
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    code = code.replace("path/to/this/folder", str(shipped.folder.path)).replace("=200", "=5, do_sample=False")
    exec(compile(code, "card", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("stage", ["chat", "gguf", "serve"])
def test_the_commands_of_the_card_are_commands_of_burnish(shipped, stage):
    _, text = card_of(shipped)
    words = re.search(rf"^burnish {stage} (.*)$", text, re.MULTILINE)
    if words is None:
        assert stage == "serve"
        return
    from burnish.cli.main import app
    from burnish.cli.stages import stage_command
    from burnish.core.catalog import stages

    table = stages()
    command = stage_command(table[stage]) if stage in table else typer.main.get_command(app).get_command(None, stage)
    flags = {flag for option in command.params for flag in option.opts}
    assert set(re.findall(r"--[\w-]+", words[1])) <= flags
    assert words[1].startswith("--") == (stage == "gguf")
