"""Tokenised rows lie end to end, on disk as in memory; a rendering is published whole and believed only whole."""

import hashlib
import json

import numpy as np
import pytest

from burnish.tokens.tokenised import RenderingWriter, TokenisedRows, checked_row, open_rendering

ROWS = [
    ("a", np.array([1, 2, 3], np.int32), np.array([9.0, 0.5, 0.25], np.float32)),
    ("b", np.array([4], np.int32), np.array([1.0], np.float32)),
    ("c", np.array([5, 6], np.int32), np.array([0.0, 1.0], np.float32)),
]


def test_rows_lie_end_to_end_and_their_first_token_is_never_learned():
    rows = TokenisedRows.of(ROWS)
    assert rows.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert rows.weights.tolist() == [0.0, 0.5, 0.25, 0.0, 0.0, 1.0]
    assert rows.offsets.tolist() == [0, 3, 4, 6]
    assert (len(rows), rows.row_ids, rows.lengths.tolist()) == (3, ("a", "b", "c"), [3, 1, 2])
    assert rows.learned == 3
    assert [rows.ids[rows.span(row)].tolist() for row in range(3)] == [[1, 2, 3], [4], [5, 6]]
    assert (rows.ids.dtype, rows.weights.dtype, rows.offsets.dtype) == (np.int32, np.float32, np.int64)


def test_the_first_rows_are_those_rows():
    rows = TokenisedRows.of(ROWS)
    assert rows.first(2).digest() == TokenisedRows.of(ROWS[:2]).digest()
    assert rows.first(0).digest() == TokenisedRows.of([]).digest()
    assert len(TokenisedRows.of([])) == 0


def test_a_digest_depends_on_ids_weights_bounds_and_names():
    name, ids, weights = ROWS[0]
    others = [
        [(name, ids + 1, weights)],
        [(name, ids, weights * 2)],
        [("z", ids, weights)],
        [(name, ids[:1], weights[:1]), ("x", ids[1:], weights[1:])],
    ]
    digests = {TokenisedRows.of(rows).digest() for rows in [ROWS[:1], *others]}
    assert len(digests) == 5
    assert TokenisedRows.of(ROWS).digest() == TokenisedRows.of(ROWS).digest()


def test_a_row_has_a_weight_for_each_token():
    with pytest.raises(ValueError, match="row a has 3 ids but 2 weights"):
        checked_row("a", np.zeros(3, np.int32), np.zeros(2, np.float32))
    given = np.ones(2, np.float32)
    checked_row("a", np.zeros(2, np.int32), given)
    assert given.tolist() == [1.0, 1.0]  # what was given stays as it is


def written(folder, partial, rows=ROWS, publish=True):
    with RenderingWriter(partial) as writer:
        for number, (name, ids, weights) in enumerate(rows):
            writer.add(name, [0, 0, 3][number], ids, weights)
        if publish:
            return writer.publish(folder, "origin", {"cut": 2}, ["b", "a"], ["note"])
    return None


def test_a_rendering_is_read_back_as_it_was_written(tmp_path):
    made = written(tmp_path / "r", tmp_path / "partial")
    found = open_rendering(tmp_path / "r", "origin")
    for rendering in (made, found):
        assert rendering.rows.digest() == TokenisedRows.of(ROWS).digest()
        assert rendering.ordinals.tolist() == [0, 0, 3]
        assert (rendering.counts, rendering.read, rendering.notes) == ({"cut": 2}, ("a", "b"), ("note",))
    assert [len(found.of_first(rows)) for rows in (None, 0, 1, 3, 4)] == [3, 0, 2, 2, 3]
    assert not (tmp_path / "partial").exists()
    assert written(tmp_path / "empty", tmp_path / "partial", []).rows.digest() == TokenisedRows.of([]).digest()
    assert len(open_rendering(tmp_path / "empty", "origin").rows) == 0


def test_a_rendering_that_was_not_published_leaves_nothing(tmp_path):
    written(tmp_path / "r", tmp_path / "partial", publish=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "left.bin").write_text("of a killed process")
    written(tmp_path / "r", tmp_path / "partial")
    assert not (tmp_path / "r" / "left.bin").exists()


