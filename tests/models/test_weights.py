"""Safetensors files are written byte for byte as the format says, and read with every fault named."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.errors import ModelError
from burnish.models import tensors as reading
from burnish.models.tensors import is_finite, read_tensor, refuse_not_finite, write_tensors
from burnish.models.weights import StreamedWriter, read_header, read_json, weight_files

NAMED = {
    "b": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "c": torch.tensor(7, dtype=torch.int64),
}


def broken(call, *args) -> str:
    with pytest.raises(ModelError) as caught:
        call(*args)
    assert caught.value.code == "model.broken"
    return caught.value.what


def header(path, entries: dict, data: bytes = b"\0" * 8) -> None:
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_what_is_written_is_read_by_safetensors_and_by_us(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, NAMED)
    theirs = load_file(path)
    assert all(torch.equal(theirs[name], tensor) for name, tensor in NAMED.items())
    found = read_header(path)
    assert [(info.name, info.dtype, info.shape) for info in found] == [
        ("b", "F32", (2, 3)),
        ("a", "BF16", (2,)),
        ("c", "I64", ()),
    ]
    assert all(torch.equal(read_tensor(info), NAMED[info.name]) for info in found[:2])
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    assert length % 8 == 0
    assert found[0].start == 8 + length


def test_tensors_of_other_files_are_copied_in_blocks(tmp_path, monkeypatch):
    from burnish.models import weights

    monkeypatch.setattr(weights, "_BLOCK", 5)
    save_file(NAMED, tmp_path / "from.safetensors")
    infos = {info.name: info for info in read_header(tmp_path / "from.safetensors")}
    seen = bytearray()
    with StreamedWriter(tmp_path / "to.safetensors", [("x", "F32", (2, 3)), ("y", "BF16", (2,))]) as writer:
        writer.copy(infos["b"], "x", seen.extend)
        writer.copy(infos["a"], "y")
    copied = load_file(tmp_path / "to.safetensors")
    assert torch.equal(copied["x"], NAMED["b"])
    assert torch.equal(copied["y"], NAMED["a"])
    assert bytes(seen) == NAMED["b"].numpy().tobytes()


def test_tensors_are_written_in_the_order_and_size_that_was_announced(tmp_path):
    save_file(NAMED, tmp_path / "from.safetensors")
    infos = {info.name: info for info in read_header(tmp_path / "from.safetensors")}
    announced = [("x", "F32", (2, 3)), ("y", "F32", (1,))]
    for name, data in (("y", b"\0" * 4), ("x", b"\0" * 4)):
        wrong = pytest.raises(ValueError, match="24 bytes of x come next")
        with wrong, StreamedWriter(tmp_path / "to.safetensors", announced) as writer:
            writer.write(name, data)
    for name, info in (("y", infos["b"]), ("x", infos["a"])):
        wrong = pytest.raises(ValueError, match="24 bytes of x come next")
        with wrong, StreamedWriter(tmp_path / "to.safetensors", announced) as writer:
            writer.copy(info, name)
    with (
        pytest.raises(ValueError, match="1 tensors were announced but not written"),
        StreamedWriter(tmp_path / "to.safetensors", announced) as writer,
    ):
        writer.copy(infos["b"], "x")
    with pytest.raises(KeyError), StreamedWriter(tmp_path / "to.safetensors", announced):
        raise KeyError("the first error is the one that is seen")


def test_a_damaged_file_is_named(tmp_path, bound_by_permissions):
    path = tmp_path / "model.safetensors"
    assert "is missing" in broken(read_header, path)
    for data in (b"", b"1234567", struct.pack("<Q", 1) + b"{}", struct.pack("<Q", 100) + b"{}"):
        path.write_bytes(data)
        assert "header is incomplete" in broken(read_header, path)
    whole = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header(path, {"a": whole})
    assert [info.name for info in read_header(path)] == ["a"]
    for entry in (
        {**whole, "dtype": None},
        {"dtype": "F32"},
        [],
        {**whole, "shape": 3},
        {**whole, "data_offsets": [0]},
    ):
        header(path, {"a": entry})
        assert "damaged safetensors header" in broken(read_header, path)
    header(path, {"a": {**whole, "shape": [3]}})
    assert "the size of 'a'" in broken(read_header, path)
    for data, size in ((b"\0" * 7, 7), (b"\0" * 9, 9)):
        header(path, {"a": whole}, data)
        assert f"{path.stat().st_size:,} bytes where its header says {path.stat().st_size - size + 8:,}" in broken(
            read_header, path
        )
    header(path, {"a": whole})
    path.chmod(0)
    with bound_by_permissions():
        assert "cannot be read" in broken(read_header, path)


def test_the_weights_of_a_folder_are_those_of_its_index_or_its_one_file(tmp_path):
    assert "is missing" in broken(weight_files, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]
    index = tmp_path / "model.safetensors.index.json"
    for value in ({}, {"weight_map": {}}, {"weight_map": ["a"]}, {"weight_map": {"a": 3}}):
        index.write_text(json.dumps(value))
        assert "has no weight_map" in broken(weight_files, tmp_path)
    index.write_text(json.dumps({"weight_map": {"x": "two", "y": "one", "z": "two"}}))
    (tmp_path / "one").write_bytes(b"")
    assert "two is missing" in broken(weight_files, tmp_path)
    (tmp_path / "two").write_bytes(b"")
    assert weight_files(tmp_path) == [tmp_path / "one", tmp_path / "two"]
    for text in ("", "{", "[1]", "7"):
        index.write_text(text)
        assert "JSON" in broken(read_json, index)


def test_only_finite_values_pass():
    fine = [torch.tensor([1.0]), torch.tensor([1, 2]), torch.tensor([1.0]).to(torch.float8_e4m3fn)]
    fine += [torch.full((4,), 3e38), torch.full((2,), 60000.0, dtype=torch.float16)]
    assert all(map(is_finite, fine))
    for value in (float("nan"), float("inf"), -float("inf")):
        assert not is_finite(torch.tensor([1.0, value]))
    assert not is_finite(torch.tensor([float("nan")]).to(torch.float8_e4m3fn))
    refuse_not_finite("here", {"a": fine[0]})
    bad = torch.tensor([1.0, float("nan"), float("inf")])
    assert "2 of 3 values of 'x' are NaN or infinite, and 1 other" in broken(
        refuse_not_finite, "here", {"a": fine[0], "x": bad, "y": bad}
    )
    assert "other" not in broken(refuse_not_finite, "here", {"x": bad})


def test_every_dtype_has_a_name_of_its_own():
    assert len(set(reading.DTYPES.values())) == len(reading.DTYPES)
