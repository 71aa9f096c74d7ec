"""fetch: rows from hubs, URLs, folders, archives and repositories arrive whole, counted, and with their origin."""

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

from burnish.core.errors import AskError, BurnishError, DataError, MachineError
from burnish.specs.data import FetchSpec
from data_servers import ROWS, FileServer, lines, parquet

CARD = b"---\nlicense: cc-by-4.0\nconfigs:\n- config_name: small\n  default: true\n  data_files:\n  - split: train\n"
CARD += b"    path: data/train-*\n  - split: dev\n    path: data/dev.jsonl\n- config_name: other\n"
CARD += b"  data_files: other/*.csv\n---\n# Rows\n"
DATASET = {
    "README.md": CARD,
    "data/train-00000-of-00002.parquet": parquet(ROWS[:200]),
    "data/train-00001-of-00002.parquet": parquet(ROWS[200:300]),
    "data/dev.jsonl": lines(ROWS[300:]),
    "other/a.csv": b"question,answer\none,1\ntwo,2\n",
    "unrelated.jsonl": lines(ROWS[:3]),
}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_dataset_of_a_hub_is_fetched_as_its_card_says(fetch, hub, form):
    repo = hub.add("owner/name", DATASET)
    outcome, stats, manifest, events, rows = fetch("hub:owner/name", form=form)
    assert outcome.kind == "rows"
    assert rows == {"train": ROWS[:300], "validation": ROWS[300:]}
    assert manifest["splits"] == {"train": 300, "dev": 100}
    assert manifest["source"] == "hub:owner/name"
    assert manifest["revision"] == repo.branches["main"]
    assert manifest["licence"] == "cc-by-4.0"
    assert manifest["endpoint"] == hub.url
    assert stats["downloaded_bytes"] == sum(len(DATASET[name]) for name in DATASET if name.startswith("data/"))
    assert (stats["read"], stats["quarantined"]) == (400, 0)
    first = events[-1]
    assert (first.title, first.columns) == ("First rows", ["id", "text", "meta"])
    assert first.rows[0] == ["0", "row number 0", '{"n": [0]}']


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"subset": "other"}, {"train": [{"question": "one", "answer": "1"}, {"question": "two", "answer": "2"}]}),
        ({"split": ["dev"]}, {"validation": ROWS[300:]}),
        ({"data_dir": "other"}, {"train": [{"question": "one", "answer": "1"}, {"question": "two", "answer": "2"}]}),
        ({"data_files": ["*.jsonl"]}, {"train": ROWS[:3]}),
        ({"data_files": ["data/train-00001*", "data/dev.jsonl"]}, {"train": ROWS[200:300], "validation": ROWS[300:]}),
    ],
)
def test_subsets_splits_folders_and_files_are_chosen(fetch, hub, settings, expected):
    hub.add("owner/name", DATASET)
    *_, rows = fetch("hub:owner/name", **settings)
    assert rows == expected


def test_what_a_dataset_lacks_is_named_with_what_it_has(fetch, hub):
    hub.add("owner/name", DATASET)
    for settings, said in (
        ({"subset": "othr"}, "did you mean 'other'"),
        ({"split": ["test"]}, "no split 'test'"),
        ({"data_files": ["data/*.json"]}, "no such file"),
        ({"data_dir": "nothing"}, "no folder 'nothing'"),
    ):
        with pytest.raises(BurnishError, match=r"owner/name|data_files") as caught:
            fetch("hub:owner/name", **settings)
        assert said in str(caught.value)


