"""Errors have a code, a description and a fix, also across processes."""

import json
import pickle
import re
import traceback
from pathlib import Path

import pytest

from burnish.core.errors import (
    CODES,
    AskError,
    BurnishError,
    DataError,
    GateError,
    MachineError,
    ModelError,
    RunError,
    error_from_dict,
    family_of,
)

FAMILIES = {"ask": AskError, "data": DataError, "model": ModelError, "machine": MachineError, "run": RunError}


@pytest.mark.parametrize("code", CODES)
def test_an_error_survives_json_and_pickle(code):
    error = family_of(code)(code, "what", "fix")
    for again in (error_from_dict(json.loads(json.dumps(error.as_dict()))), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert (again.code, again.what, again.fix) == (code, "what", "fix")


def test_each_family_has_its_own_exit_status():
    assert [family.exit_status for family in FAMILIES.values()] == [2, 3, 4, 5, 6]
    assert all(issubclass(family, BurnishError) for family in FAMILIES.values())
    assert {name: family_of(f"{name}.x") for name in FAMILIES} == FAMILIES


def test_a_failed_gate_is_a_failed_run_with_an_exit_status_of_its_own():
    assert (family_of("run.gate-failed"), GateError.exit_status) == (GateError, 7)
    assert issubclass(GateError, RunError)


def test_a_code_that_is_not_listed_cannot_be_raised():
    with pytest.raises(KeyError):
        AskError("ask.invented", "what", "fix")


def test_python_shows_the_code_and_the_fix_of_an_error():
    error = AskError("ask.bad-reference", "there is no step 'tun'", "did you mean 'tune'?")
    assert str(error) == "there is no step 'tun'\nfix: did you mean 'tune'?\ncode: ask.bad-reference"
    shown = "".join(traceback.format_exception(error))
    assert shown.count("did you mean 'tune'?") == shown.count("ask.bad-reference") == 1


def test_no_error_contains_a_secret():
    error = AskError("ask.bad-reference", "https://me:canary@host/x", "use hf_canarycanarycanarycanary")
    assert "canary" not in f"{error} {error!r} {error.as_dict()} {error.args} {pickle.dumps(error)}"


def test_an_error_names_its_place_once():
    bare = DataError("data.control-token", "a message spells it", "remove it")
    placed = bare.at("x:3")
    assert (placed.what, placed.reason, placed.place) == ("x:3: a message spells it", "a message spells it", "x:3")
    assert placed.at("x:3").what == placed.at("y:4").what == placed.what
    assert bare.at("").what == bare.what
    again = pickle.loads(pickle.dumps(placed))
    assert (again.what, again.at("x:3").what) == (placed.what, placed.what)


def test_the_codes_are_those_of_the_reference_with_the_exit_status_of_their_family():
    page = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z.-]+)` \| (\d) \| (.+) \|$", page, re.MULTILINE)
    assert {code: meaning for code, _, meaning in rows} == CODES
    for code, status, _ in rows:
        error = family_of(code)(code, "what", "fix")
        assert error.as_dict() == {"code": code, "what": "what", "fix": "fix", "exit_status": int(status)}
    assert BurnishError("run.failed", "what", "fix").as_dict()["exit_status"] == 1


def test_an_error_gives_its_parts_to_whoever_catches_it():
    error = RunError("run.failed", "it broke", "mend it", "x:1")
    assert (error.code, error.what, error.reason, error.fix, error.place) == (
        "run.failed",
        "x:1: it broke",
        "it broke",
        "mend it",
        "x:1",
    )
    assert error.args == ("x:1: it broke",)
    assert RunError("run.failed", "it broke", "mend it").args == ("it broke",)
    other = error.at("y:2")
    assert (type(other), other is error, other.what, other.fix) == (RunError, False, "x:1: it broke", "mend it")
    with pytest.raises(KeyError, match=r"error code 'run\.invented' is not in CODES"):
        RunError("run.invented", "", "")
