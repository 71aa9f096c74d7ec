"""Safetensors files are written byte for byte as the format says, and read with every fault named."""

import gc
import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.errors import ModelError
from burnish.models import tensors as reading
from burnish.models.tensors import is_finite, read_tensor, refuse_not_finite, write_tensors
from burnish.models.weights import (
    StreamedWriter,
    TensorInfo,
    read_header,
    read_json,
    refuse_integers,
    refuse_pickle,
    size_in_bytes,
    weight_files,
)

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


def test_tensors_are_written_in_any_order_and_in_parts(tmp_path):
    announced = [("x", "F32", (2, 3)), ("none", "F32", (0, 3)), ("y", "BF16", (2,))]
    with StreamedWriter(tmp_path / "to.safetensors", announced) as writer:
        whole = NAMED["b"].numpy().tobytes()
        writer.write_part("x", whole[:5])
        writer.write("y", NAMED["a"].view(torch.uint8).numpy().tobytes())
        writer.write_part("x", memoryview(whole)[5:])
    found = load_file(tmp_path / "to.safetensors")
    assert torch.equal(found["x"], NAMED["b"])
    assert torch.equal(found["y"], NAMED["a"])
    assert list(found["none"].shape) == [0, 3]


def test_tensors_are_written_in_the_size_that_was_announced(tmp_path):
    save_file(NAMED, tmp_path / "from.safetensors")
    infos = {info.name: info for info in read_header(tmp_path / "from.safetensors")}
    announced = [("x", "F32", (2, 3)), ("y", "F32", (1,))]

    def wrong(what):
        return pytest.raises(ValueError, match=what)

    def writer():
        return StreamedWriter(tmp_path / "to.safetensors", announced)

    for data in (b"\0" * 4, b"\0" * 28):
        with wrong(f"24 bytes of x are left, not {len(data)}"), writer() as made:
            made.write("x", data)
    with wrong("24 bytes of x are left, not 4"), writer() as made:
        made.copy(infos["a"], "x")
    with wrong("4 bytes of x are left, not 5"), writer() as made:
        made.write_part("x", b"\0" * 20)
        made.write_part("x", b"\0" * 5)
    with wrong("0 bytes of x are left, not 24"), writer() as made:
        made.copy(infos["b"], "x")
        made.copy(infos["b"], "x")
    with wrong("1 tensors were announced but not written"), writer() as made:
        made.copy(infos["b"], "x")
    with pytest.raises(KeyError, match="the first error"), writer():
        raise KeyError("the first error is the one that is seen")


def test_a_file_that_was_cut_while_it_is_copied_is_named(tmp_path):
    save_file(NAMED, tmp_path / "from.safetensors")
    infos = {info.name: info for info in read_header(tmp_path / "from.safetensors")}
    with (tmp_path / "from.safetensors").open("r+b") as file:
        file.truncate(infos["b"].start + 8)
    with (
        pytest.raises(ModelError, match=r"from\.safetensors ends inside 'b'"),
        StreamedWriter(tmp_path / "to.safetensors", [("x", "F32", (2, 3))]) as writer,
    ):
        writer.copy(infos["b"], "x")


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
    for value in ({}, {"weight_map": {}}, {"weight_map": ["a"]}, {"weight_map": {"a": 3, "b": "c"}}):
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


def test_a_file_without_tensors_is_whole(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2) + b"{}")
    assert read_header(path) == []
    path.write_bytes(struct.pack("<Q", 2) + b"{}\0")
    assert "has 11 bytes where its header says 10" in broken(read_header, path)
    for length in range(3, 20):
        path.write_bytes(struct.pack("<Q", length) + b"{}")
        assert "header is incomplete" in broken(read_header, path)


def test_a_header_may_have_a_hundred_million_bytes_and_no_more(tmp_path):
    path = tmp_path / "model.safetensors"
    for length, what in ((100_000_000, "damaged safetensors header"), (100_000_001, "header is incomplete")):
        with path.open("wb") as file:  # sparse: it takes no space
            file.write(struct.pack("<Q", length) + b"?")
            file.truncate(100_000_100)
        assert what in broken(read_header, path)


def test_tensors_are_listed_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "model.safetensors"
    entry = {"dtype": "F32", "shape": [1]}
    header(path, {"b": {**entry, "data_offsets": [4, 8]}, "a": {**entry, "data_offsets": [0, 4]}})
    assert [info.name for info in read_header(path)] == ["a", "b"]


