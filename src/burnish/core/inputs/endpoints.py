"""Which model an endpoint serves, where its server says so: the field `fingerprint` of its list of models."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, cast

from burnish.core.inputs.urls import is_this_machine
from burnish.specs.base import Spec, specs_within
from burnish.specs.endpoints import EndpointSpec

_SECONDS = 3.0
_MOST_BYTES = 1 << 20
UNKNOWN = ""
"""The identity of a model whose server is reached, and gives none."""


def identity_of(spec: EndpointSpec) -> str | None:
    """What the server gives as the fingerprint of the model; UNKNOWN if it gives none, None if it does not answer.

    It is asked once, for a few seconds, without redirects: they would receive the key.
    """
    values = spec.__dict__
    key = os.environ.get(values["api_key_env"] or "", "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key.isascii() and key.isprintable() and key else {}
    url = f"{values['url']}/models"
    direct = [urllib.request.ProxyHandler({})] if is_this_machine(url) else []
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.build_opener(_Unredirected, *direct).open(request, timeout=_SECONDS) as reply:
            found = json.loads(reply.read(_MOST_BYTES))
    except urllib.error.HTTPError as refused:
        refused.close()
        return UNKNOWN
    except (OSError, http.client.HTTPException):
        return None
    except (ValueError, RecursionError):
        return UNKNOWN
    return _listed(found, values["model"])


def identities_of(spec: Spec) -> dict[str, str]:
    """The identity of each endpoint of a step that gives one, by `url#model`."""
    found = {_name(one): identity_of(one) for one in endpoints_in(spec)}
    return {name: identity for name, identity in found.items() if identity}


def other_models(spec: Spec, recorded: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The endpoints of a step that serve another model than that of a record, and those of which it is not known."""
    changed: list[str] = []
    unknown: list[str] = []
    for one in endpoints_in(spec):
        was, now = recorded.get(_name(one)), identity_of(one)
        if was and now and was != now:
            changed.append(_name(one))
        elif not was or not now:
            unknown.append(_name(one))
    return changed, unknown


def endpoints_in(spec: Spec) -> Iterator[EndpointSpec]:
    """The endpoints among the settings of a step. These reads are not reported to the ledger."""
    if isinstance(spec, EndpointSpec):
        yield spec
        return
    for value in spec.__dict__.values():
        for _, child in specs_within(value):
            yield from endpoints_in(child)


def _name(spec: EndpointSpec) -> str:
    return f"{spec.__dict__['url']}#{spec.__dict__['model']}"


def _listed(found: Any, model: str) -> str:
    data = cast(dict[str, Any], found).get("data") if isinstance(found, dict) else None
    for one in cast(list[Any], data) if isinstance(data, list) else []:
        entry = cast(dict[str, Any], one) if isinstance(one, dict) else {}
        if entry.get("id") == model and isinstance(entry.get("fingerprint"), str):
            return entry["fingerprint"]
    return UNKNOWN


class _Unredirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None
