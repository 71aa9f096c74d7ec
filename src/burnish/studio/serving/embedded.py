"""`python -m burnish.studio.serving.embedded`: the worker that `burnish ui` starts beside its server."""

import argparse
import os
import time

from burnish.core.errors import BurnishError
from burnish.core.processes import end_with_parent
from burnish.studio.queueing.jobs import work

_NICE = 5
"""What runs here gives way to the page beside it, and to what else a person does with the machine."""


def main() -> None:
    """Ends with its parent, also where that is killed: what runs saves its state, and goes back to the queue."""
    parser = argparse.ArgumentParser(prog="python -m burnish.studio.serving.embedded", description=__doc__)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--parent", type=int, required=True)
    asked = parser.parse_args()
    end_with_parent(asked.parent)
    if hasattr(os, "nice"):
        os.nice(_NICE)
    try:
        work(workspace=asked.workspace, say=_say)
    except BurnishError as error:
        _say(f"error: {error.what}\nhint: {error.fix}")
        raise SystemExit(error.exit_status) from None


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()
