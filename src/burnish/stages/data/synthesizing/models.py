"""The models of a step, behind endpoints or local: how they are opened, and what they spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.context import Context
from burnish.endpoints.client import Endpoint
from burnish.endpoints.spending import Usage, journal
from burnish.specs.data import ModelSpec
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals import GenerationSpec
from burnish.stages.data.synthesizing.asking import Answering
from burnish.stages.models.served import ServedModel

REPLIES = "replies"


@dataclass(frozen=True)
class Opened:
    """A model that answers `chats`, and continues `texts`. `short` is its name in rows."""

    chats: Answering
    texts: Answering
    short: str
    takes_formats: bool
    """Whether it can be made to reply in JSON: an endpoint whose parameters have no response_format."""

    def price_of(self, usage: Usage) -> float:
        """In the currency of the prices."""
        return self.chats.spending.price_of(usage) if isinstance(self.chats, Endpoint) else 0.0


def open_generator(spec: ModelSpec, ctx: Context) -> Opened:
    """The model that makes the rows. Errors: AskError `ask.missing-key`; those of opening a local model come later."""
    temperature, max_tokens, seed = spec.temperature, spec.max_tokens, spec.seed
    generation = GenerationSpec(temperature=temperature, max_new_tokens=max_tokens, seed=seed)
    if spec.endpoint is None:
        from burnish.stages.data.synthesizing.local import LocalModel

        local = LocalModel(ctx.input("generator.model"), generation, spec.date, spec.device, spec.threads, ctx)
        return Opened(local, local, local.name, takes_formats=False)
    served = ServedModel(spec.endpoint, "rows", generation, ctx)
    takes = "response_format" not in spec.endpoint.parameters
    return Opened(served.chats, served.texts, spec.endpoint.model, takes)


def open_judge(spec: EndpointSpec, ctx: Context) -> Opened:
    """A judge of its own. Errors: AskError `ask.missing-key`."""
    endpoint = Endpoint(spec, ctx.cache / REPLIES, journal(ctx.scratch, "judge"), ctx.is_stopping)
    return Opened(endpoint, endpoint, spec.model, "response_format" not in spec.parameters)


def spent_by(models: Sequence[Opened]) -> Mapping[str, Any]:
    """Requests, tokens and money of this run and its earlier attempts; a local model has none."""
    endpoints = {id(one.chats): one.chats for one in models if isinstance(one.chats, Endpoint)}.values()
    used = sum((endpoint.spending.used for endpoint in endpoints), Usage())
    return {
        "requests": sum(endpoint.spending.calls for endpoint in endpoints),
        "cached": sum(endpoint.counts["cached"] for endpoint in endpoints),
        "retries": sum(endpoint.counts["retries"] for endpoint in endpoints),
        "prompt_tokens": used.prompt,
        "reply_tokens": used.reply,
        "cost": sum(endpoint.spending.cost for endpoint in endpoints),
    }


def notes_on(models: Sequence[Opened]) -> list[str]:
    """What a person should know of the replies: of the cache, damaged, or without a count."""
    found = []
    for one in {id(model.chats): model.chats for model in models}.values():
        if not isinstance(one, Endpoint):
            continue
        if one.damaged:
            found.append(f"{one.damaged} replies in .burnish/cache are damaged, and were requested again")
        if one.doubt:
            found.append(one.doubt)
        if one.spending.uncounted:
            count = f"{one.spending.uncounted:,} requests have no count of tokens"
            found.append(f"{one.name}: {count}; their maximum is counted")
    return found
