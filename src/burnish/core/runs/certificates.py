"""The error of a certificate that does not hold, from its record."""

from collections.abc import Mapping
from typing import Any

from burnish.core.errors import RunError


def certificate_failed(child: str, record: Mapping[str, Any], hint: str = "") -> RunError:
    """RunError `run.certificate-failed` that names the checks that do not hold; `hint` begins the fix."""
    failed = [check for check in record["checks"] if check["verdict"] == "does not hold"]
    named = "; ".join(f"{check['name']}: {check['found']} (limit: {check['limit']})" for check in failed)
    return RunError(
        "run.certificate-failed",
        f"the certificate of {child} does not hold for '{record['change']}' of {record['parent']['ref']}: "
        f"{named or 'neither distributions nor weights could be compared'}",
        f"{hint}{'; ' if hint else ''}make it again from its parent, or set `change` if it is another one",
    )
