"""Evaluations as they are read from their files: what is damaged is named, and a page holds no more than itself."""

import json
import tracemalloc

import pytest

from burnish.core.errors import RunError
from burnish.studio.evaluations.items import answers, items
from burnish.studio.evaluations.scores import evaluation
from made_runs import made_run, record_files_again

METRICS = {"scores": {}, "likelihood": {}, "rows": 30, "confidence": 0.95}


def line(number, text="a"):
    return (
        json.dumps({"id": str(number), "prompt": f"p{number}", "answer": text, "scores": {"exact": number % 7}}) + "\n"
    )


@pytest.fixture
def made(workspace):
    """Makes an evaluation of a recipe whose items are these lines."""

    def make(lines, recipe="ev"):
        files = {"items.jsonl": "".join(lines), "metrics.json": json.dumps(METRICS)}
        return made_run(workspace.root, steps=("score",), recipe=recipe).finish("score", "evaluation", files)

    return make


def test_items_that_were_cut_are_not_shown_as_all(made, workspace):
    run = made(map(line, range(30)))
    assert items(run.name, workspace=workspace.root)["total"] == 30
    (run.out / "items.jsonl").write_text("".join(map(line, range(12))))
    for read in (items, evaluation):
        with pytest.raises(RunError, match=r"items\.jsonl") as caught:
            read(run.name, workspace=workspace.root)
        assert caught.value.code == "run.damaged-artifact"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("items.jsonl", "[]\n"),
        ("items.jsonl", "{"),
        ("items.jsonl", '{"scores": [1]}\n'),
        ("items.jsonl", '{"scores": {"a": {}}}\n'),
        ("metrics.json", "{}"),
        ("metrics.json", "[]"),
        ("metrics.json", json.dumps(METRICS | {"scores": {"a": 3}})),
        ("comparison.json", "{}"),
    ],
)
def test_a_file_that_no_step_writes_is_named(made, workspace, name, text):
    run = made([line(1)])
    (run.out / name).write_text(text)
    record_files_again(run.folder)
    with pytest.raises(RunError) as caught:
        (items if name == "items.jsonl" else evaluation)(run.name, workspace=workspace.root)
    assert (caught.value.code, str(run.out / name) in caught.value.what) == ("run.broken-record", True)


def test_a_page_is_found_without_holding_the_others(made, workspace):
    run = made(line(number, "a" * 20_000) for number in range(300))
    other = made((line(number, "b" * 20_000) for number in reversed(range(300))), recipe="other")
    for order in ("file", "worst", "changed"):
        tracemalloc.start()
        found = items(run.name, order=order, text="p2", offset=10, limit=3, workspace=workspace.root)
        both = answers(run.name, other.name, order=order, offset=297, limit=9, workspace=workspace.root)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000  # of 12 MB
        assert [len(found["items"]), found["match"], found["total"]] == [3, 111, 300]
        assert [len(both["items"]), both["match"], both["total"]] == [3, 300, 300]
        assert all([side["answer"][0] for side in item["sides"]] == ["a", "b"] for item in both["items"])
    worst = items(run.name, order="worst", limit=300, workspace=workspace.root)["items"]
    numbers = [int(item["id"]) for item in worst]
    assert numbers == sorted(range(300), key=lambda number: number % 7)
