"""What the routes of one server share: the engine, the models by name, the settings, the queue and the counts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from burnish.serve.chat.model import ServedModel
from burnish.serve.engines.protocol import ServingEngine
from burnish.serve.http.admission.hosts import Hosts
from burnish.serve.http.admission.keys import KeyRing
from burnish.serve.http.admission.limits import Rates, Slots
from burnish.serve.http.admission.log import AccessLog
from burnish.serve.http.admission.metrics import Metrics
from burnish.serve.http.admission.visit import Visit
from burnish.serve.http.wire.errors import ApiError
from burnish.specs.ship.server import ServerSpec

LoadAdapter = Callable[[str, str], Awaitable[ServedModel]]


class ServerState:
    """`models` are by the name of requests; the first is the default."""

    def __init__(
        self,
        engine: ServingEngine,
        models: Sequence[ServedModel],
        settings: ServerSpec,
        folder: Path,
        load_adapter: LoadAdapter | None,
    ):
        self.engine, self.settings, self.load_adapter = engine, settings, load_adapter
        self.models = {model.name: model for model in models}
        self.default = models[0].name
        self.created = int(time.time())
        self.keys = KeyRing.of(settings)
        self.hosts = Hosts(settings, has_keys=not self.keys.is_open)
        self.slots = Slots(engine.slots, settings.max_queue)
        self.rates = Rates()
        self.log = AccessLog(folder / "access.jsonl")
        self.metrics = Metrics(engine, self.slots, self.keys, self.log)
        self.offers_adapters, self.changing = settings.load_adapters, asyncio.Lock()
        self.is_draining = self.is_cut = False
        self.work: set[asyncio.Task[None]] = set()
        """The answers under way."""
        self.under_way = 0
        """Requests that are not answered yet, without those for health and metrics."""
        self.counts = {"requests": 0, "errors": 0, "prompt_tokens": 0, "completion_tokens": 0}
        self.max_request_bytes, self.body_timeout = settings.max_request_bytes, settings.body_timeout
        self.request_timeout, self.max_choices = settings.request_timeout, settings.max_choices

    def model(self, name: str | None, visit: Visit) -> ServedModel:
        """The model of a request. Errors: ApiError 403 for one that the key may not ask, 404 for an unknown one."""
        found = self.models.get(self.default if name is None else name)
        allowed = visit.key.models if visit.key is not None else None
        if found is None or (allowed is not None and found.name not in allowed):
            known = [known for known in self.models if allowed is None or known in allowed]
            if found is not None:
                message = f"this key may not ask the model '{found.name}'; it may ask: {', '.join(known) or 'none'}"
                raise ApiError(403, message, param="model", code="model_not_allowed")
            message = f"there is no model '{(name or '')[:120]}'; there are: {', '.join(known) or 'none'}"
            raise ApiError(404, message, param="model", code="model_not_found")
        visit.model = found.name
        return found

    def book(self, visit: Visit, tokens: int) -> None:
        """Book the most tokens that a request may take. Errors: ApiError 429 at its key's limit."""
        if visit.key is not None:
            visit.booked_tokens = self.rates.book(visit.key, tokens)

    def cut(self) -> None:
        """End the answers under way: their clients get an error."""
        self.is_cut = True
        for task in self.work:
            task.cancel()

    def ended(self, visit: Visit, route: str) -> None:
        """Count and log a request."""
        self.counts["requests"] += 1
        self.counts["errors"] += visit.status >= 400 or bool(visit.error)
        self.counts["prompt_tokens"] += visit.prompt_tokens
        self.counts["completion_tokens"] += visit.completion_tokens
        if visit.key is not None:
            self.rates.used(visit.key, visit.prompt_tokens + visit.completion_tokens, visit.booked_tokens)
        self.metrics.count(visit, route)
        self.log.write(visit)
        if self.log.lost:
            self.counts["unlogged"] = self.log.lost
