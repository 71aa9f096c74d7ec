"""Every error a user may see: a code, what happened, and how to fix it.

    BurnishError             exit status
    ├── AskError        2    the request is invalid: a recipe, a setting, a reference
    ├── DataError       3    the data is invalid: a row, a file, an encoding
    ├── ModelError      4    a model, tokenizer, template or adapter is missing, broken or incompatible
    ├── MachineError    5    the machine lacks something: a device, a package, disk, memory
    └── RunError        6    the run failed: a loss, a checkpoint, an unread setting
        └── GateError   7    the run ended, and its result does not pass the gate

The terminal prints `error:` and `hint:`; HTTP gives problem+json; `str()` and a traceback in Python show all three.
Every code is listed in CODES and in docs/reference/errors.md; a test compares the two.
"""

from collections.abc import Mapping
from typing import Any

from burnish.core.secrets import mask


class BurnishError(Exception):
    """`code` is a key of CODES, `what` describes the problem, `fix` the next step. Secrets are masked.

    `what` is `reason`, prefixed with `place` (such as the source of a row) if that is known.
    """

    exit_status = 1
    result: Mapping[str, Any] | None = None
    """The results of a run that ended with this error after a step had written its artifact, for programs."""
    fields: tuple[tuple[str, str], ...] = ()
    """The settings that are wrong, `step.field`, each with what is wrong with it; for forms."""

    def __init__(self, code: str, reason: str, fix: str, place: str = ""):
        if code not in CODES:
            raise KeyError(f"error code '{code}' is not in CODES")
        self.code, self.reason, self.fix, self.place = code, mask(reason), mask(fix), mask(place)
        self.what = f"{self.place}: {self.reason}" if place else self.reason
        super().__init__(self.what)

    def at(self, place: str) -> "BurnishError":
        """The same error with a place; an error that already has one keeps it."""
        return type(self)(self.code, self.reason, self.fix, self.place or place)

    def __str__(self) -> str:
        return f"{self.what}\nfix: {self.fix}\ncode: {self.code}"

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "what": self.what, "fix": self.fix, "exit_status": self.exit_status}

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.code, self.reason, self.fix, self.place))


class AskError(BurnishError):
    exit_status = 2


class DataError(BurnishError):
    exit_status = 3


class ModelError(BurnishError):
    exit_status = 4


class MachineError(BurnishError):
    exit_status = 5


class RunError(BurnishError):
    exit_status = 6


class GateError(RunError):
    exit_status = 7


_FAMILIES = (AskError, DataError, ModelError, MachineError, RunError, GateError)


def family_of(code: str) -> type[BurnishError]:
    """The class of the errors with a code."""
    if code == "run.gate-failed":
        return GateError
    families = {"ask": AskError, "data": DataError, "model": ModelError, "machine": MachineError, "run": RunError}
    return families[code.partition(".")[0]]


def error_from_dict(record: Mapping[str, Any]) -> BurnishError:
    """The inverse of `as_dict`: an error recorded by a worker, for its caller to raise."""
    families = {family.exit_status: family for family in _FAMILIES}
    return families[record["exit_status"]](record["code"], record["what"], record["fix"])


