"""Metrics of the server for Prometheus, in a registry of its own: requests, streams, jobs by state."""

import math
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from burnish.jobs.queue.job import JobState

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts requests by their route, so that a client cannot make up names."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "burnish_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "burnish_http_request_seconds", "Time of a request.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._jobs = Gauge("burnish_jobs", "Jobs of the queue by state.", ["state"], registry=registry)
        self._workers = Gauge("burnish_workers", "Workers that are known to live.", registry=registry)

    def watch(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A gauge that is read when the metrics are."""
        Gauge(name, help, registry=self._registry).set_function(read)

    def watch_total(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A counter `NAME_total` that is read when the metrics are."""
        self._registry.register(_Total(name, help, read))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request that has ended."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def set_jobs(self, counts: Mapping[JobState, int], workers: int) -> None:
        """The jobs by state, and the workers that live."""
        for state, count in counts.items():
            self._jobs.labels(state).set(count)
        self._workers.set(workers)

    def forget_jobs(self) -> None:
        """Give no numbers of jobs and workers: the last ones may be wrong by now."""
        self._jobs.clear()
        self._workers.set(math.nan)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self._registry)


class _Total(Collector):
    def __init__(self, name: str, help: str, read: Callable[[], float]) -> None:
        self._name, self._help, self._read = name, help, read

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._help, value=self._read())


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
