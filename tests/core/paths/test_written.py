"""Paths as users write them."""

from pathlib import Path

import pytest

from burnish.core.errors import AskError
from burnish.core.paths import current_folder, expanded


def said(call, *args) -> str:
    with pytest.raises(AskError) as caught:
        call(*args)
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


def test_a_home_folder_is_expanded_and_an_unknown_one_is_named(monkeypatch):
    monkeypatch.setenv("HOME", "/homes/me")
    for path, full in (("~/a", "/homes/me/a"), ("~", "/homes/me"), ("a/~", "a/~"), ("/x/../y", "/x/../y")):
        assert expanded(path) == expanded(Path(path)) == Path(full)
    assert said(expanded, "~nosuchuser/a/b") == (
        "ask.bad-reference | ~nosuchuser/a/b: the home folder of ~nosuchuser is unknown | "
        "write the full path; for a name that starts with ~ write ./~name"
    )


@pytest.mark.parametrize(("shell", "named"), [("/where/it/was", " /where/it/was"), (None, "")])
def test_a_removed_current_folder_is_named_as_the_shell_knows_it(tmp_path, monkeypatch, shell, named):
    monkeypatch.chdir(tmp_path)
    assert current_folder() == tmp_path
    if shell is None:
        monkeypatch.delenv("PWD", raising=False)
    else:
        monkeypatch.setenv("PWD", shell)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert said(current_folder) == (
        f"ask.bad-reference | the current folder{named} was removed or renamed | "
        "change to an existing folder (cd), and run the command again"
    )
