"""Runs the Python code of answers in child processes that can do little else; imported there without other packages."""
