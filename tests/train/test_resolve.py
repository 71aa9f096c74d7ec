"""Every `auto` becomes a value by a rule that can be read here, and is told with its reason."""

from dataclasses import replace

import pytest
import torch

from burnish.core import memory
from burnish.core.errors import DataError, MachineError
from burnish.specs.train import SftSpec
from burnish.train.forecast.footprint import ModelShape
from burnish.train.resolve import Machine, beyond_context, kept_checkpoints, resolve, save_every, slow_dtype

LAPTOP = Machine(cores=8, cuda=False, mps=False, bf16_on_cpu=True, memory=16_000_000_000)
OLD_LAPTOP = Machine(cores=4, cuda=False, mps=False, bf16_on_cpu=False, memory=16_000_000_000)
GPU = Machine(cores=16, cuda=True, mps=False, bf16_on_cpu=True, memory=16_000_000_000, gpu_memory=80_000_000_000)
OLD_GPU = replace(GPU, bf16_on_gpu=False)
MAC = Machine(cores=8, cuda=False, mps=True, bf16_on_cpu=False, memory=16_000_000_000)
TINY = ModelShape(parameters=900_000, layers=4, hidden=128, intermediate=384, attention=256, vocabulary=1024)
MODEST = ModelShape(5_600_000, layers=6, hidden=256, intermediate=768, attention=384, vocabulary=4096)
SMALL = ModelShape(600_000_000, layers=28, hidden=1024, intermediate=3072, attention=4096, vocabulary=151_936)
LARGE = ModelShape(8_000_000_000, layers=36, hidden=4096, intermediate=12288, attention=6144, vocabulary=151_936)


def settled(machine, shape, longest=1024, trains_all=False, **settings):
    values, chosen = resolve(SftSpec(data="file:d", base="file:b", **settings), machine, shape, longest, trains_all)
    return values, {choice.field: choice for choice in chosen}


@pytest.mark.parametrize(
    ("machine", "shape", "device", "dtype", "threads"),
    [
        (LAPTOP, TINY, "cpu", torch.float32, 1),
        (LAPTOP, MODEST, "cpu", torch.bfloat16, 8),
        (OLD_LAPTOP, MODEST, "cpu", torch.float32, 4),
        (LAPTOP, SMALL, "cpu", torch.bfloat16, 8),
        (OLD_LAPTOP, SMALL, "cpu", torch.float32, 4),
        (GPU, SMALL, "cuda", torch.bfloat16, 16),
        (OLD_GPU, SMALL, "cuda", torch.float32, 16),
        (MAC, SMALL, "mps", torch.float32, 8),
    ],
)
def test_device_dtype_and_threads_follow_the_machine_and_the_model(machine, shape, device, dtype, threads):
    values, chosen = settled(machine, shape)
    assert (values.device, values.dtype, values.threads) == (device, dtype, threads)
    assert {"device", "dtype", "threads"} <= chosen.keys()
    assert all(choice.reason for choice in chosen.values())


def test_what_was_asked_for_is_taken_and_not_reported_as_chosen():
    values, chosen = settled(
        GPU, SMALL, device="cpu", dtype="float32", threads=3, micro_batch_tokens=77, gradient_checkpointing=True
    )
    assert (values.device, values.dtype, values.threads) == ("cpu", torch.float32, 3)
    assert (values.micro_batch_tokens, values.gradient_checkpointing) == (77, True)
    assert chosen == {}


def test_a_gpu_without_bfloat16_is_reported_and_so_is_bfloat16_that_was_requested_for_it():
    values, chosen = settled(OLD_GPU, SMALL)
    assert "below 8.0" in chosen["dtype"].reason
    assert slow_dtype(values, OLD_GPU) is None
    requested, _ = settled(OLD_GPU, SMALL, dtype="bfloat16")
    assert requested.dtype == torch.bfloat16
    assert "slow here: this GPU has no bfloat16" in slow_dtype(requested, OLD_GPU)
    assert slow_dtype(requested, GPU) is None
    assert "this CPU has none" in slow_dtype(settled(OLD_LAPTOP, SMALL, dtype="bfloat16")[0], OLD_LAPTOP)


def test_full_fine_tuning_counts_gradients_states_and_the_head_and_not_the_weights_alone():
    """8B parameters: 16 GB of weights in bfloat16, but 160 GB while all are trained."""
    gpu = replace(GPU, gpu_memory=192_000_000_000)
    assert settled(gpu, LARGE, longest=1024, trains_all=True)[0].gradient_checkpointing
    larger = replace(GPU, gpu_memory=288_000_000_000)
    assert not settled(larger, LARGE, longest=1024, trains_all=True)[0].gradient_checkpointing


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(MachineError) as caught:
        settled(LAPTOP, SMALL, device=device)
    assert caught.value.code == "machine.no-device"


def test_activations_are_computed_again_only_when_they_do_not_fit():
    assert not settled(GPU, LARGE, longest=4096)[0].gradient_checkpointing
    assert settled(GPU, LARGE, longest=100_000)[0].gradient_checkpointing
    assert settled(LAPTOP, SMALL, longest=8192, trains_all=True)[0].gradient_checkpointing


