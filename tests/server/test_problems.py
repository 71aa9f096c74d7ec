"""Every error code has a status, and errors say what to do next and nothing of the server's insides."""

import errno
import json
import os

import pytest

from burnish.core.errors import CODES, family_of
from burnish.server.problems import _NOT_FOUND, _STATUS, problem_of, status_of
from burnish.server.security.guard import answer_of

EXPECTED = {
    "ask.no-such-run": 404,
    "ask.no-such-job": 404,
    "ask.not-logged-in": 401,
    "ask.not-allowed": 403,
    "ask.unknown-key": 422,
    "data.unreadable": 422,
    "model.broken": 422,
    "run.busy": 409,
    "run.fenced": 409,
    "machine.busy": 503,
    "machine.database-busy": 503,
    "machine.no-database": 503,
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_status_and_a_whole_problem(code):
    answer = problem_of(family_of(code)(code, "something happened", "do this"))
    problem = json.loads(answer.body)
    assert 400 <= answer.status_code < 600
    assert answer.status_code == EXPECTED.get(code, answer.status_code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem == {
        "type": f"urn:burnish:error:{code}",
        "title": CODES[code],
        "status": answer.status_code,
        "detail": "something happened",
        "code": code,
        "fix": "do this",
    }
    assert ("retry-after" in answer.headers) == (answer.status_code in (503, 429) or code == "run.busy")


def test_the_table_has_no_code_that_does_not_exist():
    assert set(_STATUS) | set(_NOT_FOUND) <= set(CODES)


@pytest.mark.parametrize(("method", "status"), [("GET", 404), ("DELETE", 404), ("POST", 422)])
def test_what_an_address_names_is_not_found_and_what_a_body_names_is_wrong(method, status):
    assert status_of("ask.bad-reference", method) == status


def test_an_unexpected_error_shows_nothing_of_the_server(caplog):
    answer = answer_of(RuntimeError("password=hunter2 at /srv/secret.py"), "GET", "/api/v1/x", "abc123")
    assert answer.status_code == 500
    assert b"hunter2" not in answer.body
    assert b"/srv" not in answer.body
    assert json.loads(answer.body)["reference"] == "abc123"
    assert "abc123" in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("path", ["/api/v1/runs", "/v1/files"])
@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "machine.no-disk"),
        (errno.EDQUOT, 507, "machine.no-disk"),
        (errno.EROFS, 503, "machine.no-access"),
        (errno.EACCES, 503, "machine.no-access"),
    ],
)
def test_a_disk_that_is_full_or_read_only_is_said_to_be_so(path, number, status, code):
    answer = answer_of(OSError(number, os.strerror(number), "/w/runs/r/1"), "POST", path, "abc123")
    assert answer.status_code == status
    assert code.encode() in answer.body
    assert b"/w/runs/r/1" in answer.body
