"""Settings over HTTP: listed, changed whole or not at all, and no secret in any answer, log or file but `.env`."""

import pytest

CANARY = "sk-canary-93b1f0c2de"
HOSTILE = [
    ({"OPENAI_API_KEY": f"{CANARY}\nPATH=/evil"}, "ask.wrong-value"),
    ({"OPENAI_API_KEY": f"{CANARY}\u0000"}, "ask.wrong-value"),
    ({"LD_PRELOAD": f"/{CANARY}.so"}, "ask.unknown-key"),
    ({"BURNISH_WORKSPACE": f"/{CANARY}"}, "ask.wrong-value"),
    ({"../../x_API_KEY": CANARY}, "ask.unknown-key"),
    ({"HF_HUB_OFFLINE": 1}, "ask.wrong-value"),
    ({"HF_TOKEN": [CANARY]}, "ask.wrong-value"),
    ({}, "ask.wrong-value"),
    (None, "ask.wrong-value"),
]


def one_of(found, name):
    return next(one for one in found["variables"] if one["name"] == name)


def test_a_change_is_shown_without_its_secrets_and_keeps_the_file(studio):
    (studio.folder / ".env").write_text("# ours\nOTHER=1\n")
    answer = studio.page.patch("/api/v1/settings", json={"changes": {"LAB_API_KEY": CANARY, "WANDB_PROJECT": "lab"}})
    assert answer.status_code == 200, answer.text
    key, project = one_of(answer.json(), "LAB_API_KEY"), one_of(answer.json(), "WANDB_PROJECT")
    assert (key["is_set"], key["value"], key["source"], key["kind"]) == (True, None, "file", "secret")
    assert (project["value"], project["source"]) == ("lab", "file")
    assert answer.json()["others"] == ["OTHER"]
    assert (studio.folder / ".env").read_text() == f"# ours\nOTHER=1\nLAB_API_KEY={CANARY}\nWANDB_PROJECT=lab\n"
    listed = studio.page.get("/api/v1/settings").text
    machine = studio.page.get("/api/v1/machine").json()
    assert machine["from_env_file"] == ["LAB_API_KEY", "WANDB_PROJECT"]
    files = [path for path in studio.folder.rglob("*") if path.is_file() and path.name != ".env"]
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    assert CANARY not in answer.text + listed + str(machine)


@pytest.mark.parametrize(("changes", "code"), HOSTILE, ids=str)
def test_what_cannot_be_set_changes_nothing_and_is_not_repeated(studio, changes, code):
    before = (studio.folder / ".env").read_bytes() if (studio.folder / ".env").exists() else b""
    answer = studio.page.patch("/api/v1/settings", json={"changes": changes})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert CANARY not in answer.text
    assert ((studio.folder / ".env").read_bytes() if (studio.folder / ".env").exists() else b"") == before


def test_a_file_that_cannot_be_read_is_named_with_the_fix(studio):
    file = studio.folder / ".env"
    before = file.read_bytes() if file.exists() else b""
    file.unlink(missing_ok=True)
    file.mkdir()
    try:
        answer = studio.page.get("/api/v1/settings")
        assert (answer.status_code, answer.json()["code"]) == (422, "ask.wrong-value")
        assert "no regular file" in answer.json()["detail"]
    finally:
        file.rmdir()
        file.write_bytes(before)


def test_what_the_server_was_started_with_comes_first(tmp_path, monkeypatch):
    from tests.server.conftest import serving

    monkeypatch.setenv("WANDB_PROJECT", "of-the-shell")
    (tmp_path / ".env").write_text("WANDB_PROJECT=of-the-file\nWANDB_ENTITY=lab\n")
    with serving(tmp_path) as studio:
        found = studio.page.get("/api/v1/settings").json()
    assert one_of(found, "WANDB_PROJECT")["value"] == "of-the-shell"
    assert one_of(found, "WANDB_PROJECT")["source"] == "environment"
    assert one_of(found, "WANDB_ENTITY")["source"] == "file"
