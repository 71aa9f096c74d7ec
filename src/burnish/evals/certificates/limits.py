"""The limits of a certificate for each kind of change, with their source.

`docs/reference/certificates.md` prints this table. A limit is the largest value that faithful changes of that kind had
in measurements, or a published one, times a margin (docs/decisions/0052).
"""

from dataclasses import dataclass
from typing import Literal

from burnish.core.errors import AskError

Status = Literal["measured", "published", "provisional"]


@dataclass(frozen=True)
class Limits:
    """What a child may differ by. Divergences are in nats per token."""

    kl: float
    """Mean KL divergence of the next token, parent to child."""
    kl_tail: float
    """99.9th percentile over positions."""
    top1: float
    """Least share of positions with the same most likely token."""
    perplexity: float
    """The interval of the relative change of perplexity lies within plus or minus this."""
    near_tie: float
    """Where the parent's two best tokens are this close, in nats, a greedy answer may diverge."""
    weight: float | None
    """Largest relative change of a weight beside the parent's; None: weights are stored in another form."""
    status: Status
    source: str


_MEASURED = "measured with benchmarks/certificates.py"
_QUANTIZED = "measured with benchmarks/quantizers.py"
_LLAMA = "llama.cpp, LLaMA 3 8B and LLaMA 2 7B scoreboards of its perplexity tool"
_LLAMA3 = "llama.cpp, LLaMA 3 8B scoreboard of its perplexity tool"

LIMITS: dict[str, Limits] = {
    "same": Limits(1e-8, 1e-6, 0.999, 1e-5, 1e-3, 0.0, "measured", _MEASURED),
    "merge fp32": Limits(1e-8, 1e-6, 0.999, 1e-5, 1e-3, 1e-5, "measured", _MEASURED),
    "merge bf16": Limits(5e-4, 0.01, 0.95, 0.02, 0.2, 2**-8, "measured", _MEASURED),
    "merge fp16": Limits(1e-5, 2e-4, 0.98, 0.002, 0.02, 2**-10, "measured", _MEASURED),
    "BF16": Limits(5e-4, 0.01, 0.95, 0.02, 0.2, 2**-8, "measured", _MEASURED),
    "F16": Limits(1e-5, 2e-4, 0.98, 0.002, 0.02, 2**-10, "measured", _MEASURED),
    "F32": Limits(1e-6, 1e-4, 0.99, 1e-4, 0.01, None, "measured", _MEASURED),
    "Q8_0": Limits(0.003, 0.1, 0.96, 0.005, 0.2, None, "published", f"{_LLAMA}: 0.0004 to 0.0014, 97.7 to 98.8 %"),
    "Q6_K": Limits(0.011, 0.4, 0.94, 0.01, 0.4, None, "published", f"{_LLAMA}: 0.0021 to 0.0055, 96.0 to 97.5 %"),
    "Q5_K_M": Limits(0.022, 0.8, 0.92, 0.02, 0.6, None, "published", f"{_LLAMA}: 0.0108"),
    "Q5_K_S": Limits(0.034, 1.2, 0.91, 0.034, 0.7, None, "published", f"{_LLAMA3}: 0.0166"),
    "Q5_1": Limits(0.037, 1.2, 0.90, 0.035, 0.7, None, "published", f"{_LLAMA3}: 0.0180"),
    "Q5_0": Limits(0.045, 1.5, 0.89, 0.043, 0.8, None, "published", f"{_LLAMA3}: 0.0222"),
    "Q4_K_M": Limits(0.063, 2.0, 0.88, 0.06, 1.0, None, "published", f"{_LLAMA}: 0.0127 to 0.0313, 91.9 to 94.7 %"),
    "Q4_K_S": Limits(0.087, 2.5, 0.86, 0.087, 1.1, None, "published", f"{_LLAMA3}: 0.0431"),
    "IQ4_NL": Limits(0.09, 2.5, 0.86, 0.09, 1.1, None, "published", f"{_LLAMA3}: 0.0357 with an importance matrix"),
    "IQ4_XS": Limits(0.09, 2.5, 0.86, 0.09, 1.1, None, "published", f"{_LLAMA3}: 0.0363 with an importance matrix"),
    "Q4_1": Limits(0.15, 4.0, 0.80, 0.15, 1.5, None, "published", f"{_LLAMA3}: 0.0717"),
    "Q4_0": Limits(0.15, 4.0, 0.80, 0.15, 1.5, None, "published", f"{_LLAMA}: 0.072"),
    "Q3_K_L": Limits(0.18, 5.0, 0.78, 0.18, 1.8, None, "published", f"{_LLAMA3}: 0.0872"),
    "Q3_K_M": Limits(0.21, 5.0, 0.76, 0.22, 2.0, None, "published", f"{_LLAMA3}: 0.1019"),
    "Q3_K_S": Limits(0.46, 7.0, 0.66, 0.53, 3.0, None, "published", f"{_LLAMA3}: 0.2282"),
    "Q2_K": Limits(0.90, 10.0, 0.55, 1.13, 4.0, None, "published", f"{_LLAMA3}: 0.4451"),
    "W4A16": Limits(
        0.26, 5.0, 0.70, 0.28, 5.0, None, "measured", f"{_QUANTIZED}: the largest of AWQ, GPTQ and rounding to nearest"
    ),
    "W8A16": Limits(0.001, 0.04, 0.95, 0.005, 0.1, None, "measured", _QUANTIZED),
    "W8A8": Limits(0.004, 0.15, 0.95, 0.02, 0.2, None, "measured", _QUANTIZED),
    "INT8": Limits(0.01, 0.4, 0.94, 0.01, 0.4, None, "provisional", "as Q6_K"),
    "FP8": Limits(0.03, 1.0, 0.90, 0.04, 0.9, None, "measured", _QUANTIZED),
    "AWQ": Limits(0.26, 5.0, 0.70, 0.26, 4.5, None, "measured", _QUANTIZED),
    "GPTQ": Limits(0.15, 5.0, 0.80, 0.18, 5.0, None, "measured", _QUANTIZED),
    "NF4": Limits(0.2, 4.0, 0.75, 0.20, 3.5, None, "measured", _QUANTIZED),
    "merge NF4": Limits(0.15, 4.0, 0.80, 0.15, 1.5, None, "provisional", "as NF4: the 4-bit base is replaced"),
}
"""By kind of change: a copy, a merge of an adapter by the dtype that is written, a cast, a quantization."""

OTHER_NAMES = {"fp32": "same", "bf16": "BF16", "fp16": "F16", "bfloat16": "BF16", "float16": "F16", "fp4": "NF4"}


def limits_of(change: str) -> tuple[str, Limits]:
    """The name and the limits of a kind of change, in any case. Errors: AskError `ask.wrong-value`."""
    for name in (change, OTHER_NAMES.get(change.lower(), change)):
        for known, limits in LIMITS.items():
            if known.lower() == name.lower():
                return known, limits
    raise AskError("ask.wrong-value", f"unknown kind of change '{change}'", f"write one of {', '.join(LIMITS)}")
