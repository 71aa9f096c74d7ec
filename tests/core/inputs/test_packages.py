"""Installed packages as inputs: found without running their code, pinned by version and content."""

import platform
import sys

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, RunError
from burnish.core.inputs import packages
from burnish.core.inputs.checks import InputWatch, check_input
from burnish.core.inputs.references import resolve
from burnish.core.runs.workspace import Workspace


def pinned(name, tmp_path, notes=None) -> Input:
    return resolve(f"package:{name}", ("package",), Workspace(tmp_path), {}, ([] if notes is None else notes).append)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip would have installed it, whose code ends the process if it runs."""
    folder = tmp_path / "site"
    (folder / "burn_doc").mkdir(parents=True)
    (folder / "burn_doc" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (folder / "burn_doc" / "speed.so").write_bytes(b"\x7fELF")
    (folder / "burn_doc-1.2.dist-info").mkdir()
    metadata = "Metadata-Version: 2.4\nName: burn-doc\nVersion: 1.2\nLicense-Expression: MIT\n"
    (folder / "burn_doc-1.2.dist-info" / "METADATA").write_text(metadata)
    record = "burn_doc/__init__.py,,\nburn_doc/speed.so,,\nburn_doc-1.2.dist-info/METADATA,,\n../../bin/burn,,\n"
    (folder / "burn_doc-1.2.dist-info" / "RECORD").write_text(record)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.parametrize("name", ["burn-doc", "burn_doc"])
def test_a_package_is_found_by_both_of_its_names_without_importing_it(name, installed, tmp_path):
    notes = []
    value = pinned(name, tmp_path, notes)
    assert value.kind == "package"
    assert value.revision == "1.2"
    assert packages.find(name).files == ("burn_doc/__init__.py",)
    assert notes == [f"package:{name} is burn-doc 1.2"]
    assert "burn_doc" not in sys.modules


def test_a_change_of_a_file_or_of_the_version_is_another_input(installed, tmp_path):
    before = pinned("burn-doc", tmp_path)
    check_input(before, {})
    (installed / "burn_doc" / "__init__.py").write_text("x = 1\n")
    assert pinned("burn-doc", tmp_path).fingerprint != before.fingerprint
    with pytest.raises(RunError) as caught:
        check_input(before, {})
    assert caught.value.code == "run.input-changed"


def test_a_package_that_is_written_while_a_step_reads_it_is_noticed(installed, tmp_path):
    watch = InputWatch({"x": pinned("burn-doc", tmp_path)}, {}, 0.0)
    watch.start()
    assert watch.end() == []
    path = installed / "burn_doc" / "__init__.py"
    path.write_text(path.read_text())  # the same content, written again
    with pytest.raises(RunError):
        watch.end()


def test_the_standard_library_is_a_package_whole_and_by_module(tmp_path):
    assert pinned("json", tmp_path).revision == platform.python_version()
    assert "json/decoder.py" in packages.find("json").files
    whole = packages.find("python").files
    assert {"json/decoder.py", "heapq.py"} <= set(whole)
    assert not [file for file in whole if "site-packages" in file or file.endswith((".pyc", ".so"))]


@pytest.mark.parametrize(
    ("name", "what"),
    [("sys", "built into the interpreter"), ("no-such-package", "is not installed"), ("../json", "is not installed")],
)
def test_what_is_no_package_is_refused_by_name(name, what, tmp_path):
    with pytest.raises(AskError) as caught:
        pinned(name, tmp_path)
    assert what in caught.value.what
    assert name in caught.value.what
