"""Runs: list, show, compare, stop, follow, submit, resume; and what their steps have."""
