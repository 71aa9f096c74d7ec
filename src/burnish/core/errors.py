"""Every error that a person may meet: a code, what happened, and how to mend it.

    BurnishError             exit status
    ├── AskError        2    what was asked for is wrong: a recipe, a setting, a reference
    ├── DataError       3    the data is wrong: a row, a file, an encoding
    ├── ModelError      4    a model, tokenizer, template or adapter does not fit
    ├── MachineError    5    this machine lacks something: a device, a package, disk, memory
    └── RunError        6    the run itself went wrong: a loss, a checkpoint, an unread setting

The terminal prints `error:` and `hint:`; HTTP gives problem+json; `str()` and a traceback in Python show all three.
Every code stands in CODES and in docs/reference/errors.md, and a test holds the two together.
"""

from collections.abc import Mapping
from typing import Any

from burnish.core.secrets import mask


class BurnishError(Exception):
    """`code` is a key of CODES, `what` says what happened and where, `fix` what to do next. Secrets are masked.

    `what` is `reason` after its `place`, such as the source of a row, where that is known.
    """

    exit_status = 1

    def __init__(self, code: str, reason: str, fix: str, place: str = ""):
        if code not in CODES:
            raise KeyError(f"error code '{code}' is not in CODES")
        self.code, self.reason, self.fix, self.place = code, mask(reason), mask(fix), mask(place)
        self.what = f"{self.place}: {self.reason}" if place else self.reason
        super().__init__(self.what)

    def at(self, place: str) -> "BurnishError":
        """The same error naming its place; one that names a place keeps it."""
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


def error_from_dict(record: Mapping[str, Any]) -> BurnishError:
    """The inverse of `as_dict`: an error that a worker wrote down, to be raised again by its caller."""
    families = {family.exit_status: family for family in (AskError, DataError, ModelError, MachineError, RunError)}
    return families[record["exit_status"]](record["code"], record["what"], record["fix"])


CODES = {
    # what was asked for
    "ask.recipe-unreadable": "The recipe is no readable YAML, or is larger or deeper than a recipe may be.",
    "ask.unknown-key": "A key that no spec has; the nearest known name is offered.",
    "ask.wrong-value": "A setting has the wrong type or lies outside its bounds.",
    "ask.missing-key": "A setting that must be given is missing.",
    "ask.unknown-stage": "A step names a stage that is not in the catalog.",
    "ask.bad-reference": "A reference points to nothing: no such step, file, artifact or built-in.",
    "ask.wrong-kind": "An input is of another kind than the stage takes.",
    "ask.cycle": "Steps depend on each other in a circle.",
    "ask.no-such-run": "No run of that name.",
    "ask.nothing-to-do": "The request leaves nothing to do.",
    # data
    "data.unreadable": "A file cannot be opened, is of no known type, or is broken as a whole.",
    "data.unknown-format": "The layout of the rows is none that is known.",
    "data.missing-column": "A column that the format needs is missing.",
    "data.too-many-bad-rows": "More rows than allowed are bad; the quarantine file holds them with reasons.",
    "data.empty": "No row is left.",
    "data.too-long": "A row is longer than max_length and over_length is raise.",
    "data.control-token": "A row spells a special token that shapes conversations.",
    "data.nothing-learned": "No token of the data would be learned.",
    "data.not-prepared": "A folder is no prepared dataset, or lacks the split.",
    # models
    "model.not-found": "No model at that path or name.",
    "model.unsupported": "The model's family cannot do what was requested here.",
    "model.broken": "Files of the model are missing, torn or do not fit each other.",
    "model.remote-code": "The model wants to run code of its own, which is refused.",
    "model.pickle": "The weights lie in pickle files, which can run code when they are read.",
    "model.no-template": "The tokenizer has no chat template and the rows are conversations.",
    "model.bad-template": "The chat template fails, or is unsafe.",
    "model.inexact-template": "The learned tokens cannot be told exactly from the template's structure.",
    "model.doubled-special": "A special token would stand twice in a row.",
    "model.wrong-adapter": "An adapter does not fit its base.",
    "model.unknown-target": "No module of the model has a name that was asked for.",
    # the machine
    "machine.no-device": "The device that was asked for is not there.",
    "machine.no-package": "A Python package that the stage needs is not installed.",
    "machine.no-disk": "There is too little disk space.",
    "machine.no-memory": "Memory ran out.",
    "machine.no-network": "A hub cannot be reached and the files are not in its cache.",
    # the run
    "run.unread-setting": "A setting was given and nothing read it.",
    "run.not-finite": "A loss, a gradient or the scores of a next token are not finite numbers.",
    "run.no-checkpoint": "There is no valid checkpoint to go on from.",
    "run.broken-checkpoint": "A checkpoint's files do not match its manifest.",
    "run.other-settings": "A checkpoint was written under other settings, data or code.",
    "run.busy": "The run is in progress in another process.",
    "run.interrupted": "The run was stopped before its end; it can be resumed.",
    "run.failed": "The stage ended with an error that burnish does not know.",
    "run.killed": "The worker process was killed from outside, often for lack of memory.",
    "run.broken-record": "A small file of a run or workspace, such as run.json, is torn, unreadable or incomplete.",
    "run.damaged-artifact": "Files of an artifact are missing, added or changed since the step wrote them.",
    "run.input-changed": "An input is not what it was when the run was planned.",
    "run.bad-transition": "A run was asked to go from a state to one that does not follow it.",
}
