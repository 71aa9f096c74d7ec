"""A server that is restarted or killed while streams are open: sessions stay, and no event is lost or doubled."""

import contextlib
import signal
import threading

import httpx
import pytest

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
                if name == "end":
                    self.is_ended = True
                    return
                if data["event"]["kind"] == "metric":
                    self.seen.append((data["step"], data["event"]["step"]))


@pytest.mark.parametrize("restarts", [3, pytest.param(50, marks=pytest.mark.torture)])
def test_restarts_with_open_streams_lose_no_event_and_no_session(tmp_path, until, restarts):
    with serving(tmp_path) as studio:
        run = made_run(tmp_path, steps=("tune",), metrics=0)
        port = int(studio.address.rpartition(":")[2])
        readers = [Reader(studio.page, run.path("/events")) for _ in range(4)]
        written = 0
        with run.executing():
            for reader in readers:
                reader.start()
            for number in range(restarts):
                run.write("tune", 5, start=written)
                written += 5
                until(lambda: all(reader.connections > number for reader in readers))  # noqa: B023
                if number % 2:
                    studio.process.send_signal(signal.SIGKILL)
                studio.stop()
                run.write("tune", 5, start=written)
                written += 5
                studio.start(port)
            until(lambda: all(len(reader.seen) >= written for reader in readers))
        for reader in readers:
            reader.join(20)
            assert reader.is_ended
            assert not reader.is_refused
            assert reader.seen == [("tune", step) for step in range(written)]
        assert studio.page.get("/api/v1/session").json()["name"] == "browser"


def test_a_server_with_open_streams_ends_within_seconds(tmp_path, until):
    with serving(tmp_path) as studio:
        run = made_run(tmp_path, steps=("tune",))
        with run.executing():
            reader = Reader(studio.page, run.path("/events"))
            reader.start()
            until(lambda: len(reader.seen) == 5)
            studio.process.terminate()
            assert studio.process.wait(4) is not None
            reader.is_refused = True
        reader.join(20)
