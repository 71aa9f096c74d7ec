"""Verdicts of language models on answers."""
