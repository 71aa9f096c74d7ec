"""The header with the API key of an endpoint, from an environment variable."""

import os

from burnish.core.errors import AskError


def authorization(variable: str | None) -> dict[str, str]:
    """The header; empty without a variable.

    Errors: AskError `ask.missing-key` if the variable is not set, `ask.wrong-value` for a key that no header can hold.
    """
    if variable is None:
        return {}
    key = os.environ.get(variable, "").strip()
    if not key:
        raise AskError(
            "ask.missing-key",
            f"the environment variable {variable}, named in api_key_env, is not set",
            f"set it where burnish runs: export {variable}=…",
        )
    if not key.isascii() or not key.isprintable():
        raise AskError(
            "ask.wrong-value",
            f"the key in {variable} has characters that a header cannot hold",
            "set the key alone, on one line, without quotes",
        )
    return {"Authorization": f"Bearer {key}"}
