"""Rows that are written to shards are read back as they were: every value, every type, every missing key."""

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.core.context import Input
from burnish.core.errors import DataError
from burnish.core.inputs.references import folder_kind
from burnish.data.dataset import open_rows, split_names
from burnish.data.reader import read
from burnish.data.record import MAX_ROW_BYTES, ReadReport, RowError
from burnish.data.shards.columns import Columns
from burnish.data.shards.manifest import read_manifest
from burnish.data.shards.writer import ShardWriter

FORMS = ("jsonl", "parquet")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.one_of(st.integers(-3, 3), st.integers(-(2**70), 2**70), st.just(2**53), st.just(-(2**63)))
floats = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 0.5, 1.0, 2.5]))
scalars = st.one_of(st.none(), st.booleans(), integers, floats, texts)
flat = st.dictionaries(st.sampled_from(["x", "y"]), scalars, max_size=2)
values = st.one_of(
    *(scalars, st.lists(texts), st.lists(st.integers(-9, 9) | st.floats(-2, 2)), st.lists(flat, max_size=3), flat),
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)),
)
names = st.sampled_from(["a", "b", "", "a.b", "split", "日本"]) | texts
rows_of_json = st.lists(st.dictionaries(names, values, min_size=1, max_size=5), max_size=8)
objects = st.fixed_dictionaries({"k": texts | st.none(), "": st.none() | st.integers(-9, 9), "a.b": st.floats(-2, 2)})
typed = st.fixed_dictionaries(  # columns of one type each, so that typed columns are drawn as often as mixed ones
    {"n": st.integers(-(2**63), 2**63 - 1), "t": texts | st.none(), "f": st.sampled_from([0.5, 2.5, 7])},
    optional={
        "b": st.booleans(),
        "l": st.lists(st.none() | texts),
        "o": st.lists(st.fixed_dictionaries({"k": texts})),
        "m": objects,
        "m or null": st.none() | objects,
        "some": st.none() | st.fixed_dictionaries({}, optional={"k": texts, "n": st.integers(-9, 9)}),
    },
)

large = st.fixed_dictionaries({"n": st.sampled_from([0, -(2**53) - 1, 2**53 + 1, 2**63])})


def exactly(value: object) -> object:
    """A value in which equal numbers of different types differ."""
    if isinstance(value, dict):
        return {key: exactly(child) for key, child in value.items()}
    if isinstance(value, list):
        return [exactly(child) for child in value]
    sign = math.copysign(1, value) if isinstance(value, float) else 0
    return (type(value).__name__, value, sign)


def written(folder: Path, rows: list[dict], form: str, **settings) -> ShardWriter:
    with ShardWriter(folder, form, **settings) as writer:
        for row in rows:
            writer.write(row)
    return writer


def written_and_stopped(folder: Path, form: str) -> None:
    with ShardWriter(folder, form) as writer:
        writer.write({"text": "a"})
        raise RuntimeError("stop")


def rows_in(folder: Path) -> list[dict]:
    items = list(read(folder, ReadReport()))
    return [item.raw for item in items]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_summarised", [False, True])
@given(rows=st.one_of(rows_of_json, st.lists(typed, max_size=8)), cut=st.integers(1, 200))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path_factory, form, is_summarised, rows, cut):
    folder = tmp_path_factory.mktemp("rows")
    columns = None
    if is_summarised:
        columns, other = Columns(), Columns()
        for number, row in enumerate(rows):
            (columns if number % 3 else other).observe(row)
        columns.merge(other)
    writer = written(folder, rows, form, shard_bytes=cut, columns=columns)
    assert writer.rows.get("train", 0) == len(rows)
    if rows:
        assert exactly(rows_in(folder)) == exactly(rows)
        assert not (folder / ".spill").exists()
    sample = [json.loads(line) for line in (folder / "sample.jsonl").read_text().split("\n") if line]
    assert [line["row"] for line in sample] == rows[:20]


@given(rows=st.one_of(rows_of_json, st.lists(typed, max_size=8), st.lists(large)))
@settings(deadline=None, max_examples=40)
def test_rows_are_summarised_together_as_one_by_one(rows):
    together, one_by_one = Columns(), Columns()
    together.observe_all(rows)
    for row in rows:
        one_by_one.observe(row)
    assert vars(together) == vars(one_by_one)


def test_columns_of_one_type_are_typed_and_others_are_json(tmp_path):
    rows = [
        {"text": "a", "n": 1, "score": 1, "tags": ["x"], "turns": [{"role": "user", "n": 1}], "meta": {"a": 1}},
        {"text": None, "n": 2, "score": 0.5, "tags": [], "turns": [], "meta": {}, "late": 2**64},
    ]
    written(tmp_path, rows, "parquet")
    schema = pq.read_schema(tmp_path / "rows/train-00000.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "text": "string",
        "n": "int64",
        "score": "double",
        "tags": "list<element: string>",
        "turns": "list<element: struct<role: string, n: int64>>",
        "meta": "string",
        "late": "string",
    }
    assert schema.field("meta").metadata == {b"burnish": b"json"}
    assert read_manifest(tmp_path).columns["late"] == "json, absent in some rows"
    assert exactly(rows_in(tmp_path)) == exactly(rows)


