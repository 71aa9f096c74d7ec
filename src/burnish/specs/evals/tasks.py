"""Settings of tasks of lm-evaluation-harness: which ones, with how many examples, and how prompts are made."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, field_validator, model_validator

from burnish.specs.base import SCHEMES, Spec, Takes, is_a_reference, path_in

TaskFolderRef = Annotated[str, Takes(("folder",)), AfterValidator(is_a_reference)]

_YAML = (".yaml", ".yml")


class TaskSpec(Spec):
    """A task, or a folder of tasks.

    Short forms: `hellaswag`, `file:tasks/`, and `file:tasks/mine.yaml`, which is one file of the folder `file:tasks`.
    """

    name: str | None = None
    """The name of a task, group or tag of lm-evaluation-harness, whose data set is on a hub."""
    folder: TaskFolderRef | None = None
    """A folder with YAML files of tasks, and the files that they read: the whole of it is part of the fingerprint."""
    files: list[str] = []
    """YAML files of the folder that are run; by default all that define a task or a group."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _task_of(value)
        if isinstance(value, Mapping):
            given = dict(cast(Mapping[str, Any], value))
            folder: Any = given.get("folder")
            if isinstance(folder, str) and folder.endswith(_YAML) and "files" not in given:
                return given | _task_of(folder)
            return given
        return value

    @model_validator(mode="after")
    def has_one_source(self) -> "TaskSpec":
        values = self.__dict__
        if (values["name"] is None) == (values["folder"] is None):
            raise ValueError("a task has either a name or a folder")
        if values["files"] and values["folder"] is None:
            raise ValueError("files belong to a folder")
        return self


def _task_of(text: str) -> dict[str, Any]:
    """The fields of a short form."""
    if path_in(text).drive:
        raise ValueError(f"'{text}' is a path: write file:{text}")
    scheme, sign, path = text.partition(":")
    if not sign or scheme not in SCHEMES:
        return {"name": text}
    if not path.endswith(_YAML):
        return {"folder": text}
    file = path_in(path)
    return {"folder": f"{scheme}:{file.parent}", "files": [file.name]}


class TasksSpec(Spec):
    """Tasks of lm-evaluation-harness, with its own prompts, metrics and standard errors.

    Short form: a list of tasks.
    """

    names: list[TaskSpec] = Field(min_length=1)
    """The tasks: names, or `file:` of YAML files and folders."""
    num_fewshot: int | None = Field(default=None, ge=0)
    """Examples before each question; by default as each task sets it. A task that sets 0 keeps 0."""
    limit: float | None = Field(default=None, gt=0.0)
    """Use the first questions of each task only: this many, or this share if it is below 1."""
    seeds: list[int] = Field(default=[0, 1234, 1234, 1234], min_length=4, max_length=4)
    """Random seeds of Python, numpy, torch (and sampled answers) and of the choice of examples. One number is all."""
    bootstrap_iters: int = Field(default=100_000, ge=0)
    """Resamples for the standard error of a metric that has no formula for it, such as f1; 100 at most for bleu, chrf
    and ter. Fewer take less time; 0 leaves out all standard errors of tasks."""
    apply_chat_template: bool = False
    """Write each question as a turn of the user, with the model's chat template."""
    fewshot_as_multiturn: bool = True
    """With the chat template, write each example as a question and an answer; else all in one turn."""
    system_instruction: str | None = None
    """The system turn; without the chat template a text before each prompt."""
    batch_size: int = Field(default=64, ge=1)
    """Number of prompts answered at once."""
    trust_code: bool = False
    """Let local tasks run Python (`!function`, templates that are not sandboxed, metrics from a hub), and tasks run
    code that the model wrote. It runs with your rights."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"names": [value]}
        return {"names": cast(list[Any], value)} if isinstance(value, list) else value

    @field_validator("names", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("seeds", mode="before")
    @classmethod
    def _one_seed(cls, value: Any) -> Any:
        if isinstance(value, list) and len(cast(list[Any], value)) == 1:
            return cast(list[Any], value) * 4
        return cast(Any, value)
