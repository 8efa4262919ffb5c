"""Counters through prometheus_client, in a registry of their own, so that two doors do not mix."""

from collections.abc import Mapping

SECONDS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of latencies: a listing takes milliseconds, an answer may take minutes."""


class PrometheusMeter:
    """Implements ports.meter.Meter."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._requests = Counter(
            "hextune_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "hextune_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            "hextune_tokens", "Tokens read and written.", ["kind"], registry=self._registry
        )
        self._running = Gauge(
            "hextune_running_generations", "Answers under way.", registry=self._registry
        )
        self._jobs = Gauge("hextune_jobs", "Runs.", ["status"], registry=self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count the request and its time."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def generating(self, change: int) -> None:
        """Move the gauge."""
        self._running.inc(change)

    def generated(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count the tokens."""
        self._tokens.labels("prompt").inc(prompt_tokens)
        self._tokens.labels("completion").inc(completion_tokens)

    def text(self, jobs: Mapping[str, int]) -> bytes:
        """The registry's text."""
        from prometheus_client import generate_latest

        for status, count in jobs.items():
            self._jobs.labels(status).set(count)
        written: bytes = generate_latest(self._registry)
        return written
