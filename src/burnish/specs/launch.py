"""On how many processes a step runs."""

from typing import Annotated

from pydantic import Field

from burnish.specs.base import RUNTIME, Spec


class LaunchSpec(Spec):
    """On how many processes a training runs. Any number makes the same steps, up to rounding."""

    processes: Annotated[int, RUNTIME] = Field(default=1, ge=1, le=1024)
    """Processes on this machine, each with a share of the rows of every step; on CUDA, each has a device of its own."""
