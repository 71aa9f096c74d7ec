"""A damaged file of a run, a dataset or the votes is a named error, or is left out with a count; the rest is shown."""

import json
import os
import socket

import pytest

import burnish
from burnish.core.errors import AskError, RunError
from burnish.core.files import write_json
from burnish.core.runs.log import RunLog
from burnish.studio.datasets import datasets
from burnish.studio.datasets.quarantine import counts_of
from burnish.studio.playground.votes import FILE, record_vote, tally
from burnish.studio.views.curves import curves
from burnish.studio.views.detail import run_detail
from burnish.studio.views.files import proof_of, sample_of
from burnish.studio.views.following import Follower
from burnish.studio.views.logs import log, search
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


def listening(path):
    """Make a socket at a path, which may be too long for one."""
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


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


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["events.jsonl", "run.log"])
@pytest.mark.parametrize("make", [os.mkfifo, listening], ids=["pipe", "socket"])
def test_a_pipe_or_a_socket_in_place_of_a_log_is_named_and_nothing_waits_for_it(workspace, name, make):
    made_run(workspace.root)
    run = workspace.run("made", 1, "tune")
    path = run.folder / name
    path.unlink(missing_ok=True)
    make(path)
    ask = {"workspace": workspace.root}
    _, tune = shown(run_detail("made", 1, **ask))["steps"]
    assert f"{name} is not a regular file" in tune["problem"]["what"]
    for verb in (log, search):
        with pytest.raises(RunError, match="is not a regular file"):
            verb("made", 1, "tune", **ask)
    if name == "events.jsonl":
        with pytest.raises(RunError, match=r"events\.jsonl is a pipe, a socket or a device"):
            list(run.events.read())
        assert {step for step, _, _ in Follower("made", 1, **ask).read()} == {"data"}
    else:
        assert (RunLog(path).end, RunLog(path).last_lines(5)) == (0, [])


@pytest.mark.parametrize(
    ("line", "what"), [(b'{"a":' * 300 + b"1" + b"}" * 300, "nested too deeply"), (b"[1]", "no JSON object")]
)
def test_a_sample_that_no_answer_can_hold_is_named(step, workspace, line, what):
    (step.out / "sample.jsonl").write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(RunError, match=rf"sample\.jsonl has a line 2 that is .*{what}") as caught:
        sample_of("r", 1, "make", workspace=workspace.root)
    assert caught.value.code == "run.broken-record"


@pytest.mark.parametrize(
    "stats", ['{"read": "x"}', '{"dropped": 5}', '{"dropped": {"a": -1}}', "5", "{", '{"kept": NaN}']
)
def test_counts_that_are_none_are_named(tmp_path, stats):
    (tmp_path / "stats.json").write_text(stats)
    with pytest.raises(RunError, match=r"stats\.json"):
        counts_of(tmp_path / "stats.json")


def test_no_vote_makes_a_workspace_again_that_was_moved_away(workspace):
    workspace.root.rename(workspace.root.with_name("away"))
    answers = [{"model": "a", "answer": "1"}, {"model": "b", "answer": "2"}]
    with pytest.raises(AskError, match=f"{workspace.root} does not exist"):
        record_vote("?", answers, 0, workspace=workspace.root)
    assert not workspace.root.exists()


def test_votes_that_cannot_be_read_are_counted(workspace):
    vote = {"chosen_model": "a", "rejected_model": "b"}
    path = workspace.root / FILE
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([*DEEP, *OTHERS, json.dumps(vote | {"chosen_model": "\ud800"}), json.dumps(vote)]))
    found = shown(tally(workspace=workspace.root))
    assert (found["rows"], found["damaged"]) == (1, len(DEEP) + len(OTHERS) + 1)
