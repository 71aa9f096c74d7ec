"""Uploads to a local server that answers as the Hub does, well and badly."""

import json
import os
import time
from pathlib import Path

import pytest

from burnish.core.errors import AskError, RunError
from burnish.export.folder import push as pushing
from burnish.export.folder.push import check_token, push
from burnish.specs.ship import ExportSpec
from hub_server import TOKEN, HubServer

# of httpx, through huggingface_hub
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
CARD = """---
license: mit
---

# Tuned

`file:path/to/this/folder` and path/to/this/folder
"""


@pytest.fixture(scope="module", autouse=True)
def _plain_client():
    """The Hub's client reads its environment when it is imported; no test waits for its pauses."""
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patched.setattr(time, "sleep", lambda _: None)
        patched.setenv("HF_TOKEN", TOKEN)
        yield


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    with HubServer() as server:
        for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_HOME"):
            monkeypatch.setattr(constants, name, server.url, raising=False)
        yield server


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / "README.md").write_text(CARD)
    (made / "config.json").write_text("{}")
    for part in (1, 2):
        (made / f"model-0000{part}-of-00002.safetensors").write_bytes(os.urandom(20_000))
    return made


def pushed(folder, repo="me/tuned", branch=None, private=True, message="m"):
    return push(folder, repo, branch, private, message)


