"""What a GPU can confirm of a base in 4 bits: its values, its gradients after an evaluation, a resume, 8-bit AdamW.

A part of `gpu_checks`, whose `Place` says where a check runs. Without bitsandbytes a check says so.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from burnish.models.adapters.attach import attach_lora
from burnish.models.quantization.layers import cast, in_four_bits, prepare, quantize, round_trip
from burnish.models.quantization.record import Quantization
from burnish.specs.train import QloraSpec

if TYPE_CHECKING:
    from gpu_checks import Measured, Place

QLORA: dict[str, Any] = {"kind": "qlora", "rank": 4, "dropout": 0.1}
_WITHOUT = {"not checked": "bitsandbytes is not installed"}


def quantized(model: Any, method: Any) -> Any:
    """The model in 4 bits for QLoRA, as it is for other methods."""
    if isinstance(method, QloraSpec):
        dtype = model.dtype
        quantize(model, Quantization(method.quantization, method.double_quantization))
        prepare(model)
        cast(model, dtype)
    return model


def four_bits_of_a_device_are_those_of_a_cpu(place: "Place") -> "Measured":
    if not find_spec("bitsandbytes"):
        return _WITHOUT
    weight = torch.randn(512, place.size(2048, 256), generator=torch.Generator().manual_seed(0))
    found: Measured = {}
    for kind in ("nf4", "fp4"):
        for double in (True, False):
            expected = round_trip(weight, Quantization(kind, double))
            ours = round_trip(weight.to(place.device), Quantization(kind, double)).cpu()
            share = float((ours - expected).norm() / (weight - expected).norm())
            assert share < (0.02 if place.is_cuda else 1e-9), f"{kind}, double {double}: {share:.2g}"
            found[f"{kind}, double {double}: of the quantization error"] = share
    return found


def an_evaluation_leaves_the_gradient_of_a_base_in_four_bits(place: "Place") -> "Measured":
    if not find_spec("bitsandbytes"):
        return _WITHOUT
    spec = QloraSpec(rank=4)
    model: Any = attach_lora(quantized(place.model(), spec), spec)
    ids = torch.arange(3, 60, device=place.device)[None]

    def gradient() -> torch.Tensor:
        model.train().zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.requires_grad])

    before = gradient()
    bits = [layer.weight.data.clone() for layer in in_four_bits(model).values()]
    with torch.no_grad():
        model.eval()(input_ids=ids)
    assert all(
        torch.equal(one, layer.weight.data) for one, layer in zip(bits, in_four_bits(model).values(), strict=True)
    )
    difference = float((gradient() - before).norm() / before.norm())
    assert difference <= (1e-3 if place.is_cuda else 0.0), difference
    return {"layers": len(bits), "difference": difference}


def qlora_and_eight_bit_adamw_resume_to_the_same_weights(place: "Place") -> "Measured":
    from gpu_checks import apart, train

    if not find_spec("bitsandbytes"):
        return _WITHOUT
    found: Measured = {}
    runs = {"qlora": {"method": QLORA}, "adamw8bit": {"method": {"kind": "full"}, "optimizer": {"kind": "adamw8bit"}}}
    for name, settings in runs.items():
        whole, events, _ = train(place, f"{name}-whole", **settings)
        again, _, _ = train(place, f"{name}-again", **settings)
        train(place, f"{name}-resumed", stop_after=3, **settings)
        resumed, _, _ = train(place, f"{name}-resumed", **settings)
        losses = [event.values["loss"] for event in events if event.kind == "metric" and "loss" in event.values]
        assert losses[-1] < losses[0], f"{name}: {losses}"
        noise, difference = apart(again, whole), apart(resumed, whole)
        assert difference <= 3 * noise + (1e-3 if place.is_cuda else 0.0), f"{name}: {difference:.2g} of {noise:.2g}"
        found |= {f"{name}: resumed": difference, f"{name}: the same run twice": noise}
    return found


FOUR_BITS_CHECKS = (
    four_bits_of_a_device_are_those_of_a_cpu,
    an_evaluation_leaves_the_gradient_of_a_base_in_four_bits,
    qlora_and_eight_bit_adamw_resume_to_the_same_weights,
)
