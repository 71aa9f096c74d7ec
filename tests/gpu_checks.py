"""What a GPU can confirm: fast paths against plain twins, resume, memory that runs out, the questions to a model.

A check is a function of a `Place` that raises AssertionError, or gives what it measured. `make gpu-check` runs them all
on CUDA and writes a report; the tests rehearse them on a CPU, in a small form and with a stand-in for the kernel.
"""

import functools
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from burnish.core.errors import RunError
from burnish.models.adapters.attach import attach_lora
from burnish.models.device import has_bfloat16
from burnish.models.load import quiet_transformers
from burnish.specs.train import LoraSpec, SftSpec
from burnish.testing import temporary_context
from burnish.train import dropout as token_dropout
from burnish.train.batches import TokenisedRows, make_batch
from burnish.train.fit import fit, seed_everything
from burnish.train.forecast.footprint import Footprint, ModelShape
from burnish.train.kernels import attention
from burnish.train.kernels.head import linear_cross_entropy
from burnish.train.optim.muon import StackedMuon
from burnish.train.resolve import Machine, Resolved
from burnish.train.scoring import Scorer
from flash_stand_in import use_flash
from gpu_four_bits_checks import FOUR_BITS_CHECKS, quantized
from gpu_host_checks import HOST_CHECKS

Measured = dict[str, Any]
VOCABULARY = 1024


@dataclass(frozen=True)
class Place:
    """Where checks run; a rehearsal is on a CPU, with small models and a stand-in for the kernel."""

    device: torch.device
    is_rehearsal: bool = False
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="burnish-gpu-check-")))

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def size(self, real: int, rehearsed: int) -> int:
        return rehearsed if self.is_rehearsal else real

    def model(self, family: str = "qwen3", dtype: torch.dtype = torch.bfloat16, **config: Any) -> Any:
        """A model with random weights, made on the device."""
        sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "vocab_size": VOCABULARY}
        sizes |= {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096}
        if self.is_rehearsal:
            sizes |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
            sizes |= {"head_dim": 16}
        if family == "gpt2":
            sizes = {"n_embd": 256, "n_layer": 4, "n_head": 8, "n_positions": 1024, "vocab_size": VOCABULARY}
        tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        settings = AutoConfig.for_model(family, **{**sizes, **tokens, **config})
        torch.manual_seed(0)
        with torch.device(self.device), quiet_transformers():
            return AutoModelForCausalLM.from_config(settings, dtype=dtype)

    def rows(self, lengths: list[int], seed: int = 0) -> TokenisedRows:
        random = np.random.default_rng(seed)
        return TokenisedRows.of(
            (f"row{n}", random.integers(4, VOCABULARY, size).astype(np.int32), np.ones(size, np.float32))
            for n, size in enumerate(lengths)
        )

    @contextmanager
    def kernel(self):
        """The stand-in takes the kernel's place in a rehearsal."""
        with pytest.MonkeyPatch.context() as patch:
            if self.is_rehearsal:
                use_flash(patch)
            yield attention.flash_on(self.device)


def far(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.float().cpu() - theirs.float().cpu()).norm() / theirs.float().cpu().norm().clamp(min=1e-12))


def the_kernel_serves_every_shape_of_heads(place: Place) -> Measured:
    """torch's flash attention against one sequence after the other: states and gradients."""
    worst, served = 0.0, 0
    shapes = [(8, 8, 64), (32, 8, 128), (14, 2, 64), (8, 1, 256), (6, 2, 96), (4, 4, 8), (8, 4, 80), (4, 2, 192)]
    windows, bounds = (None, 17, 256, 511, 512, 2000), (0, 1, 40, 300, 301, 812)
    if place.is_rehearsal:
        shapes, windows, bounds = [(4, 4, 8), (4, 2, 16)], (None, 7, 29, 30, 99), (0, 1, 20, 50)
    ends = torch.tensor(bounds, dtype=torch.int32, device=place.device)
    with place.kernel() as flash:
        assert flash is not None, "there is no kernel for this device"
        for heads, keys, size in shapes:
            for dtype in (torch.bfloat16, torch.float16):
                for window in windows:
                    parts = [
                        torch.randn(1, n, bounds[-1], size, device=place.device, dtype=dtype, requires_grad=True)
                        for n in (heads, keys, keys)
                    ]
                    outer = torch.randn(1, bounds[-1], heads, size, device=place.device, dtype=dtype)
                    sight = None if window is None else _Window(window)
                    found = []
                    for way in (ends, None):
                        out = attention.attend(nn.Module(), *parts, sight, sequence_bounds=bounds, cu_seq_lens_q=way)[0]
                        found.append([out.detach(), *torch.autograd.grad(out, parts, outer)])
                    assert not flash.refusals, flash.refusals
                    share = max(far(one, other) for one, other in zip(*found, strict=True))
                    assert share < 0.03, f"{heads}/{keys} heads of {size}, window {window}: off by {share:.2g}"
                    worst, served = max(worst, share), served + 1
    return {"calls": served, "largest difference": worst}


