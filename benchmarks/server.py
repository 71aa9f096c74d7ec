"""What people who use the page wait for, while a training runs: lists, reads, events, the first load in Chromium.

.venv/bin/python benchmarks/server.py [--runs 1000] [--clients 50] [--seconds 30] [--without-browser]

`burnish ui` with its worker on a workspace of many runs; the worker trains all the time. The clients are those of open
pages: each asks about once a second. `--pause 0` lets each ask again at once, for what the server can do at most.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from listing import STEPS, make

from burnish.core.events import Metric
from burnish.core.runs.workspace import Workspace
from burnish.studio.serving.interface import Interface
from burnish.studio.serving.logins import login_address, new_login

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from made_runs import MadeRun  # noqa: E402
from sse import parsed  # noqa: E402

MIX = (
    ("runs of Home", 4, "/api/v1/runs/grouped?limit=100"),
    ("steps", 2, "/api/v1/runs?limit=50"),
    ("jobs", 4, "/api/v1/jobs"),
    ("a run", 4, "/api/v1/runs/{run}"),
    ("its curves", 3, "/api/v1/runs/{run}/{step}/curves"),
    ("its log", 3, "/api/v1/runs/{run}/{step}/log"),
    ("the run that trains", 2, "/api/v1/runs/{live}"),
    ("its curves", 2, "/api/v1/runs/{live}/{trained}/curves?key=loss"),
    ("workers", 1, "/api/v1/workers"),
    ("session", 1, "/api/v1/session"),
    ("the page", 1, "/"),
)
"""What is asked, how often, and where: in turn of runs and steps."""
EVENTS = 60
LONG = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two requests of a client, on average")
    parser.add_argument("--without-browser", action="store_true")
    parser.add_argument("--without-training", action="store_true")
    options = parser.parse_args()
    if not options.without_browser and not (chromium() and (ROOT / "web" / "node_modules").is_dir()):
        raise SystemExit("there is no Chromium, or web/node_modules: install them, or give --without-browser")
    print(machine())
    with tempfile.TemporaryDirectory() as folder, studio(Workspace(Path(folder)), options.runs) as (place, page, login):
        lists(page, options.runs)
        trained = None if options.without_training else training(page, place)
        reads(page, options, trained)
        events(page, MadeRun(place.root, "followed", ("tune",)))
        if not options.without_browser:
            browser(login, place)
        if trained is not None and state_of(page, trained) != "running":
            raise SystemExit(f"the training ended while it was measured: {state_of(page, trained)}")


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("fastapi", "uvicorn", "pydantic", "torch"))
    found = f"{platform.machine()}, {os.cpu_count()} cores, python {platform.python_version()}, {packages}"
    return f"{found}; load {os.getloadavg()[0]:.1f} before\n\n| | found | goal | |\n|---|---|---|---|"


def row(what: str, found: float, goal: float | None = None, more: str = "") -> None:
    """One line of the table; milliseconds."""
    held = "" if goal is None else "held" if found < goal else "**missed**"
    print(f"| {what} | {found:.1f} ms{more} | {'' if goal is None else f'< {goal:g} ms'} | {held} |", flush=True)


@contextmanager
def studio(place: Workspace, runs: int) -> Iterator[tuple[Workspace, httpx.Client, str]]:
    """The page's server with its worker, a client that is logged in, and an address that logs a browser in."""
    make(place, runs, STEPS[:4])
    for step in place.runs.glob("*/*/*/run.json"):  # what a page of a run reads
        (step.parent / "run.log").write_text("2026-11-23 10:00:00 INFO burnish: a line of a log\n" * 400)
        lines = (Metric(step=n, values={"loss": 1 / (n + 1), "grad_norm": 1.0}).model_dump_json() for n in range(200))
        (step.parent / "events.jsonl").write_text("\n".join(lines) + "\n")
    served = Interface(port=0, workspace=place.root)
    try:
        with httpx.Client(base_url=served.address, timeout=60) as client:
            answer = client.post("/api/v1/session", json={"token": new_login(workspace=place.root)})
            client.headers["X-CSRF-Token"] = checked(answer)["csrf"]
            time.sleep(3.5)  # the times of files that were just written are not trusted
            yield place, client, login_address(served.address, new_login(workspace=place.root))
    finally:
        served.stop()


