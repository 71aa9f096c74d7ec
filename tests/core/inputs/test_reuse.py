"""A step is reused or resumed only for the files that it was made of: a recipe may give other files when run again."""

import json
from dataclasses import replace

import pytest

from burnish.core.catalog import _BUILT_IN as BUILT_IN
from burnish.core.context import Input
from burnish.core.files import write_json
from burnish.core.inputs.reuse import other_files
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import recipe_of
from burnish.core.recipes.validation import all_specs
from burnish.core.runs.artifact import Artifact

POCKET, ROWS = "builtin:pocket", "file:rows.jsonl"
TRAINING = {"base": POCKET, "data": ROWS}
ENDPOINT = {"url": "http://127.0.0.1:1", "model": "m"}
SETTINGS = {
    "fetch": {"source": ROWS},
    "synthesize": {"generator": {"kind": "pocket", "skill": "base", "rows": 3}},
    "clean": {"source": ROWS, "tokenizer": POCKET, "filters": {"length": {"max_tokens": 9}}},
    "prepare": {"source": ROWS},
    "profile": {"source": ROWS},
    "tokenizer": {"data": ROWS},
    "pretrain": TRAINING,
    "sft": TRAINING,
    "dpo": {**TRAINING, "reference": POCKET},
    "kto": {**TRAINING, "reference": POCKET},
    "orpo": TRAINING,
    "simpo": TRAINING,
    "reward": TRAINING,
    "reference": {"model": POCKET, "data": ROWS},
    "grpo": {**TRAINING, "rewards": [{"kind": "exact_match"}], "kl_coefficient": 0.1},
    "ppo": {**TRAINING, "rewards": [{"kind": "exact_match"}]},
    "evaluate": {"model": POCKET, "data": ROWS, "compare_with": POCKET},
    "judge": {"answers": ROWS, "rubric": "helpfulness", "judge": ENDPOINT},
    "certify": {"child": POCKET, "parent": POCKET, "data": ROWS},
    "compare": {"candidates": {"a": POCKET, "b": POCKET}, "data": ROWS},
    "merge": {"model": POCKET},
    "gguf": {"model": POCKET, "data": ROWS},
    "export": {"model": POCKET},
    "quantize": {"model": POCKET, "data": ROWS},
    "combine": {"adapters": [{"adapter": POCKET, "weight": 1}, {"adapter": POCKET, "weight": 1}]},
    "generate": {"model": POCKET, "data": ROWS},
}
"""Settings of each stage, with what a user has instead of artifacts."""
NESTED = {
    "against": lambda ref: {"against": ref, "mode": "pairwise", "rubric": None},
    "decontaminate.against": lambda ref: {"decontaminate": {"against": [ref]}},
    "references": lambda ref: {"references": ref, "mode": "reference", "rubric": None},
    "evaluations": lambda ref: {"evaluations": {"test": ref}},
    "regressions": lambda ref: {"regressions": {"core": ref}},
    "source.ref": lambda ref: {"source": [{"ref": ref}]},
    "rewards.model": lambda ref: {"rewards": [{"kind": "reward_model", "model": ref}]},
    "candidates.ref": lambda ref: {"candidates": {"a": {"ref": ref}, "b": POCKET}},
    "generator.model": lambda ref: {"generator": {"kind": "model", "model": ref}},
    "generator.given": lambda ref: {"generator": {"kind": "model", "make": "answers", "model": POCKET, "given": ref}},
    "generator.tokenizer": lambda ref: {
        "generator": {"kind": "model", "make": "magpie", "tokenizer": ref, "endpoint": ENDPOINT}
    },
    "adapters.adapter": lambda ref: {"adapters": [{"adapter": ref, "weight": 1}, {"adapter": POCKET, "weight": 1}]},
}
"""Fields that need other settings, or are members of lists and mappings."""
REUSABLE = [row for row in BUILT_IN if row.is_reusable]
PARENTS = {row.kind_for(row.spec_type().model_validate(SETTINGS[row.name])): row.name for row in REUSABLE} | {
    "adapter": "sft",
    "model": "merge",
}
"""A stage for each kind of artifact."""


def _fields() -> list[tuple[str, str, str]]:
    """Stage, field and kind of each artifact that a built-in stage takes."""
    found = []
    for row in REUSABLE:
        for prefix, spec in all_specs(row.spec_type()):
            for name, info in spec.__pydantic_fields__.items():
                types = f"{info.annotation!r} {info.metadata!r}"
                if "Takes(" in types:
                    found += [(row.name, prefix + name, kind) for kind in PARENTS if f"'{kind}'" in types]
    return found


FIELDS = _fields()
NO_KEYS = "GGUF\x03" + 19 * "\0"
"""The start of a GGUF file without tensors and keys."""


@pytest.fixture
def planned(quick_stages, workspace):
    (workspace.root / "rows.jsonl").write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\n")

    def planned(steps, **options):
        made = make_plan(recipe_of({"name": "r", "steps": steps}), workspace, **options)
        return {step.step.name: step for step in made.steps}

    return planned


@pytest.fixture
def made(planned, finished):
    """Make an artifact of a step as it is planned now, with a content."""

    def made(steps, name, number, content="first", **options):
        step = planned(steps)[name]
        kind = step.step.stage.kind_for(step.step.spec)
        options = {"kind": kind, "stage": step.step.stage.name, "inputs": step.inputs, **options}
        files = {"m.gguf": NO_KEYS + content} if kind == "gguf" else {"content": content}
        return finished("r", number, name, fingerprint=step.fingerprint, files=files, **options)

    return made


