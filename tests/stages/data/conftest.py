"""Fixtures of `fetch` and `clean`: servers, and the steps in this process."""

import json

import pytest

from burnish.core.inputs.references import check_kind, resolve
from burnish.core.runs.workspace import Workspace
from burnish.data.reader import read
from burnish.data.record import ReadReport
from burnish.specs.data import CleanSpec, FetchSpec
from burnish.stages.data.clean import run as clean_rows
from burnish.stages.data.fetch import run
from burnish.testing import temporary_context
from data_servers import DataHub, FileServer

LOCAL = ["127.0.0.1", "localhost"]


@pytest.fixture
def fetch(tmp_path):
    """Plan and run `fetch` in this process; gives (outcome, stats, manifest, events, rows by split)."""

    def fetch(source: str, folder: str = "run", **settings):
        settings = {"allow_hosts": LOCAL, "retries": 2, **settings}
        spec = FetchSpec(source=source, **settings)
        workspace = Workspace(tmp_path)
        value = resolve(source, ("remote", "rows", "file", "folder"), workspace, {}, allowed_hosts=spec.allow_hosts)
        check_kind(value, ("remote", "rows", "file", "folder"), "source")
        context, events = temporary_context(tmp_path / folder, {"source": value})
        outcome = run(spec, context)
        by_split: dict[str, list] = {}
        for item in read(context.out, ReadReport()):
            by_split.setdefault(item.split, []).append(item.raw)
        manifest = json.loads((context.out / "manifest.json").read_text())
        stats = json.loads((context.out / "stats.json").read_text())
        assert sum(manifest["splits"].values()) == stats["kept"] == outcome.measures["rows"]
        return outcome, stats, manifest, events, by_split

    return fetch


@pytest.fixture
def site():
    with FileServer() as server:
        yield server


@pytest.fixture
def hub(monkeypatch):
    with DataHub() as server:
        use_hub(monkeypatch, server.url)
        yield server


def use_hub(monkeypatch, url: str) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.fixture
def clean(tmp_path):
    """Clean files of given contents; gives (outcome, rows kept, stats, events, folder)."""

    def clean(content, name="rows.jsonl", is_stopping=lambda: False, folder="run", **given_settings):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        context, events = temporary_context(tmp_path / folder, {"source": path}, is_stopping)
        outcome = clean_rows(CleanSpec(source=f"file:{name}", **given_settings), context)
        rows = [(item.raw, item.split) for item in read(context.out, ReadReport())]
        stats = json.loads((context.out / "stats.json").read_text())
        return outcome, rows, stats, events, context.out

    return clean