def test_a_micro_batch_holds_the_longest_row_and_no_more_than_helps():
    assert settled(LAPTOP, TINY, longest=50)[0].micro_batch_tokens == 4096
    assert settled(LAPTOP, TINY, longest=9000)[0].micro_batch_tokens == 9000
    assert settled(GPU, LARGE, longest=1024)[0].micro_batch_tokens >= 4096


def test_a_run_is_saved_about_ten_times_unless_told_otherwise():
    assert save_every(7, 100) == (7, None)
    every, chosen = save_every(None, 95)
    assert every == 10
    assert chosen is not None
    assert save_every(None, 3)[0] == 1


def test_the_shape_of_a_model_is_told_without_making_its_weights(base):
    from transformers import AutoConfig

    from burnish.models.load import load_model

    shape = ModelShape.of(AutoConfig.from_pretrained(base))
    assert shape.parameters == sum(weight.numel() for weight in load_model(base).parameters())
    assert (shape.layers, shape.hidden, shape.intermediate) == (2, 32, 64)


def test_this_machine_can_be_told():
    here = Machine.here()
    assert here.cores >= 1
    assert here.memory > 0


def test_a_run_on_the_cpu_of_a_machine_with_a_gpu_is_sized_by_main_memory():
    here = {"device": "cpu", "longest": 8192, "trains_all": True}
    assert settled(GPU, SMALL, **here)[0].gradient_checkpointing
    assert settled(GPU, SMALL, longest=8192, trains_all=True)[0].gradient_checkpointing is False


CONTEXTS = [
    ("qwen3", {"max_position_embeddings": 20}, False),
    ("gpt2", {"n_positions": 20}, True),
    ("opt", {"max_position_embeddings": 20, "word_embed_proj_dim": 32, "ffn_dim": 64}, True),
    ("gpt_neo", {"max_position_embeddings": 20, "attention_types": [[["global"], 2]], "num_layers": 2}, True),
    ("bloom", {"n_layer": 2}, None),
]


@pytest.mark.parametrize(("family", "sizes", "is_learned"), CONTEXTS, ids=[family for family, *_ in CONTEXTS])
def test_rows_beyond_the_context_are_reported_or_refused_where_positions_are_learned(
    random_rows, family, sizes, is_learned
):
    from transformers import AutoConfig

    common = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 264}
    shape = ModelShape.of(AutoConfig.for_model(family, **common, **sizes))
    rows = random_rows(30)
    longer = int((rows.lengths > 20).sum())
    if is_learned is None:
        assert beyond_context(rows, shape) is None
    elif is_learned:
        with pytest.raises(DataError) as caught:
            beyond_context(rows, shape)
        assert f"{longer} of 30 rows" in caught.value.what
        assert "max_length: 20" in caught.value.fix
    else:
        assert f"{longer} of 30 rows" in beyond_context(rows, shape)
        assert beyond_context(rows, replace(shape, context=30)) is None


@pytest.mark.parametrize("version", [1, 2])
def test_memory_is_what_the_limits_of_all_groups_above_the_process_leave(tmp_path, version):
    names = {1: ("limit_in_bytes", "usage_in_bytes", "total_inactive_file"), 2: ("max", "current", "inactive_file")}
    limit, usage, cached = names[version]
    top = tmp_path / "memory" if version == 1 else tmp_path
    for group, most in (("", "max"), ("pod", "5000"), ("pod/container", "9000")):
        (top / group).mkdir(parents=True, exist_ok=True)
        (top / group / f"memory.{limit}").write_text(most + "\n")
        (top / group / f"memory.{usage}").write_text("4000\n")
        (top / group / "memory.stat").write_text(f"anon 1\n{cached} 300\n")
    process = tmp_path / "process"
    process.write_text("9:memory:/pod/container\n4:cpu:/\n" if version == 1 else "0::/pod/container\n")
    assert sorted(memory._left_in_cgroups(process, tmp_path)) == [1300, 5300]
    process.write_text("9:memory:/elsewhere/not/mounted\n" if version == 1 else "0::/elsewhere\n")
    assert memory._left_in_cgroups(process, tmp_path) == []
    assert memory._left_in_cgroups(tmp_path / "none", tmp_path) == []


@pytest.mark.parametrize(
    ("kept", "settings"),
    [
        (3, {}),  # two, and the best one
        (2, {"keep_best": False}),
        (1, {"max_steps": 1}),
        (2, {"max_steps": 20, "checkpoint": {"every": 10, "keep": 5}}),
        (6, {"max_steps": 20, "checkpoint": {"every": 10, "keep": 5}, "eval_every": 4}),
        (10, {"checkpoint": {"archive": True}}),  # one after each tenth, whatever the rows
        (7, {"max_steps": 13, "checkpoint": {"archive": True}}),
        (4, {"max_steps": 20, "checkpoint": {"archive": True, "every": 6}}),
        (9, {"max_steps": 20, "checkpoint": {"archive": True, "every": 6}, "eval_every": 4}),
        (None, {"checkpoint": {"archive": True, "every": 6}}),
        (None, {"checkpoint": {"archive": True}, "early_stop": {"patience": 2}}),
    ],
)
def test_the_checkpoints_that_are_kept_are_counted_before_the_run(kept, settings):
    assert kept_checkpoints(SftSpec(data="file:d", base="file:b", **settings)) == kept