def test_every_file_is_uploaded_in_one_commit_of_a_private_repository(hub, folder):
    answer = pushed(folder)

    repo = hub.repos["me/tuned"]
    assert repo.private
    assert answer["pushed"]
    assert answer["commit"] == repo.branches["main"]
    assert repo.messages == ["initial commit", "m"]
    there = repo.files()
    assert {name for name in there if name != ".gitattributes"} == {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        if path.name != "README.md":
            assert there[path.name] == path.read_bytes()
    assert "`hub:me/tuned` and me/tuned" in there["README.md"].decode()
    assert (folder / "README.md").read_text() == CARD
    assert hub.tokens == {TOKEN}


def test_what_is_there_is_not_uploaded_twice(hub, folder):
    first = pushed(folder)
    uploads = hub.uploads
    again = pushed(folder)
    assert (again["pushed"], again["commit"], hub.uploads) == (False, first["commit"], uploads)


def test_only_what_changed_is_uploaded(hub, folder):
    pushed(folder)
    (folder / "config.json").write_text('{"a": 1}')
    hub.seen.clear()
    answer = pushed(folder)
    assert answer["pushed"]
    assert not [one for one in hub.seen if one.startswith("PUT")]
    assert hub.repos["me/tuned"].files()["config.json"] == b'{"a": 1}'


def test_files_of_an_earlier_model_are_deleted_and_others_stay(hub, folder):
    """A model.safetensors beside the shards would be loaded in their place."""
    pushed(folder)
    repo = hub.repos["me/tuned"]
    before = {**repo.files(), "model.safetensors": b"old", "picture.png": b"mine"}
    repo.commit("main", before, "by hand")
    answer = pushed(folder)
    assert answer["deleted"] == ["model.safetensors"]
    assert "model.safetensors" not in repo.files()
    assert repo.files()["picture.png"] == b"mine"


def test_the_repository_is_listed_once_before_and_once_after(hub, folder):
    for number in range(10):
        (folder / f"file{number}.txt").write_text(str(number))
    pushed(folder)
    (folder / "file1.txt").write_text("new")
    hub.seen.clear()
    assert pushed(folder)["pushed"]
    assert sum("/tree/" in one for one in hub.seen) == 2


MINE = (
    *("int8/model.safetensors", "experiments/seed2/adapter_model.safetensors", "experiments/config.json"),
    *("onnx/weights.bin", "data.bin", "tokenizer_notes.md", "vocab.png", "steering.safetensors"),
    *("additional_chat_templates/notes.md", "additional_chat_templates/old/rag.jinja", "config.json.bak"),
)
READ = (
    *("model.safetensors", "model-00001-of-00009.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
    *("pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json", "adapter_model.safetensors"),
    *("adapter_model.bin", "adapter_config.json", "generation_config.json", "preprocessor_config.json"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.txt", "merges.txt"),
    *("chat_template.jinja", "additional_chat_templates/rag.jinja", "burnish_base.json", "burnish_quantization.json"),
)


def test_only_names_that_loaders_read_in_the_top_folder_are_deleted(hub, folder):
    """Folders and files of the user's stay, whatever their ending."""
    pushed(folder)
    repo = hub.repos["me/tuned"]
    repo.commit("main", {**repo.files(), **dict.fromkeys((*MINE, *READ), b"old")}, "by hand")
    answer = pushed(folder)
    assert set(answer["deleted"]) == set(READ)
    assert set(MINE) <= set(repo.files())


def test_a_branch_is_created_and_main_is_left_alone(hub, folder):
    answer = pushed(folder, branch="v2")
    repo = hub.repos["me/tuned"]
    assert repo.branches["v2"] == answer["commit"]
    assert set(repo.files("main")) == {".gitattributes"}


@pytest.mark.parametrize("is_there", [True, False])
def test_nothing_goes_to_a_public_repository_unless_that_is_asked(hub, folder, is_there):
    if is_there:
        hub.repos.clear()
        pushed(folder, private=False)
        hub.repos["me/tuned"].private = False
    hub.created_public = True
    uploads = hub.uploads
    with pytest.raises(RunError, match="nothing was uploaded: me/tuned") as caught:
        pushed(folder)
    assert "private: false" in caught.value.fix
    assert hub.uploads == uploads
    assert pushed(folder, private=False)["commit"]


def test_a_private_repository_stays_private(hub, folder):
    pushed(folder)
    (folder / "config.json").write_text("[]")
    assert pushed(folder, private=False)["notes"][0] == "me/tuned is private, and stays so"
    assert hub.repos["me/tuned"].private


def test_a_card_that_was_there_is_named(hub, folder):
    pushed(folder)
    (folder / "README.md").write_text(CARD + "more")
    assert "the card that was there is in the history" in pushed(folder)["notes"][-1]


COMMIT, PREPARE, LARGE, TREE = "/commit/", "/preupload/", "PUT /stored/", "/tree/"
FAULTS = {
    "a token that is not accepted": ("GET", [401] * 9, "does not accept the token", "HF_TOKEN"),
    "no right to create": ("repos/create", [403] * 9, "may not write there", "write access"),
    "no right to commit": (COMMIT, [403], "may not write there", "write access"),
    "hidden while it was written": (COMMIT, [404], "no such repository", "check the name"),
    "a conflict": (COMMIT, [409], "reports a conflict", "see what"),
    "another commit": (COMMIT, [412], "somebody else changed", "see what"),
    "too large": (LARGE, [413] * 9, "refuses the size", "max_shard_bytes"),
    "a rate limit that stays": (PREPARE, [429] * 9, "limits the rate", "wait"),
    "a failing hub": (COMMIT, [500], "the hub fails", "later"),
    "a failing store": (LARGE, [503] * 99, "the hub fails", "later"),
    "a gateway without a hub": (TREE, [502] * 99, "the hub fails", "later"),
    "a teapot": (COMMIT, [418], "refuses the request", "see the message"),
    "a connection broken at the first request": ("GET", ["break"] * 99, "broke off", "HF_ENDPOINT"),
    "a connection broken in a large file": (LARGE, ["break"] * 99, "", ""),
    "a connection broken in the commit": (COMMIT, ["break"], "broke off", "HF_ENDPOINT"),
    "half an answer": (COMMIT, ["half"], "broke off", "HF_ENDPOINT"),
    "no JSON": (PREPARE, ["garbage"], "JSONDecodeError", "again"),
    "no JSON of the commit": (COMMIT, ["garbage"], "JSONDecodeError", "again"),
    "another commit than the one that was made": (COMMIT, ["wrong"], "holds other contents of README.md", "look at"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_and_the_next_run_makes_the_upload(hub, folder, fault):
    pattern, faults, said, fix = FAULTS[fault]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.faults[pattern] = list(faults)
    with pytest.raises(RunError) as caught:
        pushed(folder)
    assert caught.value.code == "run.not-pushed"
    assert said in caught.value.what
    assert fix in caught.value.fix
    assert "run the same command again" in caught.value.fix
    assert TOKEN not in json.dumps(caught.value.as_dict())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    hub.faults.clear()
    answer = pushed(folder)
    assert hub.repos["me/tuned"].branches["main"] == answer["commit"]
    assert hub.repos["me/tuned"].files()["config.json"] == b"{}"


def test_a_commit_whose_answer_was_lost_is_found(hub, folder):
    hub.faults[COMMIT] = ["lost"]
    with pytest.raises(RunError, match="broke off"):
        pushed(folder)
    uploads = hub.uploads
    answer = pushed(folder)
    assert (answer["pushed"], hub.uploads) == (False, uploads)


@pytest.mark.parametrize("faults", [[429], [500, 503], ["break"]])
def test_a_passing_fault_is_retried(hub, folder, faults):
    hub.faults[PREPARE] = faults
    assert pushed(folder)["pushed"]


def test_an_owner_of_others_is_refused(hub, folder):
    with pytest.raises(RunError, match=r"may not write there \(403.*under them"):
        pushed(folder, "them/tuned")


def test_a_card_that_the_hub_refuses_is_reported_before_anything_is_uploaded(hub, folder):
    (folder / "README.md").write_text("---\nlicense: made-up\n---\n")
    with pytest.raises(RunError, match="must be one of the known identifiers"):
        pushed(folder)
    assert hub.uploads == 0


def test_a_file_that_the_hub_ignores_is_found_missing(hub, folder, monkeypatch):
    """`.gitignore` of the repository: the client leaves such files out without a word."""
    mode = hub._mode
    monkeypatch.setattr(
        hub, "_mode", lambda one, files: {**mode(one, files), "shouldIgnore": one["path"] == "config.json"}
    )
    with pytest.raises(RunError, match=r"holds other contents of config\.json"):
        pushed(folder)


@pytest.mark.parametrize(("repo", "says"), [("me/tuned", True), ("me/Llama-3.2-tuned", False), ("me/llama_x", False)])
def test_a_name_that_the_licence_does_not_allow_is_reported(hub, folder, repo, says):
    (folder / "README.md").write_text("---\nlicense: llama3.2\n---\n")
    assert any("asks for a name that starts with 'Llama'" in note for note in pushed(folder, repo)["notes"]) == says


def test_without_a_token_nothing_begins(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(AskError, match="push_to needs a token") as caught:
        check_token()
    assert "hf auth login" in caught.value.fix


def test_offline_is_said(hub, folder, monkeypatch):
    from huggingface_hub.errors import OfflineModeIsEnabled

    def offline(*_):
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr(pushing, "_remote", offline)
    with pytest.raises(RunError, match=r"cannot be reached, or broke off \(HF_HUB_OFFLINE is set\)"):
        pushed(folder)


@pytest.mark.parametrize("target", ["hub:-me/x", "hub:me/x@/a", "hub:me/x@a/", "hub:me/.x", "hub:me/x-", "hub:me/x."])
def test_a_name_that_no_hub_takes_is_refused_with_the_settings(target):
    with pytest.raises(ValueError, match="is no repository of a hub"):
        ExportSpec(model="file:m", push_to=target)
    assert ExportSpec(model="file:m", push_to="hub:me/x.y-z@a/b-1").push_to


@pytest.mark.parametrize("title", ["a\0b", "a\rb", "a\nb"])
def test_a_title_has_no_control_characters(title):
    with pytest.raises(ValueError, match="title"):
        ExportSpec(model="file:m", title=title)