def test_the_bytes_of_a_file_are_those_of_the_format(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"a": torch.tensor([1.0, 2.0]), "b": torch.nn.Parameter(torch.tensor([[3.0]]))})
    text = b'{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    text += b'"b":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]}}'
    text += b" " * (-len(text) % 8)
    assert path.read_bytes() == struct.pack("<Q", len(text)) + text + struct.pack("<3f", 1, 2, 3)


def test_the_size_of_each_dtype_is_that_of_torch_and_numpy():
    sizes = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "U16": 2, "I16": 2, "F16": 2}
    sizes |= {"BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8}
    for dtype, size in sizes.items():
        assert [size_in_bytes(dtype, shape) for shape in ((5, 8), (), (3, 0))] == [40 * size, size, 0]
        info = TensorInfo("x", dtype, (5, 8), None, 0)
        assert (info.size, info.bytes) == (40, 40 * size)


INTEGERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL")


@pytest.mark.parametrize("dtype", [*INTEGERS, "F32", "F8_E4M3"])
@pytest.mark.parametrize(
    ("name", "shape", "is_weight"),
    [
        ("model.layers.0.q_proj.weight", (2, 2), True),
        ("model.layers.0.experts.gate_up_proj", (2, 2, 2), True),
        ("x.lora_A.default", (2, 2), True),
        ("weight", (2, 2), True),
        ("model.layers.0.q_proj.weight", (2,), False),
        ("model.layers.0.q_proj.weight", (), False),
        ("model.weight.attn.mask", (2, 2), False),
        ("model.q_proj.bias", (2, 2), False),
        ("position_ids", (2, 2), False),
    ],
)
def test_integer_weights_without_a_scale_are_refused(dtype, name, shape, is_weight):
    fine = TensorInfo("norm.weight", "F32", (2,), None, 0)
    call = refuse_integers, "here", [fine, TensorInfo(name, dtype, shape, None, 0)]
    if is_weight and dtype in INTEGERS:
        assert broken(*call) == f"here: '{name}' is {dtype}, integers, and no quantization_config says how to read it"
    else:
        call[0](*call[1:])


def test_the_first_pickle_by_name_is_reported(tmp_path):
    refuse_pickle(tmp_path)
    names = ["z.ckpt", "pytorch_model-1.bin", "adapter_model.bin", "b.pt", "a.pth"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ModelError) as caught:
            refuse_pickle(tmp_path)
        assert caught.value.code == "model.pickle"
    assert caught.value.what.startswith(f"{tmp_path / 'a.pth'} is a pickle")


def test_values_that_are_not_finite_are_counted_in_every_dtype():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e5m2, torch.float8_e4m3fn):
        bad = torch.tensor([1.0, float("nan"), float("nan"), 2.0]).to(dtype)
        assert "2 of 4 values of 'x' are NaN or infinite" in broken(refuse_not_finite, "here", {"x": bad})
        assert is_finite(torch.zeros(0, dtype=dtype))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("F32", torch.float32),
        ("F16", torch.float16),
        ("BF16", torch.bfloat16),
        ("F64", torch.float64),
        ("U8", torch.uint8),
        ("I32", torch.int32),
        ("I64", torch.int64),
    ],
)
def test_each_dtype_is_written_under_the_name_of_the_format(tmp_path, name, dtype):
    values = torch.tensor([[1, 2, 3]]).to(dtype)
    write_tensors(tmp_path / "x", {"x": values})
    [info] = read_header(tmp_path / "x")
    assert (info.dtype, info.shape) == (name, (1, 3))
    assert torch.equal(load_file(tmp_path / "x")["x"], values)
    if dtype.is_floating_point:
        assert torch.equal(read_tensor(info), values)


@pytest.mark.parametrize("starts", [(0, 0, 4), (0, 2, 8), (4, 8, 8)], ids=["overlap", "odd", "gap"])
def test_tensors_lie_one_after_another(tmp_path, starts):
    path = tmp_path / "x.safetensors"
    entries = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [n, n + 4]} for name, n in zip("abc", starts, strict=True)
    }
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(starts[-1] + 4))
    assert "does not begin where the last tensor ends" in broken(read_header, path)


def test_the_file_of_a_full_disk_is_closed(recwarn):
    """`/dev/full` takes no byte: the error is the disk's, and no file stays open behind it."""
    with pytest.raises(OSError, match="No space left"):
        StreamedWriter(Path("/dev/full"), [("a", "F32", (2,))])
    gc.collect()
    assert not [warning for warning in recwarn if warning.category is ResourceWarning]
