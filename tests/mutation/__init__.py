"""Mutation testing: small faults planted in the source one at a time, and whether a test fails for each.

Run it with `make mutants`, or `python -m mutation --help` with `tests` on PYTHONPATH. It never writes into `src/`.

    scope > sites (what can change) > hits (which tests run a statement) > choice > server (fork, run) > score > page
"""
