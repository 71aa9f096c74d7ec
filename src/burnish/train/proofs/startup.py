"""The tests with which a Scorer has chosen its path, as checks: random rows, before the user's own.

A test that fails there is not a finding: the path is not used, and its check does not apply. What no path can do is
refused before any check.
"""

from burnish.train.proofs.question import Answer, Question, holds, skipped
from burnish.train.proofs.subject import Subject


def hidden_states(subject: Subject) -> Answer:
    if subject.scorer.uses_own_head:
        return skipped("the model's own forward computes all logits")
    return holds("last hidden states and head give the model's own logits at random tokens")


def packing(subject: Subject) -> Answer:
    if subject.scorer.packs:
        return holds("random rows have the same hidden states and gradient packed and alone, beyond every window")
    return skipped(f"rows are computed one at a time: {subject.scorer.reason or 'attention is not varlen'}")


def kernel(subject: Subject) -> Answer:
    if subject.device.type == "cpu" or not subject.scorer.packs:
        return skipped("no kernel of a GPU is used")
    if subject.scorer.kernel_reason:
        return skipped(subject.scorer.kernel_reason)
    return holds("the kernel for packed rows gives the hidden states and the gradient of rows alone")


def shared_prompts(subject: Subject) -> Answer:
    if subject.scorer.shares_prompts:
        return holds(
            "random rows have the same losses and gradient with their prompt computed once and for each answer"
        )
    return skipped(
        "a row is one sequence" if subject.rows.width == 1 else "each answer is computed with its own prompt"
    )


def fused(subject: Subject) -> Answer:
    layers = subject.scorer.fused.layers
    if not layers:
        return skipped("no layer of an adapter is fused")
    return holds(f"{len(layers)} fused layers give the logits and the gradient of PEFT's at random tokens")


AT_START = (
    Question(
        "hidden states", "Do trunk and head give the model's own logits?", "report this as a bug", hidden_states, True
    ),
    Question("packing", "May a batch hold several sequences?", "set attention: sdpa", packing, True),
    Question("kernel", "Is the kernel for packed rows exact?", "set attention: sdpa", kernel, True),
    Question(
        "prompts once", "May a prompt be computed once for its answers?", "set attention: sdpa", shared_prompts, True
    ),
    Question("fused adapters", "Are fused layers of adapters PEFT's?", "report this as a bug", fused, True),
)
