"""A tensor that is merged in blocks of rows has the bytes, the measures and the refusals of one merged at once."""

import math
import time

import pytest
import torch
from safetensors.torch import save_file

from burnish.core.errors import ModelError
from burnish.models.adapters import pieces
from burnish.models.adapters.changes import LowRank
from burnish.models.adapters.pieces import Piece, measure_piece, two_at_a_time, write_piece
from burnish.models.layout import Place
from burnish.models.weights import StreamedWriter, read_header


def piece_of(folder, weight, kind="BF16", rows=None, layer="linear", scale=0.7):
    """A piece whose source is `weight`, or rows of a larger one, with a product of rank 3."""
    torch.manual_seed(0)
    height = weight.shape[0] if rows is None else rows[1] + 5
    out, inner = (height, weight.shape[1]) if layer == "linear" else (weight.shape[1], height)
    folder.mkdir(exist_ok=True)
    save_file({"w": weight, "a": torch.randn(3, inner), "b": torch.randn(out, 3)}, folder / "x.safetensors")
    tensors = {tensor.name: tensor for tensor in read_header(folder / "x.safetensors")}
    change = LowRank(tensors["a"], tensors["b"], scale, None, layer)
    return Piece("w", kind, tensors["w"], ((Place("w", rows=rows), change),))


def written(piece, path):
    with StreamedWriter(path, [(piece.name, piece.dtype, piece.shape)]) as writer:
        squares = write_piece(piece, writer)
    return path.read_bytes(), squares


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("kind", ["BF16", "F16", "F32"])
@pytest.mark.parametrize(
    ("rows", "layer"),
    [(None, "linear"), ((4, 304), "linear"), (None, "transposed")],
    ids=["whole", "rows", "transposed"],
)
def test_blocks_give_the_bytes_and_the_measures_of_the_whole(stored, kind, rows, layer, tmp_path, monkeypatch):
    piece = piece_of(tmp_path, torch.randn(300, 257).to(stored), kind, rows, layer)
    assert pieces._plain_change(piece) is not None
    found, squares = written(piece, tmp_path / "blocks")
    assert measure_piece(piece) == squares
    monkeypatch.setattr(pieces, "_plain_change", lambda _: None)
    expected, whole = written(piece, tmp_path / "whole")
    assert found == expected
    assert squares == pytest.approx(whole, rel=1e-4, abs=1e-12)
    assert measure_piece(piece) == whole


def test_values_that_overflow_are_refused_and_measured_as_lost(tmp_path):
    weight = torch.ones(300, 257)
    weight[299, 256] = 1e6
    piece = piece_of(tmp_path, weight, "F16")
    with pytest.raises(ModelError, match="merged values overflow F16"):
        written(piece, tmp_path / "out")
    assert math.isinf(measure_piece(piece)[0])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused(value, tmp_path):
    weight = torch.ones(300, 257, dtype=torch.bfloat16)
    weight[299, 256] = value
    piece = piece_of(tmp_path, weight)
    for make in (lambda: written(piece, tmp_path / "out"), lambda: measure_piece(piece)):
        with pytest.raises(ModelError, match=r"1 of 77,100 values of 'w' are NaN or infinite"):
            make()


def test_large_values_that_are_finite_are_merged(tmp_path):
    piece = piece_of(tmp_path, torch.full((300, 257), 3e38), "BF16", scale=1e-3)
    data, squares = written(piece, tmp_path / "out")
    assert len(data) > 2 * 300 * 257
    assert math.isfinite(squares[0])
    assert math.isfinite(squares[1])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_pieces_are_worked_on_in_their_order_and_the_first_fault_ends_it(threads):
    begun, found = [], []

    def work(number):
        begun.append(number)
        time.sleep(0.02 if number in (0, 5, 6, 7) else 0)
        if number in (3, 4):
            raise ValueError(f"piece {number}")
        return number, 0.0

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with pytest.raises(ValueError, match="piece 3"):
            found.extend(squares[0] for squares in two_at_a_time(work, range(1000)))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert begun[:3] == [0, 1, 2]
    assert len(begun) < 1000


def test_a_file_that_was_cut_while_it_is_merged_is_named(tmp_path):
    piece = piece_of(tmp_path, torch.ones(300, 257))
    with piece.source.file.open("r+b") as file:
        file.truncate(piece.source.start + piece.source.bytes - 4)  # it is the last one of the file
    with pytest.raises(ModelError, match=r"x\.safetensors ends inside 'w'"):
        written(piece, tmp_path / "out")
