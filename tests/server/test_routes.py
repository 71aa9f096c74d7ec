"""What the routes of machine, stages, recipes and plans answer."""

import re

import pytest

from burnish.core.errors import AskError
from burnish.core.runs.workspace import Workspace
from burnish.studio.recipes.given import refuse_path_outside


def get(studio, path, status=200):
    answer = studio.page.get(f"/api/v1{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


def post(studio, path, status=200, **body):
    answer = studio.page.post(f"/api/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_machine_tells_versions_and_memory(studio):
    found = get(studio, "/machine")
    assert found["machine"]["cores"] >= 1
    assert found["paths"]["workspace"] == str(studio.folder)


def test_every_stage_of_the_catalog_is_listed(studio):
    assert {"sft", "prepare", "evaluate"} <= {row["name"] for row in get(studio, "/stages")}


def test_a_stage_has_the_schema_of_its_settings(studio):
    found = get(studio, "/stages/sft")
    assert found["json_schema"]["properties"]["learning_rate"]["description"]
    assert found["family"] == "train"
    assert {"learning_rate", "method.rank", "epochs", "batch_size"} <= set(found["usual"])
    assert "neftune_alpha" not in found["usual"]
    assert "lora_alpha" in found["elsewhere"]["method.alpha"]
    assert "clip_low" not in found["elsewhere"], "another stage's setting"


def test_an_unknown_stage_is_not_found(studio):
    assert get(studio, "/stages/sfft", 404)["code"] == "ask.unknown-stage"


def test_shipped_recipes_and_those_of_the_workspace_are_listed(studio):
    (studio.folder / "own.yaml").write_text(
        "# My own recipe. It is short.\nname: own\nsteps: {a: {stage: merge, model: x@1}}"
    )
    found = {row["name"]: row for row in get(studio, "/recipes")}
    assert found["own.yaml"]["summary"] == "My own recipe"
    assert found["demo"]["origin"] == "shipped"
    assert "stage: sft" in get(studio, "/recipes/demo")["yaml"]
    assert get(studio, "/recipes/own.yaml")["stages"] == ["merge"]
    assert get(studio, "/recipes/own.yaml")["values"]["steps"] == {"a": {"stage": "merge", "model": "x@1"}}


@pytest.mark.parametrize("name", ["../x.yaml", "%2e%2e/x.yaml", "/etc/passwd", "x%00.yaml", "nothing", "~/x.yaml"])
def test_a_recipe_outside_of_the_workspace_is_not_found(studio, name):
    assert get(studio, f"/recipes/{name}", 404)


def test_a_metric_that_is_named_a_total_is_a_counter(studio):
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", studio.page.get("/api/v1/metrics").text, re.MULTILINE))
    assert kinds["burnish_audit_lost_total"] == "counter"
    assert {kind for name, kind in kinds.items() if name.endswith("_total")} == {"counter"}


def test_routes_of_one_name_are_counted_apart(studio):
    for path in ("/jobs", "/api/v1/jobs"):
        assert studio.page.get(path).status_code == 200
    text = studio.page.get("/api/v1/metrics").text
    counted = set(re.findall(r'burnish_http_requests_total{method="GET",route="([^"]+)"', text))
    assert counted >= {"/jobs", "/api/v1/jobs"}


def test_a_plan_says_what_would_run_and_how_to_write_it(studio):
    found = post(studio, "/plans", recipe="demo", settings=["tune.max_steps=3"], only=["data"])
    assert [step["action"] for step in found["steps"]] == ["run", "run"]
    assert found["command"] == "burnish run demo --set tune.max_steps=3 --only data"
    assert "burnish.run(" in found["python"]
    again = post(studio, "/plans", yaml=found["yaml"])
    assert again["values"] == found["values"]
    assert again["command"] == "burnish run demo.yaml"  # as the page calls the file


def test_a_plan_of_one_stage(studio):
    (studio.folder / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    found = post(studio, "/plans", stage="prepare", values={"source": "file:rows.jsonl", "split": {"test": 0.5}})
    assert found["command"] == "burnish prepare --source file:rows.jsonl --set 'split={test: 0.5}'"


@pytest.mark.parametrize(
    "ref",
    [
        *("file:/etc/passwd", "file:../x", "file:~/x", "file:///etc/passwd"),
        *("git:/etc@v1", "git:file:///etc", "git:file:///etc@v1", "git:file://etc/x", "git:a@b/../..", "git:~/x"),
        *("git:file://{root}/../x", "git:file://{root}/%2e%2e/x", "git://localhost{root}"),
    ],
)
def test_a_recipe_of_a_client_refers_to_nothing_outside_of_the_workspace(studio, ref):
    (studio.folder / "a@b").mkdir(exist_ok=True)
    found = post(studio, "/plans", 403, stage="prepare", values={"source": ref.format(root=studio.folder)})
    assert found["code"] == "ask.not-allowed"


@pytest.mark.parametrize("ref", ["C:\\Users\\x", "//wsl$/Ubuntu/etc:x", "git:C:/x", "git:file:///C:/x"])
def test_a_path_of_windows_is_a_path_to_the_server_too(studio, ref):
    place = Workspace(studio.folder)
    with pytest.raises(AskError) as caught:
        refuse_path_outside(ref, (place.root,), place, "it")
    assert caught.value.code == "ask.bad-reference"  # in WSL and on Windows, ask.not-allowed


@pytest.mark.parametrize(
    ("stage", "values"),
    [
        ("serve", {"model": "builtin:pocket", "keys_file": "/etc/passwd"}),
        ("quantize", {"model": "builtin:pocket", "environment": "/usr/bin/python3", "method": "rtn"}),
    ],
)
def test_other_paths_of_settings_stay_in_the_workspace_too(studio, stage, values):
    found = post(studio, "/plans", 403, stage=stage, values=values)
    assert found["code"] == "ask.not-allowed"


LAN = "steps:\n  rows: {stage: fetch, source: 'http://127.0.0.1:9/x.jsonl', allow_hosts: [127.0.0.1]}\nname: lan\n"


def test_a_client_may_not_allow_private_hosts(studio):
    of_stage = {"stage": "fetch", "values": {"source": "http://127.0.0.1:9/x", "allow_hosts": ["127.0.0.1"]}}
    (studio.folder / "data" / "uploads").mkdir(parents=True, exist_ok=True)
    (studio.folder / "data" / "uploads" / "lan.yaml").write_text(LAN)
    for asked in (of_stage, {"yaml": LAN}, {"recipe": "data/uploads/lan.yaml"}):
        assert post(studio, "/plans", 403, **asked)["code"] == "ask.not-allowed"
        problem = post(studio, "/drafts", **asked)["problem"]
        assert "rows.allow_hosts" in problem["detail"] or "fetch.allow_hosts" in problem["detail"]
        assert "recipe of the workspace" in problem["fix"]
        assert post(studio, "/runs", 403, **asked)["code"] == "ask.not-allowed"


def test_a_recipe_of_the_workspace_may_allow_private_hosts_for_its_source_alone(studio):
    (studio.folder / "lan.yaml").write_text(LAN)
    try:
        for asked in ({"recipe": "lan"}, {"recipe": "lan.yaml"}, {"yaml": LAN}):
            assert post(studio, "/plans", 424, **asked)["code"] == "machine.no-network"  # it was asked
        other = ["rows.source=http://127.0.0.1:9/other"], ["rows.allow_hosts=[127.0.0.1, localhost]"]
        for settings in other:
            assert post(studio, "/plans", 403, recipe="lan", settings=settings)["code"] == "ask.not-allowed"
    finally:
        (studio.folder / "lan.yaml").unlink()


def test_a_wrong_setting_is_named(studio):
    found = post(studio, "/plans", 422, recipe="demo", settings=["tune.learning_rte=1"])
    assert found["code"] == "ask.unknown-key"
    assert "learning_rate" in found["fix"]


def test_each_wrong_setting_is_named_with_its_step(studio):
    wrong = ["tune.method.rank=-1", "tune.learning_rate=abc", "data.split.test=7"]
    found = post(studio, "/plans", 422, recipe="demo", settings=wrong[:2])
    assert {fault["field"] for fault in found["errors"]} == {"tune.method.rank", "tune.learning_rate"}
    assert "greater than or equal to 1" in next(f["message"] for f in found["errors"] if "rank" in f["field"])
    assert post(studio, "/plans", 422, recipe="demo", settings=wrong[2:])["errors"][0]["field"] == "data.split.test"


def test_a_draft_has_a_plan_or_what_is_wrong_with_it(studio):
    whole = post(studio, "/drafts", recipe="demo", only=["requests"])
    assert whole["problem"] is None
    assert whole["plan"]["steps"] == post(studio, "/plans", recipe="demo", only=["requests"])["steps"]
    wrong = post(studio, "/drafts", stage="sft", values={"base": "builtin:pocket"})
    assert wrong["plan"] is None
    assert wrong["problem"]["status"] == 422
    assert [fault["field"] for fault in wrong["problem"]["errors"]] == ["sft.data"]


def test_a_wrong_field_of_the_request_is_named(studio):
    found = post(studio, "/plans", 422, recipe=["demo"], other=1)
    assert {fault["field"] for fault in found["errors"]} == {"body.recipe", "body.other"}
