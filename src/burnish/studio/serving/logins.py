"""Who may use the server: one-time tokens that log a browser in."""

from pathlib import Path

from burnish.core.access.tickets import Tickets
from burnish.core.runs.workspace import Workspace

LOGIN_SECONDS = 15 * 60


def logins(workspace: Path | str | None = None) -> Tickets:
    """The one-time login tokens of a workspace's server."""
    return Tickets(Workspace.find(workspace).root / ".burnish" / "access" / "logins.json", "burnish-login-")


def new_login(*, workspace: Path | str | None = None) -> str:
    """A token that logs one browser in, once, within `LOGIN_SECONDS`."""
    return logins(workspace).issue("browser", LOGIN_SECONDS)


def login_address(address: str, token: str) -> str:
    """The address that logs in. The token is in the fragment, which browsers send to nobody, so no log has it."""
    return f"{address}/login#token={token}"
