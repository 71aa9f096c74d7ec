"""References that a client sends, which lead to nothing outside of the workspace and of allowed folders."""

from burnish.core.runs.workspace import Workspace
from burnish.server.security.caller import Caller
from burnish.server.settings import Settings
from burnish.studio.recipes.given import refuse_path_outside


def inside(ref: str, settings: Settings) -> str:
    """A reference. Errors: AskError `ask.not-allowed` for a file or folder outside."""
    place = Workspace(settings.workspace)
    refuse_path_outside(ref, (place.root, *settings.allowed_paths), place, "the reference")
    return ref


def author_of(caller: Caller) -> str | None:
    """Who changes the registry: the name of a token; of a browser, None for the user who started the server."""
    return None if caller.csrf is not None else caller.name
