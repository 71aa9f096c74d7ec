"""A step that is run again may give other files: then what was made of the first is made again, else it is reused."""

import pytest

import burnish
from burnish.testing import ChatServer

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


def test_answers_of_another_model_behind_an_endpoint_are_not_reused(workspace):
    (workspace.root / "p.jsonl").write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n')

    def run(url):
        step = {"stage": "generate", "endpoint": {"url": url, "model": "tuned"}, "data": "file:p.jsonl"}
        found = burnish.run({"name": "e", "steps": {"answer": step}}, workspace=workspace.root).steps["answer"]
        number = int(found.run.name.split("/")[1])
        reason = workspace.plan_of("e", max(workspace.numbers("e")))["steps"][0]["reason"]
        return found.action, number, (found.run.out / "answers.jsonl").read_text(), reason

    with ChatServer(lambda _: "old") as server:
        server.models = {"tuned": "fp_1"}
        assert run(server.url)[:2] == ("run", 1)
        action, number, _, reason = run(server.url)
        assert (action, number, reason) == ("reuse", 1, "made by e/1/answer")
        server.models, server.answer = {"tuned": "fp_2"}, lambda _: "new"
        action, number, text, reason = run(server.url)
        assert action == "run"
        assert '"new"' in text
        assert f"e/1/answer has answers of another model of {server.url}#tuned" in reason
        server.models = {}
        action, _, text, reason = run(server.url)
        assert action == "reuse"
        assert '"new"' in text
        assert f"whether {server.url}#tuned is still the same model is not known" in reason
    assert run(server.url)[0] == "reuse"