def test_a_hundred_rows_do_not_download_the_repository(fetch, hub):
    noise = "".join(chr(33 + (7 * i * i) % 90) for i in range(2_000))
    rows = [{"id": number, "text": f"{number} {noise[number % 500 :]}"} for number in range(20_000)]
    hub.add(
        "owner/parquet",
        {
            "data/train-00000-of-00001.parquet": parquet(
                [{"id": r["id"], "text": os.urandom(200).hex()} for r in rows], 1000
            )
        },
    )
    hub.add("owner/lines", {"train.jsonl": lines(rows), "test.jsonl": lines(rows)})
    for name, most in (("parquet", 0.1), ("lines", 0.3)):
        size = sum(map(len, hub.repos[f"owner/{name}"].commits[hub.repos[f"owner/{name}"].branches["main"]].values()))
        before = hub.cdn.sent
        _, stats, manifest, _, found = fetch(f"hub:owner/{name}", folder=name, limit=100)
        assert [row["id"] for row in found["train"]] == list(range(100))
        assert set(manifest["splits"].values()) == {100}
        assert stats["downloaded_bytes"] < 0.1 * size
        assert hub.cdn.sent - before < most * size  # what a socket buffers counts, though nobody reads it


def test_the_revision_of_the_plan_is_fetched_though_the_branch_moves(fetch, hub, monkeypatch):
    repo = hub.add("owner/name", {"train.jsonl": lines(ROWS[:2])})
    planned = repo.branches["main"]
    from burnish.stages.data import fetch as stage

    def moved(*arguments):
        repo.commit({"train.jsonl": lines(ROWS[5:6])})
        return opened(*arguments)

    opened = stage.open_source
    monkeypatch.setattr(stage, "open_source", moved)
    _, _, manifest, _, rows = fetch("hub:owner/name")
    assert repo.branches["main"] != planned
    assert (manifest["revision"], rows) == (planned, {"train": ROWS[:2]})
    del repo.commits[planned]
    with pytest.raises(AskError, match="404"):
        fetch(f"hub:owner/name@{planned}", folder="gone")


def test_a_gated_dataset_says_where_access_is_requested(fetch, hub, monkeypatch):
    hub.add("owner/gated", {"train.jsonl": lines(ROWS[:2])}, is_gated=True)
    with pytest.raises(AskError) as caught:
        fetch("hub:owner/gated")
    assert "access is restricted" in caught.value.what
    assert f"{hub.url}/datasets/owner/gated" in caught.value.fix
    hub.token = "token-of-the-tests-0123456789"
    monkeypatch.setenv("HF_TOKEN", hub.token)
    *_, rows = fetch("hub:owner/gated", folder="with-token")
    assert rows == {"train": ROWS[:2]}


def test_the_token_is_sent_to_the_hub_and_to_nobody_else(fetch, hub, monkeypatch):
    hub.token = "token-of-the-tests-0123456789"
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hub.add("owner/private", {"train.jsonl": lines(ROWS)}, is_private=True)
    *_, rows = fetch("hub:owner/private")
    assert rows == {"train": ROWS}
    assert any(headers.get("Authorization") == f"Bearer {hub.token}" for headers in hub.seen_headers)
    assert hub.cdn.seen
    assert all("Authorization" not in headers for headers in hub.cdn.seen_headers)


