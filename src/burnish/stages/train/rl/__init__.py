"""Trainings on rewards of sampled completions, and their ledger."""
