"""The file of keys: links, rights, damage, and what is no file."""

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from burnish.cli.main import app
from burnish.core.access.keys import Key, add_key, read_keys, remove_key
from burnish.core.errors import AskError
from burnish.studio.serving.logins import add_token, list_tokens, remove_token, tokens_file

posix = pytest.mark.skipif(os.name != "posix", reason="rights and links of POSIX")
GOOD = {"name": "ann", "sha256": "a" * 64}


def keys(*arguments):
    return CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False)


@posix
def test_a_key_is_removed_from_the_file_that_a_link_leads_to(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "keys.json", tmp_path / "keys.json"
    add_key(real, Key("ann", ""))
    link.symlink_to(real)
    add_key(link, Key("bob", ""))
    remove_key(link, "ann")
    assert [key.name for key in read_keys(real)] == ["bob"]
    assert link.is_symlink()


@posix
def test_who_may_read_the_file_stays(tmp_path):
    path = tmp_path / "keys.json"
    add_key(path, Key("ann", ""))
    path.chmod(0o640)
    group = 1 if os.geteuid() == 0 else os.getgroups()[-1]
    os.chown(path, -1, group)
    add_key(path, Key("bob", ""))
    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, group)


@posix
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
def test_a_file_of_another_user_is_not_taken_from_them():
    with tempfile.TemporaryDirectory() as folder:  # that of pytest is closed to others
        Path(folder).chmod(0o777)
        path = Path(folder) / "keys.json"
        add_key(path, Key("ann", ""))
        path.chmod(0o666)
        os.chown(path, 12345, 12345)
        os.seteuid(23456)
        try:
            with pytest.raises(AskError, match="belongs to user 12345"):
                add_key(path, Key("bob", ""))
        finally:
            os.seteuid(0)
        assert path.stat().st_uid == 12345


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 200_000, "recursion"),
        ('{"keys": [], "keys": []}', "given twice"),
        (json.dumps({"format": 2, "keys": [GOOD]}), "its format is not 1"),
    ],
)
def test_a_file_that_may_be_misread_is_refused(tmp_path, text, why):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(AskError, match=why):
        read_keys(path)


@posix
def test_a_pipe_is_no_file_of_keys(tmp_path):
    path = tmp_path / "keys.json"
    os.mkfifo(path)
    with pytest.raises(AskError, match="no regular file"):
        read_keys(path)


def test_a_folder_is_no_file_of_keys(tmp_path):
    with pytest.raises(AskError, match="it is a folder"):
        add_key(tmp_path, Key("ann", ""))


def test_days_beyond_the_calendar_are_refused(tmp_path):
    with pytest.raises(AskError, match="after the year 9999"):
        keys("add", "ann", "--days", "1e10", "--file", str(tmp_path / "keys.json"))
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"keys": [5]}', '{"format": 2}'])
def test_a_damaged_file_names_the_command_that_makes_its_keys(tmp_path, text):
    path = tokens_file(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    own = {"workspace": tmp_path}
    tokens = [lambda: add_token("ann", "read", **own), lambda: list_tokens(**own), lambda: remove_token("ann", **own)]
    keys = [lambda: add_key(path, Key("ann", "")), lambda: read_keys(path), lambda: remove_key(path, "ann")]
    for calls, command in ((tokens, "burnish tokens add NAME"), (keys, "burnish keys add NAME")):
        for call in calls:
            with pytest.raises(AskError) as caught:
                call()
            assert caught.value.fix == f"restore it from a copy; or remove it, and make its keys anew: {command}"
