"""A damaged file of a run, a dataset or the votes is a named error, or is left out with a count; the rest is shown."""

import json

import pytest

import burnish
from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.studio.datasets import datasets
from burnish.studio.playground.votes import FILE, tally
from burnish.studio.views.curves import curves
from burnish.studio.views.detail import run_detail
from burnish.studio.views.files import proof_of
from burnish.studio.views.following import Follower
from made_runs import made_run

CHECK = {"name": "loss", "question": "?", "verdict": "holds", "found": "it does"}
PROOF = {"held": 1, "failed": 0, "errors": 0, "checks": [CHECK]}
DEEP = ["[" * 100_000, '{"a":' * 100_000, f'{{"splits": {"[" * 300}{"]" * 300}}}']
OTHERS = ["{}", "[]", "5", "null", "{", '{"splits": "\\ud800"}']
PROOFS = [
    json.dumps(PROOF | {"held": "x"}),
    json.dumps(PROOF | {"failed": None}),
    *(json.dumps(PROOF | {"checks": checks}) for checks in (5, [5], [{}], [CHECK | {"found": 5}])),
]


def shown(found):
    """As an answer of the server has it."""
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    return found


@pytest.fixture
def step(quick_stages, workspace):
    steps = {"make": {"stage": "quick-make", "word": "hi"}}
    burnish.run({"name": "r", "steps": steps}, workspace=workspace.root)
    return workspace.run("r", 1, "make")


def test_a_damaged_proof_is_named_and_its_run_is_shown(step, workspace):
    path = step.out / "proof.json"
    for text in [*DEEP, *OTHERS, *PROOFS]:
        path.write_text(text)
        with pytest.raises(RunError, match=r"proof\.json") as caught:
            proof_of("r", 1, "make", workspace=workspace.root)
        assert caught.value.code == "run.broken-record"
        (found,) = shown(run_detail("r", 1, workspace=workspace.root))["steps"]
        assert (found["state"], found["shown"]["checks"]) == ("succeeded", [])
        assert str(path) in found["shown"]["notes"][-1]
    write_json(path, PROOF)
    assert proof_of("r", 1, "make", workspace=workspace.root) == PROOF
    (found,) = run_detail("r", 1, workspace=workspace.root)["steps"]
    assert found["shown"]["checks"] == [CHECK]


def test_damaged_counts_leave_the_list_of_datasets_whole(step, workspace):
    record = json.loads((step.folder / "artifact.json").read_text())
    write_json(step.folder / "artifact.json", record | {"kind": "rows"})
    (step.out / "stats.json").write_text('{"read": 3, "kept": NaN}')
    (found,) = shown(datasets(workspace=workspace.root))["datasets"]
    assert found["stats"] == {"read": 3, "kept": "NaN"}
    for text in [*DEEP, *OTHERS]:
        (step.out / "stats.json").write_text(text)
        (found,) = shown(datasets(workspace=workspace.root))["datasets"]
        assert (found["ref"], found["stats"]) == ("r.make@1", {})


@pytest.mark.parametrize("text", [*DEEP, '{"word": "\\ud800"}', '{"\\udfff": 1}'], ids=lambda text: str(len(text)))
def test_damaged_settings_are_a_problem_of_their_step_alone(workspace, text):
    made_run(workspace.root)
    (workspace.run("made", 1, "tune").folder / "spec.json").write_text(text)
    data, tune = shown(run_detail("made", 1, workspace=workspace.root))["steps"]
    assert data["problem"] is None
    assert tune["problem"]["code"] == "run.broken-record"
    assert "spec.json" in tune["problem"]["what"]


def test_a_folder_in_place_of_the_events_is_a_problem_of_its_step_alone(workspace):
    made_run(workspace.root)
    path = workspace.run("made", 1, "tune").events.path
    path.unlink()
    path.mkdir()
    data, tune = shown(run_detail("made", 1, workspace=workspace.root))["steps"]
    assert data["problem"] is None
    assert "events.jsonl is a folder" in tune["problem"]["what"]
    assert curves("made/1/data", workspace=workspace.root)[0]["curves"]["loss"]["count"] == 5
    with pytest.raises(RunError, match=r"events\.jsonl is a folder"):
        curves("made/1/tune", workspace=workspace.root)
    follower = Follower("made", 1, workspace=workspace.root)
    assert {step for step, _, _ in follower.read()} == {"data"}
    assert follower.has_ended()


def test_votes_that_cannot_be_read_are_counted(workspace):
    vote = {"chosen_model": "a", "rejected_model": "b"}
    path = workspace.root / FILE
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([*DEEP, *OTHERS, json.dumps(vote | {"chosen_model": "\ud800"}), json.dumps(vote)]))
    found = shown(tally(workspace=workspace.root))
    assert (found["rows"], found["damaged"]) == (1, len(DEEP) + len(OTHERS) + 1)
