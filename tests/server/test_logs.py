"""The log of a step over HTTP."""

import pytest

from made_runs import made_run

AT = "/api/v1/runs/made/1/tune/log"


@pytest.fixture(scope="module")
def logged(studio):
    run = made_run(studio.folder).step("tune")
    lines = "".join(f"2026-11-23 02:40:00,000 INFO    burnish: step {number}\n" for number in range(100))
    run.log.write_text(
        f"{lines}2026-11-23 02:40:01,000 ERROR   burnish: \x1b[31mit failed\x1b[0m, key sk-{'a1' * 20}\n"
    )
    return studio.page


def test_a_log_is_read_part_by_part(logged):
    last = logged.get(AT, params={"start": -130}).json()
    assert [(line["level"], line["text"].partition("burnish: ")[2]) for line in last["lines"]] == [
        ("error", "it failed, key •••")
    ]
    assert (last["end"], last["dropped"]) == (last["size"], 0)
    first = logged.get(AT, params={"start": 0, "end": 100}).json()
    assert [line["text"][-6:] for line in first["lines"]] == ["step 0", "step 1"]
    assert logged.get(AT, params={"start": 5, "end": 3}).json()["code"] == "ask.wrong-value"


def test_a_log_is_searched(logged):
    found = logged.get(f"{AT}/search", params={"q": "STEP 9", "limit": 5}).json()
    assert [line["text"].rpartition(" ")[2] for line in found["lines"]] == ["9", "90", "91", "92", "93"]
    more = logged.get(f"{AT}/search", params={"q": "step 9", "start": found["next"]}).json()
    assert (len(more["lines"]), more["next"]) == (6, None)
    found = logged.get(f"{AT}/search", params={"level": "warning"}).json()
    assert [line["level"] for line in found["lines"]] == ["error"]
    assert logged.get(f"{AT}/search", params={"level": "loud"}).status_code == 422


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=5-3", "bytes=x", "lines=1-2", "nothing"])
def test_a_range_that_is_none_is_a_problem_with_the_length_of_the_file(logged, asked):
    at = AT.removesuffix("log") + "files/run.json"
    answer = logged.get(at, headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-type"]) == (416, "application/problem+json")
    assert answer.json()["code"] == "ask.no-such-range"
    whole = logged.get(at)
    assert answer.headers["content-range"] == f"bytes */{len(whole.content)}"
    assert logged.get(at, headers={"Range": "bytes=2-5"}).content == whole.content[2:6]
