"""Imports lm-evaluation-harness where a setting needs it, seeds what its tasks draw, and limits what they can do."""

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from burnish.core.errors import MachineError
from burnish.core.faults import reason

_ALONE = "DISABLE_MULTIPROC"
_THOUSAND, _EVERY = 1000, 100


def require() -> Any:
    """The package. Errors: MachineError `machine.no-package`."""
    try:
        import lm_eval
    except ImportError as error:
        raise MachineError(
            "machine.no-package",
            f"tasks need the package lm-eval: {reason(error)}",
            "pip install 'burnish[benchmarks]'",
        ) from error
    return lm_eval


def installed_version() -> str:
    return version("lm-eval")


@contextmanager
def within(folder: Path | None) -> Iterator[None]:
    """Make a folder the current one: tasks name their files relative to it."""
    before = Path.cwd()
    if folder is not None:
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def seed(seeds: Sequence[int]) -> None:
    """Seed Python, numpy and torch with the first three, as `simple_evaluate` does before it loads tasks."""
    import numpy as np
    import torch

    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.manual_seed(seeds[2])


@contextmanager
def fresh_transforms(scratch: Path) -> Iterator[None]:
    """Let `datasets` keep what tasks make of their rows (`process_docs`) in a new folder, not beside the rows.

    lm-evaluation-harness asks for the rows several times and relies on this cache for the same ones. The cache beside
    the rows has those that an earlier run drew at random, from other seeds.
    """
    import lm_eval.api.task as tasks

    datasets: Any = tasks.datasets  # the package that lm-evaluation-harness reads rows with
    rows: Any = datasets.Dataset
    beside, was_enabled = rows._get_cache_file_path, datasets.is_caching_enabled()
    with tempfile.TemporaryDirectory(dir=scratch, prefix="rows-") as folder:

        def path(_: Any, fingerprint: str) -> str:
            return str(Path(folder, f"cache-{fingerprint}.arrow"))

        rows._get_cache_file_path = path
        datasets.enable_caching()
        try:
            yield
        finally:
            rows._get_cache_file_path = beside
            if not was_enabled:
                datasets.disable_caching()


@contextmanager
def shown_resamples(tick: Callable[[str, int, int], None]) -> Iterator[None]:
    """Report the resamples of standard errors, `tick(phase, done, total)`, which may take minutes; it may raise.

    Their random numbers are lm-evaluation-harness's own: each thousand has its place as the seed.
    """
    import lm_eval.api.metrics as metrics

    before = metrics._bootstrap_internal_no_mp

    def resampled(f: Callable[[Any], float], xs: Any, iters: int) -> list[float]:
        size = min(_THOUSAND, iters)
        found, total = list[float](), iters // size * size
        while len(found) < total:
            draw = random.Random(len(found) // size)
            for place in range(size):
                if not place % _EVERY:
                    tick(f"resamples for the standard error of {f.__name__}", len(found), total)
                found.append(f(draw.choices(xs, k=len(xs))))
        return found

    metrics._bootstrap_internal_no_mp = resampled
    try:
        yield
    finally:
        metrics._bootstrap_internal_no_mp = before


@contextmanager
def contained(trusts_code: bool) -> Iterator[None]:
    """Without consent, render the templates of tasks in a sandbox. Standard errors are computed in this process."""
    import lm_eval.utils as utils
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    before, alone = utils.env, os.environ.get(_ALONE)
    if not trusts_code:
        sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        sandbox.filters |= before.filters
        utils.env = sandbox
    os.environ[_ALONE] = "1"  # a pool would fork a process that runs torch
    try:
        yield
    finally:
        utils.env = before
        if alone is None:
            del os.environ[_ALONE]
        else:
            os.environ[_ALONE] = alone
