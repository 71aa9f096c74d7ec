"""`make mutants`: plant faults, run the tests that cover them, and write the score."""

import argparse
import os
import sys
import time
from datetime import date

from mutation import page
from mutation.choice import SECONDS, Chooser, Mutant, all_mutants, sampled
from mutation.coverage import known_modules, measured, remember_modules
from mutation.equivalent import are_equivalent, entries, stale
from mutation.scope import CACHE, ROOMS, mutated, sources
from mutation.server import Server
from mutation.sites import is_another_program
from mutation.trial import KILLED, HarnessError, control, load, prove, save, trials

LAST = CACHE / "last.json"


def main() -> int:
    options = _options()
    began = time.monotonic()
    CACHE.mkdir(exist_ok=True)
    known = entries()
    everything = all_mutants(mutated())
    rooms = tuple(options.room or ROOMS)
    mutants = _chosen(options, [mutant for mutant in everything if mutant.source.room in rooms])
    _say(f"{len(mutants)} of {len(everything):,} mutants; loading torch, transformers and the rest once")
    server = Server(options.workers, known_modules())
    try:
        only = {str(path) for path in options.tests} if options.tests else None
        coverage = measured(server, say=_say, only=only)
        if coverage.failed:
            listed = "\n".join(f"  {test}: {reason}" for test, reason in coverage.failed.items())
            raise HarnessError(f"tests fail without any mutant:\n{listed}")
        remember_modules(coverage)
        if options.coverage_only:
            return 0
        chooser = Chooser(coverage, sources(), options.seconds)
        if options.uncovered:
            _list_uncovered(chooser, [mutant for mutant in everything if mutant.source.room in rooms])
            return 0
        _say(f"proved: a planted fault is killed, an unchanged copy lives ({prove(server, chooser, mutants)})")
        equivalent = are_equivalent(known, mutants)
        tried = trials(server, chooser, mutants, lambda mutant: mutant.identity in equivalent, _say)
        flaky = control(server, coverage.seconds, tried)
    except HarnessError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 1
    finally:
        server.close()
    for trial in tried:
        if trial.outcome in KILLED and trial.by in flaky:
            trial.outcome, trial.reason = "survived", f"its killer also fails without it: {flaky[trial.by]}"
    save(tried, LAST)
    totals = {room: sum(mutant.source.room == room for mutant in everything) for room in rooms}
    counts = page.counted(totals, tried)
    minutes = (time.monotonic() - began) / 60
    notes = [f"Stale entry of an equivalent: `{e.file}`: `{e.line}`" for e in stale(known, everything)]
    notes += [f"Unstable, failed once without a mutant and judged none: `{test}`" for test in coverage.unstable]
    notes += [f"This test killed a mutant and fails without it: `{test}`" for test in flaky]
    facts = (
        f"{date.today()}, commit {page.commit()}, seed {options.seed}, {page.machine()}, {options.workers} processes, "
        f"{minutes:.0f} minutes."
    )
    text = "\n\n".join([facts, page.table(counts), *notes, "### Survivors", page.survivors(tried) or "None."])
    print(text)
    if options.write:
        page.write(text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutation", description=__doc__)
    parser.add_argument("--room", action="append", choices=ROOMS, help="only this room; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--sample", type=int, default=600, help="mutants to try")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of tests for one mutant, as they usually take")
    parser.add_argument("--all", action="store_true", help="try every mutant")
    parser.add_argument("--only", metavar="FILE:LINE", help="a line, file or folder, as models/merge.py:12")
    parser.add_argument("--survivors", action="store_true", help="those that survived the last run")
    parser.add_argument("--tests", action="append", metavar="FILE", help="use only these test files")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="mutants at a time")
    parser.add_argument("--coverage-only", action="store_true", help="measure which test runs what, and end")
    parser.add_argument("--uncovered", action="store_true", help="list the lines that no test runs, and end")
    parser.add_argument("--write", action="store_true", help="write the result into docs/mutants.md")
    options = parser.parse_args()
    if options.sample < 1:
        parser.error("--sample must be at least 1")
    if options.write and (
        options.only or options.survivors or options.room or options.tests or options.seconds < SECONDS
    ):
        parser.error("--write is for a sample of all rooms, with all tests and seconds")
    return options


def _chosen(options: argparse.Namespace, mutants: list[Mutant]) -> list[Mutant]:
    if options.survivors:
        alive = {trial.identity for trial in load(LAST) if trial.is_alive}
        return [mutant for mutant in mutants if mutant.identity in alive]
    if options.only:
        mutants = [m for m in mutants if m.name == options.only or m.source.name.startswith(options.only)]
    elif not options.all:
        return sampled(mutants, options.sample, options.seed)
    return [m for m in mutants if is_another_program(m.source.read(), m.mutation)]


def _list_uncovered(chooser: Chooser, mutants: list[Mutant]) -> None:
    """Every line whose mutants no test can see, since none runs it."""
    lines = {mutant.name: mutant.mutation.text for mutant in mutants if not chooser.covering(mutant)}
    for name, text in lines.items():
        print(f"{name}: {text}")
    print(f"{len(lines)} lines that can be mutated are run by no test")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