def checked(answer: httpx.Response) -> Any:
    if answer.status_code >= 300:
        raise SystemExit(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
    return answer.json() if "json" in answer.headers["content-type"] else None


def state_of(page: httpx.Client, run: str) -> str:
    return checked(page.get(f"/api/v1/runs/{run}"))["state"]


def timed(page: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    checked(page.get(path))
    return 1000 * (time.perf_counter() - began)


def lists(page: httpx.Client, runs: int) -> None:
    """Each time so long after the last that the server looks at the folders again."""
    for what, path in (
        (f"page of 50 of {4 * runs:,} steps", "/api/v1/runs"),
        (f"page of 100 of {runs:,} runs with their steps", "/api/v1/runs/grouped?limit=100"),
        (f"all {runs:,} runs with their steps", f"/api/v1/runs/grouped?limit={min(runs, 1000)}"),
    ):
        row(f"{what}, first", timed(page, path))
        taken: list[float] = []
        for _ in range(7):
            time.sleep(1.3)
            taken.append(timed(page, path))
        row(f"{what}, median of {len(taken)}", statistics.median(taken), 100.0)


def training(page: httpx.Client, place: Workspace) -> str:
    """A training that lasts longer than all this."""
    rows = [
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": f"Number {number}!"}]}
        for number in range(64)
    ]
    (place.root / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    values = {"base": "builtin:pocket", "data": "file:rows.jsonl", "max_steps": 1_000_000}
    run = checked(page.post("/api/v1/stages/sft/runs", json={"values": values}))["run"]
    until = time.monotonic() + 120
    while not has_curves(page, run):
        if time.monotonic() > until or state_of(page, run) not in ("queued", "running"):
            raise SystemExit(f"the training {run} does not train: {state_of(page, run)}")
        time.sleep(0.5)
    return run


def has_curves(page: httpx.Client, run: str) -> bool:
    has_begun = checked(page.get(f"/api/v1/runs/{run}"))["steps"][0]["shown"] is not None
    return has_begun and bool(checked(page.get(f"/api/v1/runs/{run}/sft/curves"))["curves"])


def reads(page: httpx.Client, options: argparse.Namespace, trained: str | None) -> None:
    taken = asyncio.run(asked(page, options, trained))
    everything = sorted(ms for one in taken.values() for ms in one)
    while_what = f"{options.clients} clients, {len(everything) / options.seconds:.0f} requests/s"
    row(f"reads, p50: {while_what}", quantile(everything, 0.5))
    row(f"reads, p99: {while_what}", quantile(everything, 0.99), 50.0)
    for what, one in taken.items():
        one.sort()
        row(f"… {what}, p99 of {len(one)}", quantile(one, 0.99), more=f" (p50 {quantile(one, 0.5):.1f})")
    print(f"| load after {options.seconds:g} s | {os.getloadavg()[0]:.1f} | | |")


def quantile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(part * len(values)))]


async def asked(page: httpx.Client, options: argparse.Namespace, trained: str | None) -> dict[str, list[float]]:
    """Milliseconds of each kind of request."""
    taken: dict[str, list[float]] = {}
    until = time.monotonic() + options.seconds
    await asyncio.gather(*(reader(number, page, options, trained, taken, until) for number in range(options.clients)))
    return taken


async def reader(
    number: int,
    page: httpx.Client,
    options: argparse.Namespace,
    trained: str | None,
    taken: dict[str, list[float]],
    until: float,
) -> None:
    """One client on a connection of its own, by plain sockets: a library would need more time than the server."""
    draw, where = random.Random(number), urlsplit(str(page.base_url))
    cookie = "; ".join(f"{one.name}={one.value}" for one in page.cookies.jar)
    incoming, outgoing = await asyncio.open_connection(where.hostname, where.port)
    mix = [one for one in MIX if trained is not None or "{live}" not in one[2]]
    await asyncio.sleep(draw.random() * options.pause)
    while time.monotonic() < until:
        what, _, path = draw.choices(mix, [weight for _, weight, _ in mix])[0]
        index = draw.randrange(options.runs)
        run, step = f"recipe-{index % 10}/{index // 10 + 1}", draw.choice(STEPS[:4])
        head = (
            f"GET {path.format(run=run, step=step, live=trained, trained='sft')} HTTP/1.1\r\nHost: {where.netloc}\r\n"
        )
        began = time.perf_counter()
        outgoing.write(f"{head}Cookie: {cookie}\r\n\r\n".encode())
        status = await answer_of(incoming)
        taken.setdefault(what, []).append(1000 * (time.perf_counter() - began))
        if status != 200:
            raise SystemExit(f"{head.splitlines()[0]}: {status}")
        await asyncio.sleep(draw.uniform(0.5, 1.5) * options.pause)
    outgoing.close()


async def answer_of(incoming: asyncio.StreamReader) -> int:
    """The status of an answer that is read to its end."""
    head = (await incoming.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
    await incoming.readexactly(int(length.partition(":")[2]))
    return int(head.split()[1])


def events(page: httpx.Client, run: MadeRun) -> None:
    """From the write of a line to a client of the stream."""
    came: dict[int, float] = {}
    begin(run)

    def follow() -> None:
        with httpx.Client(base_url=page.base_url, cookies=page.cookies, timeout=60) as client:  # noqa: SIM117
            with client.stream("GET", run.path("/events")) as answer:
                for _, name, data in parsed(answer.iter_lines()):
                    if name == "message" and data["event"]["kind"] == "metric":
                        came[data["event"]["step"]] = time.time()

    thread = threading.Thread(target=follow, daemon=True)
    with run.executing(), run.step("tune").lock():
        thread.start()
        written = write_slowly(run)
        wait_for(lambda: len(came) >= len(written), "an event did not reach the client")
    thread.join(10)
    delays = sorted(1000 * (came[step] - at) for step, at in written.items())
    row(f"an event reaches a client, median of {len(delays)}", statistics.median(delays))
    row("an event reaches a client, slowest", delays[-1], 300.0)


def begin(run: MadeRun) -> None:
    run.begin("tune")


def write_slowly(run: MadeRun) -> dict[int, float]:
    """When each event was written, by its step."""
    written: dict[int, float] = {}
    for number in range(1, EVENTS + 1):
        time.sleep(random.uniform(0.3, 0.6))
        run.step("tune").events.append(Metric(step=number, values={"loss": 1000.0 + number}))
        written[number] = time.time()
    return written


def wait_for(condition: Any, what: str) -> None:
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(what)
        time.sleep(0.02)


def browser(login: str, place: Workspace) -> None:
    """The first load of Home, a long run, and from the write of an event to the pixels."""
    live, long = MadeRun(place.root, "shown", ("tune",)), long_run(place)
    begin(live)
    live.step("tune").events.append(Metric(step=0, values={"loss": 1000.0}))
    command = ["node", str(ROOT / "web" / "browser" / "measured.mjs"), chromium(), login]
    with live.executing(), live.step("tune").lock():
        process = subprocess.Popen(
            [*command, f"/runs/{live.name}", f"/runs/{long.name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT / "web",
        )
        assert process.stdin is not None
        assert process.stdout is not None
        said: list[dict[str, Any]] = []
        for line in process.stdout:
            said.append(json.loads(line))
            if "ready" in said[-1]:
                break
        else:
            raise SystemExit(f"the browser ended with status {process.wait()}")
        written = write_slowly(live)
        process.stdin.close()
        said += [json.loads(line) for line in process.stdout]
    loads(said, "home", "Home", {"shown": None, "interactive": 1000.0, "cpu": None})
    loads(said, "press", "Home, a press on the first run", {"answered": None})
    loads(said, "long", f"a finished run of {LONG:,} steps", {"shown": None, "interactive": None, "worst": None})
    seen = {one["seen"].replace(",", ""): one["at"] for one in said if "seen" in one}
    found = {f"{1000 + number}": at for number, at in written.items()}
    delays = sorted(seen[loss] - 1000 * at for loss, at in found.items() if loss in seen)
    if len(delays) < 0.9 * len(found):
        raise SystemExit(f"the page showed {len(delays)} of {len(found)} events; it showed {sorted(seen)[:5]}")
    row(f"an event is painted by the page, median of {len(delays)}", statistics.median(delays))
    row("an event is painted by the page, slowest", delays[-1], 300.0)


def loads(said: list[dict[str, Any]], key: str, what: str, goals: dict[str, float | None]) -> None:
    found = [one[key] for one in said if key in one]
    for name, goal in goals.items():
        words = {"worst": "longest task", "cpu": "CPU time of its main thread"}.get(name, name)
        row(f"{what}, {words}, median of {len(found)}", statistics.median(one[name] for one in found), goal)


def long_run(place: Workspace) -> MadeRun:
    run = MadeRun(place.root, "long", ("tune",))
    made = run.begin("tune")
    keys = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "epoch", "eta_seconds")
    with made.events.path.open("a") as file:
        for number in range(LONG):
            values = {key: place_of + 1 / (1 + number) for place_of, key in enumerate(keys)}
            file.write(Metric(step=number, values=values).model_dump_json() + "\n")
    made.transition("failed")
    return run


def chromium() -> str:
    return next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), "")


if __name__ == "__main__":
    main()
