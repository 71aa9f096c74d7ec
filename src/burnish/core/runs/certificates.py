"""What the records of certificates say: whether the child is a copy, and the error of one that does not hold."""

from collections.abc import Mapping
from typing import Any

from burnish.core.errors import RunError

SAME_FILES = "files"
"""The check of a child that is a copy of its parent, byte for byte; other certificates have none of this name."""


_FIX = "make it again from its parent, or set `change` if it is another one"


def certificate_failed(child: str, record: Mapping[str, Any], report: str = "", fix: str = _FIX) -> RunError:
    """RunError `run.certificate-failed` that names the checks that do not hold, with what helps in `fix`.

    What was found is in the table of the certificate and in `report`; without a report the error says it.
    """
    failed = [check for check in record["checks"] if check["verdict"] == "does not hold"]
    if report:
        named = ", ".join(check["name"] for check in failed)
    else:
        named = "; ".join(f"{check['name']}: {check['found']} (limit: {check['limit']})" for check in failed)
    return RunError(
        "run.certificate-failed",
        f"the certificate of {child} does not hold for '{record['change']}' of {record['parent']['ref']}: "
        f"{named or 'neither distributions nor weights could be compared'}",
        f"{f'the report is in {report}; ' if report else ''}{fix}",
    )


def is_of_a_copy(record: Mapping[str, Any]) -> bool:
    """Whether the files of child and parent were identical."""
    return any(check["name"] == SAME_FILES and check["verdict"] == "holds" for check in record["checks"])
