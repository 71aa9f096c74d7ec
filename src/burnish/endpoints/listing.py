"""The models that an endpoint lists, and the one that is meant where none is named."""

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from burnish.core.errors import AskError, MachineError
from burnish.endpoints.faults import fix_of, is_a_page, words_of
from burnish.endpoints.post import get_json
from burnish.specs.endpoints import EndpointSpec


class NoListError(MachineError):
    """The endpoint is reached, and gives no list of models."""


def root_of(url: str) -> str:
    """The address up to the version: /v1 is added to a host alone. AskError `ask.wrong-value` for another text."""
    address = url if "//" in url else f"http://{url}"
    try:
        root = EndpointSpec(url=address, model="").url
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise AskError(
            "ask.wrong-value", said, "write the address of an API, such as http://127.0.0.1:8001/v1"
        ) from error
    return root if urlsplit(root).path else f"{root}/v1"


def no_answer(url: str, problem: Any) -> MachineError:
    """MachineError `machine.no-answer` for a failed request, with what to do about it."""
    return MachineError("machine.no-answer", f"{url}: {words_of(problem)}", fix_of(problem, url))


def listed_models(root: str, headers: Mapping[str, str], timeout: float) -> list[str]:
    """The names that GET /models lists. NoListError if there is no list; MachineError `machine.no-answer` if the
    endpoint is not reached, or refuses the key."""
    url = f"{root}/models"
    try:
        posted = get_json(url, headers, timeout)
    except (OSError, http.client.HTTPException) as error:
        raise no_answer(url, error) from error
    found = (posted.body or {}).get("data")
    if posted.status != 200 or not isinstance(found, list):
        what = "a web page" if is_a_page(posted) else words_of(posted)
        if posted.status in (401, 403):
            raise no_answer(url, posted)
        fix = f"{fix_of(posted, url)}; if it lists no models, name one with --model"
        raise NoListError("machine.no-answer", f"{url} gives no list of models: {what}", fix)
    return [one["id"] for one in found if isinstance(one, dict) and isinstance(one.get("id"), str)]


def chosen_model(names: list[str], url: str) -> tuple[str, str]:
    """The first of the listed models, and a note if there are others. MachineError `machine.no-answer` if none is."""
    if not names:
        raise MachineError("machine.no-answer", f"{url} lists no model", "load a model there, or name one with --model")
    if len(names) == 1:
        return names[0], ""
    return names[0], f"the first of {len(names)} models is asked: {names[0]}; --model names another"