def child_of(stage: str, field: str, ref: str) -> dict:
    changed = NESTED[field](ref) if field in NESTED else {field: ref}
    settings = {"stage": stage, **SETTINGS[stage], **changed}
    return {name: value for name, value in settings.items() if value is not None}


def said(step) -> str:
    """The reason, without what is said of the judge: no server answers here."""
    return step.reason.partition("; whether http://")[0]


def test_every_kind_of_artifact_that_a_stage_takes_is_tested():
    assert {kind for _, _, kind in FIELDS} == set(PARENTS) - {"certificate", "profile"}, "nothing takes these"
    assert {"prepare", "dpo", "evaluate", "judge", "certify", "compare", "merge", "combine"} <= {
        row[0] for row in FIELDS
    }


@pytest.mark.some(every=3)
@pytest.mark.parametrize(("stage", "field", "kind"), FIELDS)
def test_no_stage_is_reused_after_its_input_was_made_again_with_other_files(
    planned, made, stage: str, field: str, kind: str
):
    parent = {"stage": PARENTS[kind], **SETTINGS[PARENTS[kind]]}
    steps = {"parent": parent, "child": child_of(stage, field, "step:parent")}
    latest = {"child": child_of(stage, field, "r.parent@latest")}
    made(steps, "parent", 1)
    made(steps, "child", 1)
    assert {step.action for step in planned(steps).values()} == {"reuse"}
    assert planned(latest)["child"].action == "reuse"
    forced = planned(steps, force=["parent"])
    assert said(forced["child"]) == "made by r/1/child if parent gives the same files"

    made(steps, "parent", 2, "other")
    found = planned(steps)
    assert said(found["parent"]) == "made by r/2/parent"
    for ref, child in (("step:parent", found["child"]), ("r.parent@latest", planned(latest)["child"])):
        assert child.action == "run"
        assert child.reason.startswith("r/1/child was made of other files: ")
        assert f"({ref}, of r/1/parent and not r/2/parent)" in child.reason

    made(steps, "parent", 3)
    assert said(planned(steps)["child"]) == "made by r/1/child", "the files are those of r/1/parent again"


def test_an_unfinished_step_is_not_resumed_with_other_files(planned, made):
    steps = {"parent": {"stage": "quick-make"}, "child": {"stage": "quick-slow", "release": "x"}}
    steps["child"]["source"] = "step:parent"
    made(steps, "parent", 1)
    run = made(steps, "child", 1, state="failed")
    (run.scratch / "checkpoints" / "5").mkdir(parents=True)
    assert planned(steps)["child"].action == "resume"
    made(steps, "parent", 2, "other")
    child = planned(steps)["child"]
    assert (child.action, child.run) == ("run", None)
    assert child.reason.startswith("r/1/child was made of other files: source")


def test_a_run_in_progress_on_other_files_is_not_joined(planned, made):
    steps = {"parent": {"stage": "quick-make"}, "child": {"stage": "quick-slow", "release": "x"}}
    steps["child"]["source"] = "step:parent"
    made(steps, "parent", 1)
    run = made(steps, "child", 1, state="running")
    with run.lock():
        assert planned(steps)["child"].action == "resume"
        made(steps, "parent", 2, "other")
        assert planned(steps)["child"].action == "run"


def test_of_several_earlier_runs_the_one_of_the_same_files_is_reused(planned, made):
    steps = {"parent": {"stage": "quick-make"}, "child": {"stage": "quick-join", "source": "step:parent"}}
    for number, content in enumerate(("first", "other"), start=1):
        made(steps, "parent", number, content)
        made(steps, "child", number)
    assert planned(steps)["child"].run.name == "r/2/child"
    first = {"child": {**steps["child"], "source": "r.parent@1"}}
    reason = (
        "made by r/1/child; r/2/child was made of other files: source (r.parent@1, of r/2/parent and not r/1/parent)"
    )
    assert planned(first)["child"].reason == reason


def test_a_record_without_digests_is_of_the_same_files_only_if_it_names_the_same_run(planned, made):
    steps = {"parent": {"stage": "quick-make"}, "child": {"stage": "quick-join", "source": "step:parent"}}
    made(steps, "parent", 1)
    run = made(steps, "child", 1)
    record = run.record_of("artifact.json")
    del record["inputs"]["source"]["digest"]
    write_json(run.folder / "artifact.json", record)
    assert planned(steps)["child"].action == "reuse"
    made(steps, "parent", 2)
    assert planned(steps)["child"].action == "run", "nothing says that its files are those of r/1/parent"


def test_an_artifact_without_recorded_hashes_is_of_its_run(planned, made):
    steps = {"parent": {"stage": "quick-make"}, "child": {"stage": "quick-join", "source": "step:parent"}}
    run = made(steps, "parent", 1)
    record = run.record_of("artifact.json")
    write_json(run.folder / "artifact.json", {**record, "files": None})
    made(steps, "child", 1)
    assert planned(steps)["child"].action == "reuse"
    assert Artifact.of(run.folder, run.workspace).as_input("x").digest == ""


def test_all_changed_inputs_are_named(tmp_path):
    one = Input("step:s", "model", tmp_path / "runs" / "r" / "1" / "s" / "out", "f", digest="d")
    content = Input("file:x", "file", tmp_path / "x", "c")
    before = {"base": one, "data": content}
    assert other_files(before, before) == ""
    now = {"base": replace(one, digest="e"), "data": content, "reference": one}
    assert other_files(before, now) == "base (step:s, of r/1/s and not r/1/s) and reference (step:s)"
