"""Files are nouns, small, and say what they are for; none knows the machine that it was written on."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
OTHERS = sorted(path for folder in ("docs", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py"))
MOST_FILES = 15
ONE_IDEA = {"formats", "routes"}  # one file for each layout of rows, or each noun of the API
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "managers"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_files_are_nouns_of_less_than_400_lines():
    for path in (*SOURCES, *TESTS, *OTHERS):
        assert not {path.stem, path.parent.name} & EMPTY_NAMES, name(path)
        assert len(path.read_text(encoding="utf-8").splitlines()) < 400, name(path)


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=name)
def test_a_folder_holds_about_a_dozen_files_unless_all_are_of_one_idea(folder):
    if folder.name not in ONE_IDEA:
        assert len([path for path in folder.glob("*.py") if path.stem != "__init__"]) <= MOST_FILES


def test_modules_open_with_a_sentence_on_what_they_are_for():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert not text or re.match(r'"""\s*[^\s"]', text), name(path)


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        return [
            *SOURCES,
            *TESTS,
            *OTHERS,
            *ROOT.glob("*.*"),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / "recipes").glob("*"),
        ]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / path for path in listed.split("\0") if path and (ROOT / path).is_file()]


PLACES = re.compile(r"/work" r"/|/root" r"/|/home/[a-z]+/|\bpypi[.-](?!org)[a-z]|index" r"-url|localhost:\d|192\.168\.")
SECRETS = re.compile(r"\bhf_[A-Za-z0-9]{34}\b|\bsk-[A-Za-z0-9]{40,}\b|-----BEGIN [A-Z ]*PRIVATE KEY")


def test_no_path_of_a_machine_no_host_and_no_secret_stands_in_the_tree():
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data[:8192] or len(data) > 4 << 20:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
            if PLACES.search(line) or SECRETS.search(line):
                found.append(f"{name(path)}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)
