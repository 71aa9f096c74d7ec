"""burnish keys: a key is shown once, and a server accepts it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from burnish.cli.main import app
from burnish.core.access.keys import Key, add_key, digest_of, read_keys
from burnish.core.errors import AskError


def keys(*arguments):
    return CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False)


def test_a_key_is_shown_once_and_its_file_has_the_hash_only(tmp_path):
    file = str(tmp_path / "deep" / "keys.json")
    made = keys("add", "ann", "--file", file, "--model", "cats", "--requests-per-minute", "5", "--days", "1", "--admin")
    key = made.stdout.strip()
    assert made.exit_code == 0
    assert key.startswith("burnish-")
    text = Path(file).read_text()
    assert key not in text
    assert digest_of(key) in text
    if os.name == "posix":
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    (entry,) = read_keys(tmp_path / "deep" / "keys.json")
    assert (entry.name, entry.models, entry.requests_per_minute, entry.admin) == ("ann", ("cats",), 5, True)
    assert not entry.has_expired
    listed = keys("list", "--file", file)
    assert "ann" in listed.stdout
    assert digest_of(key) not in listed.stdout
    assert keys("remove", "ann", "--file", file).exit_code == 0
    assert json.loads(Path(file).read_text())["keys"] == []


def test_no_change_of_the_file_is_lost_among_processes(tmp_path):
    path = tmp_path / "keys.json"
    add_key(path, Key("old", ""))
    change = "import sys, pathlib; from burnish.core.access.keys import *; path = pathlib.Path(sys.argv[1])\n"
    adds = "for n in range(15): add_key(path, Key(f'{sys.argv[2]}{n}', ''))"
    programs = [(adds, name) for name in ("a", "b", "c")] + [("remove_key(path, 'old')", "")]
    started = [subprocess.Popen([sys.executable, "-c", change + text, path, name]) for text, name in programs]
    assert [process.wait(timeout=60) for process in started] == [0] * 4
    assert sorted(key.name for key in read_keys(path)) == sorted(f"{name}{n}" for name in "abc" for n in range(15))


def test_names_are_unique_and_plain(tmp_path):
    file = str(tmp_path / "keys.json")
    keys("add", "ann", "--file", file)
    for name in ("ann", "", "a b", "x" * 65):
        with pytest.raises(AskError):
            keys("add", name, "--file", file)
    with pytest.raises(AskError, match="no key 'bob'"):
        keys("remove", "bob", "--file", file)
    with pytest.raises(AskError, match="no such file"):
        keys("list", "--file", str(tmp_path / "other.json"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": {}}',
        '{"keys": [1]}',
        '{"keys": [{"name": "a"}]}',
        '{"keys": [{"name": "a", "sha256": "ab"}]}',
        json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "limit": 1}]}),
        json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "models": "x"}]}),
        json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "requests_per_minute": -1}]}),
        json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "expires": "tomorrow"}]}),
        json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "expires": "2027-01-01T00:00:00"}]}),
        json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "admin": "yes"}]}),
        json.dumps({"keys": [{"name": "a", "sha256": "0" * 64}, {"name": "a", "sha256": "1" * 64}]}),
    ],
)
def test_a_broken_file_of_keys_is_refused_with_its_place(tmp_path, text):
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(AskError, match=r"keys\.json"):
        read_keys(tmp_path / "keys.json")
