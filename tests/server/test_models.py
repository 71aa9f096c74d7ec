"""Registry, artifacts, certificates and lineage over HTTP, of an adapter that was trained for the tests."""

import hashlib
import io
import json
import shutil
import tarfile

import httpx
import pytest

from burnish.core.errors import RunError
from burnish.studio.views.archives import archive

ADAPTER = "sft.sft@1"


@pytest.fixture(scope="module")
def studio(models_studio):
    """With one version: `support@1`."""
    answer = models_studio.page.post("/api/v1/adapters", json={"ref": ADAPTER, "name": "support", "because": "first"})
    assert answer.status_code == 201, answer.text
    return models_studio


def get(studio, path, status=200, **query):
    answer = studio.page.get(f"/api/v1{path}", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def send(studio, method, path, status=200, **body):
    answer = studio.page.request(method, f"/api/v1{path}", **({"json": body} if method in ("POST", "PUT") else {}))
    assert answer.status_code == status, answer.text
    return answer.json()


def test_versions_are_listed_with_their_base_hashes_and_history(studio):
    found = get(studio, "/adapters")
    [row] = [row for row in found["versions"] if row["name"] == "support"]
    assert (row["ref"], row["kind"], row["stage"], row["damage"]) == ("support@1", "adapter", "candidate", "")
    assert row["base"]["ref"] == "builtin:pocket"
    assert row["bytes"] > 0
    assert get(studio, "/models")["versions"] == []
    shown = get(studio, "/adapters/support/1")
    assert shown["files"]["adapter_model.safetensors"]["sha256"]
    assert shown["settings"]["max_steps"] == 8
    assert [change["change"] for change in shown["history"]] == ["register"]
    assert shown["missing"]


def test_what_is_registered_already_is_not_registered_again(studio):
    found = send(studio, "POST", "/adapters", 201, ref=ADAPTER, name="support", because="again")
    assert (found["ref"], found["new"]) == ("support@1", False)
    assert any("the reason is not kept" in text for text in found["notes"])


def test_a_version_is_promoted_with_a_reason_tagged_compared_and_removed(studio):
    send(studio, "POST", "/adapters", 201, ref=ADAPTER, name="moved")
    refused = send(studio, "POST", "/adapters/moved/1/promote", 409)
    assert refused["code"] == "run.no-evidence"
    moved = send(studio, "POST", "/adapters/moved/1/promote", to="production", because="for the test")
    assert (moved["stage"], moved["replaced"]) == ("production", [])
    assert send(studio, "PUT", "/adapters/moved/1/tags/best")["tags"] == ["best"]
    assert get(studio, "/adapters/moved/best")["ref"] == "moved@1"
    assert get(studio, "/adapters/moved/production")["ref"] == "moved@1"
    assert send(studio, "DELETE", "/adapters/moved/1/tags/best")["tags"] == []
    assert "version" in get(studio, "/adapters/moved/1/compare", other="support@1")
    refused = send(studio, "DELETE", "/adapters/moved/1", 409)
    assert refused["code"] == "run.in-production"
    send(studio, "POST", "/adapters/moved/1/demote", to="retired")
    assert send(studio, "DELETE", "/adapters/moved/1")["removed"] is True
    assert get(studio, "/adapters/moved/1", 404)["code"] == "ask.bad-reference"
    assert get(studio, "/adapters", name="moved")["versions"][0]["removed"]["who"]


def test_artifacts_are_listed_with_what_they_were_made_from(studio):
    found = get(studio, "/artifacts", kind="adapter")
    [row] = found["artifacts"]
    assert (row["run"], row["ref"], row["kind"], row["stage"]) == ("sft/1/sft", ADAPTER, "adapter", "sft")
    assert (row["base"], found["next"], found["damaged"]) == ("builtin:pocket", None, [])
    assert "support@1" in row["registered"]
    shown = get(studio, "/artifacts/sft/1/sft")
    assert {"base", "data"} <= shown["inputs"].keys()
    assert sum(file["size"] for file in shown["manifest"]) == row["bytes"] == shown["bytes"]
    assert shown["licences"]
    assert shown["damage"] == ""
    assert get(studio, "/exports")["artifacts"] == []


def test_the_lineage_of_a_version_leads_to_base_and_data(studio):
    tree = get(studio, "/lineage", ref="support@1")
    assert tree["kind"] == "adapter"
    assert {node["role"]: node["kind"] for node in tree["made_from"]} == {"base": "model", "data": "file"}
    assert all(node["fingerprint"] for node in tree["made_from"])


def test_certificates_say_whether_they_hold_and_damage_is_named(studio):
    folder = studio.folder / "runs/sft/1/sft"
    record = json.loads((folder / "artifact.json").read_text())
    check = {"name": "kl", "verdict": "does not hold", "found": "0.2", "limit": "at most 0.001"}
    parent = {"ref": "builtin:pocket", "fingerprint": ""}
    certificate = {"change": "merge", "parent": parent, "child": parent, "burnish": "0.1", "golden": {}}
    certificate |= {"holds": False, "checks": [check], "rows": 3, "tokens": 4}
    (folder / "artifact.json").write_text(json.dumps({**record, "certificate": certificate}))
    [found] = get(studio, "/certificates")["certificates"]
    assert (found["ref"], found["holds"], found["parent"], found["checks"]) == (ADAPTER, False, parent["ref"], [check])
    (folder / "artifact.json").write_text("{")
    assert get(studio, "/certificates") == {"certificates": [], "damaged": ["sft/1/sft"]}
    (folder / "artifact.json").write_text(json.dumps(record))
    assert get(studio, "/certificates") == {"certificates": [], "damaged": []}


def test_a_page_of_artifacts_continues_after_the_last(studio):
    assert get(studio, "/artifacts", limit=1, after="sft/1/sft")["artifacts"] == []
    assert get(studio, "/artifacts", 404, after="nothing")["code"] == "ask.bad-reference"


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a%2Fb", "a.b", "a%00", "x" * 65, "%0a", "support@1", "🔥"])
def test_a_hostile_name_is_refused(studio, name):
    answer = studio.page.get(f"/api/v1/adapters/{name}/1")
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"].startswith(("application/problem+json", "text/html")) or answer.json()["code"]


@pytest.mark.parametrize("ref", ["file:/etc", "file:..", "git:/etc@v1", "file:~"])
def test_nothing_outside_of_the_workspace_is_registered_or_traced(studio, ref):
    assert send(studio, "POST", "/adapters", 403, ref=ref, name="outside")["code"] == "ask.not-allowed"
    assert get(studio, "/lineage", 403, ref=ref)["code"] == "ask.not-allowed"


@pytest.mark.parametrize(
    "ref", ["file:\0", "\0", "@", "a@", "file://host/share", "x@" + "9" * 400, "hub:../x", "step:x"]
)
def test_a_hostile_reference_is_refused(studio, ref):
    assert send(studio, "POST", "/adapters", 422, ref=ref, name="hostile")["fix"]
    assert studio.page.get("/api/v1/lineage", params={"ref": ref}).status_code in (404, 422)


def test_a_wrong_kind_is_named(studio):
    assert send(studio, "POST", "/models", 422, ref=ADAPTER, name="other")["code"] == "ask.wrong-kind"
    assert get(studio, "/models/support/1", 422)["code"] == "ask.wrong-kind"
    assert get(studio, "/artifacts/nowhere/1/x", 404)["code"] == "ask.no-such-run"
    assert get(studio, "/artifacts/sft/0/x", 422)["code"] == "ask.wrong-value"


def download(studio, step="sft"):
    """The answer to a request for the tar of an artifact, and its body as far as it came."""
    with studio.page.stream("GET", f"/api/v1/artifacts/sft/1/{step}/download") as answer:
        assert answer.status_code == 200, answer.read()
        body = bytearray()
        try:
            for block in answer.iter_raw():
                body += block
        except httpx.RemoteProtocolError:
            assert len(body) < int(answer.headers["content-length"])
            return answer, None
    return answer, bytes(body)


@pytest.fixture
def changed_record(studio):
    """`sft/1/sft` with another record, as of files that were not touched since, for one test."""
    run = studio.folder / "runs/sft/1/sft"
    kept = (run / "artifact.json").read_text()

    def change(values=(), files=()):
        record = json.loads(kept)
        for name, about in record["files"].items():
            status = (run / "out" / name).stat()
            about.update(mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns, **dict(files).get(name, {}))
        (run / "artifact.json").write_text(json.dumps({**record, **dict(values)}))
        return record

    yield change
    (run / "artifact.json").write_text(kept)


def test_an_artifact_is_one_download_with_its_certificate(studio, changed_record):
    subject = {"ref": "builtin:pocket", "fingerprint": "0" * 64}
    certificate = {"change": "same", "holds": True, "parent": subject, "child": subject, "checks": [], "rows": 1}
    certificate |= {"tokens": 1, "burnish": "1", "note": "sk-proj-abcdefghijklmnopqrstuvwx0123456789abcdefgh"}
    record = changed_record({"certificate": certificate})
    answer, body = download(studio)
    assert answer.headers["content-disposition"] == 'attachment; filename="sft.sft-1.tar"'
    assert int(answer.headers["content-length"]) == len(body)
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
    shown = json.loads(found.pop("sft.sft-1/certificate.json"))
    assert (shown["holds"], "abcdef" in shown["note"]) == (True, False)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    assert hashes == {f"sft.sft-1/{name}": about["sha256"] for name, about in record["files"].items()}


def test_a_download_breaks_off_at_a_file_that_is_not_as_recorded(studio, changed_record):
    record = changed_record()
    for name in (min(record["files"]), max(record["files"])):
        changed_record(files=[(name, {"sha256": "0" * 64})])
        assert download(studio)[1] is None


def test_a_file_that_changes_while_it_is_sent_breaks_off(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "workspace")
    file = folder / "runs/sft/1/sft/out/proof.json"
    content = file.read_bytes()
    for change in (file.unlink, lambda: file.write_bytes(content[:-1]), lambda: file.write_bytes(content + b"x")):
        made = archive("sft/1/sft", workspace=folder)
        next(made.blocks)
        change()
        with pytest.raises(RunError, match=r"proof\.json .*changed while it was sent") as caught:
            list(made.blocks)
        assert caught.value.code == "run.damaged-artifact"
        file.write_bytes(content)


def test_what_cannot_be_downloaded_whole_is_refused_at_once(studio, changed_record):
    changed_record(files=[("adapter_config.json", {"size": 1})])
    assert get(studio, "/artifacts/sft/1/sft/download", 409)["code"] == "run.damaged-artifact"
    changed_record({"files": None})
    assert get(studio, "/artifacts/sft/1/sft/download", 404)["code"] == "ask.bad-reference"
    assert get(studio, "/artifacts/sft/1/none/download", 404)["code"] == "ask.no-such-run"
