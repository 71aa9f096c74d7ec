"""The check that the processes of a training compute together what one of them computes alone."""

import time

import torch

from burnish.train.proofs.packing import compare_steps
from burnish.train.proofs.question import Answer, Check, Question, skipped
from burnish.train.proofs.subject import Step, Subject


def prove_together(subject: Subject) -> Check:
    """The check, made by all processes at the same time. An error in it ends its process, and so the run: the others
    would wait for its messages."""
    start = time.monotonic()
    answer = QUESTION.answer(subject) if len(subject.visited) else skipped("not checked: the run visits no row")
    return Check(QUESTION.name, QUESTION.asks, answer, QUESTION.fix, time.monotonic() - start)


def _together(subject: Subject) -> Answer:
    with subject.perturbed(), torch.enable_grad():
        with subject.passes.alone():
            expected = _step(subject)
        where = f"losses, metrics and gradient in {subject.passes.ranks.size} processes and in one"
        return compare_steps(subject, _step(subject), expected, where)


def _step(subject: Subject) -> Step:
    return subject.step(subject.sample.rows, 1 << 30)


QUESTION = Question(
    "processes",
    "Do all processes together find the gradient that one finds?",
    "set launch.processes: 1, and report this as a bug",
    _together,
)
