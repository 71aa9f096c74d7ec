"""prepare over random folders of random files, some damaged: a row of a sound file is kept once, or its file named."""

import gzip
import json
import random
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import DataError
from burnish.data.dataset import read_rows, splits
from burnish.specs.data import PrepareSpec, SplitSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context

KINDS = (
    *("jsonl", "list.json", "pretty.json", "splits.json", "columns.json", "csv", "parquet", "jsonl.gz", "zip"),
    *("txt", "md", "bin"),
)

NOT_ALWAYS_ROWS = (".txt", ".md", ".bin", ".zip")
"""Beside files of rows these are not read, so a damaged file of rows may be all there is."""


def write(path: Path, kind: str, texts: list[str]) -> None:
    rows = [{"text": text} for text in texts]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    match kind:
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema([("text", pa.string())])), path)
            return
        case "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("inner.jsonl", lines)
            return
        case "jsonl.gz":
            path.write_bytes(gzip.compress(lines.encode()))
            return
    half = len(rows) // 2
    spelled = {
        "jsonl": lines,
        "list.json": json.dumps(rows),
        "pretty.json": json.dumps(rows, indent=1),
        "splits.json": json.dumps({"train": rows[:half], "about": {"a": [1]}, "test": rows[half:]}),
        "columns.json": json.dumps({"text": texts}),
        "csv": "text\n" + "".join(f'"{text}"\n' for text in texts),
    }
    path.write_text(spelled.get(kind, "\n".join(texts)))


def damage(chance: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    match chance.choice(["flip", "cut", "insert", "drop"]):
        case "flip":
            data[at] ^= 1 << chance.randrange(8)
        case "cut":
            del data[at:]
        case "insert":
            data[at:at] = chance.choice([b"\n", b'"', b"}", b"\xff", b"\0", b","])
        case "drop":
            del data[at : at + 3]
    path.write_bytes(data)


def refusal(spec: PrepareSpec, context) -> DataError | None:
    try:
        run(spec, context)
    except DataError as error:
        return error
    return None


@pytest.mark.parametrize("seed", range(80))
def test_every_row_of_a_sound_file_is_kept_once_or_its_file_is_named(tmp_path, seed):
    chance = random.Random(seed)
    folder = tmp_path / "set"
    files: dict[str, list[str]] = {}
    for i in range(chance.randint(1, 4)):
        kind = chance.choice(KINDS)
        path = folder / chance.choice(["", "a", "a/b", "validation"]) / f"f{i}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        files[path.relative_to(folder).as_posix()] = [
            f"row {i} {n} of seed {seed}" for n in range(chance.randint(2, 9))
        ]
        write(path, kind, files[path.relative_to(folder).as_posix()])
    damaged = {name for name in files if chance.random() < 0.3}
    for name in damaged:
        damage(chance, folder / name)
    context, events = temporary_context(tmp_path / "run", {"source": folder})
    settings = {"max_bad_share": 1.0, "deduplicate": chance.random() < 0.5}
    spec = PrepareSpec(source="file:set", format="text", split=SplitSpec(test=chance.choice([0.0, 0.3])), **settings)
    if (error := refusal(spec, context)) is not None:
        named = any(Path(name).name in error.what for name in damaged)
        sound_rows = [name for name in files if name not in damaged and not name.endswith(NOT_ALWAYS_ROWS)]
        assert named or not sound_rows, (error.what, files, damaged)
        return
    stats = json.loads((context.out / "stats.json").read_text())
    assert stats["read"] == stats["kept"] + stats["quarantined"] + sum(stats["dropped"].values())
    assert stats["kept"] == sum(stats["splits"].values())
    quarantined = (context.out / "quarantine.jsonl").read_text().splitlines()
    assert len(quarantined) == stats["quarantined"]
    rows = [row for split in splits(context.out) for row in read_rows(context.out, split)]
    assert len(rows) == stats["kept"]
    assert len({row["source"] for row in rows}) == len(rows), "two rows have one source"
    kept = "\n".join(row["text"] for row in rows)
    notes = "\n".join(event.text for event in events if event.kind == "note")
    assert stats["files"]["read"] + stats["files"]["not_read"] >= len(files)
    for name in set(files) - damaged:
        found = [kept.count(text) for text in files[name]]
        assert found == [1] * len(found) or (found == [0] * len(found) and f"set/{name}" in notes), name
    shutil.rmtree(tmp_path)
