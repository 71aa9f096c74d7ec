"""smoke-test: ask a running endpoint what its clients rely on; `burnish.studio.exploration` calls it."""

from typing import Any

from burnish.endpoints.smoke.table import smoke_test
from burnish.stages.answer import answer


def _found(request: dict[str, Any]) -> dict[str, Any]:
    return smoke_test(**request).as_dict()


if __name__ == "__main__":
    answer(_found)
