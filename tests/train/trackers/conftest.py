"""What the tests of trackers share."""

from collections.abc import Callable

import pytest


@pytest.fixture
def is_running() -> Callable[[int], bool]:
    """Whether a process exists and has not exited."""

    def check(pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False

    return check
