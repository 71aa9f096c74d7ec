"""Processes that change the registry at the same time are killed at random moments: nothing is half, nothing lost."""

import json
import multiprocessing
import random
import signal
import time

import pytest

from burnish.core.registry.entries import read_entry, readable_file, version_files, versions_of
from burnish.core.registry.history import FILE, read_history
from burnish.core.registry.registry import Registry
from burnish.studio import registry
from registry_changes import NAME, change


def production(versions):
    return [version for version in versions.values() if version.stage == "production" and version.removed is None]


def check_files(folder):
    """Every file is whole, whatever was killed."""
    for path in version_files(folder).values():
        assert readable_file(path) is not None, path
    assert not read_entry(folder).faults


def check_history(folder, told):
    """At most one version was in production at any time, no number is used twice, and all that was told is there."""
    changes = read_history(folder / FILE).changes
    numbers = [change.version for change in changes if change.change == "register"]
    assert numbers == sorted(set(numbers))
    for end in range(1, len(changes) + 1, max(1, len(changes) // 50)):
        assert len(production(versions_of(NAME, folder / FILE, changes[:end]))) <= 1
    versions = versions_of(NAME, folder / FILE, changes)
    assert len(production(versions)) <= 1
    kinds = [line.split() for path in told for line in path.read_text().splitlines()]
    assert not [words for words in kinds if words[0] == "fault"]
    assert {int(words[1]) for words in kinds if words[0] == "register"} <= versions.keys()
    for words in kinds:
        if words[0] == "remove":
            assert versions[int(words[1])].removed is not None
    done = sum(words[0] in ("register", "promote", "demote", "tag", "remove") for words in kinds)
    assert done <= len(changes)
    return done, len(changes)


def wait_for_lines(path, before):
    end = time.monotonic() + 60
    while not path.exists() or path.stat().st_size == before:
        assert time.monotonic() < end, "the process changes nothing"
        time.sleep(0.005)


def kill(workspace, times, processes=3):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["registry_changes"])
    folder, source = workspace.root / "registry" / NAME, random.Random(times)
    told = [workspace.root / f"told-{place}" for place in range(processes)]
    running, before = {}, dict.fromkeys(range(processes), 0)
    try:
        for number in range(times + processes):
            place = number % processes
            if place in running:
                wait_for_lines(told[place], before[place])
                time.sleep(source.uniform(0, 0.08))
                running[place].kill()
                running[place].join()
                assert running[place].exitcode == -signal.SIGKILL
                before[place] = told[place].stat().st_size
                if folder.exists():
                    check_files(folder)
            arguments = (str(workspace.root), number, str(told[place]))
            running[place] = context.Process(target=change, args=arguments, daemon=True)
            running[place].start()
    finally:
        for process in running.values():
            process.kill()
            process.join()
    check_files(folder)
    done, changes = check_history(folder, [path for path in told if path.exists()])
    assert registry.listing(NAME, workspace=workspace.root)  # and the next change works
    live = max(Registry(workspace).entry(NAME).live)
    registry.tag(f"{NAME}@{live}", "after", workspace=workspace.root)
    for path in version_files(folder).values():
        assert json.loads(path.read_text())["changes"] <= changes + 1
    return done, changes


def test_15_kills(workspace):
    assert kill(workspace, 15)[0] > 0


@pytest.mark.torture
def test_200_kills(workspace):
    done, changes = kill(workspace, 200)
    print(f"{done} changes were reported as done, and {changes} are in the history")
    assert done > 200
