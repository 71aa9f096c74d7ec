"""A whole smoke test: the endpoint is waited for, a model is chosen, and every check gets a verdict."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from burnish.core.errors import MachineError
from burnish.endpoints.keys import authorization
from burnish.endpoints.listing import NoListError, chosen_model, listed_models, root_of
from burnish.endpoints.smoke.checks import CHECKS, PROMPT, Asked
from burnish.endpoints.smoke.probe import FailedError, NotOfferedError, Probe
from burnish.specs.endpoints import SMOKE_CHECKS

ALWAYS = ("chat", "stream")
"""Checks that must hold of every endpoint; `models` too, unless the model is named."""


@dataclass(frozen=True)
class Finding:
    """What one check found. A verdict is `fails` also if an answer cannot be read."""

    name: str
    question: str
    verdict: Literal["holds", "fails", "not offered"]
    found: str
    fix: str
    required: bool
    seconds: float


@dataclass(frozen=True)
class SmokeTest:
    """A smoke test of one endpoint."""

    url: str
    model: str
    checks: Sequence[Finding]
    notes: Sequence[str] = ()

    @property
    def failed(self) -> list[Finding]:
        """Required checks that do not hold."""
        return [check for check in self.checks if check.required and check.verdict != "holds"]

    def as_dict(self) -> dict[str, Any]:
        checks = [asdict(check) for check in self.checks]
        return {"url": self.url, "model": self.model, "holds": not self.failed, "checks": checks, "notes": self.notes}


def smoke_test(
    url: str,
    *,
    model: str | None = None,
    key_env: str | None = None,
    timeout: float = 60.0,
    wait: float = 0.0,
    require: Sequence[str] = (),
    prompt: str = PROMPT,
    expect: str | None = None,
) -> SmokeTest:
    """Ask an endpoint everything once. `require` names checks that must hold beside those that always must.

    Errors: AskError for a key or an address that cannot be used; MachineError `machine.no-answer` if it is not reached,
    refuses the key, or is not ready after `wait` seconds.
    """
    root, headers = root_of(url), authorization(key_env)
    probe = Probe(root, headers, timeout)
    if wait and (said := probe.wait(wait)):
        what = f"{root} is not ready after {wait:g} s; the last it said: {said}"
        raise MachineError("machine.no-answer", what, "read the server's log, or wait longer with --wait")
    notes: list[str] = []
    listed: list[str] | None = None
    try:
        listed = listed_models(root, headers, timeout)
    except NoListError:
        if model is None:
            raise
    named = model is not None
    if model is None:
        model, note = chosen_model(listed or [], root)
        notes += [note] if note else []
    asked = Asked(probe, model, listed, bool(headers), prompt, expect)
    must = {*ALWAYS, *require} | (set() if named else {"models"})
    return SmokeTest(root, model, [_checked(name, asked, name in must) for name in SMOKE_CHECKS], notes)


def _checked(name: str, asked: Asked, required: bool) -> Finding:
    question, check = CHECKS[name]
    began = time.perf_counter()
    fix = ""
    try:
        verdict, found = "holds", check(asked)
    except NotOfferedError as error:
        verdict, found = "not offered", str(error)
    except FailedError as error:
        verdict, found, fix = "fails", error.what, error.fix
    return Finding(name, question, verdict, found, fix, required, round(time.perf_counter() - began, 3))