CODES = {
    # the request
    "ask.recipe-unreadable": "The recipe is not valid YAML, or exceeds the size or nesting limit.",
    "ask.unknown-key": "A key is unknown; the nearest known name is suggested.",
    "ask.wrong-value": "A setting has the wrong type or is out of bounds.",
    "ask.missing-key": "A required setting is missing.",
    "ask.unknown-stage": "A step names an unknown stage.",
    "ask.bad-reference": "A reference cannot be resolved: no such step, file, artifact or built-in model.",
    "ask.wrong-kind": "An input is not of a kind that the stage accepts.",
    "ask.cycle": "Steps depend on each other in a cycle.",
    "ask.no-such-run": "There is no run with that name.",
    "ask.no-such-job": "There is no job with that number in the queue.",
    "ask.private-address": "A URL leads to an address that is not public, and was not allowed by name.",
    "ask.nothing-to-do": "The request leaves nothing to do.",
    "ask.name-taken": "There is a file of that name already, and it is not replaced.",
    "ask.too-large": "More bytes were sent than a file or request may have; nothing of it is kept.",
    "ask.no-such-route": "The server has no such address, or it does not take that method.",
    "ask.not-logged-in": "The server does not know who asks: no session, token or login that is valid.",
    "ask.not-allowed": "The caller, or the page that sent the request, may not do this.",
    "ask.too-slow": "The body of a request did not arrive in time.",
    "ask.no-such-range": "The header Range names no part of the file.",
    "ask.too-often": "Too many requests were refused in a short time.",
    # data
    "data.unreadable": "A file cannot be opened, is of an unknown type, or is corrupt.",
    "data.unknown-format": "The layout of the rows is unknown.",
    "data.missing-column": "A column that the format requires is missing.",
    "data.too-many-bad-rows": "More rows are bad than allowed; the quarantine file lists them with reasons.",
    "data.empty": "No rows are left.",
    "data.too-long": "A row is longer than max_length and over_length is raise.",
    "data.control-token": "A row contains the text of a special token that structures conversations.",
    "data.nothing-learned": "No token of the data would be learned.",
    "data.wrong-checksum": "A file that was fetched does not have the sha256 that it should have.",
    "data.unsafe-archive": "An archive would write outside its folder, or more than it should: nothing is unpacked.",
    "data.other-rows": "Rows of two inputs that must be the same, such as a reference's and a training's, are not.",
    "data.not-prepared": "A folder is not a prepared dataset, or lacks the split.",
    # models
    "model.not-found": "There is no model at that path or name.",
    "model.unsupported": "The model's family does not support the request.",
    "model.broken": "Files of the model are missing, truncated or inconsistent.",
    "model.remote-code": "The model requires custom code, which burnish does not run.",
    "model.pickle": "The weights are pickle files, which can run code when they are loaded.",
    "model.no-template": "The rows are conversations and the tokenizer has no chat template.",
    "model.bad-template": "The chat template fails, or is unsafe.",
    "model.inexact-template": "The learned tokens cannot be located exactly in the template's output.",
    "model.doubled-special": "A special token would occur twice in succession.",
    "model.wrong-adapter": "An adapter does not match its base.",
    "model.unknown-target": "No module of the model has a requested name.",
    # the machine
    "machine.no-device": "The requested device is not available.",
    "machine.no-package": "A required Python package is not installed.",
    "machine.broken-plugin": "An installed package that extends burnish cannot be loaded, or a name it adds is taken.",
    "machine.no-disk": "There is not enough disk space.",
    "machine.no-access": "The file system is read-only, or this user may not read or write a file or folder.",
    "machine.no-memory": "The machine is out of memory.",
    "machine.no-database": "The database cannot be opened or reached, is damaged, or was made by a newer burnish.",
    "machine.busy": "Too many requests wait for the same kind of work.",
    "machine.database-busy": "The database is locked by others for long.",
    "machine.no-network": "A hub, a URL or a package index cannot be reached, and the cache lacks the files.",
    "machine.no-cluster": "A Ray cluster does not answer, or its workers cannot do the work.",
    "machine.no-answer": "An endpoint does not answer, refuses the request, or gives an unreadable reply.",
    "machine.no-docker": "Docker is not installed, is too old, is not running, or may not be used.",
    "machine.port-in-use": "Another program listens on a port that a container needs.",
    "machine.container-failed": "A container could not be built or started.",
    "machine.no-worker": "Stages do not run on this operating system; WSL and containers can run them.",
    "machine.no-sandbox": "The system cannot isolate a process as requested.",
    # the run
    "run.unread-setting": "A setting was given but never read.",
    "run.not-proven": "A check of the training on its own rows does not hold.",
    "run.smoke-test-failed": "A required check of a running endpoint does not hold.",
    "run.certificate-failed": "A model is not what its parent is: a check of its certificate does not hold.",
    "run.rank-silent": "One of the processes of a step has stopped doing anything.",
    "run.ranks-differ": "The processes of one training do not agree on what they compute.",
    "run.not-finite": "A loss, a gradient or the logits of a next token are not finite.",
    "run.bad-reward": "A reward failed, or gave something other than one finite number for each completion.",
    "run.call-limit": "The limit of calls to an endpoint, or of the tokens that it counts, is reached.",
    "run.no-checkpoint": "There is no valid checkpoint to resume from.",
    "run.broken-checkpoint": "A checkpoint's files do not match its manifest.",
    "run.other-settings": "A checkpoint was written with different settings, data or code.",
    "run.time-limit": "A step was stopped after the time that it was given.",
    "run.busy": "The run is in progress in another process.",
    "run.interrupted": "The run was stopped before it finished; it can be resumed.",
    "run.failed": "The stage failed with an unexpected error.",
    "run.engine-failed": "The engine of a server cannot be started, or keeps failing.",
    "run.killed": "The worker process was killed, often because memory ran out.",
    "run.broken-record": "A record of a run or workspace, such as run.json, is truncated, unreadable or incomplete.",
    "run.damaged-artifact": "Files of an artifact were removed, added or changed since the step wrote them.",
    "run.not-pushed": "A folder was not uploaded to a hub, or not as it is; the artifact here is complete.",
    "run.input-changed": "An input changed since the run was planned.",
    "run.no-evidence": "A promotion lacks a certificate (or proof) or a verdict, or one of them failed.",
    "run.in-production": "A version in production is removed without a reason.",
    "run.gate-failed": "A rule of a gate does not hold, or cannot be decided; the results are kept.",
    "run.fenced": "Another worker has the job now, or it has ended: what this one did for it no longer counts.",
    "run.bad-transition": "A run or a job cannot change from its current state to the requested one.",
}
