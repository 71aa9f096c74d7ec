"""What a stage gets and gives: inputs that survive a moved workspace, and outcomes."""

import json
from pathlib import Path

import pytest

from burnish.core.context import Context, Input, Outcome
from burnish.core.events import Note


def test_an_input_below_the_workspace_moves_with_it():
    base = Input("step:base", "model", Path("/place/runs/r/1/base/out"), "b")
    other = Input("file:/data", "folder", Path("/data"), "d", revision="c0")
    value = Input("step:tune", "adapter", Path("/place/runs/r/1/tune/out"), "t", {"base": base, "data": other})
    plain = value.to_json(Path("/place"))
    assert plain == {
        "ref": "step:tune",
        "kind": "adapter",
        "path": "runs/r/1/tune/out",
        "fingerprint": "t",
        "revision": "",
        "digest": "",
        "inputs": {
            "base": {
                "ref": "step:base",
                "kind": "model",
                "path": "runs/r/1/base/out",
                "fingerprint": "b",
                "revision": "",
                "digest": "",
                "inputs": {},
            },
            "data": {
                "ref": "file:/data",
                "kind": "folder",
                "path": "/data",
                "fingerprint": "d",
                "revision": "c0",
                "digest": "",
                "inputs": {},
            },
        },
    }
    assert json.loads(json.dumps(plain)) == plain
    assert Input.from_json(plain, Path("/place")) == value
    assert Input.from_json(plain, Path("/moved")).inputs["base"].path == Path("/moved/runs/r/1/base/out")
    assert Input.from_json(plain).path == Path("runs/r/1/tune/out")
    assert value.to_json()["path"] == "/place/runs/r/1/tune/out"
    assert Input.from_json(value.to_json()) == value


@pytest.mark.parametrize("key", ["ref", "kind", "path", "fingerprint", "revision", "inputs"])
def test_an_input_without_one_of_its_parts_is_not_read(key):
    plain = Input("step:base", "model", Path("/x"), "b").to_json()
    del plain[key]
    with pytest.raises(KeyError, match=key):
        Input.from_json(plain)


def test_what_is_not_given_is_empty():
    value = Input("file:x", "file", Path("x"))
    assert (value.fingerprint, value.inputs, value.revision) == ("", {}, "")
    assert (Outcome("model").measures, Outcome("model").provenance) == ({}, {})


def test_a_context_gives_inputs_by_their_field_and_says_whether_to_stop(tmp_path):
    value, sent, is_stopping = Input("file:x", "file", tmp_path), [], [False]
    context = Context(
        out=tmp_path,
        scratch=tmp_path,
        inputs={"source.0.ref": value},
        emit=sent.append,
        is_stopping=lambda: is_stopping[0],
        check_settings=lambda: None,
        cache=tmp_path,
    )
    assert context.input("source.0.ref") is value
    with pytest.raises(KeyError):
        context.input("source")
    assert context.stopping is False
    is_stopping[0] = True
    assert context.stopping is True
    context.emit(Note(text="x"))
    assert [event.text for event in sent] == ["x"]
    context.release_input("source.0.ref")
