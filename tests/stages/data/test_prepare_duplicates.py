"""prepare and equal rows: found over every source, layout and split, counted, and dropped where requested."""

import json

import pytest

from burnish.data.dataset import read_rows
from burnish.specs.data import LanguageSpec, PrepareSpec, SourceSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context


def question(number: int, **more) -> str:
    return json.dumps({"question": f"What is {number}?", "answer": f"The number {number}.", **more}) + "\n"


def conversation(number: int) -> str:
    turns = [("user", f"What is {number}?"), ("assistant", f"The number {number}.")]
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]}) + "\n"


@pytest.fixture
def mix(tmp_path):
    """Prepare a mix of files by their contents; gives its statistics and the sources of the rows that are kept."""

    def mix(*contents: str, sources: dict[int, dict] | None = None, **settings):
        paths = [tmp_path / f"{name}.jsonl" for name, _ in zip("abcdef", contents, strict=False)]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        inputs = {f"source.{i}.ref": path for i, path in enumerate(paths)}
        context, _ = temporary_context(tmp_path / "run", inputs)
        asked = [SourceSpec(ref=f"file:{path}", **(sources or {}).get(i, {})) for i, path in enumerate(paths)]
        run(PrepareSpec(source=asked, **settings), context)
        stats = json.loads((context.out / "stats.json").read_text())
        return stats, [row["source"].rpartition("/")[2] for row in read_rows(context.out, "train")]

    return mix


@pytest.mark.parametrize("deduplicate", [True, "content"])
def test_a_row_that_an_earlier_source_has_is_dropped_whatever_its_layout(mix, deduplicate):
    stats, kept = mix(
        question(1) + question(2),
        question(3) + question(2),
        conversation(1) + conversation(4) + conversation(4),
        deduplicate=deduplicate,
    )
    assert kept == ["a.jsonl:1", "a.jsonl:2", "b.jsonl:1", "c.jsonl:2"]
    assert stats["dropped"] == {"duplicate": 3}
    assert (stats["read"], stats["kept"]) == (7, 4)


def test_without_deduplicate_equal_rows_of_several_sources_are_kept(mix):
    stats, kept = mix(question(1), question(1))
    assert len(kept) == 2
    assert stats["dropped"] == {}


def test_rows_of_two_sources_that_differ_in_columns_alone_are_dropped_by_content_only(mix):
    rows = question(1, mood="glad"), question(1, mood="sad")
    assert mix(*rows, deduplicate=True)[0]["dropped"] == {}
    assert mix(*rows, deduplicate="content")[0]["dropped"] == {"duplicate except for unmapped columns": 1}


def test_the_tag_of_a_source_does_not_make_its_rows_others(mix):
    stats, kept = mix(question(1), question(1), sources={0: {"tag": "one"}, 1: {"tag": "two"}}, deduplicate=True)
    assert kept == ["a.jsonl:1"]
    assert stats["tags"] == {"one": 1}


def test_a_row_that_another_filter_drops_does_not_count_as_seen(mix):
    """A row beyond `take` in one source is kept where another source has it."""
    many = "".join(question(number) for number in range(30))
    stats, kept = mix(many, many, sources={0: {"take": 10}}, deduplicate=True)
    assert stats["dropped"] == {"beyond take": 20, "duplicate": 10}
    assert len(kept) == 30
    english = question(1) + json.dumps({"question": "Wie geht es dir heute?", "answer": "Mir geht es gut."}) + "\n"
    stats, kept = mix(english, english, languages=LanguageSpec(keep=["en"]), deduplicate=True)
    assert stats["dropped"] == {"language de": 2, "duplicate": 1}


def test_a_row_of_two_splits_of_a_source_stays_in_the_first_that_is_read(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "test.jsonl").write_text(question(1) + question(2))
    (folder / "train.jsonl").write_text(question(2) + question(3))
    context, _ = temporary_context(tmp_path / "run", {"source": folder})
    run(PrepareSpec(source="file:set", deduplicate=True), context)
    stats = json.loads((context.out / "stats.json").read_text())
    assert stats["splits"] == {"train": 1, "test": 2}
    assert stats["dropped"] == {"duplicate": 1}
    assert stats["leaks"] == 0
