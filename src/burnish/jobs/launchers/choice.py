"""The launcher of an address."""

from functools import cache

from burnish.core.errors import AskError
from burnish.jobs.launchers.protocol import Launcher

_SCHEMES = ("ray://", "http://", "https://")


@cache
def launcher_at(on: str | None) -> Launcher | None:
    """The launcher of workers on a cluster; None for this machine, where each step has a launcher of its own.

    Errors: those of `RayLauncher`.
    """
    if on is None:
        return None
    from burnish.jobs.launchers.ray import RayLauncher

    return RayLauncher(*parsed(on))


def parsed(on: str) -> tuple[str, float]:
    """Address and GPUs for each worker, of `ray://host:10001?gpus=1`. Errors: AskError `ask.wrong-value`."""
    address, _, query = on.partition("?")
    if "@" in address.partition("://")[2].partition("/")[0]:
        what = "on: the address holds a user or a password, which would be stored with each job and shown"
        raise AskError("ask.wrong-value", what, "remove it, and set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN")
    fix = "write ray://host:10001, http://host:8265, or one of them with ?gpus=1"
    if not address.startswith(_SCHEMES) or address in _SCHEMES:
        raise AskError("ask.wrong-value", f"on: '{on}' is not the address of a Ray cluster", fix)
    name, _, count = query.partition("=")
    try:
        gpus = float(count) if query else 0.0
    except ValueError:
        gpus = -1.0
    if (query and name != "gpus") or not 0 <= gpus < 1000:
        raise AskError("ask.wrong-value", f"on: '{on}': only gpus=NUMBER may follow the address", fix)
    return address, gpus
