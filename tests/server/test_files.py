"""The files of a step over HTTP: as large as they were when they were asked for, logs without secrets."""

import asyncio

import pytest

from burnish.server.security.files import SentFile
from made_runs import made_run

SECRET = f"sk-{'a1' * 20}"


@pytest.fixture(scope="module")
def step(studio):
    made = made_run(studio.folder, steps=("tune",), recipe="printed")
    return made.path("/tune/files"), made.step("tune")


@pytest.mark.parametrize("name", ["run.log", "run.log.1", "rank-3.log", "console.log", "scratch/x.log"])
def test_no_log_is_sent_with_its_secrets(studio, step, name):
    at, run = step
    path = run.folder / name
    path.parent.mkdir(exist_ok=True)
    filler = "2026-11-23 02:40:00,000 INFO    burnish: a long line\n" * 30_000  # several parts
    path.write_text(f"{filler}the key is {SECRET}\n\x1b[31mred\x1b[0m\nlast {SECRET}")
    answer = studio.page.get(f"{at}/{name}", params={"download": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].endswith(path.name)
    assert answer.text == f"{filler}the key is •••\nred\nlast •••\n"


def test_the_head_of_a_file_is_that_of_the_file_and_has_no_body(studio, step):
    at, run = step
    for name in ("run.json", "run.log"):
        (run.folder / "run.log").write_text("a\n")
        asked, answer = studio.page.get(f"{at}/{name}"), studio.page.head(f"{at}/{name}")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers.get("content-length") == asked.headers.get("content-length")
        assert answer.headers["content-type"] == asked.headers["content-type"]
    assert studio.anyone.head(f"{at}/run.json").status_code == 401
    health = studio.anyone.head("/health")
    assert (health.status_code, health.headers["content-type"]) == (200, "application/json")


def test_of_a_file_that_grows_meanwhile_no_more_is_sent_than_was_stated(tmp_path):
    path, sent = tmp_path / "events.jsonl", []
    path.write_bytes(b"x" * 300_000)

    async def send(message):
        sent.append(message)
        with path.open("ab") as file:
            file.write(b"y" * 50_000 * (len(sent) < 9))

    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    asyncio.run(SentFile(path)(scope, None, send))
    assert b"".join(message.get("body", b"") for message in sent) == b"x" * 300_000
    assert [message.get("more_body") for message in sent[1:]].count(False) == 1
    assert not sent[-1]["more_body"]