STRUCT = "struct<a: int64, b: string>"
ONE, TWO = {"a": 1, "b": "x"}, {"a": None, "b": "y"}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([ONE, TWO], STRUCT),
        ([ONE, None, TWO], STRUCT),
        ([ONE, ...], f"{STRUCT}, absent in some rows"),
        ([{"a": None}, {"a": None}], "struct<a: string>"),
        ([{"": True, "a.b": 1.0}, {"": False, "a.b": 2.5}], "struct<: bool, a.b: double>"),
        ([[ONE], [TWO, None], []], f"list<item: {STRUCT}>"),
        ([ONE, {"a": 1}], "json"),
        ([ONE, {"b": "x", "a": 1}], "json"),
        ([{"a": 1}, {"a": 1.5}], "json"),
        ([{"a": [1]}, {"a": [2]}], "json"),
        ([{}, {}], "json"),
        ([ONE, "x"], "json"),
        ([ONE, [ONE]], "json"),
        ([ONE, None, ...], "json, absent in some rows"),
        ([{str(number): 1 for number in range(101)}] * 2, "json"),
    ],
    ids=str,
)
def test_an_object_is_typed_where_all_have_the_same_keys_with_scalars_of_one_type(tmp_path, values, kind):
    rows = [{"id": n} if value is ... else {"id": n, "meta": value} for n, value in enumerate(values)]
    written(tmp_path, rows, "parquet")
    assert exactly(rows_in(tmp_path)) == exactly(rows)
    assert [list(row.get("meta") or {}) for row in rows_in(tmp_path)] == [list(row.get("meta") or {}) for row in rows]
    assert read_manifest(tmp_path).columns["meta"] == kind


def test_objects_of_more_fields_in_all_than_parquet_holds_well_are_json(tmp_path):
    rows = [{f"c{column}": {str(key): 1 for key in range(100)} for column in range(25)}] * 2
    written(tmp_path, rows, "parquet")
    assert set(read_manifest(tmp_path).columns.values()) == {"json"}
    assert rows_in(tmp_path) == rows


@pytest.mark.parametrize("form", FORMS)
def test_shards_have_their_splits_sizes_and_hashes(tmp_path, form):
    with ShardWriter(tmp_path, form, about={"source": "x", "licence": "mit"}, shard_bytes=100) as writer:
        for number in range(60):
            writer.write({"text": f"row {number}"}, split="dev" if number % 3 == 0 else "../train")
        writer.about["revision"] = "abc"
    manifest = read_manifest(tmp_path)
    assert manifest == writer.manifest
    assert manifest.about == {"source": "x", "licence": "mit", "revision": "abc"}
    assert manifest.splits == {"dev": 20, "../train": 40}
    assert len(manifest.shards) > 4
    assert sorted(path.name for path in (tmp_path / "rows").iterdir()) == sorted(
        Path(shard.file).name for shard in manifest.shards
    )
    records = list(read(tmp_path, ReadReport()))
    assert [record.split for record in records] == ["validation"] * 20 + ["train"] * 40
    assert folder_kind(tmp_path) == "rows"
    input = Input("file:rows", "rows", tmp_path)
    assert split_names(input) == ["train", "validation"]
    assert [row["text"] for row in open_rows(input, "validation")] == [f"row {n}" for n in range(0, 60, 3)]
    assert len(list(open_rows(input, "train"))) == 40


def test_other_files_of_the_folder_are_no_rows(tmp_path):
    written(tmp_path, [{"text": "a"}], "jsonl")
    for name in ("quarantine.jsonl", "removed.jsonl", "rows/older-00000.jsonl"):
        (tmp_path / name).write_text('{"text": "no row"}\n')
    (tmp_path / "stats.json").write_text("{}")
    assert rows_in(tmp_path) == [{"text": "a"}]


@pytest.mark.parametrize("form", FORMS)
def test_rows_that_were_not_written_to_the_end_are_refused(tmp_path, form):
    with pytest.raises(RuntimeError, match="stop"):
        written_and_stopped(tmp_path, form)
    with pytest.raises(DataError, match="not written to the end"):
        rows_in(tmp_path)
    assert folder_kind(tmp_path) == "rows"
    written(tmp_path, [{"text": "b"}], form)
    assert rows_in(tmp_path) == [{"text": "b"}]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.unlink(), "lists rows/train-00000.jsonl, which is missing"),
        (lambda file: file.write_text("{}"), "rows/train-00000.jsonl has 13 bytes, and it has 2"),
    ],
)
def test_a_shard_that_is_missing_or_of_another_size_is_named(tmp_path, damage, said):
    written(tmp_path, [{"text": "a"}], "jsonl")
    damage(tmp_path / "rows/train-00000.jsonl")
    with pytest.raises(DataError, match=said):
        rows_in(tmp_path)


