"""Parameters of paths that name a run or a step of one."""

from typing import Annotated

from fastapi import Path

Recipe = Annotated[str, Path(max_length=100, description="The name of the recipe.", examples=["demo"])]
Number = Annotated[int, Path(ge=1, lt=10**18, description="The number of the run.", examples=[1])]
Step = Annotated[str, Path(max_length=100, description="The name of the step.", examples=["tune"])]
