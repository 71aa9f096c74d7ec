"""Every code that is raised is listed, and every code that is listed is raised."""

import re
from pathlib import Path

import pytest

from burnish.core.errors import CODES

SOURCE = Path(__file__).parents[2] / "src" / "burnish"
FAMILIES = "ask|data|model|machine|run"
RAISED = {
    (code, str(path.relative_to(SOURCE)))
    for path in SOURCE.rglob("*.py")
    if path.name != "errors.py"
    for code in re.findall(rf"[\"']((?:{FAMILIES})\.[a-z]+(?:-[a-z]+)*)[\"']", path.read_text(encoding="utf-8"))
}
FILES = {"data.csv", "data.jsonl", "model.safetensors", "run.json", "run.log", "run.lock", "model.json"}
NOT_YET_RAISED: set[str] = set()


def test_every_code_that_is_raised_is_listed():
    assert {(code, place) for code, place in RAISED if code not in CODES and code not in FILES} == set()


@pytest.mark.parametrize("code", CODES)
def test_every_code_that_is_listed_is_raised_somewhere(code):
    assert code in {raised for raised, _ in RAISED} | NOT_YET_RAISED