@pytest.mark.parametrize("member", ["rows", "splits", "shards"])
def test_a_manifest_whose_shards_have_other_rows_than_it_says_is_damaged(tmp_path, member):
    written(tmp_path, [{"text": f"row {number}"} for number in range(20)], "jsonl", shard_bytes=100)
    manifest = tmp_path / "manifest.json"
    record = json.loads(manifest.read_text())
    other = {"rows": 21, "splits": {"test": 20}, "shards": record["shards"][1:]}
    manifest.write_text(json.dumps(record | {member: other[member]}))
    with pytest.raises(DataError, match=r"manifest\.json is damaged: it says 2[01] rows"):
        rows_in(tmp_path)


def test_a_manifest_cannot_name_a_file_outside(tmp_path):
    folder = tmp_path / "rows"
    written(folder, [{"text": "a"}], "jsonl")
    (tmp_path / "secret.jsonl").write_text('{"text": "a"}\n')
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("rows/train-00000.jsonl", "../secret.jsonl"))
    with pytest.raises(DataError, match="leads out of"):
        rows_in(folder)


def test_a_manifest_of_a_newer_version_is_refused(tmp_path):
    written(tmp_path, [{"text": "a"}], "jsonl")
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("burnish rows 1", "burnish rows 2"))
    with pytest.raises(DataError, match="update burnish"):
        rows_in(tmp_path)


def test_a_damaged_manifest_is_named_and_its_folder_is_not_read_as_other_files(tmp_path):
    written(tmp_path, [{"text": "a"}], "jsonl")
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"manifest\.json is damaged"):
        rows_in(tmp_path)


@pytest.mark.parametrize(
    ("member", "value"),
    [("file", 7), ("file", None), ("split", 5), ("rows", "x"), ("rows", True), ("bytes", "x"), ("sha256", [])],
)
def test_a_manifest_with_a_value_of_another_type_is_damaged(tmp_path, member, value):
    written(tmp_path, [{"text": "a"}], "jsonl")
    manifest = tmp_path / "manifest.json"
    record = json.loads(manifest.read_text())
    record["shards"][0][member] = value
    manifest.write_text(json.dumps(record))
    with pytest.raises(DataError, match=rf"manifest\.json is damaged: `{member}` of a shard"):
        rows_in(tmp_path)


def test_a_manifest_that_lists_a_shard_twice_is_damaged(tmp_path):
    written(tmp_path, [{"text": "a"}], "jsonl")
    manifest = tmp_path / "manifest.json"
    record = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(record | {"shards": record["shards"] * 2}))
    with pytest.raises(DataError, match=r"is damaged: it lists rows/train-00000\.jsonl twice"):
        rows_in(tmp_path)


@pytest.mark.parametrize("content", ['{"files": []}', "[1]", "no JSON"])
def test_the_manifest_of_another_program_is_one_more_file(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    (tmp_path / "data.jsonl").write_text('{"text": "a"}\n')
    assert read_manifest(tmp_path) is None
    assert folder_kind(tmp_path) == "folder"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "no columns"),
        ({"a": float("nan")}, "cannot be written as JSON"),
        ({"a": {"b": [float("inf")]}}, "cannot be written as JSON"),
        ({"a": "\ud800"}, "cannot be written as JSON"),
        ({"a": "x" * MAX_ROW_BYTES}, "16,777,224 bytes as JSON, more than 16,777,216"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_row_that_could_not_be_read_back_is_refused_and_leaves_no_trace(tmp_path, form, row, said):
    with ShardWriter(tmp_path, form) as writer:
        writer.write({"b": 1})
        with pytest.raises(RowError, match=said):
            writer.write(row)
        writer.write({"b": 2})
    assert rows_in(tmp_path) == [{"b": 1}, {"b": 2}]
    assert list(writer.manifest.columns) == ["b"]


def test_a_column_that_the_summary_lacks_is_not_lost_in_silence(tmp_path):
    columns = Columns()
    columns.observe({"a": 1})
    with pytest.raises(ValueError, match="lacks: \\['b'\\]"):
        written(tmp_path, [{"a": 1, "b": 2}], "parquet", columns=columns)


def test_more_columns_than_parquet_holds_well_are_refused(tmp_path):
    with pytest.raises(DataError, match="form: jsonl"):
        written(tmp_path, [{str(n): n} for n in range(2_001)], "parquet")


def test_lines_together_are_written_as_rows_one_by_one(tmp_path):
    lines = [json.dumps({"n": "x" * (number % 7)}).encode() for number in range(100)]
    columns = Columns()
    columns.observe_all([json.loads(line) for line in lines])
    for folder in ("together", "one by one"):
        with ShardWriter(tmp_path / folder, columns=columns, shard_bytes=150) as writer:
            for start in range(0, 100, 9):
                part = lines[start : start + 9]
                split = "test" if start % 2 else "train"
                if folder == "together":
                    writer.write_lines(part, split)
                else:
                    for line in part:
                        writer.write(json.loads(line), split, line)
    files = [path.relative_to(tmp_path / "together") for path in (tmp_path / "together").rglob("*.json*")]
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "together" / file).read_bytes() == (tmp_path / "one by one" / file).read_bytes()
    with pytest.raises(ValueError), ShardWriter(tmp_path / "parquet", "parquet", columns=columns) as writer:
        writer.write_lines(lines)