def test_another_hub_is_named_by_hf_endpoint(tmp_path, hub):
    hub.add("owner/name", DATASET)
    code = "import sys; from burnish.cli.start import entry; entry()"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", code, "--workspace", str(tmp_path), "fetch", "hub:owner/name", "--limit", "3"]
    done = subprocess.run([*command, "--dry-run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert hub.seen
    assert "fetch" in done.stdout


def packed_tar(files: dict[str, bytes], mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def packed(name: str, files: dict[str, bytes]) -> bytes:
    if name.endswith(".zip"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for inner, content in files.items():
                archive.writestr(inner, content)
        return file.getvalue()
    if name.endswith("zst"):
        import zstandard

        return zstandard.compress(packed_tar(files, "w"))
    ending = {"gz": "gz", "tgz": "gz", "bz2": "bz2", "xz": "xz"}.get(name.rpartition(".")[2], "")
    return packed_tar(files, f"w:{ending}")


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "tar.zst"])
@pytest.mark.parametrize("is_remote", [True, False])
def test_an_archive_is_unpacked_and_read_as_a_folder(fetch, site, tmp_path, ending, is_remote):
    files = {"top/train.jsonl": lines(ROWS[:60]), "top/test.parquet": parquet(ROWS[60:90]), "top/notes.md": b"# Notes"}
    site.files[f"/all.{ending}"] = content = packed(f"all.{ending}", files)
    (tmp_path / f"all.{ending}").write_bytes(content)
    source = f"{site.url}/all.{ending}" if is_remote else f"file:all.{ending}"
    *_, rows = fetch(source)
    assert rows == {"train": ROWS[:60], "test": ROWS[60:90]}


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
@pytest.mark.parametrize("is_remote", [True, False])
def test_what_is_bad_or_not_read_of_an_archive_has_the_archives_name(fetch, site, tmp_path, ending, is_remote):
    name = f"all.{ending}"
    (tmp_path / name).write_bytes(packed(name, {"en/rows.jsonl": lines(ROWS[:60]) + b'{"bad', "en/more.xlsx": b"x"}))
    (tmp_path / f"no.{ending}").write_bytes(packed(name, {"a.bin": b"x"}))
    site.files |= {f"/{one}.{ending}": (tmp_path / f"{one}.{ending}").read_bytes() for one in ("all", "no")}
    origin = f"{site.url}/" if is_remote else "file:"
    *_, events, _ = fetch(origin + name)
    (bad,) = (tmp_path / "run/out/quarantine.jsonl").read_text().splitlines()
    assert json.loads(bad)["source"] == f"{name}/en/rows.jsonl:61"
    said = " ".join(event.text for event in events if event.kind == "note")
    assert f"{name}/en/more.xlsx" in said
    with pytest.raises(DataError) as caught:
        fetch(f"{origin}no.{ending}", folder="no")
    assert "unpacked-" not in said + caught.value.what
    assert caught.value.what.startswith(f"no.{ending} holds no file")


def test_folders_and_repositories_are_fetched(fetch, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(lines(ROWS[:5]))
    (folder / "test.jsonl").write_bytes(lines(ROWS[5:9]))
    _, _, manifest, _, rows = fetch("file:data", limit=2)
    assert rows == {"train": ROWS[:2], "test": ROWS[5:7]}
    assert manifest["source"] == "file:data"
    with pytest.raises(DataError, match=r"file:data has no split 'tset'") as caught:
        fetch("file:data", folder="other", split=["tset"])
    assert "'test'" in caught.value.fix
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("print('a')\n")
    git = ["git", "-C", str(code), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    _, _, manifest, _, rows = fetch(f"git:{code}", folder="code-run")
    assert [row["text"] for row in rows["train"]] == ["print('a')\n"]
    assert len(manifest["revision"]) == 40


@pytest.mark.parametrize(
    ("source", "settings", "said"),
    [
        ("https://host/x.jsonl", {"data_dir": "x"}, "data_dir needs a source on a hub"),
        ("hub:a/b", {"data_dir": "x", "data_files": ["y"]}, "exclude each other"),
        ("hub:a/b", {"data_files": ["../y"]}, "not a path inside"),
        ("hub:a/b", {"allow_hosts": ["http://x"]}, "not a host"),
        ("ftp://host/x", {}, "is not a reference"),
    ],
)
def test_settings_that_do_not_fit_are_refused(source, settings, said):
    with pytest.raises(ValueError, match=said):
        FetchSpec(source=source, **settings)


def test_a_hub_that_goes_away_after_the_plan_is_an_error_of_the_network(fetch, hub, monkeypatch):
    from burnish.stages.data import fetch as stage

    hub.add("owner/name", DATASET)
    opened = stage.open_source

    def away(*arguments):
        import huggingface_hub.constants as constants

        with FileServer() as nobody:
            monkeypatch.setattr(constants, "ENDPOINT", nobody.url)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # its client tries for 20 s
        return opened(*arguments)

    monkeypatch.setattr(stage, "open_source", away)
    with pytest.raises(MachineError) as caught:
        fetch("hub:owner/name")
    assert caught.value.code == "machine.no-network"
    assert "HF_ENDPOINT" in caught.value.fix
