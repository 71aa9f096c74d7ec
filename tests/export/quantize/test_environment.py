"""The environment of the quantizers: made once, checked before each use, and never left half made."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from burnish.core.context import StopRequestedError
from burnish.core.errors import BurnishError
from burnish.core.events import Note, Progress
from burnish.export.quantize import environment as environments
from burnish.export.quantize.environment import Installing, environment, folder_of, packages_of
from quantizer_stand_in import ends, make_wheels, use_wheels, waited_for


@pytest.fixture(autouse=True)
def constraints(tmp_path, monkeypatch):
    found = make_wheels(tmp_path / "wheels")
    use_wheels(monkeypatch, tmp_path / "wheels", tmp_path / "cache")
    return found


QUICK = (("llmcompressor",),)
"""One run of pip."""


def installing(folder, **more):
    events = []
    return Installing(folder / "install.log", events.append, **more), events


def left(constraints):
    return {path.name for path in folder_of(constraints).parent.iterdir() if path.suffix != ".lock"}


def notes(events):
    return [event.text for event in events if isinstance(event, Note)]


def test_an_environment_is_made_once_and_made_again_when_it_is_damaged(tmp_path, constraints):
    made, events = installing(tmp_path)
    python = environment(made, constraints)
    assert packages_of(python).packages["llmcompressor"] == "0.14.0"
    assert "torch" in notes(events)[0]
    assert [event.total for event in events if isinstance(event, Progress)][-1] == 4
    assert left(constraints) == {folder_of(constraints).name}

    again, events = installing(tmp_path)
    assert environment(again, constraints) == python
    assert not events
    assert again.ended is None

    shutil.rmtree(next(python.parents[1].glob("lib/*/site-packages/transformers-*.dist-info")))
    third, events = installing(tmp_path)
    assert environment(third, constraints, QUICK) == python
    assert "transformers was 5.17.0 and is absent" in notes(events)[0]
    assert packages_of(python).packages["transformers"] == "5.17.0"


def test_other_versions_are_another_environment(constraints):
    before = folder_of(constraints)
    constraints.write_text(constraints.read_text().replace("0.14.0", "0.15.0"))
    assert folder_of(constraints) != before


def test_versions_that_cannot_be_had_leave_nothing(tmp_path, constraints):
    constraints.write_text(constraints.read_text().replace("0.14.0", "0.15.0"))
    made, _ = installing(tmp_path)
    with pytest.raises(BurnishError, match="llmcompressor could not be installed") as error:
        environment(made, constraints, QUICK)
    assert error.value.code == "machine.no-package"
    assert str(made.log) in error.value.fix
    assert left(constraints) == set()


def test_an_index_that_cannot_be_reached_is_named(tmp_path, constraints, monkeypatch):
    for name, value in {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_RETRIES", "1")
    made, _ = installing(tmp_path)
    with pytest.raises(BurnishError, match="the package index cannot be reached") as error:
        environment(made, constraints)
    assert error.value.code == "machine.no-network"
    assert left(constraints) == set()


def test_packages_that_do_not_start_leave_nothing(tmp_path, constraints):
    made, _ = installing(tmp_path)
    with pytest.raises(BurnishError, match="does not start") as error:
        environment(made, constraints, QUICK, imports=("torch", "absent_module"))
    assert "No module named 'absent_module'" in error.value.what
    assert left(constraints) == set()


def test_a_full_disk_is_named(tmp_path):
    made, _ = installing(tmp_path)
    with pytest.raises(BurnishError, match="the disk is full") as error:
        environments._run([sys.executable, "-c", "raise OSError(28, 'No space left on device')"], made, "x")
    assert "BURNISH_CACHE" in error.value.fix


def test_a_stop_and_a_limit_end_the_installation(tmp_path, constraints):
    with pytest.raises(StopRequestedError):
        environment(installing(tmp_path, is_stopping=lambda: True)[0], constraints)
    with pytest.raises(BurnishError, match="within 0 s"):
        environment(installing(tmp_path, timeout=0.01)[0], constraints)
    assert left(constraints) == set()


def test_two_that_need_an_environment_make_it_once(tmp_path, constraints):
    with ThreadPoolExecutor(2) as pool:
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
        ready = [installing(folder) for folder in folders]
        pythons = list(pool.map(lambda pair: environment(pair[0], constraints, QUICK), ready))
    assert pythons[0] == pythons[1]
    assert sorted(made.ended is None for made, _ in ready) == [False, True]
    waited = next(events for made, events in ready if made.ended is None)
    assert "waiting for another run" in notes(waited)[0]


def test_a_killed_installation_ends_all_its_processes_and_is_made_again(tmp_path, constraints):
    code = (
        "import sys; from pathlib import Path; from burnish.export.quantize.environment import *;"
        "environment(Installing(Path(sys.argv[1]), lambda event: None), Path(sys.argv[2]), imports=('hang',))"
    )
    (tmp_path / "hang.py").write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    constraints.write_text(constraints.read_text() + "hang==1\n")
    make_wheels(tmp_path / "wheels", {"hang": {"hang.py": (tmp_path / "hang.py").read_text()}})
    maker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            code.replace("imports", "steps=(('hang',),), imports"),
            *map(str, (tmp_path / "log", constraints)),
        ]
    )
    pid = int(waited_for(tmp_path / "pid"))
    assert left(constraints) == {f"{folder_of(constraints).name}.partial"}
    maker.kill()
    maker.wait()
    assert ends(pid)
    python = environment(installing(tmp_path)[0], constraints, QUICK)
    assert python.is_file()
    assert left(constraints) == {folder_of(constraints).name}
