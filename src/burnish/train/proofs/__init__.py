"""Checks of a training on the user's own model and rows: `prove` gives each a verdict, with numbers."""

from burnish.train.proofs.checks import QUESTIONS, prove
from burnish.train.proofs.proof import Proof
from burnish.train.proofs.question import Answer, Check, Question
from burnish.train.proofs.subject import Subject

__all__ = ["QUESTIONS", "Answer", "Check", "Proof", "Question", "Subject", "prove"]
