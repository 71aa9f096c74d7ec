"""The list of checks, and `prove`, which makes them on a training before its first step."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch

from burnish.core.context import StopRequestedError
from burnish.core.faults import first_line, is_out_of_memory
from burnish.train.checkpoints.checkpoint import capture_randomness, restore_randomness
from burnish.train.proofs import adapters, examples, gradients, optimizing, packing, startup, tokens
from burnish.train.proofs.objectives import losses, pairs, rollouts
from burnish.train.proofs.proof import Proof
from burnish.train.proofs.question import Answer, Check, Question, raised, skipped
from burnish.train.proofs.subject import Subject

BUDGET = 60.0
"""Seconds after which no further check is started; on a busy machine those of this process, and at most three times
as many of all."""
_PATIENCE = 3
QUESTIONS: tuple[Question, ...] = (
    *startup.AT_START,
    *tokens.AT_START,
    *examples.AT_START,
    *optimizing.AT_START,
    *pairs.AT_START,
    *rollouts.AT_START,
    *tokens.QUESTIONS,
    *gradients.QUESTIONS,
    *losses.QUESTIONS,
    *packing.QUESTIONS,
    *adapters.AT_START,
    *gradients.AT_START,
    *adapters.QUESTIONS,
    *optimizing.QUESTIONS,
)
"""Those that find most for their time come first: a large model may spend the budget."""


def prove(subject: Subject, questions: Sequence[Question] = QUESTIONS, budget: float = BUDGET) -> Proof:
    """Make the checks in their order, and those of the objective after them.

    The training is left as it was: weights, gradients, random states, train or eval mode. Errors: StopRequestedError.
    """
    began, spent = time.monotonic(), _clock()
    randomness, was_training = capture_randomness(), subject.model.training
    checks = list[Check]()
    try:
        for question in (*questions, *getattr(subject.objective, "questions", ())):
            start = time.monotonic()
            late = spent() > budget
            answer = skipped(f"not checked: the budget of {budget:.0f} s is spent") if late else _ask(question, subject)
            checks.append(Check(question.name, question.asks, answer, question.fix, time.monotonic() - start))
    finally:
        subject.model.train(was_training)
        restore_randomness(randomness)
    return Proof(tuple(checks), _note(subject), time.monotonic() - began)


def _clock() -> Callable[[], float]:
    """Seconds from now on, without those in which other programs had the processor; a third of all at least."""
    began, computed = time.monotonic(), time.process_time()

    def spent() -> float:
        seconds = time.monotonic() - began
        return min(seconds, max(time.process_time() - computed, seconds / _PATIENCE))

    return spent


def _ask(question: Question, subject: Subject) -> Answer:
    """The answer; an error in a check stops no training: the first step meets it, if it is not the check's own."""
    if not len(subject.visited):
        return skipped("not checked: the run visits no row")
    try:
        with nullcontext() if question.at_start else subject.perturbed(), torch.enable_grad():
            return question.answer(subject)
    except StopRequestedError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or getattr(error, "code", "") == "machine.no-memory":
            return skipped(f"not checked: {first_line(error)}")
        return raised(f"{type(error).__name__}: {first_line(error)}")


def _note(subject: Subject) -> str:
    try:
        return subject.sample.note if len(subject.visited) else "no row"
    except Exception as error:
        return f"no row ({type(error).__name__}: {first_line(error)})"
