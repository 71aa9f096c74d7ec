"""A server that is restarted or killed while streams are open: sessions stay, and no event is lost or doubled."""

import contextlib
import signal
import threading

import httpx
import pytest

from burnish.studio.queueing.jobs import prioritise_job
from made_runs import made_run
from sse import parsed
from studio_server import serving


class Reader(threading.Thread):
    """A browser that follows a run: it comes back with the last id whenever its connection ends."""

    def __init__(self, client, path):
        super().__init__(daemon=True)
        self._client, self._path = client, path
        self.seen, self.connections, self.cursor = [], 0, None
        self.is_refused = self.is_ended = False

    def run(self):
        while not self.is_ended and not self.is_refused:
            with contextlib.suppress(httpx.TransportError):
                self._follow()

    def _follow(self):
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        with self._client.stream("GET", self._path, headers=headers) as answer:
            self.is_refused = answer.status_code != 200
            self.connections += 1
            for id, name, data in parsed(answer.iter_lines()):
                self.cursor = id
                self.take(name, data)
                if self.is_ended:
                    return

    def take(self, name, data):
        if name == "end":
            self.is_ended = True
        elif data["event"]["kind"] == "metric":
            self.seen.append((data["step"], data["event"]["step"]))


class JobsReader(Reader):
    """A browser that follows the jobs: `seen` has (revision, priority) of what changed."""

    def take(self, name, data):
        self.seen.append((data["revision"], data["priority"]))
        self.is_ended = data["priority"] == 0


@pytest.mark.parametrize("restarts", [3, pytest.param(50, marks=[pytest.mark.torture, pytest.mark.timeout(1800)])])
def test_restarts_with_open_streams_lose_no_event_and_no_session(tmp_path, until, restarts):
    with serving(tmp_path) as studio:
        run = made_run(tmp_path, steps=("tune",), metrics=0)
        port = int(studio.address.rpartition(":")[2])
        (tmp_path / "rows.jsonl").write_text("{}\n")
        asked = {"values": {"source": "file:rows.jsonl"}}
        job = studio.page.post("/api/v1/stages/prepare/runs", json=asked).json()["jobs"][0]
        follower = JobsReader(studio.page, f"/api/v1/jobs/events?after={job['revision']}")
        readers = [Reader(studio.page, run.path("/events")) for _ in range(4)]
        written = 0
        with run.executing():
            for reader in (*readers, follower):
                reader.start()
            for number in range(restarts):
                run.write("tune", 5, start=written)
                written += 5
                prioritise_job(job["id"], 2 * number + 1, workspace=tmp_path)
                until(lambda: all(reader.connections > number for reader in (*readers, follower)))  # noqa: B023
                until(lambda: follower.seen and follower.seen[-1][1] == 2 * number + 1)  # noqa: B023
                if number % 2:
                    studio.process.send_signal(signal.SIGKILL)
                studio.stop()
                run.write("tune", 5, start=written)
                written += 5
                prioritise_job(job["id"], 2 * number + 2, workspace=tmp_path)  # while there is no server
                studio.start(port)
                until(lambda: follower.seen[-1][1] == 2 * number + 2)  # noqa: B023
            prioritise_job(job["id"], 0, workspace=tmp_path)
            until(lambda: all(len(reader.seen) >= written for reader in readers))
        for reader in readers:
            reader.join(20)
            assert reader.is_ended
            assert not reader.is_refused
            assert reader.seen == [("tune", step) for step in range(written)]
        follower.join(20)
        assert [priority for _, priority in follower.seen] == [*range(1, 2 * restarts + 1), 0]
        assert sorted(set(follower.seen)) == follower.seen  # by revision, none twice
        assert studio.page.get("/api/v1/session").json()["name"] == "browser"


def test_a_server_with_open_streams_ends_within_seconds(tmp_path, until):
    with serving(tmp_path) as studio:
        run = made_run(tmp_path, steps=("tune",))
        with run.executing():
            reader = Reader(studio.page, run.path("/events"))
            reader.start()
            until(lambda: len(reader.seen) == 5)
            studio.process.send_signal(signal.SIGTERM)
            assert studio.process.wait(4) is not None
            reader.is_refused = True
        reader.join(20)
