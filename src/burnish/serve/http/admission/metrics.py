"""Metrics for Prometheus: requests, tokens, queue, times and restarts, in a registry of each server's own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from burnish.serve.engines.protocol import ServingEngine
from burnish.serve.http.admission.keys import KeyRing
from burnish.serve.http.admission.limits import Slots
from burnish.serve.http.admission.log import AccessLog
from burnish.serve.http.admission.visit import Visit

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class Metrics:
    """Counts visits; the gauges read the engine and the queue as they are scraped."""

    def __init__(self, engine: ServingEngine, slots: Slots, keys: KeyRing, log: AccessLog):
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("burnish_requests", "Requests answered.", ["route", "status"], registry=registry)
        self.errors = Counter("burnish_errors", "Errors by their code.", ["code"], registry=registry)
        self.gone = Counter("burnish_clients_gone", "Requests whose client went away.", registry=registry)
        self.prompt_tokens = Counter("burnish_prompt_tokens", "Tokens of prompts.", ["model"], registry=registry)
        self.answer_tokens = Counter("burnish_completion_tokens", "Tokens drawn.", ["model"], registry=registry)
        self.malformed = Counter(
            "burnish_malformed_tool_calls",
            "Tool calls given as content: not parsed, or not offered.",
            registry=registry,
        )
        self.surplus = Counter(
            "burnish_surplus_tool_calls", "Calls left out by parallel_tool_calls: false.", registry=registry
        )
        self.seconds = Histogram(
            "burnish_request_seconds", "Time of a request.", ["route"], buckets=_SECONDS, registry=registry
        )
        self.first = Histogram(
            "burnish_first_token_seconds", "Time to the first token.", buckets=_SECONDS, registry=registry
        )
        self.between = Histogram(
            "burnish_token_seconds", "Mean time of a token after the first.", buckets=_SHORT, registry=registry
        )
        gauge = Gauge("burnish_running", "Completions that the engine answers.", registry=registry)
        gauge.set_function(lambda: slots.running)
        gauge = Gauge("burnish_waiting", "Completions that wait for the engine.", registry=registry)
        gauge.set_function(lambda: slots.waiting)
        gauge = Gauge("burnish_engine_restarts_total", "How often the engine was started again.", registry=registry)
        gauge.set_function(lambda: engine.restarts)
        help_of = "1 while the file of keys cannot be read: the keys read before stay valid."
        gauge = Gauge("burnish_keys_file_unreadable", help_of, registry=registry)
        gauge.set_function(lambda: bool(keys.look()))
        help_of = "Lines that could not be written to access.jsonl, such as on a full disk."
        gauge = Gauge("burnish_access_log_lost_total", help_of, registry=registry)
        gauge.set_function(lambda: log.lost)

    def count(self, visit: Visit, route: str) -> None:
        """A request that has ended; `route` is one of the server's, or `other`."""
        self.requests.labels(route, str(visit.status)).inc()
        self.seconds.labels(route).observe(visit.seconds)
        if visit.error:
            self.errors.labels(visit.error).inc()
        self.gone.inc(visit.gone)
        self.malformed.inc(visit.malformed_calls)
        self.surplus.inc(visit.surplus_calls)
        if visit.model:
            self.prompt_tokens.labels(visit.model).inc(visit.prompt_tokens)
            self.answer_tokens.labels(visit.model).inc(visit.completion_tokens)
        if (first := visit.seconds_to_first_token) is not None:
            self.first.observe(first)
            if visit.completion_tokens > 1:
                self.between.observe((visit.seconds - first) / (visit.completion_tokens - 1))

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self._registry)
