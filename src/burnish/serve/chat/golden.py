"""Whether the server turns the golden conversations into the ids that the certificate recorded, and the engine too."""

from collections.abc import Callable, Mapping
from typing import Any

from burnish.core.errors import BurnishError, ModelError
from burnish.evals.certificates.golden import GOLDEN, Golden, digest_of, is_refusal, name_of, refusal_of
from burnish.evals.certificates.tokens import GOLDEN_DAY
from burnish.serve.chat.model import ServedModel

EngineIds = Callable[[Golden, bool], list[int] | None]
"""The engine's own ids of a conversation, whole or as a prompt; None where it cannot tell."""


def replay(model: ServedModel, certificate: Mapping[str, Any] | None, engine_ids: EngineIds | None = None) -> str:
    """What was compared, in words. `certificate` is that of the served artifact, None if it has none.

    Errors: ModelError `model.broken` where ids differ: the model would read another prompt than it was measured with.
    """
    recorded: Mapping[str, str] = (certificate or {}).get("golden") or {}
    compared = {"the certificate": 0, "the engine": 0}
    for golden in GOLDEN:
        for prompt in (False, True):
            name, ids, is_request = name_of(golden, prompt), *_served_ids(model, golden, prompt)
            if name in recorded:
                compared["the certificate"] += 1
                ours = digest_of(ids) if isinstance(ids, list) else refusal_of(ids)
                if ours != recorded[name]:
                    raise _differs(model, name, _difference(ids, recorded[name]))
            theirs = engine_ids(golden, prompt) if engine_ids is not None and is_request else None
            if theirs is not None and isinstance(ids, list):
                compared["the engine"] += 1
                if theirs != ids:
                    places = enumerate(zip(ids, theirs, strict=False))
                    place = next((n for n, (a, b) in places if a != b), min(len(ids), len(theirs)))
                    raise _differs(model, name, f"the engine's ids differ from ours from token {place + 1} on")
    found = [f"{count} renderings agree with {whose}" for whose, count in compared.items() if count]
    if not found:
        return f"{model.name}: golden conversations are not compared: no certificate recorded their ids"
    if missing := len(recorded.keys() - {name_of(golden, prompt) for golden in GOLDEN for prompt in (False, True)}):
        found.append(f"{missing} recorded renderings are unknown here and not compared")
    return f"{model.name}: {' and '.join(found)}"


def _served_ids(model: ServedModel, golden: Golden, prompt: bool) -> tuple[list[int] | str, bool]:
    """The ids of a conversation, or the code of the template's refusal; and whether a request of it is accepted.

    Requests have checks of their own, such as for control tokens in a text: the template is compared all the same.
    """
    if not model.has_template:
        text = Golden(golden.name, golden.messages[:-1]).text if prompt else golden.text
        return model.encode(text), True
    dated = model.at(GOLDEN_DAY)
    messages = golden.messages[:-1] if prompt else golden.messages
    try:
        if prompt:
            return dated.prompt(messages, golden.tools)[1], True
        return dated.rendered(messages, golden.tools), True
    except BurnishError:
        try:
            return dated.rendered(messages, golden.tools, prompt=prompt), False
        except BurnishError as error:
            return error.code, False


def _difference(ids: list[int] | str, recorded: str) -> str:
    if isinstance(ids, str):
        return f"the template refuses it now ({ids})"
    if is_refusal(recorded):
        return f"the template renders it now, and the certificate recorded '{recorded}'"
    return "its token ids are not those that the certificate recorded"


def _differs(model: ServedModel, name: str, why: str) -> ModelError:
    return ModelError(
        "model.broken",
        f"{model.name} is not served: of the golden conversation '{name}', {why}",
        "make the artifact again: its tokenizer or chat template is not the one that was certified",
    )
