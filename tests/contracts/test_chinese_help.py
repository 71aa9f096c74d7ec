"""Every description of a setting has its Chinese help in the page, and no Chinese help is left over."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burnish.studio.schema import list_stages, show_stage

HELP = Path(__file__).parents[2] / "web" / "src" / "i18n" / "zh-CN" / "help"
FILES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(HELP.glob("*.json"))}
CHINESE = {english: chinese for texts in FILES.values() for english, chinese in texts.items()}
FAMILIES = {stage["name"]: stage["family"] for stage in list_stages()}


def described(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Where each description of a schema stands, and its text in one line; the whole schema's is no help of a form."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if not isinstance(schema, dict):
        return
    text = schema.get("description")
    if path and isinstance(text, str):
        yield path, " ".join(text.split())
    for key, part in schema.items():
        yield from described(part, f"{path}/{key}")


HELP_OF = {name: dict(described(show_stage(name)["json_schema"])) for name in FAMILIES}
TABLE = [(name, path, english) for name, texts in HELP_OF.items() for path, english in texts.items()]


def code(text: str) -> Counter[str]:
    return Counter(re.findall(r"`[^`]*`", text))


@pytest.mark.parametrize(("stage", "path", "english"), TABLE, ids=[f"{name}{path}" for name, path, _ in TABLE])
def test_each_description_has_chinese_help_with_the_same_code(stage, path, english):
    assert english in CHINESE, f"{HELP.name}/*.json has no {english!r}"
    assert re.search("[\u4e00-\u9fff]", CHINESE[english]), CHINESE[english]
    assert code(CHINESE[english]) == code(english)


def families_of() -> dict[str, set[str]]:
    """The families whose stages have a description."""
    found: dict[str, set[str]] = {}
    for name, _, english in TABLE:
        found.setdefault(english, set()).add(FAMILIES[name])
    return found


def test_chinese_help_stands_in_the_file_of_its_family_and_none_is_left_over():
    families = families_of()
    wanted = {english: found.pop() if len(found) == 1 else "shared" for english, found in families.items()}
    stands = [(english, file) for file, texts in FILES.items() for english in texts]
    assert sorted(stands) == sorted(wanted.items())


def test_the_page_loads_every_file_of_chinese_help_and_none_is_long():
    index = (HELP / "index.ts").read_text(encoding="utf-8")
    for file in FILES:
        assert f'import {file} from "./{file}.json"' in index
        assert f"...{file}" in index
        assert len((HELP / f"{file}.json").read_text(encoding="utf-8").splitlines()) <= 400
