"""The settings of one source of a mix go before those of the step, which hold for the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.data.dataset import read_rows
from burnish.specs.data import PrepareSpec, SourceSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context


def line(**columns: Any) -> bytes:
    return json.dumps(columns).encode() + b"\n"


def pair(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


TURNS = [{"role": role, "content": role * 2} for role in ("ego", "alter")]
SHARED: dict[str, tuple[dict[str, bytes], Any, Any, dict, dict]] = {
    "format": (
        {"rows.jsonl": line(text="one", prompt="two")},
        "prompt",
        "text",
        {"kind": "prompt"},
        {"kind": "text", "text": "one"},
    ),
    "columns": (
        {"rows.jsonl": line(q="one?", a="1", q2="two?", a2="2")},
        {"q": "question", "a": "answer"},
        {"q2": "question", "a2": "answer"},
        {"messages": pair("one?", "1")},
        {"messages": pair("two?", "2")},
    ),
    "roles": (
        {"rows.jsonl": line(messages=TURNS)},
        {"ego": "user", "alter": "assistant"},
        {"ego": "system", "alter": "assistant"},
        {"messages": [{"role": "user", "content": "egoego"}, {"role": "assistant", "content": "alteralter"}]},
        {"messages": [{"role": "system", "content": "egoego"}, {"role": "assistant", "content": "alteralter"}]},
    ),
    "subset": (
        {"one/rows.jsonl": line(text="of one"), "two/rows.jsonl": line(text="of two")},
        "one",
        "two",
        {"text": "of one"},
        {"text": "of two"},
    ),
    "encoding": ({"rows.jsonl": b'{"text": "caf\xe9"}\n'}, "latin-1", "cp1251", {"text": "café"}, {"text": "cafй"}),
}
"""Files, the source's own value, the step's, and what the row holds under each."""
OWN = {"ref", "take", "tag", "weight", "split"}
"""Settings that a step does not have."""


def test_every_setting_of_a_source_has_its_place_here():
    assert SourceSpec.model_fields.keys() == SHARED.keys() | OWN
    assert SHARED.keys() <= PrepareSpec.model_fields.keys()


@pytest.mark.parametrize("field", SHARED)
def test_a_source_with_a_setting_of_its_own_takes_that_and_another_takes_the_steps(tmp_path: Path, field: str):
    files, own, of_step, expected, otherwise = SHARED[field]
    for folder in ("a", "b"):
        for name, content in files.items():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_bytes(content)
    context, _ = temporary_context(
        tmp_path / "run", {f"source.{i}.ref": tmp_path / name for i, name in enumerate("ab")}
    )
    sources = [SourceSpec(ref="file:a", **{field: own}), SourceSpec(ref="file:b")]
    run(PrepareSpec(source=sources, **{field: of_step}), context)
    first, second = read_rows(context.out, "train")
    assert {name: first.get(name) for name in expected} == expected
    assert {name: second.get(name) for name in otherwise} == otherwise


def test_take_and_tag_are_those_of_their_source(tmp_path: Path):
    for name, count in (("a", 9), ("b", 5)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(line(text=f"{name} {i}") for i in range(count)))
    paths = {f"source.{i}.ref": tmp_path / f"{name}.jsonl" for i, name in enumerate("ab")}
    context, _ = temporary_context(tmp_path / "run", paths)
    sources = [SourceSpec(ref="file:a", take=3, tag="first"), SourceSpec(ref="file:b", take=7)]
    run(PrepareSpec(source=sources), context)
    rows = list(read_rows(context.out, "train"))
    assert [row.get("tag") for row in rows] == ["first"] * 3 + [None] * 5
    assert len({row["id"] for row in rows}) == 8
