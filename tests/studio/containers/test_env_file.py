"""The file `.env`, read as compose reads it, and what the containers get of it."""

import socket

import pytest

from burnish.core.access.env_file import read_env_file
from burnish.core.errors import AskError
from burnish.studio.containers import up
from burnish.studio.containers.ports import is_free

TEXT = """\ufeff# a comment
PLAIN=a b # c
EMPTY=
EMPTY_QUOTED="" # none yet
HASH=a#b
QUOTED="8099" # mine
LITERAL='$HOME "x"' # mine
export SHORT = spaced\r
COLON: value
ESCAPED="a\\"b\\n\\$c"
SEVERAL="one
two"
FROM_SHELL=${SHELL_HAS}/x
ABOVE=$PLAIN-${NOWHERE:-other}${EMPTY-unused}
REQUIRED=${NOWHERE:?must be set}
"""
READ = {
    "PLAIN": "a b",
    "EMPTY": "",
    "EMPTY_QUOTED": "",
    "HASH": "a#b",
    "QUOTED": "8099",
    "LITERAL": '$HOME "x"',
    "SHORT": "spaced",
    "COLON": "value",
    "ESCAPED": 'a"b\n$c',
    "SEVERAL": "one\ntwo",
    "FROM_SHELL": "/home/x",
    "ABOVE": "a b-other",
    "REQUIRED": None,
}


def test_it_is_read_as_compose_reads_it(tmp_path):
    path = tmp_path / ".env"
    assert read_env_file(path, {}) == {}
    path.write_bytes(TEXT.encode())
    assert read_env_file(path, {"SHELL_HAS": "/home"}) == READ


OPEN = "BURNISH_BIND=0.0.0.0\n"


@pytest.mark.parametrize(
    ("text", "shell"),
    [
        ('BURNISH_API_KEY="" # none yet', None),
        ("BURNISH_API_KEY=${NOWHERE_AT_ALL}", None),
        ("BURNISH_API_KEY=from-the-file", ""),
        ("BURNISH_API_KEY='  '", None),
    ],
)
def test_a_key_that_compose_does_not_see_opens_nothing(docker, workspace, monkeypatch, text, shell):
    (workspace.root / ".env").write_text(OPEN + text)
    if shell is not None:
        monkeypatch.setenv("BURNISH_API_KEY", shell)
    with pytest.raises(AskError, match="BURNISH_API_KEY is not set"):
        up(["serve"], model="builtin:pocket", workspace=workspace.root)
    assert not docker.calls("compose up")


def test_compose_gets_the_key_that_was_checked(docker, workspace):
    (workspace.root / ".env").write_text(OPEN + 'BURNISH_API_KEY="of the file" # mine\n')
    assert up(["serve"], model="builtin:pocket", workspace=workspace.root).status == 0
    given = docker.calls("compose up")[-1]["environment"]
    assert (given["BURNISH_API_KEY"], given["BURNISH_BIND"]) == ("of the file", "0.0.0.0")


def test_a_form_that_is_not_read_is_refused(docker, workspace):
    (workspace.root / ".env").write_text("BURNISH_BIND=${ADDRESS:?must be set}\n")
    with pytest.raises(AskError, match="the value of BURNISH_BIND has a variable in a form"):
        up(["serve"], model="builtin:pocket", workspace=workspace.root)


@pytest.mark.parametrize("address", ["nonsense", "localhost", "1.2.3"])
def test_an_address_that_is_none_is_no_port_in_use(docker, workspace, monkeypatch, address):
    monkeypatch.setenv("BURNISH_BIND", address)
    monkeypatch.setenv("BURNISH_API_KEY", "a-key")
    with pytest.raises(AskError, match=f"BURNISH_BIND={address} is not an address"):
        up(["serve"], model="builtin:pocket", workspace=workspace.root)


def test_a_port_is_in_use_only_where_something_listens():
    assert is_free("192.0.2.1", 80)  # not of this machine: docker says so
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free("127.0.0.1", server.getsockname()[1])


def test_a_port_in_other_digits_is_refused(docker, workspace, monkeypatch):
    monkeypatch.setenv("SERVE_PORT", "٣٣٣")
    with pytest.raises(AskError, match="is not a port"):
        up(["serve"], model="builtin:pocket", workspace=workspace.root)


def test_a_workspace_with_a_colon_in_its_path_is_refused(docker, tmp_path):
    root = tmp_path / "a:b"
    (root / ".burnish").mkdir(parents=True)
    with pytest.raises(AskError, match="has a colon"):
        up(["tensorboard"], workspace=root)


def test_a_model_that_is_nowhere_is_refused_before_images_are_built(docker, workspace):
    with pytest.raises(AskError):
        up(["serve"], model="nope@production", workspace=workspace.root)
    assert not docker.calls("compose build", "compose up")
