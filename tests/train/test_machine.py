"""What a run knows about the machine: memory, devices, and the rules that turn them into settings."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from burnish.core import memory
from burnish.core.errors import DataError, MachineError
from burnish.core.events import Chosen
from burnish.models.engines.llama.parallel import fitting_slots
from burnish.specs.train import SftSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train import resolve as module
from burnish.train.forecast.footprint import Footprint, ModelShape
from burnish.train.resolve import (
    Machine,
    Resolved,
    beyond_context,
    free_memory,
    refuse_without_device,
    resolve,
    save_every,
    slow_dtype,
)

CPU = Machine(cores=8, cuda=False, mps=False, bf16_on_cpu=True, memory=16_000_000_000)
GPU = Machine(cores=16, cuda=True, mps=True, bf16_on_cpu=False, memory=16_000_000_000, gpu_memory=80_000_000_000)
SMALL = ModelShape(600_000_000, layers=28, hidden=1024, intermediate=3072, attention=4096, vocabulary=151_936)


def settled(machine, shape=SMALL, longest=1024, trains_all=False, **settings):
    values, chosen = resolve(SftSpec(data="file:d", base="file:b", **settings), machine, shape, longest, trains_all)
    return values, chosen


def in_files(monkeypatch, texts):
    """Let paths have these texts; None is a file that is not there."""
    read, exists = Path.read_text, Path.exists

    def text(path, *args, **named):
        if str(path) not in texts:
            return read(path, *args, **named)
        if texts[str(path)] is None:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return texts[str(path)]

    monkeypatch.setattr(Path, "read_text", text)
    monkeypatch.setattr(
        Path, "exists", lambda path: texts[str(path)] is not None if str(path) in texts else exists(path)
    )


MEMINFO = (
    "MemTotal:       900 kB\nMemFree:        1 kB\nMemAvailable:   500 kB\nSwapFree:  7 kB\nHuge MemAvailable: 3 kB\n"
)


@pytest.mark.parametrize(("groups", "free"), [([], 512_000), ([600_000], 512_000), ([600_000, 400_000], 400_000)])
def test_free_memory_is_the_least_of_what_the_system_and_each_group_leave(monkeypatch, groups, free):
    in_files(monkeypatch, {"/proc/meminfo": MEMINFO})
    monkeypatch.setattr(memory, "_left_in_cgroups", lambda: groups)
    assert free_memory() == free


@pytest.mark.parametrize("text", [None, "MemTotal: 900 kB\n"])
def test_memory_that_the_system_does_not_report_is_taken_as_8_gb(monkeypatch, text):
    in_files(monkeypatch, {"/proc/meminfo": text})
    monkeypatch.setattr(memory, "_left_in_cgroups", list)
    assert free_memory() == 8_000_000_000


@pytest.mark.parametrize(("left", "slots"), [(1 << 40, 4), (10_000_000, 2)])
def test_slots_of_a_server_fit_into_the_limit_of_its_container(monkeypatch, left, slots):
    model = SimpleNamespace(
        metadata={
            "general.architecture": "llama",
            "llama.block_count": "2",
            "llama.embedding_length": "64",
            "llama.attention.head_count": "4",
        }.get
    )
    monkeypatch.setattr(memory, "_left_in_cgroups", lambda: [left])
    in_files(monkeypatch, {"/proc/meminfo": "MemAvailable: 1000000000 kB\n"})
    assert fitting_slots(model, 3_000, 4) == slots  # a text takes 3,072,000 bytes


def test_free_memory_here_is_about_what_the_system_reports():
    lines = Path("/proc/meminfo").read_text().splitlines()
    [kilobytes] = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    assert 0 < free_memory() < 1.5 * 1024 * kilobytes


@pytest.mark.parametrize(
    ("flags", "multiplies"),
    [
        ("flags : fpu sse avx512_bf16 x", True),
        ("flags : amx_bf16", True),
        ("Features : fp asimd bf16", True),
        ("flags : fpu avx512f ebf16", False),
        ("", False),
        (None, False),
    ],
)
def test_a_cpu_multiplies_bfloat16_where_its_flags_say_so(monkeypatch, flags, multiplies):
    in_files(monkeypatch, {"/proc/cpuinfo": flags})
    assert module._cpu_multiplies_bf16() is multiplies


def group(folder: Path, names: tuple[str, str, str], most: str, used: int, stat: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"memory.{names[0]}").write_text(most)
    (folder / f"memory.{names[1]}").write_text(str(used))
    (folder / "memory.stat").write_text(stat)


V1, V2 = ("limit_in_bytes", "usage_in_bytes", "total_inactive_file"), ("max", "current", "inactive_file")


def test_a_group_leaves_its_limit_less_its_usage_but_not_less_than_nothing(tmp_path):
    process = tmp_path / "process"
    for used, stat, left in (
        (400, "inactive_file 30\n", 630),
        (400, "anon 7\n", 600),
        (1000, "inactive_file 0\n", 0),
        (1500, "inactive_file 30\n", 0),
        (999, "anon 1\n", 1),
        (400, "total_inactive_file 50\ninactive_file 2\nshmem 1 2\n", 602),
    ):
        group(tmp_path / "one", V2, "1000", used, stat)
        process.write_text("0::/one\n")
        assert memory._left_in_cgroups(process, tmp_path) == [left]


def test_groups_of_other_controllers_and_of_paths_with_colons_are_told_apart(tmp_path):
    group(tmp_path / "memory/a:b", V1, "1000", 100, "total_inactive_file 5\n")
    group(tmp_path / "memory/other", V1, "7000", 0, "total_inactive_file 0\n")
    group(tmp_path / "unified", V2, "300", 100, "inactive_file 1\n")
    process = tmp_path / "process"
    process.write_text("4:cpu,cpuacct:/other\n9:blkio,memory:/a:b\n1:name=systemd:/other\n0::/unified\n")
    assert memory._left_in_cgroups(process, tmp_path) == [905, 201]
    assert memory._left(tmp_path / "unified", *V1) == []
    (tmp_path / "unified/memory.max").write_text("max\n")
    assert memory._left(tmp_path / "unified", *V2) == []


def test_this_machine_is_described_by_what_torch_and_the_system_say(monkeypatch):
    monkeypatch.setattr(memory, "_left_in_cgroups", lambda: [123_456])
    monkeypatch.setattr(module, "_cpu_multiplies_bf16", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    expected = {"cores": len(os.sched_getaffinity(0)), "cuda": False, "mps": True, "bf16_on_cpu": True}
    assert vars(Machine.here()) == expected | {"memory": 123_456, "gpu_memory": 0, "bf16_on_gpu": False}
    monkeypatch.setattr(module, "_cpu_multiplies_bf16", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (777, 999))
    for in_hardware in (True, False):
        monkeypatch.setattr(module, "has_bfloat16", lambda device, it=in_hardware: it and device.type == "cuda")
        expected |= {"cuda": True, "bf16_on_cpu": False}
        assert vars(Machine.here()) == expected | {"memory": 123_456, "gpu_memory": 777, "bf16_on_gpu": in_hardware}


def test_an_apple_gpu_shares_the_main_memory_and_a_cuda_device_does_not():
    assert [GPU.memory_of(device) for device in ("cuda", "mps", "cpu")] == [80_000_000_000, *[16_000_000_000] * 2]
    assert (CPU.gpu_memory, CPU.bf16_on_gpu) == (0, True)


MODEST = {"layers": 6, "hidden": 256, "intermediate": 768, "attention": 384, "vocabulary": 4096}


@pytest.mark.parametrize(
    ("machine", "parameters", "settings", "expected"),
    [
        (CPU, 4_999_999, {}, ("cpu", torch.float32, 1)),
        (CPU, 5_000_000, {}, ("cpu", torch.bfloat16, 8)),
        (replace(CPU, bf16_on_cpu=False), 5_000_000, {}, ("cpu", torch.float32, 8)),
        (GPU, 4_999_999, {}, ("cuda", torch.bfloat16, 1)),
        (GPU, 5_000_000, {"device": "mps"}, ("mps", torch.float32, 16)),
        (GPU, 5_000_000, {"device": "cpu"}, ("cpu", torch.float32, 16)),
        (replace(GPU, bf16_on_cpu=True), 5_000_000, {"device": "mps"}, ("mps", torch.float32, 16)),
        (replace(GPU, bf16_on_gpu=False, bf16_on_cpu=True), 5_000_000, {}, ("cuda", torch.float32, 16)),
        (replace(CPU, mps=True), 5_000_000, {}, ("mps", torch.float32, 8)),
        (replace(CPU, bf16_on_gpu=True), 1, {"dtype": "bfloat16"}, ("cpu", torch.bfloat16, 1)),
    ],
)
def test_device_dtype_and_threads_change_at_their_limits(machine, parameters, settings, expected):
    values, _ = settled(machine, ModelShape(parameters, **MODEST), **settings)
    assert (values.device, values.dtype, values.threads) == expected


def test_each_choice_is_reported_once_with_the_value_that_is_taken():
    values, chosen = settled(CPU)
    assert [(one.field, one.value) for one in chosen] == [
        ("device", "cpu"),
        ("dtype", "bfloat16"),
        ("threads", 8),
        ("gradient_checkpointing", False),
        ("micro_batch_tokens", values.micro_batch_tokens),
    ]
    reasons = [one.reason for one in chosen]
    assert len(set(reasons)) == 5
    assert reasons[3] == "the longest row (1024 tokens) fits with its activations kept"
    _, chosen = settled(CPU, longest=1_000_000)
    assert chosen[3].reason == "the longest row (1000000 tokens) does not fit with its activations kept"


TIGHT = ModelShape(parameters=5_000_000, **MODEST)


def machine_for(tokens, *, checkpointing, trained, device="cpu", more=0):
    """A machine of whose memory 0.8 are the peak of a micro-batch of so many tokens."""
    peak = Footprint(TIGHT, torch.float32, trained, checkpointing, frees_gradients=True).peak(tokens)
    memory = -(-peak * 10 // 8) + more  # 0.8 of it is the peak, or just above it
    kinds = {"cpu": {"memory": memory}, "mps": {"memory": memory, "mps": True}}
    kinds["cuda"] = {"gpu_memory": memory, "cuda": True, "bf16_on_gpu": False}
    return replace(CPU, bf16_on_cpu=False, **kinds[device])


@pytest.mark.parametrize(("trains_all", "trained"), [(True, 5_000_000), (False, 100_000)])
def test_activations_are_kept_as_long_as_the_longest_row_fits_into_four_fifths_of_memory(trains_all, trained):
    exact = machine_for(3000, checkpointing=False, trained=trained)
    settings = {"longest": 3000, "trains_all": trains_all}
    assert settled(exact, TIGHT, **settings)[0].gradient_checkpointing is False
    less = replace(exact, memory=exact.memory - 4)
    assert settled(less, TIGHT, **settings)[0].gradient_checkpointing is True


@pytest.mark.parametrize(("device", "tokens"), [("cpu", 3000), ("cuda", 2048), ("mps", 2048)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_micro_batch_is_as_large_as_memory_allows(device, tokens, checkpointing):
    machine = machine_for(3000, checkpointing=checkpointing, trained=100_000, device=device)
    settings = {"longest": 50, "gradient_checkpointing": checkpointing, "device": device}
    assert settled(machine, TIGHT, **settings)[0].micro_batch_tokens == tokens


@pytest.mark.parametrize(
    ("machine", "longest", "tokens"),
    [
        (CPU, 4095, 4096),
        (CPU, 4097, 4097),
        (replace(CPU, memory=1), 10, 10),
        (replace(CPU, mps=True), 10, 1 << 17),
        (replace(CPU, mps=True), 140_000, 140_000),
        (replace(CPU, mps=True, memory=1), 10, 10),
        (replace(CPU, mps=True, memory=1), 8, 8),
    ],
)
def test_a_micro_batch_holds_the_longest_row_and_has_a_limit_of_its_own(machine, longest, tokens):
    assert settled(replace(machine, memory=machine.memory * 100), TIGHT, longest)[0].micro_batch_tokens == tokens


@pytest.mark.parametrize("field", ["device", "dtype", "threads", "micro_batch_tokens"])
def test_a_given_value_is_neither_changed_nor_reported(field):
    given = {"device": "cpu", "dtype": "float32", "threads": 3, "micro_batch_tokens": 77}[field]
    values, chosen = settled(GPU, **{field: given})
    found = getattr(values, field)
    assert found == (torch.float32 if field == "dtype" else given)
    assert field not in {one.field for one in chosen}
    assert len(chosen) == 4


@pytest.mark.parametrize(
    ("device", "dtype", "on_gpu", "on_cpu", "words"),
    [
        ("cuda", "bfloat16", False, True, "this GPU has no bfloat16"),
        ("cuda", "bfloat16", True, False, None),
        ("cuda", "float32", False, False, None),
        ("cpu", "bfloat16", True, False, "this CPU has none"),
        ("cpu", "bfloat16", False, True, None),
        ("cpu", "float32", False, False, None),
        ("mps", "bfloat16", False, False, None),
    ],
)
def test_bfloat16_is_called_slow_only_on_the_device_that_lacks_it(device, dtype, on_gpu, on_cpu, words):
    machine = replace(GPU, bf16_on_gpu=on_gpu, bf16_on_cpu=on_cpu)
    told = slow_dtype(Resolved(device, getattr(torch, dtype), 1, False, 1), machine)
    assert told is None if words is None else words in told


@pytest.mark.parametrize("asked", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("cuda", [False, True])
@pytest.mark.parametrize("mps", [False, True])
def test_a_device_is_refused_exactly_where_it_is_not(asked, cuda, mps):
    machine = SimpleNamespace(cuda=cuda, mps=mps)
    if {"cpu": True, "cuda": cuda, "mps": mps}[asked]:
        refuse_without_device(asked, machine)
    else:
        with pytest.raises(MachineError, match=f"device {asked} was requested") as caught:
            refuse_without_device(asked, machine)
        assert caught.value.code == "machine.no-device"


@pytest.mark.parametrize(("total", "every"), [(1, 1), (10, 1), (11, 2), (19, 2), (20, 2), (21, 3), (110, 11)])
def test_a_run_is_saved_ten_times_at_most(total, every):
    chosen = Chosen(field="checkpoint.every", value=every, reason=f"a tenth of {total} steps")
    found, told = save_every(None, total)
    assert (found, told.field, told.value, told.reason) == (every, chosen.field, chosen.value, chosen.reason)
    assert save_every(3, total) == (3, None)


@pytest.mark.parametrize("is_learned", [False, True])
def test_rows_are_beyond_the_context_from_the_first_token_too_many(is_learned):
    rows = TokenisedRows.of(
        (name, np.arange(length, dtype=np.int32), np.ones(length, np.float32))
        for name, length in (("a", 5), ("b", 6), ("c", 4), ("d", 8))
    )
    shapes = {limit: replace(SMALL, context=limit, learned_positions=is_learned) for limit in (None, 8, 7, 5)}
    assert beyond_context(rows, shapes[None]) is beyond_context(rows, shapes[8]) is None
    for limit, words in ((7, "1 of 4 rows are"), (5, "2 of 4 rows are")):
        first = "d" if limit == 7 else "b"
        text = (
            f"{words} longer than the model's context of {limit} tokens (the longest has 8; the first is row {first})"
        )
        if is_learned:
            with pytest.raises(DataError) as caught:
                beyond_context(rows, shapes[limit])
            assert caught.value.what == f"{text}, and it has no positions beyond"
            assert caught.value.fix.startswith(f"set render.max_length: {limit}")
        else:
            assert beyond_context(rows, shapes[limit]).startswith(f"{text}: it was not trained")
