"""The folder that a command is called in holds no modules of its workers."""

import pytest

from burnish.core.processes import module_command

NAMES = ("json", "logging", "pydantic", "yaml", "uuid", "quick_stages", "numpy", "burnish")


def test_a_file_in_the_current_folder_is_not_imported_by_a_worker(prepared, started, finish, tmp_path, monkeypatch):
    folder = tmp_path / "called-here"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / 'run')!r}, 'w').close()\nraise SystemExit('shadowed')\n"
        )
    monkeypatch.chdir(folder)
    run = prepared("quick-make", word="x")
    assert finish(run, started(run)).status == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", [(), ("a", "b")])
def test_a_command_names_its_module_after_three_words(arguments):
    command = module_command("some.module", *arguments)
    assert command[3:] == ["some.module", *arguments]