@dataclass
class _Window:
    """In place of what a model's mask says."""

    size: int

    def kind(self, bounds: tuple[int, ...]) -> tuple[str, int]:
        return "window", self.size


FAMILIES: dict[str, tuple[dict[str, Any], str]] = {
    "qwen3": ({}, ""),
    "llama": ({}, ""),
    "mistral": ({"sliding_window": 32}, ""),
    "gemma3_text": ({"sliding_window": 32, "query_pre_attn_scalar": 64}, ""),
    "gemma2": ({"sliding_window": 32, "query_pre_attn_scalar": 64}, "soft cap"),
    "phi3": ({}, ""),
    "gpt2": ({"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}, ""),
    "qwen3_moe": ({"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}, ""),
}


def families_are_packed_and_score_as_alone(place: Place) -> Measured:
    """A packed batch in bfloat16 against a float32 copy of the model, row by row: losses and gradients."""
    found: Measured = {}
    lengths = [5, 120, 33, 70, 1, 64]
    for family, (config, refusal) in FAMILIES.items():
        with place.kernel():
            config = {**config, "initializer_range": 0.1}  # or all losses are nearly those of a guess
            model = place.model(family, **config).requires_grad_(True)
            scorer = Scorer(model)
            assert scorer.packs, f"{family}: {scorer.reason}"
            assert refusal in scorer.kernel_reason, f"{family}: {scorer.kernel_reason or 'nothing was refused'}"
            assert refusal or not scorer.kernel_reason, f"{family}: {scorer.kernel_reason}"
            rows = place.rows(lengths)
            _, losses = scorer(make_batch(rows, np.arange(len(rows)), place.device), 1.0)
        exact = place.model(family, torch.float32, **config)
        exact.load_state_dict({name: weight.float() for name, weight in model.state_dict().items()}, strict=False)
        alone = []
        with torch.no_grad():
            for number in range(len(rows)):
                batch = make_batch(rows, np.array([number]), place.device)
                logits = exact.eval()(input_ids=batch.input_ids).logits[0, batch.positions]
                alone.append(nn.functional.cross_entropy(logits, batch.targets, reduction="none"))
        losses, expected = losses.cpu(), torch.cat(alone).cpu()
        share = float((losses - expected).norm() / (expected - expected.mean()).norm())
        assert share < 0.05, f"{family}: losses are off by {share:.2g} of how they differ"
        found[family] = share
    return found


def deep_models_pass_and_leaking_ones_do_not(place: Place) -> Measured:
    """The questions to a model, with 64 layers in bfloat16."""
    layers, found = place.size(64, 6), Measured()
    attend = attention.attend
    with place.kernel():
        for std in (0.02, 0.1):
            deep = functools.partial(place.model, num_hidden_layers=layers, initializer_range=std)
            scorer = Scorer(deep())
            assert scorer.packs, f"{scorer.reason} (std {std})"
            found[f"rounding, std {std}"] = scorer.rounding()

            def leaks(module: Any, *states: Any, sequence_bounds: Any, **others: Any) -> Any:
                if getattr(module, "layer_idx", None) == layers - 1:
                    sequence_bounds, others["cu_seq_lens_q"] = (0, sequence_bounds[-1]), None
                    states = (*states[:3], None)
                return attend(module, *states, sequence_bounds=sequence_bounds, **others)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(attention, "attend", leaks)
                assert Scorer(deep()).one_by_one, f"a leak in the last of {layers} layers was not found (std {std})"
        attention.register()
    return found


def the_head_gives_the_loss_of_full_logits(place: Place) -> Measured:
    """The chunked head against torch's cross-entropy."""
    found: Measured = {}
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        hidden = torch.randn(2500, 64, device=place.device, dtype=dtype, requires_grad=True)
        head = nn.Linear(64, 5000, bias=False, device=place.device, dtype=dtype)
        targets, shares = (
            torch.randint(5000, (2500,), device=place.device),
            torch.rand(2500, device=place.device) / 2500,
        )
        loss, losses = linear_cross_entropy(hidden, head.weight, None, targets, shares)
        ours = torch.autograd.grad(loss, [hidden, head.weight])
        plain = nn.functional.cross_entropy(head(hidden).float(), targets, reduction="none")
        theirs = torch.autograd.grad((plain * shares).sum(), [hidden, head.weight])
        differences = [far(losses.detach(), plain.detach()), *(far(a, b) for a, b in zip(ours, theirs, strict=True))]
        assert max(differences) < (0.02 if dtype == torch.bfloat16 else 2e-3), differences
        found[str(dtype).removeprefix("torch.")] = max(differences)
    return found


def masks_of_dropout_are_those_of_a_cpu(place: Place) -> Measured:
    """The hashes of dropout, bit for bit, and the share that is dropped."""
    keys = torch.arange(-500, 500, dtype=torch.int32)
    here = token_dropout._kept(keys.to(place.device), torch.Size([1000, 768]), 3, 0.1)
    assert torch.equal(here.cpu(), token_dropout._kept(keys, torch.Size([1000, 768]), 3, 0.1))
    dropped = 1 - float(here.float().mean())
    assert abs(dropped - 0.1) < 0.002
    return {"dropped of 0.1": dropped}


def muon_moves_stacked_experts_as_single_matrices(place: Place) -> Measured:
    """StackedMuon against torch's Muon on each matrix."""
    worst = 0.0
    for rows, columns in ((64, 32), (32, 64)):
        torch.manual_seed(0)
        start, gradient = (torch.randn(4, rows, columns, device=place.device) for _ in range(2))
        stack = start.clone().requires_grad_()
        stack.grad = gradient.clone()
        ours = StackedMuon({stack: lambda tensor: tensor}, momentum=0.95, weight_decay=0.1)
        ours.param_groups[0]["lr"] = 0.02
        ours.step()
        for expert in range(4):
            single = start[expert].clone().requires_grad_()
            single.grad = gradient[expert].clone()
            torch.optim.Muon([single], lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw").step()
            worst = max(worst, far(stack[expert].detach() - start[expert], single.detach() - start[expert]))
    assert worst < 0.02, worst
    return {"largest difference": worst}


def train(place: Place, name: str, **settings: Any) -> tuple[dict[str, Tensor], list[Any], dict[str, Any]]:
    """A run of `fit` on the device: trained weights, events and measures; `stop_after` counts steps."""
    stop_after, micro = settings.pop("stop_after", None), settings.pop("micro_batch_tokens", 256)
    checkpointing, longer = settings.pop("checkpointing", False), settings.pop("longer", 1)
    prepare: Callable[[Any], None] = settings.pop("prepare", lambda model: None)
    chosen = {"max_steps": 6, "batch_size": 8, "learning_rate": 1e-3, "checkpoint": {"every": 1}, "log_every": 1}
    chosen["prove"] = "off" if place.is_rehearsal else "auto"
    spec = SftSpec(data="file:rows", base="file:base", **{**chosen, **settings})
    events: list[Any] = []

    def stopping() -> bool:
        steps = [event for event in events if event.kind == "metric" and "loss" in event.values]
        return stop_after is not None and len(steps) >= stop_after

    ctx, events = temporary_context(place.folder / name, stopping=stopping)
    seed_everything(spec.seed)
    model = quantized(place.model(), spec.method)
    model = attach_lora(model, spec.method) if isinstance(spec.method, LoraSpec) else model.requires_grad_(True)
    prepare(model)
    dtype = torch.bfloat16
    resolved = Resolved(place.device.type, dtype, torch.get_num_threads(), checkpointing, micro)
    rows = place.rows([longer * n for n in (17, 90, 41, 64)] * 6)
    with place.kernel():
        try:
            measures = fit(spec, ctx, model, rows, None, resolved).measures
        except RunError as error:
            if error.code != "run.interrupted":
                raise
            measures = {}
    weights = {name: weight.detach().float().cpu() for name, weight in model.named_parameters() if weight.requires_grad}
    return weights, events, measures


def apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    return far(*(torch.cat([weights[name].flatten() for name in theirs]) for weights in (ours, theirs)))


def a_stopped_run_is_resumed_to_the_same_weights(place: Place) -> Measured:
    """LoRA and full fine-tuning, with dropout; flash attention adds its gradients in no fixed order on a GPU."""
    found: Measured = {}
    for name, method in (("lora", {"kind": "lora", "rank": 4, "dropout": 0.1}), ("full", {"kind": "full"})):
        whole, _, _ = train(place, f"{name}-whole", method=method)
        again, _, _ = train(place, f"{name}-again", method=method)
        train(place, f"{name}-resumed", method=method, stop_after=3)
        resumed, events, _ = train(place, f"{name}-resumed", method=method)
        assert any("resuming" in event.text for event in events if event.kind == "note")
        noise, difference = apart(again, whole), apart(resumed, whole)
        assert difference <= 3 * noise + (1e-3 if place.is_cuda else 0.0), f"{name}: {difference:.2g} of {noise:.2g}"
        found |= {f"{name}: resumed": difference, f"{name}: the same run twice": noise}
    return found


def a_step_is_split_where_memory_runs_out(place: Place) -> Measured:
    """Memory that really runs out on a GPU; in a rehearsal, an error that says so."""
    settings = {"max_steps": 2, "micro_batch_tokens": 1 << 16, "batch_size": 24, "longer": 4 if place.is_cuda else 1}
    usual, _, _ = train(place, "memory-usual", **settings)

    def prepare(model: Any) -> None:
        if place.is_cuda:  # the whole step needs several times as much, a row of it a quarter
            torch.cuda.empty_cache()
            total = torch.cuda.get_device_properties(place.device).total_memory
            room = torch.cuda.memory_reserved(place.device) + (120 << 20)
            torch.cuda.set_per_process_memory_fraction(room / total, place.device)
        else:
            model.get_base_model().model.register_forward_pre_hook(_runs_out, with_kwargs=True)

    try:
        split, events, _ = train(place, "memory-split", prepare=prepare, **settings)
    finally:
        if place.is_cuda:
            torch.cuda.set_per_process_memory_fraction(1.0, place.device)
    notes = [event.text for event in events if event.kind == "note"]
    assert any("memory ran out" in note for note in notes), notes
    difference = apart(split, usual)
    assert difference < 0.02, difference
    return {"difference": difference, "splits": sum("memory ran out" in note for note in notes)}


def _runs_out(module: Any, args: Any, kwargs: Any) -> None:
    if kwargs["input_ids"].shape[1] > 700:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


def activations_computed_again_give_the_same_weights(place: Place) -> Measured:
    """Gradient checkpointing against none."""
    kept, _, _ = train(place, "kept")
    again, _, _ = train(place, "again", checkpointing=True)
    difference = apart(again, kept)
    assert difference < 0.01, difference
    return {"difference": difference}


def the_estimate_of_memory_is_above_the_peak(place: Place) -> Measured:
    """What resolve would count, against the allocator's peak; on a CPU there is no allocator to ask."""
    model = place.model(num_hidden_layers=place.size(12, 2), hidden_size=place.size(1024, 64))
    shape = ModelShape.of(model.config)
    del model
    trained, tokens, found = shape.parameters, place.size(8192, 256), Measured()
    for checkpointing in (False, True):
        estimate = Footprint(shape, torch.bfloat16, trained, checkpointing).peak(tokens)
        found[f"estimate, checkpointing {checkpointing}"] = estimate
        if place.is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(place.device)
            before = torch.cuda.memory_allocated(place.device)
            _steps(place, shape, tokens, checkpointing)
            peak = torch.cuda.max_memory_allocated(place.device) - before
            assert 0.9 < estimate / peak < 2.0, f"estimated {estimate:,}, measured {peak:,}"
            found[f"measured, checkpointing {checkpointing}"] = peak
    return found


def _steps(place: Place, shape: ModelShape, tokens: int, checkpointing: bool) -> None:
    spec = SftSpec(data="file:rows", base="file:base", method={"kind": "full"}, max_steps=3, batch_tokens=tokens)
    ctx, _ = temporary_context(Path(tempfile.mkdtemp(dir=place.folder)))
    model = place.model(num_hidden_layers=shape.layers, hidden_size=shape.hidden).requires_grad_(True)
    resolved = Resolved(place.device.type, torch.bfloat16, 1, checkpointing, tokens)
    fit(spec, ctx, model, place.rows([512] * (tokens // 512)), None, resolved)


def the_machine_is_described(place: Place) -> Measured:
    """What the rules of resolve start from."""
    machine = Machine.here()
    if place.is_cuda:
        assert machine.cuda
        assert machine.gpu_memory > 1 << 30
        assert machine.bf16_on_gpu == has_bfloat16(place.device)
    return {"bfloat16": machine.bf16_on_gpu, "free GPU memory": machine.gpu_memory, "cores": machine.cores}


CHECKS: dict[str, Callable[[Place], Measured]] = {
    check.__name__: check
    for check in (
        the_machine_is_described,
        the_kernel_serves_every_shape_of_heads,
        the_head_gives_the_loss_of_full_logits,
        masks_of_dropout_are_those_of_a_cpu,
        muon_moves_stacked_experts_as_single_matrices,
        families_are_packed_and_score_as_alone,
        deep_models_pass_and_leaking_ones_do_not,
        activations_computed_again_give_the_same_weights,
        a_stopped_run_is_resumed_to_the_same_weights,
        a_step_is_split_where_memory_runs_out,
        the_estimate_of_memory_is_above_the_peak,
        *HOST_CHECKS,
        *FOUR_BITS_CHECKS,
    )
}