@pytest.mark.parametrize(
    "name", ["ids.bin", "weights.bin", "offsets.bin", "ordinals.bin", "rows.json", "rendering.json"]
)
def test_a_rendering_that_is_damaged_or_of_another_origin_is_not_believed(tmp_path, name):
    written(tmp_path / "r", tmp_path / "partial")
    assert open_rendering(tmp_path / "r", "another") is None
    path = tmp_path / "r" / name
    whole = path.read_bytes()
    changed = whole.replace(b'"a"', b'"x"') if name == "rows.json" else bytes([whole[0] ^ 1]) + whole[1:]
    for data in (changed, whole[: len(whole) // 2], b""):
        path.write_bytes(data)
        assert open_rendering(tmp_path / "r", "origin") is None
    path.unlink()
    assert open_rendering(tmp_path / "r", "origin") is None


@pytest.mark.parametrize("key", ["counts", "read", "notes", "digest"])
def test_the_record_of_a_rendering_is_under_its_digest(tmp_path, key):
    written(tmp_path / "r", tmp_path / "partial")
    path = tmp_path / "r" / "rendering.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, key: {"counts": {"cut": 3}, "digest": "0"}.get(key, ["other"])}))
    assert open_rendering(tmp_path / "r", "origin") is None
    path.write_text(json.dumps({name: value for name, value in record.items() if name != key}))
    assert open_rendering(tmp_path / "r", "origin") is None


@pytest.mark.parametrize(
    "rows", [TokenisedRows.of([]), TokenisedRows.of(ROWS).first(0)], ids=["none", "the first none"]
)
def test_no_rows_are_empty_arrays(rows):
    assert (rows.ids.tolist(), rows.weights.tolist(), rows.offsets.tolist(), rows.row_ids) == ([], [], [0], ())
    assert (rows.ids.dtype, rows.weights.dtype, rows.offsets.dtype) == (np.int32, np.float32, np.int64)
    assert (len(rows), rows.learned, rows.lengths.tolist()) == (0, 0, [])


def test_a_digest_is_sha256_of_ids_weights_offsets_and_names():
    data = np.array([1, 2, 3, 4, 5, 6], np.int32).tobytes()
    data += np.array([0, 0.5, 0.25, 0, 0, 1], np.float32).tobytes() + np.array([0, 3, 4, 6], np.int64).tobytes()
    assert TokenisedRows.of(ROWS).digest() == hashlib.sha256(data + b"a\0b\0c").hexdigest()


def test_a_rendering_replaces_an_earlier_one_and_needs_no_folder_above(tmp_path):
    folder, partial = tmp_path / "r", tmp_path / "deep" / "er" / "partial"
    written(folder, partial, ROWS[:1])
    (folder / "other").write_text("left")
    made = written(folder, partial)
    assert len(open_rendering(folder, "origin").rows) == 3
    assert sorted(path.name for path in folder.iterdir()) == [
        *("ids.bin", "offsets.bin", "ordinals.bin", "rendering.json", "rows.json", "weights.bin"),
    ]
    assert made.rows.row_ids == ("a", "b", "c")
    assert (folder / "offsets.bin").read_bytes() == np.array([0, 3, 4, 6], np.int64).tobytes()
    assert (folder / "ordinals.bin").read_bytes() == np.array([0, 0, 3], np.int64).tobytes()
    assert (folder / "weights.bin").read_bytes() == np.array([0, 0.5, 0.25, 0, 0, 1], np.float32).tobytes()
    assert json.loads((folder / "rendering.json").read_text()) | {"digest": ""} == {
        "origin": "origin",
        "counts": {"cut": 2},
        "read": ["a", "b"],
        "notes": ["note"],
        "width": 1,
        "values": [],
        "digest": "",
    }


def test_rows_can_be_read_while_they_are_written(tmp_path):
    with RenderingWriter(tmp_path / "partial") as writer:
        assert len(writer.mapped().rows) == 0
        writer.add(ROWS[0][0], 4, *ROWS[0][1:])
        found = writer.mapped()
        assert found.rows.digest() == TokenisedRows.of(ROWS[:1]).digest()
        assert found.ordinals.tolist() == [4]
        assert (found.counts, found.read, found.notes) == ({}, (), ())
        made = writer.publish(tmp_path / "r", "o", {}, ())
        assert made.notes == ()
        assert made.rows.ids.dtype == np.int32
    assert type(found.rows.ids) is np.ndarray
    assert all(file.closed for file in writer._files.values())


def test_the_order_of_counts_and_settings_does_not_change_a_rendering(tmp_path):
    digests = []
    for number, (counts, read) in enumerate([({"a": 1, "b": 2}, ["x", "y"]), ({"b": 2, "a": 1}, ["y", "x"])]):
        with RenderingWriter(tmp_path / "partial") as writer:
            writer.publish(tmp_path / str(number), "origin", counts, read)
        digests.append(json.loads((tmp_path / str(number) / "rendering.json").read_text())["digest"])
    assert digests[0] == digests[1]


def test_the_first_rows_are_those_of_the_dataset_and_not_pieces(tmp_path):
    made = written(tmp_path / "r", tmp_path / "partial")
    assert [made.of_first(rows).row_ids for rows in (None, 0, 1, 2, 3, 4)] == [
        *(("a", "b", "c"), (), ("a", "b"), ("a", "b"), ("a", "b"), ("a", "b", "c")),
    ]
    assert made.of_first(1).digest() == TokenisedRows.of(ROWS[:2]).digest()
