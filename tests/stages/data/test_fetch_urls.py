"""fetch from URLs: whole, continued, checked, and from no address that was not meant."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from burnish.core.errors import AskError, DataError, MachineError, RunError
from data_servers import ROWS, FileServer, lines, parquet


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", lines(ROWS)),
        ("rows.jsonl.gz", gzip.compress(lines(ROWS))),
        ("rows.json", json.dumps(ROWS).encode()),
        ("rows.parquet", parquet(ROWS)),
    ],
)
@pytest.mark.parametrize("limit", [None, 5])
def test_a_file_at_a_url_is_fetched(fetch, site, name, content, limit):
    site.files[f"/a b/{name}"] = content
    url = f"{site.url}/a%20b/{name}?download=1"
    _, _, manifest, events, rows = fetch(url, limit=limit)
    assert rows == {"train": ROWS[:limit]}
    assert manifest["source"] == url
    sha256 = hashlib.sha256(content).hexdigest() if limit is None else None
    assert manifest["sha256"] == sha256
    assert any(event.text.startswith(f"{url}#sha256={sha256}") for event in events if event.kind == "note") == (
        not limit
    )
    assert manifest["revision"].startswith('ETag "')


def test_a_limit_ends_the_download(fetch, site):
    site.files["/rows.jsonl"] = lines([{"text": f"{number} " + "x" * 1000} for number in range(30_000)])
    _, stats, _, _, rows = fetch(f"{site.url}/rows.jsonl", limit=10)
    assert len(rows["train"]) == 10
    assert stats["downloaded_bytes"] < 3_000_000 < len(site.files["/rows.jsonl"])


def test_a_connection_that_breaks_is_continued_where_it_broke(fetch, site):
    site.files["/rows.jsonl"] = content = lines(ROWS)
    site.faults["GET /rows"] = ["cut 5000", 503, "cut 1", "break"]
    _, stats, _, _, rows = fetch(f"{site.url}/rows.jsonl", retries=3)
    assert rows == {"train": ROWS}
    assert stats["downloaded_bytes"] == len(content)
    assert [seen.partition(" ")[2] for seen in site.seen if seen.startswith("GET")] == [
        "/rows.jsonl",
        *["/rows.jsonl bytes=5000-" + str(len(content) - 1)] * 2,
        *["/rows.jsonl bytes=5001-" + str(len(content) - 1)] * 2,
    ]


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("limit", [None, 300])
def test_every_kind_of_server_gives_the_same_rows(fetch, site, has_ranges, limit):
    site.files["/rows.jsonl"] = lines(ROWS)
    site.has_ranges, site.has_head = has_ranges, False
    site.faults = {"GET /rows.jsonl$": [], "GET": ["cut 0", "cut 9000", "cut 12000"]}
    *_, rows = fetch(f"{site.url}/rows.jsonl", limit=limit, retries=4)
    assert rows == {"train": ROWS[:limit]}


def test_without_an_etag_a_broken_download_starts_again(fetch, site):
    site.files["/rows.jsonl"] = lines(ROWS)
    site.headers["/rows.jsonl"] = {"ETag": ""}
    site.faults["GET"] = ["cut 5000"]
    _, stats, *_, rows = fetch(f"{site.url}/rows.jsonl")
    assert rows == {"train": ROWS}
    assert [seen for seen in site.seen if seen.startswith("GET")] == ["GET /rows.jsonl"] * 2
    assert stats["downloaded_bytes"] == len(lines(ROWS))


def test_content_that_changes_while_it_is_fetched_is_no_mixture(fetch, site):
    site.files["/rows.jsonl"] = lines(ROWS)
    answer = site.answer

    def changing(handler, path):
        if handler.headers.get("Range"):
            site.files["/rows.jsonl"] = lines(ROWS[::-1])
        return answer(handler, path)

    site.answer = changing
    site.faults["GET"] = ["cut 5000"]
    with pytest.raises(RunError, match="changed while it was fetched") as caught:
        fetch(f"{site.url}/rows.jsonl")
    assert caught.value.code == "run.input-changed"


def test_a_checksum_is_that_of_the_content(fetch, site):
    site.files["/rows.jsonl"] = content = lines(ROWS)
    right = hashlib.sha256(content).hexdigest()
    _, _, manifest, _, rows = fetch(f"{site.url}/rows.jsonl#sha256={right.upper()}", limit=3)
    assert (rows, manifest["sha256"]) == ({"train": ROWS[:3]}, right)
    wrong = "0" * 64
    with pytest.raises(DataError, match=f"{right}, and not {wrong}") as caught:
        fetch(f"{site.url}/rows.jsonl#sha256={wrong}", folder="wrong")
    assert caught.value.code == "data.wrong-checksum"


def test_a_download_that_was_damaged_since_is_fetched_again(fetch, site, tmp_path):
    """As by a loss of power after it got its name."""
    site.files["/rows.jsonl"] = content = lines(ROWS)
    source = f"{site.url}/rows.jsonl#sha256={hashlib.sha256(content).hexdigest()}"
    fetch(source)
    (kept,) = tmp_path.glob("run/scratch/checkpoints/*/*/rows.jsonl")
    kept.write_bytes(b"\0" * len(content))
    _, stats, *_, rows = fetch(source)
    assert (rows, stats["downloaded_bytes"]) == ({"train": ROWS}, len(content))


def test_a_private_address_needs_its_name_also_after_a_redirect(fetch, site):
    site.files["/rows.jsonl"] = lines(ROWS[:2])
    with pytest.raises(AskError) as caught:
        fetch(f"{site.url}/rows.jsonl", allow_hosts=[])
    assert caught.value.code == "ask.private-address"
    assert "allow_hosts: [127.0.0.1]" in caught.value.fix
    assert site.seen == []
    with FileServer() as other:
        other.redirects["/moved.jsonl"] = f"{site.url}/rows.jsonl"
        with pytest.raises(AskError, match="not a public address"):
            fetch(other.url.replace("127.0.0.1", "localhost") + "/moved.jsonl", allow_hosts=["localhost"])
        assert site.seen == []
        *_, rows = fetch(f"{other.url}/moved.jsonl", folder="allowed")
        assert rows == {"train": ROWS[:2]}


def test_bad_rows_are_counted_with_their_lines(fetch, site):
    site.files["/rows.jsonl"] = lines(ROWS[:50]) + b'{"broken\n\n' + lines(ROWS[50:])
    outcome, stats, _, events, rows = fetch(f"{site.url}/rows.jsonl")
    assert rows == {"train": ROWS}
    assert (stats["read"], stats["kept"], stats["quarantined"], stats["blank_lines"]) == (401, 400, 1, 1)
    assert any("rows.jsonl:51: invalid JSON" in event.text for event in events if event.kind == "note")
    assert outcome.measures["quarantined"] == 1
    site.files["/page.jsonl"] = b"<html>\nsorry\n</html>\n"
    with pytest.raises(DataError, match="3 of 3 rows are bad"):
        fetch(f"{site.url}/page.jsonl", folder="page")


def test_a_full_step_that_is_killed_continues_its_download(tmp_path, site):
    content = lines([{"text": f"{number} " + "x" * 500} for number in range(20_000)])
    site.files["/rows.jsonl"] = content
    site.pause.set()
    code = (
        "import sys, json; from pathlib import Path; sys.path[:0] = json.loads(sys.argv[3])\n"
        "from burnish.core.inputs.references import resolve; from burnish.core.runs.workspace import Workspace\n"
        "from burnish.specs.data import FetchSpec; from burnish.stages.data.fetch import run\n"
        "from burnish.testing import temporary_context\n"
        "spec = FetchSpec(source=sys.argv[1], allow_hosts=['127.0.0.1'])\n"
        "folder = Path(sys.argv[2]); kinds = ('remote',)\n"
        "value = resolve(spec.source, kinds, Workspace(folder), {}, allowed_hosts=spec.allow_hosts)\n"
        "run(spec, temporary_context(folder / 'run', {'source': value})[0])\n"
    )
    command = [sys.executable, "-c", code, f"{site.url}/rows.jsonl", str(tmp_path), json.dumps(sys.path)]
    started = subprocess.Popen(command)
    while not (parts := list(tmp_path.glob("run/scratch/checkpoints/*/*/*.part"))) or not parts[0].stat().st_size:
        assert started.poll() is None
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    assert (
        not (tmp_path / "run/out/manifest.json").exists()
        or "unfinished" in (tmp_path / "run/out/manifest.json").read_text()
    )
    had = parts[0].stat().st_size
    site.pause.clear()
    site.seen.clear()
    subprocess.run(command, check=True)
    assert [seen for seen in site.seen if seen.startswith("GET")] == [f"GET /rows.jsonl bytes={had}-{len(content) - 1}"]
    assert (tmp_path / "run/out/rows/train-00000.jsonl").read_bytes().replace(b'":"', b'": "') == content


def test_an_unreachable_server_is_an_error_of_the_network(fetch):
    with FileServer() as server:
        url = server.url
    with pytest.raises(MachineError) as caught:
        fetch(f"{url}/rows.jsonl")
    assert caught.value.code == "machine.no-network"


@pytest.mark.parametrize("limit", [None, 300])
def test_replies_that_are_shorter_than_requested_are_put_together(fetch, site, limit):
    site.files["/rows.jsonl"] = lines(ROWS)
    site.faults["GET"] = ["cut 2000"]
    site.most = 5_000
    *_, rows = fetch(f"{site.url}/rows.jsonl", limit=limit)
    assert rows == {"train": ROWS[:limit]}


def test_content_that_changed_since_the_plan_is_refused(fetch, site, monkeypatch):
    from burnish.stages.data import fetch as stage

    site.files["/rows.jsonl"] = lines(ROWS)
    opened = stage.open_source

    def changed(*arguments):
        site.files["/rows.jsonl"] = lines(ROWS[:7])
        return opened(*arguments)

    monkeypatch.setattr(stage, "open_source", changed)
    with pytest.raises(RunError, match="changed since the run was planned") as caught:
        fetch(f"{site.url}/rows.jsonl")
    assert caught.value.code == "run.input-changed"


def test_replies_that_stay_empty_are_given_up(fetch, site):
    site.files["/rows.jsonl"] = lines(ROWS)
    site.faults["GET"] = ["cut 2000"]
    site.most = 0
    with pytest.raises(MachineError, match="bytes are missing"):
        fetch(f"{site.url}/rows.jsonl", retries=1)


def test_a_download_that_does_not_fit_on_the_disk_is_not_begun(fetch, site, monkeypatch):
    import shutil

    site.files["/rows.jsonl"] = lines(ROWS)
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(MachineError, match=r"23\.7 kB are to be downloaded, and 1 kB are free") as caught:
        fetch(f"{site.url}/rows.jsonl")
    assert caught.value.code == "machine.no-disk"
    assert not any(seen.startswith("GET") for seen in site.seen)


def test_a_fetch_that_is_stopped_keeps_what_it_has(fetch, site, tmp_path, monkeypatch):
    from burnish.core.context import Context

    site.files["/rows.jsonl"] = lines([{"text": "x" * 1000}] * 5_000)
    parts = tmp_path / "run" / "scratch" / "checkpoints"
    with monkeypatch.context() as patched:
        patched.setattr(Context, "stopping", property(lambda _: any(parts.glob("*/*/*.part"))))
        with pytest.raises(RunError) as caught:
            fetch(f"{site.url}/rows.jsonl")
    assert caught.value.code == "run.interrupted"
    assert list(parts.glob("*/*/*.part"))
    *_, rows = fetch(f"{site.url}/rows.jsonl")
    assert len(rows["train"]) == 5_000
