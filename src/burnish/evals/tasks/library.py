"""Imports lm-evaluation-harness where a setting needs it, and limits what its tasks can do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from burnish.core.errors import MachineError
from burnish.core.faults import reason

_ALONE = "DISABLE_MULTIPROC"


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
