"""Between logged steps the host does not wait for the device: no value is read back, no size depends on values."""

import traceback

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from burnish.testing import tiny_model
from burnish.train import passes
from burnish.train.loop import Loop
from burnish.train.passes import Gradient, Passes

LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}
READS = {"item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__array__", "equal"}
MADE_FROM_LISTS = {"tensor", "as_tensor"}
COUNTS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "is_nonzero",
    "equal",
    "bincount",
    "_unique2",
    "unique_dim",
}
ALLOWED = ("make_batch", "capture_randomness", "generator_states", "restore_randomness")
"""What works on the host's own memory: it waits for nothing."""


def is_mask(index) -> bool:
    indices = index if isinstance(index, tuple | list) else [index]
    return any(isinstance(part, torch.Tensor) and part.dtype in (torch.bool, torch.uint8) for part in indices)


class Waits:
    """Where the host would wait for a GPU, as `function of caller`."""

    def __init__(self):
        self.found: dict[str, str] = {}

    def see(self, name: str) -> None:
        frames = [frame for frame in traceback.extract_stack() if __file__ != frame.filename]
        if not any(frame.name in ALLOWED for frame in frames):
            ours = [f for f in frames if "/torch/" not in f.filename and "/_pytest/" not in f.filename]
            where = ours[-1]
            self.found[f"{name} in {where.name}"] = f"{where.filename}:{where.lineno}"


class Functions(TorchFunctionMode):
    def __init__(self, waits):
        super().__init__()
        self._waits = waits

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in READS | MADE_FROM_LISTS or (name in ("__getitem__", "__setitem__") and is_mask(args[1])):
            self._waits.see(name)
        return function(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    def __init__(self, waits):
        super().__init__()
        self._waits = waits

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        sizeless = name == "repeat_interleave" and not any(
            isinstance(size, int) for size in (*args[1:], *(kwargs or {}).values())
        )
        if name in COUNTS or sizeless or (name in ("index", "index_put", "index_put_") and is_mask(args[1])):
            self._waits.see(name)
        return operation(*args, **(kwargs or {}))


@pytest.fixture
def waits(monkeypatch):
    """The waits of all steps that are not logged."""
    found, step = Waits(), Loop._step

    def guarded(self):
        number = self.state.step + 1
        if number % self.settings.log_every == 0 or number == self.settings.total_steps:
            return step(self)
        with Functions(found), Operations(found):
            return step(self)

    monkeypatch.setattr(Loop, "_step", guarded)
    return found


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("method", [LORA, {"kind": "full"}], ids=["lora", "full"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_that_is_not_logged_waits_for_nothing(run_fit, waits, method, optimizer, dtype):
    run_fit("run", method=method, optimizer={"kind": optimizer}, dtype=dtype, log_every=3, max_steps=5)
    assert waits.found == {}


def test_the_guard_sees_a_wait(run_fit, waits, monkeypatch):
    gradient = Passes.gradient

    def reads(self, *asked):
        found = gradient(self, *asked)
        found.numbers[0].item()
        found.row_values[found.row_values > 0].repeat_interleave(torch.from_numpy(found.rows) * 0)
        return found

    monkeypatch.setattr(Passes, "gradient", reads)
    run_fit("run", method=LORA, log_every=3, max_steps=2)
    kinds = {name.split()[0] for name in waits.found}
    assert kinds >= {"item", "_local_scalar_dense", "__getitem__", "repeat_interleave"}


def test_a_logged_step_waits_once(run_fit, monkeypatch):
    reads, read = [], Gradient.read

    def counted(self):
        reads.append(1)
        return read(self)

    monkeypatch.setattr(Gradient, "read", counted)
    run_fit("run", method=LORA, max_steps=4, micro_batch_tokens=30)
    assert len(reads) == 4


def test_a_step_of_a_mixture_of_experts_counts_its_experts_without_a_wait(run_fit, waits, tmp_path):
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    base = tiny_model(tmp_path / "mixture", "qwen3_moe", initializer_range=0.2, **sizes)
    run_fit("run", base=base, method={"kind": "full"}, log_every=3, max_steps=2, micro_batch_tokens=40)
    assert not [name for name, where in waits.found.items() if "/burnish/" in where]


def test_batches_made_ahead_change_nothing(run_fit, monkeypatch):
    plain = run_fit("plain", method=LORA)
    made, make = [], passes.make_batch

    def counted(data, rows, device, **options):
        made.append(rows)
        return make(data, rows, device, **options)

    monkeypatch.setattr(passes, "make_batch", counted)
    init = Passes.__init__

    def runs_ahead(self, *args, **named):
        init(self, *args, **named)
        self._runs_ahead = True

    run_fit("usual", method=LORA)
    usual = len(made)
    monkeypatch.setattr(Passes, "__init__", runs_ahead)
    ahead = run_fit("ahead", method=LORA)
    assert len(made) == 2 * usual  # each is made once, ahead or not
    assert all(torch.equal(ahead.weights[name], weight) for name, weight in plain.weights.items())
